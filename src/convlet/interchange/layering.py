"""Layers of the steps of a chain, one step after the other."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from convlet.equations import Float32, Float64
from convlet.interchange import chain
from convlet.interchange.chain import AffineStep, Order, Step, refused
from convlet.interchange.emitting import emitted
from convlet.interchange.maps import MOST_WORK, Map, TooLargeError, allow, compose, work
from convlet.interchange.stepmaps import Image, map_of
from convlet.interchange.telling import sentences
from convlet.layers import Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU, Softmax
from convlet.stages import LIMIT
from convlet.wording import size

TOO_LARGE = "fewer channels, groups or gaps: zeros count like other numbers"
_POINTS = (chain.Dense, chain.Affine)
"""The affine steps that flat x may meet."""


@dataclass
class Layering:
    """The layers so far, and the affine steps that are not yet a layer.

    shape: of what comes next; of flat x that from which it was lined up, or (1, 1, units).  order:
    of flat x: in which the library lined it up, where convlet has it as "hwc"; None where x is an
    image.
    """

    shape: Image
    layers: list[Layer] = field(default_factory=list)
    arrays: list[Float32] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    order: Order | None = None
    is_lined_up: bool = False  # whether the layers so far give flat x
    pending: Map | None = None
    steps: list[AffineStep] = field(default_factory=list)  # that pending is made of
    held: list[Layer] = field(default_factory=list)  # dropout behind pending
    work: int = 0  # multiply-adds of folding so far
    numbers: int = 0  # of the layers so far
    last: str = "the network"  # source of the step before
    is_done: bool = False

    def take(self, step: Step) -> None:
        """The next step."""
        step = self._behind_softmax(step) if self.is_done else step
        match step:
            case chain.Take():
                self._take(step)
            case chain.Flatten():
                self._flatten(step)
            case chain.Dropout():
                self._drop(step)
            case chain.ReLU():
                self._flush()
                self.layers.append(ReLU())
            case chain.MaxPool():
                self._pool(step)
            case chain.Sigmoid():
                self._sigmoid(step)
            case chain.Softmax():
                self._softmax(step)
            case _:
                self._affine(step)
        self.last = step.source

    def end(self) -> None:
        """The softmax that every network ends with."""
        if self.is_done:
            self._flush()
            self._line_up()
            self.layers.append(Softmax())
            return
        if prod(self.shape) == 1:
            found = "gives one number, which may be a logit or anything else"
            raise refused(self.last, found, "a sigmoid behind it, or one unit for each class")
        self.said.append(
            f"a softmax was added: {self.last} gives what enters one, and convlet probabilities"
        )
        self._softmax(chain.Softmax(self.last))
        self.end()

    def _behind_softmax(self, step: Step) -> Step:
        """What may stand there, as a step that may as well stand before."""
        match step:
            case chain.Flatten() | chain.Dropout():
                return step
            case chain.Take(places=places) if sorted(places) == list(range(prod(self.shape))):
                return step
            case chain.Take(places=places):
                found = f"leaves out probabilities, {len({*places})} of {prod(self.shape)} stay"
                raise refused(step.source, found, "those of all classes, each once")
            case chain.Affine() if prod(self.shape) == 2 and _is_rest(step):
                return chain.Take(step.source, (1, 0))  # 1 - p is that of the other class
        raise refused(step.source, "stands behind the softmax", "a network that ends with one")

    def _take(self, step: chain.Take) -> None:
        """A dense map of flat x, by 1 and 0."""
        if self.order is None and self.shape[:2] != (1, 1):
            raise refused(step.source, "takes some numbers of an image", "flat numbers")
        units = prod(self.shape)
        if not step.places or not all(0 <= place < units for place in step.places):
            raise refused(step.source, f"takes numbers at {step.places}", f"0 to {units - 1}")
        try:
            allow(units * len(step.places), 0)
        except TooLargeError as error:
            raise refused(step.source, str(error), "fewer units") from None
        w = np.zeros((units, len(step.places)))
        w[step.places, range(len(step.places))] = 1
        dense = chain.Dense(step.source, w)
        self._join(dense, self._map(dense))

    def _flatten(self, step: chain.Flatten) -> None:
        if self.order is None:
            self.order = step.order

    def _drop(self, step: chain.Dropout) -> None:
        """Kept for training where a layer of sigma may stand."""
        if self.is_done:
            return
        if self.pending is not None:
            self.held.append(Dropout(step.rate))
        elif self.layers:
            self.layers.append(Dropout(step.rate))
        else:
            self.said.append(f"{step.source} is left out: convlet drops no pixels of the input")

    def _pool(self, step: chain.MaxPool) -> None:
        """Factors above 0 and shifts may as well stand behind it, and be folded into what follows.

        Without layers nothing may: a network begins with an affine map.
        """
        self._refuse_flat(step)
        if step.margins != chain.NO_MARGINS:
            found = f"has margins {step.margins}"
            raise refused(step.source, found, "a pool without: convlet's has none")
        waiting = self.pending if self.layers and _keeps_order(self.pending) else None
        if waiting is None:
            self._flush()
        pool = MaxPool2D(step.size, step.stride)
        rows, columns, channels = pool.output_shape(self.shape)
        self.shape = rows, columns, channels
        self.layers.append(pool)
        if waiting is not None:
            self.pending = replace(waiting, x_shape=self.shape)

    def _sigmoid(self, step: chain.Sigmoid) -> None:
        """sigma(z) is the second number of the softmax of (0, z)."""
        if prod(self.shape) != 1:
            found = f"is a sigmoid of {prod(self.shape)} numbers"
            hint = "a ReLU inside of a network, at its end a softmax or a sigmoid of one unit"
            raise refused(step.source, found, hint)
        self._flatten(chain.Flatten(step.source))
        two = chain.Dense(step.source, np.array([[0.0, 1.0]]))
        self._join(two, self._map(two))
        self.said.append(f"{step.source} became a softmax of two classes, 0 and its number")
        self._softmax(chain.Softmax(step.source))

    def _softmax(self, step: chain.Softmax) -> None:
        if self.order is None:
            if self.shape[:2] != (1, 1):
                found = f"gives probabilities for each of {size(self.shape[:2])} positions"
                raise refused(step.source, found, "one class for the whole image")
            self._flatten(chain.Flatten(step.source))
        if self.order == "chw" and self.shape[:2] != (1, 1) and self.shape[2] > 1:
            sorts = chain.Dense(step.source, self._identity(step.source))
            self._join(sorts, self._map(sorts))
        if step.log:
            self.said.append(f"{step.source} gives logarithms, the network the probabilities")
        self.is_done = True

    def _affine(self, step: AffineStep) -> None:
        """Fold the step into what is pending, where that is exact and no more work."""
        new = self._map(step)
        most = None
        if self.pending is not None and self.pending.gain is None and new.gain is None:
            most = self.pending.multiply_adds + new.multiply_adds
        self._join(step, new, most)

    def _map(self, step: AffineStep) -> Map:
        if not isinstance(step, _POINTS):
            self._refuse_flat(step)
        try:
            return map_of(step, self.shape, self.order)
        except TooLargeError as error:
            raise refused(step.source, str(error), TOO_LARGE) from None

    def _join(self, step: AffineStep, new: Map, most: int | None = None) -> None:
        """Fold the map of a step into what is pending; most: multiply-adds that both may need."""
        together = None
        if self.pending is not None:
            with suppress(TooLargeError):
                self.work += work(self.pending, new)
                if self.work <= MOST_WORK:
                    together = compose(self.pending, new, most)
        if together is None:
            self._flush_pending()
            together = new
        self.pending = together
        self.steps.append(step)
        self.shape = new.output_shape
        if isinstance(step, chain.Dense):
            self.order = "hwc"

    def _flush(self) -> None:
        """A layer of what is pending; where no layer stands before, of what changes nothing."""
        if not self.layers and self.pending is None:
            self.pending = Map(self.shape, np.ones((1, 1, self.shape[2])))
        self._flush_pending()

    def _flush_pending(self) -> None:
        of = self.pending
        if of is None:
            return
        what = self.steps[-1].source if self.steps else self.last
        try:
            if of.gain is not None or (self.is_lined_up and of.output_shape[:2] != (1, 1)):
                of = self._as_matrix(of, what)
            made = emitted(of, self.order is not None)
        except TooLargeError as error:
            raise refused(what, str(error), TOO_LARGE) from None
        for values in (made.w, made.b):
            if values is not None and not np.isfinite(values).all():
                raise refused(what, "has numbers that are not finite", "train it anew")
        self.numbers += made.w.size + (0 if made.b is None else made.b.size)
        if self.numbers > LIMIT:
            raise refused(what, f"is beyond {LIMIT:,} numbers of all layers", "a smaller network")
        if isinstance(made.layer, Dense):
            self._line_up()
        self.layers += [made.layer, *self.held]
        self.arrays += [made.w] if made.b is None else [made.w, made.b]
        self.said += sentences(self.steps, made)
        self.pending, self.steps, self.held = None, [], []

    def _as_matrix(self, of: Map, what: str) -> Map:
        """A map that weighs each position by itself, as a dense one of flat x."""
        if self.order is None:
            found = "weighs each position by itself"
            raise refused(what, found, "a dense layer right behind it: a convolution does not")
        every = self._identity(what).reshape(*self.shape, prod(self.shape))
        matrix = compose(of, Map(self.shape, every, numbers=of.numbers))
        assert matrix is not None
        return matrix

    def _identity(self, what: str) -> Float64:
        """(units, units) of flat x."""
        units = prod(self.shape)
        try:
            allow(units**2, 0)
        except TooLargeError as error:
            raise refused(what, str(error), "fewer units, or a dense layer behind it") from None
        return np.eye(units)

    def _line_up(self) -> None:
        if not self.is_lined_up:
            self.layers.append(Flatten())
            self.is_lined_up = True

    def _refuse_flat(self, step: Step) -> None:
        if self.order is not None:
            raise refused(step.source, "meets flat numbers", "an image: put it before flatten")


def _is_rest(step: chain.Affine) -> bool:
    """Whether it is 1 - x."""
    if step.scale is None or step.shift is None:
        return False
    return bool(np.all(np.equal(step.scale, -1)) and np.all(np.equal(step.shift, 1)))


def _keeps_order(waiting: Map | None) -> bool:
    """Whether the greater of two pixels stays it, in each channel."""
    if waiting is None or not waiting.is_pointwise or waiting.gain is not None:
        return False
    shifts_alike = waiting.constant is None or waiting.constant.ndim == 1
    return shifts_alike and bool((waiting.taps > 0).all())
