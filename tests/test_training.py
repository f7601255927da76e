"""Training: (13) and (21) step by step, the same bits, history, callbacks and interruptions."""

import numpy as np
import pytest

from convlet import SGD, Callback, DivergedError, History, InputError, Network, Row, backprop
from convlet.randomness import Purpose, permutation, raw_words
from convlet.stages import views
from engines import take_steps
from made_data import bright_rows

LAYERS = "conv 3 3, relu, pool 2, flatten, dense 3, softmax"
SHAPE = (6, 6, 1)


def network(seed: int = 0) -> Network:
    return Network(LAYERS, SHAPE, seed, engine="reference")


def data(count: int = 23, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return bright_rows(count, seed)


def by_hand(x, y, weight=None, *, batch_size, rate, seed, epochs=1, dtype=np.float32):
    """The loop that fit should be: -> parameters, train_loss of the last epoch."""
    net = network()
    flat = net.flat.astype(dtype)
    parameters = views(flat, net.shapes)
    x = (x / np.float32(255)).astype(dtype)
    for epoch in range(epochs):
        order = np.argsort(raw_words(seed, Purpose.SHUFFLE, epoch, len(x)), kind="stable")
        total = count = 0.0
        for start in range(0, len(x), batch_size):
            b = order[start : start + batch_size]
            omega = np.ones(len(b), dtype) if weight is None else weight[b].astype(dtype)
            if not omega.any():
                continue
            cost, derivatives = backprop.gradients(net.stages, parameters, x[b], y[b], omega)
            total += cost * omega.sum()
            count += omega.sum()
            for name, derivative in derivatives.items():
                parameters[name] -= dtype(rate) * derivative
    return flat, total / count


# -------------------------------------------------------------------------------------- the updates


@pytest.mark.equation(13, 21)
@pytest.mark.parametrize("batch_size", [1, 5, 8, 23, 100])
def test_an_epoch_is_the_loop_by_hand_with_a_smaller_last_minibatch(batch_size):
    x, y = data()
    net = network()
    history = net.fit(x, y, epochs=1, batch_size=batch_size, learning_rate=0.2, seed=7)
    flat, loss = by_hand(x, y, batch_size=batch_size, rate=0.2, seed=7, dtype=np.float64)
    assert not np.allclose(net.flat, network().flat, atol=1e-3)
    np.testing.assert_allclose(net.flat, flat, rtol=0, atol=3e-6)
    assert history[0].train_loss == pytest.approx(loss, rel=1e-5)


@pytest.mark.equation(13)
def test_sample_weights_enter_every_minibatch():
    x, y = data()
    weight = np.random.default_rng(1).integers(0, 4, 23).astype(np.float64)
    net = network()
    options = {"batch_size": 5, "seed": 7}
    history = net.fit(x, y, epochs=2, learning_rate=0.2, sample_weight=weight, **options)
    flat, loss = by_hand(x, y, weight, rate=0.2, epochs=2, dtype=np.float64, **options)
    np.testing.assert_allclose(net.flat, flat, rtol=0, atol=5e-6)
    assert history[1].train_loss == pytest.approx(loss, rel=1e-5)


def test_soft_labels_of_one_class_are_classes():
    x, y = data()
    a, b = network(), network()
    a.fit(x, y, epochs=1)
    b.fit(x, np.eye(3)[y], epochs=1)
    assert a.flat.tobytes() == b.flat.tobytes()


def test_a_minibatch_without_weight_changes_nothing():
    x, y = data(6)
    order = permutation(3, Purpose.SHUFFLE, 0, 6)
    weight = np.ones(6)
    weight[order[2:4]] = 0  # the second of three minibatches
    seen = []

    class Watch(Callback):
        def on_progress(self, run):
            seen.append((run.step, run.network.flat.copy()))

    net = network()
    history = net.fit(
        x, y, epochs=1, batch_size=2, seed=3, sample_weight=weight, callbacks=[Watch()]
    )
    flat, loss = by_hand(x, y, weight, batch_size=2, rate=0.1, seed=3)
    assert seen[0][0] == 1
    assert seen[-1][0] == 3
    np.testing.assert_allclose(net.flat, flat, rtol=0, atol=1e-7)
    assert np.isfinite(net.flat).all()
    assert history[0].train_loss == pytest.approx(loss, rel=1e-5)

    lone = network()
    take_steps(lone.engine, lone.flat, lone.samples(x, y, weight), order[2:4], 2, 0.1)
    assert lone.flat.tobytes() == network().flat.tobytes()


def test_training_learns():
    x, y = data(300)
    net = network()
    history = net.fit(x, y, validation=data(100, seed=1), epochs=6, batch_size=16)
    assert history[-1].validation_accuracy > 0.97
    assert history[-1].train_loss < 0.3 * history[0].train_loss


# ------------------------------------------------------------------------------------ the same bits


def trained(seed: int = 5, network_seed: int = 0, **options) -> bytes:
    net = network(network_seed)
    net.fit(*data(), **{"epochs": 2, "batch_size": 4, "seed": seed, **options})
    return net.flat.tobytes()


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    assert trained() == trained()
    assert trained(seed=6) != trained()
    assert trained(network_seed=1) != trained()


def test_watching_does_not_change_the_bits():
    assert trained(validation=data(9), callbacks=[Callback()]) == trained()


def test_epochs_may_be_cut_into_calls():
    net = network()
    x, y = data()
    rows = [net.fit(x, y, epochs=1, batch_size=4, seed=5)[0].epoch for _ in range(2)]
    assert rows == [1, 2]
    assert net.flat.tobytes() == trained(epochs=2)


def test_every_epoch_has_its_own_order():
    first, second = (permutation(5, Purpose.SHUFFLE, epoch, 23).tolist() for epoch in (0, 1))
    assert first != second
    net = network()
    net.fit(*data(), epochs=1, batch_size=4, seed=5)
    net.epochs = 0  # the same order again
    net.fit(*data(), epochs=1, batch_size=4, seed=5)
    assert net.flat.tobytes() != trained(epochs=2)


# ------------------------------------------------------------------------------------------ history


def test_history_has_a_row_an_epoch():
    net, held_out = network(), data(11, seed=1)
    history = net.fit(*data(), validation=held_out, epochs=3)
    assert isinstance(history, History)
    assert [row.epoch for row in history] == [1, 2, 3]
    last = net.evaluate(*held_out)
    assert (history[-1].validation_loss, history[-1].validation_accuracy) == last
    assert all(row.seconds >= 0 for row in history)
    assert net.epochs == 3
    assert len(history) == 3
    assert [row.epoch for row in history[1:]] == [2, 3]


def test_history_without_validation_has_none():
    row = network().fit(*data(), epochs=1)[0]
    assert row.validation_loss is None
    assert row.validation_accuracy is None


def test_history_as_dicts_and_as_a_table():
    history = History([Row(1, 0.5, None, None, 1.25), Row(2, 0.25, 0.125, 0.9, 1.0)])
    assert history.as_dicts()[1] == {
        "epoch": 2,
        "train_loss": 0.25,
        "validation_loss": 0.125,
        "validation_accuracy": 0.9,
        "seconds": 1.0,
    }
    lines = [line.split() for line in repr(history).splitlines()]
    assert lines == [
        ["epoch", "train_loss", "validation_loss", "validation_accuracy", "seconds"],
        ["1", "0.5000", "-", "-", "1.25"],
        ["2", "0.2500", "0.1250", "0.9000", "1.00"],
    ]


# ---------------------------------------------------------------------------------------- callbacks


class Recorder(Callback):
    def __init__(self, name: str, events: list) -> None:
        self.name, self.events = name, events

    def on_begin(self, run):
        self.events.append((self.name, "begin", run.epoch))

    def on_progress(self, run):
        self.events.append((self.name, "steps", run.epoch))

    def on_epoch(self, run, row):
        self.events.append((self.name, "epoch", row.epoch))

    def on_end(self, run):
        self.events.append((self.name, "end", run.epoch))


def test_callbacks_are_told_in_order():
    events: list = []
    network().fit(
        *data(), epochs=2, batch_size=100, callbacks=[Recorder("a", events), Recorder("b", events)]
    )
    moments = [("begin", 1), ("steps", 1), ("epoch", 1), ("steps", 2), ("epoch", 2), ("end", 3)]
    assert events == [(name, *moment) for moment in moments for name in "ab"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_callback_that_fails_to_begin_does_not_leave_others_open(error):
    class Fail(Callback):
        def on_begin(self, run):
            raise error("not now")

    events: list = []
    callbacks = [Recorder("a", events), Fail(), Recorder("b", events)]
    with pytest.raises(error, match="not now"):
        network().fit(*data(), epochs=1, callbacks=callbacks)
    assert events == [("a", "begin", 1), ("a", "end", 1)]


def test_a_callback_that_fails_to_end_does_not_keep_the_others_from_ending():
    class Fail(Callback):
        def on_end(self, run):
            raise RuntimeError("not now")

    events: list = []
    callbacks = [Recorder("a", events), Fail(), Recorder("b", events)]
    with pytest.raises(RuntimeError, match="not now"):
        network().fit(*data(), epochs=1, callbacks=callbacks)
    assert events[-2:] == [("a", "end", 2), ("b", "end", 2)]


def test_what_has_the_methods_is_a_callback():
    class Other:
        """No subclass, such as one that an optional library brings."""

        def __getattr__(self, name):
            return lambda *arguments: events.append(name)

    events: list = []
    network().fit(*data(), epochs=1, batch_size=1000, callbacks=iter([Other()]))
    assert events == ["on_begin", "on_progress", "on_epoch", "on_end"]


def test_a_run_counts_steps_and_samples():
    seen = []

    class Watch(Callback):
        def on_progress(self, run):
            seen.append((run.step, run.seen, run.steps, run.samples, run.epochs))

    network().fit(*data(), epochs=1, batch_size=5, callbacks=[Watch()])
    assert [step for step, *_ in seen] == sorted({step for step, *_ in seen})
    assert seen[-1] == (5, 23, 5, 23, 1)
    assert all(count == min(5 * step, 23) for step, count, *_ in seen)


def test_stop_after_an_epoch():
    class Stop(Callback):
        def on_epoch(self, run, row):
            run.stop = row.epoch == 2

    events: list = []
    net = network()
    history = net.fit(
        *data(), epochs=9, batch_size=4, seed=5, callbacks=[Stop(), Recorder("a", events)]
    )
    assert len(history) == 2
    assert events[-2:] == [("a", "epoch", 2), ("a", "end", 3)]  # it stands before the third
    assert net.epochs == 2
    assert net.flat.tobytes() == trained(epochs=2)


def test_stop_inside_an_epoch_leaves_whole_steps_and_no_row():
    class Stop(Callback):
        def on_progress(self, run):
            run.stop = True

    events: list = []
    net = network()
    history = net.fit(
        *data(), epochs=9, batch_size=4, seed=5, callbacks=[Stop(), Recorder("a", events)]
    )
    assert len(history) == 0
    assert net.epochs == 0
    assert [event[1] for event in events] == ["begin", "steps", "end"]
    assert net.flat.tobytes() == after_steps(1)


def after_steps(steps: int) -> bytes:
    """The bits after some minibatches of 4 of the first epoch of seed 5."""
    net = network()
    order = permutation(5, Purpose.SHUFFLE, 0, 23)
    take_steps(net.engine, net.flat, net.samples(*data()), order[: 4 * steps], 4, 0.1)
    return net.flat.tobytes()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_the_network_after_whole_steps(error):
    steps = []

    class Fail(Callback):
        def on_progress(self, run):
            steps.append(run.step)
            if len(steps) == 2:
                raise error("from a callback")

    events: list = []
    net = network()
    with pytest.raises(error, match="from a callback"):
        net.fit(*data(), epochs=2, batch_size=4, seed=5, callbacks=[Recorder("a", events), Fail()])
    assert net.flat.tobytes() == after_steps(steps[-1])
    assert net.epochs == 0
    assert events[-1][1] == "end"
    net.fit(*data(), epochs=1)
    assert net.epochs == 1


def test_an_exception_after_an_epoch_keeps_the_epoch():
    class Fail(Callback):
        def on_epoch(self, run, row):
            raise RuntimeError("from a callback")

    net = network()
    with pytest.raises(RuntimeError, match="from a callback"):
        net.fit(*data(), epochs=2, batch_size=4, seed=5, callbacks=[Fail()])
    assert net.epochs == 1
    assert net.flat.tobytes() == trained(epochs=1)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_weights_that_overflow_in_the_last_step_end_training(engine):
    """Cost and gradient are finite, and no step follows that would meet the weights."""
    net = Network("flatten, dense 2, softmax", (1, 2, 1), engine=engine)
    x = np.zeros((4, 1, 2, 1), np.float32)  # no gradient: each step is times -1e12
    told: list = []
    match = "after step 4 of epoch 1 the parameter w0 of stage 0 is not finite: try a smaller"
    with np.errstate(all="ignore"), pytest.raises(DivergedError, match=match):
        net.fit(
            x,
            [0, 1, 0, 1],
            epochs=1,
            batch_size=1,
            learning_rate=1e6,
            optimizer=SGD(weight_decay=999999),
            callbacks=[Recorder("a", told)],
        )
    assert "epoch" not in [what for _, what, _ in told]


@pytest.mark.parametrize("engine", ["native"])
def test_labels_that_a_callback_spoils_are_an_error_of_ours(engine):
    class Spoil(Callback):
        def on_epoch(self, run, row):
            y[0] = 99

    x, y = np.zeros((8, 3, 3, 1), np.uint8), np.zeros(8, np.int32)
    net = Network("flatten, dense 2, softmax", (3, 3, 1), engine=engine)
    with pytest.raises(InputError, match=r"y was changed during training: .*: a callback may"):
        net.fit(x, y, epochs=2, callbacks=[Spoil()])
