"""The training loop: epochs of shuffled minibatches, told to callbacks a few times a second."""

from collections.abc import Sequence
from contextlib import ExitStack
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from convlet import backprop
from convlet.ahead import ahead_of
from convlet.callbacks import Callback, Checkpoints, NoCheckpoints
from convlet.engine import Samples, Steps, Trainer, as_floats
from convlet.equations import Float32
from convlet.errors import DivergedError, Name, Words
from convlet.randomness import Purpose, permutation
from convlet.run import History, Row, Run, Trainee
from convlet.settings import Settings
from convlet.stages import on_lines, views

SECONDS_PER_CALL = 0.05
"""How long the engine may work before the loop looks up: progress and Ctrl-C are this quick."""


def fit(
    network: Trainee,
    data: Samples,
    validation: Samples | None,
    settings: Settings,
    callbacks: Sequence[Callback] = (),
    threads: int | None = None,
    checkpoints: Checkpoints | None = None,
    trainer: Trainer | None = None,
) -> History:
    """Minibatch descent (13), (21) on checked data; see `Network.fit`.

    trainer: None is the engine of the network.

    Epoch e of the network's life is shuffled by the words (seed, SHUFFLE, e), so that fit(epochs=1)
    twice is fit(epochs=2) as long as the optimiser keeps nothing from step to step.
    """
    checkpoints = checkpoints or NoCheckpoints()
    slots = tuple(on_lines(np.zeros_like(network.flat)) for _ in range(settings.optimizer.slots))
    run = Run(network, settings, len(data), network.epochs, slots, validated=validation is not None)
    error: BaseException | None = None
    checkpoints.begin(run)
    _begin(run, callbacks)
    try:
        checkpoints.start(run, callbacks)
        pace = 1
        while run.epoch <= run.epochs and not run.stop:
            pace = _epoch(run, data, callbacks, threads, checkpoints, trainer, pace)
            if run.step < run.steps:  # stopped inside the epoch
                break
            checkpoints.close(run, callbacks)
            _close_epoch(run, validation, callbacks, threads)
            checkpoints.save(run, callbacks)
    except BaseException as caught:
        error = caught
        raise
    finally:
        try:
            checkpoints.finish(run, callbacks, error)
        finally:
            _end(run, callbacks)
    return run.history


def _begin(run: Run, callbacks: Sequence[Callback]) -> None:
    """Tell the callbacks; if one refuses, those before it are told of the end."""
    for n, callback in enumerate(callbacks):
        try:
            callback.on_begin(run)
        except BaseException:
            _end(run, callbacks[:n])
            raise


def _end(run: Run, callbacks: Sequence[Callback]) -> None:
    """Tell all callbacks in their order, though one of them may raise."""
    with ExitStack() as rest:
        for callback in reversed(callbacks):
            rest.callback(callback.on_end, run)


def _epoch(
    run: Run,
    data: Samples,
    callbacks: Sequence[Callback],
    threads: int | None,
    checkpoints: Checkpoints,
    trainer: Trainer | None,
    pace: int,
) -> int:
    """The rest of one epoch, a few steps per call of the engine.

    pace: as many as the time of a call allows -> the same for the next epoch.
    """
    order = permutation(run.settings.seed, Purpose.SHUFFLE, run.network.epochs, len(data))
    with ahead_of(data.images) as ahead:
        while run.step < run.steps and not run.stop:
            steps = min(pace, checkpoints.steps_left(run), run.steps - run.step)
            end = run.seen + steps * run.settings.batch_size
            ahead.read(order[end : 2 * end - run.seen])
            start = perf_counter()
            _steps(run, data, order, steps, threads, trainer)
            elapsed = perf_counter() - start
            _refuse_not_finite(run)
            seconds = SECONDS_PER_CALL if trainer is None else trainer.seconds_per_call
            pace = max(1, min(4 * pace, int(steps * seconds / max(elapsed, 1e-6))))
            for callback in callbacks:
                callback.on_progress(run)
            if run.step < run.steps:
                checkpoints.save(run, callbacks)
    return pace


def _refuse_not_finite(run: Run) -> None:
    """A step from finite numbers may end in others, which the next step would meet."""
    name = run.not_finite
    if name is not None:
        raise DivergedError(
            f"after step {run.step} of epoch {run.network.epochs + 1} the parameter {name} of stage"
            f" {name[1:]} is not finite",
            ("try a smaller ", Name("learning_rate"), ", or ", Name("clip_norm")),
        )


