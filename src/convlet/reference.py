"""The reference engine: NumPy over the minibatch, straight from the equations."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convlet import backprop
from convlet import equations as eq
from convlet.augmentation import Augmentation, apply
from convlet.engine import (
    Samples,
    Share,
    Steps,
    Trained,
    as_floats,
    middle_of,
    shard_nodes,
    shard_start,
)
from convlet.equations import Array, Float32
from convlet.layers import Dropout
from convlet.randomness import kept
from convlet.settings import Settings
from convlet.stages import Stage, parameter_shapes, views

quiet = np.errstate(all="ignore")
"""What is not finite ends in the result, as in the native engine, whatever NumPy is told to do."""


class ReferenceEngine:
    """NumPy over the minibatch, straight from the equations: slow, obvious, the oracle."""

    name = "reference"
    CHUNK = 256  # images at a time in prediction: memory stays small

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = stages
        self.shapes = parameter_shapes(stages)

    @quiet
    def logits(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        arrays = views(parameters, self.shapes)
        chunks = (images[start : start + self.CHUNK] for start in range(0, len(images), self.CHUNK))
        return np.concatenate(
            [backprop.logits(backprop.forward(self.stages, arrays, self.inputs(x))) for x in chunks]
        )

    @quiet
    def predict(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        return eq.softmax(self.logits(parameters, images))

    @quiet
    def gradients(
        self, parameters: Float32, batch: Samples, threads: int | None = None
    ) -> tuple[float, Float32]:
        return self._gradients(parameters, self.inputs(batch.images), batch.targets, batch.weight)

    @quiet
    def trace(
        self, parameters: Float32, images: Array, threads: int | None = None
    ) -> list[tuple[Float32, Float32]]:
        traces = backprop.forward(self.stages, views(parameters, self.shapes), self.inputs(images))
        return [(trace.z, trace.output) for trace in traces]

    @quiet
    def errors(
        self, parameters: Float32, images: Array, targets: Array, threads: int | None = None
    ) -> list[tuple[Float32, Float32]]:
        arrays = views(parameters, self.shapes)
        traces = backprop.forward(self.stages, arrays, self.inputs(images))
        error = eq.cross_entropy_dz(backprop.logits(traces), targets)  # (15) of each E^n
        deltas = backprop.errors(self.stages, arrays, traces, error)
        return [
            (delta, backprop.affine_dx(stage, delta, arrays))  # e^l of (20)
            for stage, delta in zip(self.stages, deltas, strict=True)
        ]

    @quiet
    def train(
        self,
        parameters: Float32,
        slots: tuple[Float32, ...],
        data: Samples,
        steps: Steps,
        settings: Settings,
        threads: int | None = None,
        share: Share | None = None,
    ) -> Trained:
        costs = np.zeros(len(steps.rates))
        for step in range(len(costs)):
            part = slice(step * settings.batch_size, (step + 1) * settings.batch_size)
            chosen = steps.order[part]
            rows = chosen if share is None else share.rows[part]
            total = _total(data, rows) if share is None else float(share.totals[step])
            if total == 0:
                continue
            cost, gradient = self._step(
                parameters, data, chosen, rows, total, steps, settings, share
            )
            norm = float(np.sqrt(np.dot(gradient.astype(np.float64), gradient)))
            if not (np.isfinite(cost) and np.isfinite(norm)):
                return Trained(costs[:step], diverged=True)
            if settings.clip_norm is not None and norm > settings.clip_norm:
                gradient *= np.float32(settings.clip_norm / norm)
            eta, t = float(steps.rates[step]), steps.updates + step + 1
            settings.optimizer.update(parameters, gradient, slots, eta, t)
            costs[step] = cost
        return Trained(costs)

    @quiet
    def augment(self, images: Array, augmentation: Augmentation, seed: int, epoch: int) -> Float32:
        return apply(as_floats(images), augmentation, np.arange(len(images)), seed, epoch).astype(
            np.float32
        )

    def _step(
        self,
        parameters: Float32,
        data: Samples,
        chosen: NDArray[np.int64],
        rows: NDArray[np.int64],
        total: float,
        steps: Steps,
        settings: Settings,
        share: Share | None,
    ) -> tuple[float, Float32]:
        """Cost and derivative of one minibatch, shard by shard; total: of its weights."""
        shards = settings.shards
        first, last = (0, shards) if share is None else (share.first, share.last)
        costs = np.zeros(shards)
        sums: dict[int, Float32] = {}
        for shard in range(first, last):
            start, end = (shard_start(n, shards, len(chosen)) for n in (shard, shard + 1))
            there = rows[start:end]
            sums[shard] = np.zeros_like(parameters)
            part = _total(data, there)
            if part == 0:
                continue
            weight = None if data.weight is None else data.weight[there]
            batch = Samples(data.images[there], data.targets[there], weight)
            cost, gradient = self._derivative(
                parameters, batch, chosen[start:end], settings, steps.epoch
            )
            costs[shard], sums[shard] = cost * part / total, gradient * np.float32(part / total)
        nodes = [_node(sums, node) for node in shard_nodes(shards, first, last)]
        gradient = nodes[0]
        if share is not None:
            gradient = np.empty_like(parameters)
            share.exchange(np.stack(nodes), costs, gradient)
        return float(sum(costs.tolist())), gradient

    def _derivative(
        self,
        parameters: Float32,
        batch: Samples,
        chosen: NDArray[np.int64],
        settings: Settings,
        epoch: int,
    ) -> tuple[float, Float32]:
        """Cost and derivative of a minibatch as training sees it; chosen: its samples' numbers."""
        x, seed = self.inputs(batch.images), settings.seed
        if settings.augmentation is not None:
            seen = apply(as_floats(batch.images), settings.augmentation, chosen, seed, epoch)
            x = seen.astype(np.float32).reshape(x.shape)
        y = smoothed(batch.targets, self.stages[-1].output_shape[0], settings.label_smoothing)
        masks = dropout_masks(self.stages, chosen, seed, epoch)
        return self._gradients(parameters, x, y, batch.weight, masks)

    def _gradients(
        self,
        parameters: Float32,
        x: Float32,
        y: Array,
        weight: Float32 | None,
        masks: backprop.Masks | None = None,
    ) -> tuple[float, Float32]:
        arrays = views(parameters, self.shapes)
        cost, derivatives = backprop.gradients(self.stages, arrays, x, y, weight, masks)
        return cost, np.concatenate([derivatives[name].ravel() for name in self.shapes])

    def inputs(self, images: Array) -> Float32:
        """x^0 (B, *x_shape) as float32, uint8 scaled by 1/255."""
        return as_floats(images).reshape(len(images), *self.stages[0].x_shape)


def _total(data: Samples, rows: NDArray[np.int64]) -> float:
    """Of the weights of these samples."""
    return float(len(rows)) if data.weight is None else float(data.weight[rows].sum(dtype=float))


def _node(sums: dict[int, Float32], node: tuple[int, int]) -> Float32:
    """The sum of the shards of a node, along the tree; see `shard_nodes`."""
    start, end = node
    if end - start == 1:
        return sums[start]
    half = middle_of(node)
    return _node(sums, (start, half)) + _node(sums, (half, end))


def smoothed(y: Array, classes: int, smoothing: float) -> Array:
    """Labels as they are, or the distributions (1 - s) y + s / M.

    Source: Szegedy et al., "Rethinking the Inception architecture", CVPR 2016.
    """
    if not smoothing:
        return y
    s = np.float32(smoothing)
    rows: Float32 = eq.distribution(y, np.zeros((len(y), classes), np.float32))
    return (1 - s) * rows + s / np.float32(classes)


def dropout_masks(
    stages: Sequence[Stage], samples: NDArray[np.int64], seed: int, epoch: int
) -> backprop.Masks:
    """The factor of each unit behind each dropout layer, keyed by (seed, epoch, sample)."""
    masks: dict[tuple[int, int], Array] = {}
    for stage in stages:
        shape, count = stage.z_shape, 0
        for n, layer in enumerate(stage.sigma):
            shape = layer.output_shape(shape)
            if isinstance(layer, Dropout):
                place = stage.index << 16 | count
                units = int(np.prod(shape))
                rows = [kept(seed, epoch, int(s), place, units, layer.rate) for s in samples]
                masks[stage.index, n] = np.stack(rows).reshape(len(samples), *shape)
                count += 1
    return masks