def _steps(
    run: Run,
    data: Samples,
    order: NDArray[np.int64],
    steps: int,
    threads: int | None,
    trainer: Trainer | None,
) -> None:
    """Up to `steps` steps, all of them or none.

    A signal may strike in the middle of a step, or between a step and its account, and nobody knows
    which; so any exception takes the run back to where it stood.  Only a diverging step keeps the
    ones before it.
    """
    vectors = (run.network.flat, *run.slots)
    before = [vector.copy() for vector in vectors]
    account = run.step, run.total, run.total_weight
    try:
        diverged = _train(run, data, order, steps, threads, trainer)
    except BaseException:
        for vector, old in zip(vectors, before, strict=True):
            vector[...] = old
        run.step, run.total, run.total_weight = account
        raise
    if diverged is not None:
        raise diverged


def _train(
    run: Run,
    data: Samples,
    order: NDArray[np.int64],
    steps: int,
    threads: int | None,
    trainer: Trainer | None,
) -> DivergedError | None:
    """Up to `steps` steps and their account; the error if one of them was not finite."""
    network, size = run.network, run.settings.batch_size
    chosen = order[run.seen : run.seen + steps * size]
    rates = _rates(run, np.arange(run.updates, run.updates - (-len(chosen) // size)))
    taken = Steps(chosen, rates, run.earlier + run.updates, network.epochs)
    start = perf_counter()
    train = (trainer or network.engine).train
    result = train(network.flat, run.slots, data, taken, run.settings, threads)
    run.seconds += perf_counter() - start
    diverged = None
    if result.diverged:
        batch = chosen[result.done * size : (result.done + 1) * size]
        diverged = DivergedError(
            f"step {run.step + result.done + 1} of epoch {network.epochs + 1} is not finite,"
            f" {_diagnosis(network, data, batch)}; the parameters are those before it",
            _lower(rates[result.done]),
        )
    weights = _weights(data, chosen, size)[: result.done]
    run.total = _added(run.total, result.costs * weights)
    run.total_weight = _added(run.total_weight, weights)
    run.step += result.done
    return diverged


def _lower(rate: float) -> Words:
    return ("try a ", Name("learning_rate"), f" below {rate:g}, or ", Name("clip_norm"))


def _added(total: float, terms: NDArray[np.float64]) -> float:
    """One after the other, so that the sum does not depend on where a call ends."""
    return float(np.cumsum([total, *terms])[-1])


def _rates(run: Run, steps: NDArray[np.int64]) -> Float32:
    """eta of these steps of the call, numbered from 0."""
    settings = run.settings
    factors = settings.schedule.factors(steps, settings.epochs * run.steps, settings.epochs)
    return (settings.learning_rate * factors).astype(np.float32)


def _close_epoch(
    run: Run, validation: Samples | None, callbacks: Sequence[Callback], threads: int | None
) -> None:
    """Evaluate, write the row, tell the callbacks; then the run stands before the next epoch."""
    network = run.network
    loss = accuracy = None
    if validation is not None:
        run.answers = network.seen(validation, threads)
        loss, accuracy = run.answers.judged(validation.weight)
    network.epochs += 1
    row = Row(network.epochs, run.train_loss, loss, accuracy, run.seconds)
    run.history.rows.append(row)
    for callback in callbacks:
        callback.on_epoch(run, row)
    run.answers = None
    run.step = 0
    run.total = run.total_weight = run.seconds = 0.0
    run.epoch += 1  # last: until here `run.closing`


def _diagnosis(network: Trainee, data: Samples, batch: NDArray[np.int64]) -> str:
    """In words, the first stage of the way forward, or the last of the way back, that overflows."""
    x = as_floats(data.images[batch]).reshape(len(batch), *network.stages[0].x_shape)
    with np.errstate(all="ignore"):
        arrays = views(network.flat, network.shapes)
        for stage, trace in zip(
            network.stages, backprop.forward(network.stages, arrays, x), strict=True
        ):
            if not np.isfinite(trace.z).all():
                return f"first in z of stage {stage.index} ({stage.affine})"
        targets, weight = data.targets[batch], data.weight
        part = None if weight is None else weight[batch]
        _, gradient = backprop.gradients(network.stages, arrays, x, targets, part)
        for stage in reversed(network.stages):
            if not np.isfinite(gradient[stage.w_name]).all():
                return f"first in the gradient of stage {stage.index} ({stage.affine})"
    return "in the cost or in the norm of the gradient"


def _weights(data: Samples, chosen: NDArray[np.int64], batch_size: int) -> NDArray[np.float64]:
    """The weight of each minibatch in the mean of an epoch.

    Its number of images, or the sum of their omega.
    """
    starts = np.arange(0, len(chosen), batch_size)
    each = np.ones(len(chosen)) if data.weight is None else data.weight[chosen].astype(np.float64)
    return np.add.reduceat(each, starts)
