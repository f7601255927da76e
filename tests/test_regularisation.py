"""Label smoothing against explicit soft labels; early stopping; the learning-rate range test."""

import json
from math import inf

import numpy as np
import pytest

from convlet import Callback, EarlyStopping, InputError, Network, Row
from convlet.engine import Samples
from convlet.reference import smoothed
from convlet.search import smooth, suggest
from engines import take_steps
from made_data import bright_rows

LAYERS = "conv 3 3, relu, pool 2, flatten, dense 3, softmax"
SHAPE = (6, 6, 1)


def network(engine: str = "auto", seed: int = 0) -> Network:
    return Network(LAYERS, SHAPE, seed, engine=engine)


def data(count: int = 46, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return bright_rows(count, seed)


# ------------------------------------------------------------ label smoothing


@pytest.mark.equation(14, 15)
@pytest.mark.parametrize("soft", [False, True])
def test_smoothing_by_hand(soft):
    y = np.array([2, 0], np.int32)
    rows = np.array([[0, 0, 0, 1.0], [0.5, 0.5, 0, 0]], np.float32)
    got = smoothed(rows if soft else y, 4, 0.25)
    if soft:
        expected = [[0.0625] * 3 + [0.8125], [0.4375, 0.4375, 0.0625, 0.0625]]
    else:
        expected = [[0.0625, 0.0625, 0.8125, 0.0625], [0.8125] + [0.0625] * 3]
    assert got.tolist() == expected
    assert smoothed(y, 4, 0.0) is y


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("kind", ["classes", "distributions"])
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_smoothing_is_training_on_explicit_soft_labels(engine, kind, share):
    x, y = data()
    rows = np.eye(3)[y]
    if kind == "distributions":
        rows = np.random.default_rng(1).dirichlet(np.ones(3), len(y))
        y = rows
    explicit = ((1 - share) * rows + share / 3).astype(np.float32)
    weight = np.random.default_rng(2).random(len(x))
    options = {"epochs": 2, "batch_size": 8, "seed": 3, "sample_weight": weight}
    a, b, plain = network(engine), network(engine), network(engine)
    smooth_rows = a.fit(x, y, label_smoothing=share, **options)
    soft_rows = b.fit(x, explicit, **options)
    plain.fit(x, y, **options)
    np.testing.assert_allclose(a.flat, b.flat, rtol=0, atol=2e-6)
    assert np.abs(a.flat - plain.flat).max() > 1e-3
    assert smooth_rows[1].train_loss == pytest.approx(soft_rows[1].train_loss, rel=1e-5)


def test_the_test_loss_is_not_smoothed():
    net = network()
    row = net.fit(*data(), validation=data(20, 1), epochs=1, label_smoothing=0.5)[0]
    assert row.validation_loss == net.evaluate(*data(20, 1)).loss


def test_smoothing_of_nothing_changes_no_bit():
    a, b = network(), network()
    a.fit(*data(), epochs=1, label_smoothing=0)
    b.fit(*data(), epochs=1)
    assert a.flat.tobytes() == b.flat.tobytes()


@pytest.mark.parametrize("share", [1, -0.1, float("nan"), "0.1", True, None])
def test_a_wrong_share_is_refused(share):
    net = network()
    with pytest.raises(
        InputError, match=r"label_smoothing is .*, expected a number from 0, below 1"
    ):
        net.fit(*data(), label_smoothing=share)
    assert net.epochs == 0


# ------------------------------------------------------------ early stopping


class Losses(Callback):
    """Replaces what early stopping sees by a list, and remembers the weights of every epoch."""

    def __init__(self, losses, stopping: EarlyStopping) -> None:
        self.losses, self.stopping, self.weights = losses, stopping, []

    def on_begin(self, run):
        self.stopping.on_begin(run)

    def on_epoch(self, run, row):
        self.weights.append(run.network.flat.copy())
        loss = self.losses[len(self.weights) - 1]
        self.stopping.on_epoch(run, Row(row.epoch, 0.0, loss, 0.0, 0.0))

    def on_end(self, run):
        self.stopping.on_end(run)


def run_with(losses, stopping, network_epochs=0, **options):
    net = network()
    net.epochs = network_epochs
    watch = Losses(losses, stopping)
    history = net.fit(
        *data(),
        validation=data(5, 1),
        epochs=len(losses),
        batch_size=8,
        callbacks=[watch],
        **options,
    )
    return net, len(history), watch.weights


@pytest.mark.parametrize(
    ("losses", "patience", "min_delta", "epochs", "best"),
    [
        ([5, 4, 3, 2, 1], 1, 0, 5, 5),
        ([5, 4, 4, 3, 2], 1, 0, 3, 2),  # equal is not better
        ([5, 4, 6, 3, 7, 8, 1], 2, 0, 6, 4),
        ([5, 4.9, 4.8, 4.7, 4.6], 2, 0.5, 3, 1),
        ([5, 4.75, 4.25, 4.5, 4.5], 2, 0.5, 5, 3),
        ([float("nan"), inf, 3, 4, 5], 2, 0, 5, 3),
        ([1, 2], 5, 0, 2, 1),  # ends before patience does
    ],
)
def test_it_stops_and_brings_back_the_best_epoch(losses, patience, min_delta, epochs, best):
    stopping = EarlyStopping(patience, min_delta)
    net, seen, weights = run_with(losses, stopping)
    assert seen == epochs
    assert stopping.best_epoch == best
    assert stopping.best_loss == losses[best - 1]
    assert net.flat.tobytes() == weights[best - 1].tobytes()
    assert net.epochs == epochs
    assert len({w.tobytes() for w in weights}) == len(weights), "the epochs must differ"


def test_without_restore_best_the_last_weights_stay():
    stopping = EarlyStopping(1, restore_best=False)
    net, seen, weights = run_with([2, 1, 3, 4], stopping)
    assert seen == 3
    assert net.flat.tobytes() == weights[2].tobytes()
    assert stopping.best_epoch == 2


def test_epochs_count_over_the_networks_life():
    stopping = EarlyStopping(1)
    run_with([2, 3, 4], stopping, network_epochs=10)
    assert stopping.best_epoch == 11


def test_one_object_serves_two_runs():
    stopping = EarlyStopping(2)
    run_with([1, 2, 3, 4], stopping)
    _, seen, _ = run_with([9, 8, 7, 8, 8, 8], stopping)
    assert (seen, stopping.best_epoch) == (5, 3)


def test_with_the_real_test_loss():
    """Noise as labels: the test loss soon rises."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, *SHAPE)), rng.integers(0, 3, 60)
    held_out = rng.standard_normal((60, *SHAPE)), rng.integers(0, 3, 60)
    net, stopping = network(), EarlyStopping(3)
    history = net.fit(x, y, held_out, 200, 8, 0.1, callbacks=[stopping])
    losses = [row.validation_loss for row in history]
    assert len(history) < 200
    assert stopping.best_epoch == 1 + int(np.argmin(losses)) == len(history) - 3
    assert net.evaluate(*held_out).loss == min(losses)


@pytest.mark.parametrize("losses", [[5, 4, 6, 3, 7, 8, 1], [5, 6, 4, 7, 8, 9]])
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_its_state_survives_a_checkpoint(losses, cut):
    """The state through JSON and a vector, given to another object, ends as the whole run."""
    whole = EarlyStopping(2)
    net, seen, _ = run_with(losses, whole)
    first, second = EarlyStopping(2), EarlyStopping(2, restore_best=True)

    class Resume(Losses):
        def on_begin(self, run):
            super().on_begin(run)
            state = first.state()
            vectors = {k: v for k, v in state.items() if isinstance(v, np.ndarray)}
            values = json.loads(
                json.dumps({k: v for k, v in state.items() if k not in vectors}, allow_nan=False)
            )
            assert all(v.dtype == np.float32 for v in vectors.values())
            self.stopping.restore(values | {k: v.copy() for k, v in vectors.items()})

    again = network()
    options = {"validation": data(5, 1), "batch_size": 8}
    half = Losses(losses[:cut], first)
    half.on_end = lambda run: None  # as a checkpoint sees it: before the best weights are back
    again.fit(*data(), epochs=cut, callbacks=[half], **options)
    rest = Resume(losses[cut:], second)
    history = again.fit(*data(), epochs=len(losses) - cut, callbacks=[rest], **options)
    assert cut + len(history) == seen
    assert (second.best_epoch, second.best_loss) == (whole.best_epoch, whole.best_loss)
    assert again.flat.tobytes() == net.flat.tobytes()


def test_a_run_that_had_stopped_stays_stopped():
    stopping, other = EarlyStopping(1), EarlyStopping(1)
    run_with([1, 2, 3], stopping)

    class Resume(Callback):
        def on_begin(self, run):
            other.on_begin(run)
            other.restore(stopping.state())

    net = network()
    assert len(net.fit(*data(), validation=data(5, 1), callbacks=[Resume()])) == 0


def test_before_any_epoch_its_state_is_that_of_a_new_one():
    state = EarlyStopping().state()
    settings = {"min_delta": 0.0, "restore_best": True}
    waits = {"waited": 0, "longest": 0, "ended": False}
    assert state == {**settings, "best_loss": None, "best_epoch": None, **waits}
    assert json.loads(json.dumps(state)) == state


def test_without_validation_it_is_refused_before_any_work():
    net = network()
    with pytest.raises(InputError, match=r"needs validation data .*fit\(validation=\(x, y\)\)"):
        net.fit(*data(), callbacks=[EarlyStopping()])
    assert net.flat.tobytes() == network().flat.tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 0}, "patience is 0, expected a whole number from 1"),
        ({"patience": 1.5}, "patience is 1.5"),
        ({"min_delta": -1}, "min_delta is -1, expected a number of 0 or more"),
        ({"min_delta": inf}, "min_delta is inf"),
        ({"min_delta": "0"}, "min_delta is '0'"),
        ({"restore_best": 1}, "restore_best is 1, expected True or False"),
    ],
)
def test_wrong_numbers_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        EarlyStopping(**arguments)


@pytest.mark.parametrize("value", [np.True_, np.False_])
def test_restore_best_may_be_of_numpy(value):
    stopping = EarlyStopping(restore_best=value)
    assert type(stopping.restore_best) is bool
    assert stopping.restore_best == value


# ------------------------------------------------------------ learning-rate range test


def test_a_trailing_average_by_hand():
    """Weights 1, 0.9, 0.81 from the newest, divided by their sum."""
    got = smooth(np.array([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(got, [1, 2.9 / 1.9, (0.81 + 1.8 + 4) / 2.71], rtol=1e-14)


def test_the_suggestion_by_hand():
    """Ten steps at 2, then a fall, of which the average makes nine tenths some steps later."""
    rates = np.geomspace(1e-4, 1, 60)
    flat, fallen = np.full(10, 2.0), np.full(50, 1.0)
    losses = np.concatenate([flat, fallen])
    curve = smooth(losses)
    first = next(n for n in range(10, 60) if curve[n] <= curve.min() + 0.1 * (2 - curve.min()))
    assert 25 < first < 40
    assert suggest(rates, losses) == pytest.approx(rates[first] / 3)
    # what comes after the fall does not matter
    risen = np.concatenate([losses[:55], np.full(5, 9.0)])
    assert suggest(rates, risen) == pytest.approx(suggest(rates, losses), rel=0.2)
    assert suggest(rates, np.full(60, 2.0)) is None
    # all rates too large: a third of what seems best is below the first one
    exploded = np.concatenate([np.full(10, 1e9), np.full(50, 5.0)])
    assert suggest(np.geomspace(1e5, 2e5, 60), exploded) is None
    assert suggest(rates, np.linspace(2, 1.9, 60)) is None  # nothing was learned
    assert suggest(rates, flat) is None
    assert suggest(rates, np.array([])) is None


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_each_step_has_its_rate_and_the_network_stays(engine):
    """Losses are those of steps by hand; the last minibatch of a pass is smaller."""
    x, y = data()
    net, twin = network(engine), network(engine)
    net.epochs = twin.epochs = 3
    result = net.find_learning_rate(x, y, least=1e-3, most=0.5, steps=9, batch_size=16, seed=7)
    assert net.flat.tobytes() == network().flat.tobytes()
    assert net.epochs == 3
    np.testing.assert_allclose(result.rates, 1e-3 * 500 ** (np.arange(9) / 8), rtol=1e-12)
    samples, losses = Samples(x, y.astype(np.int32)), []
    for step, rate in enumerate(result.rates):
        epoch, batch = divmod(step, 3)
        key = np.array([7, 1], np.uint64)
        words = np.random.Philox(key=key, counter=[0, 0, 0, 3 + epoch]).random_raw(46)
        chosen = np.argsort(words, kind="stable")[16 * batch : 16 * batch + 16]
        losses += take_steps(twin.engine, twin.flat, samples, chosen, 16, rate).tolist()
    assert result.losses.tolist() == losses
    assert not result.diverged
    np.testing.assert_array_equal(result.smoothed, smooth(result.losses))


def test_momentum_is_kept_from_step_to_step():
    x, y = data()
    net, twin = network(), network()
    result = net.find_learning_rate(x, y, steps=5, batch_size=46, optimizer="adam", clip_norm=1)
    slots = tuple(np.zeros_like(twin.flat) for _ in range(2))
    from convlet import Adam

    losses = []
    samples = Samples(x, y.astype(np.int32))
    for step, rate in enumerate(result.rates):
        key = np.array([0, 1], np.uint64)
        words = np.random.Philox(key=key, counter=[0, 0, 0, step]).random_raw(46)
        order = np.argsort(words, kind="stable")
        rule = dict(optimizer=Adam(), slots=slots, updates=step, clip_norm=1.0, epoch=step)
        losses += take_steps(twin.engine, twin.flat, samples, order, 46, rate, **rule).tolist()
    assert result.losses.tolist() == losses


def test_it_ends_where_the_loss_explodes_and_suggests_a_rate_that_trains():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = rng.standard_normal((300, 6, 6)).astype(np.float32)
    x[np.arange(300), 2 * y] += 0.7
    net = network()
    result = net.find_learning_rate(x, y, most=1e4, batch_size=16)
    assert result.diverged
    assert len(result.rates) == len(result.losses) == len(result.smoothed) < 200
    assert np.isfinite(result.losses).all()
    assert result.suggestion is not None
    assert 0.01 < result.suggestion < 0.5
    history = net.fit(x, y, epochs=5, batch_size=16, learning_rate=result.suggestion)
    assert history[-1].train_loss < 0.6 * history[0].train_loss


def test_a_first_step_that_is_not_finite_gives_an_empty_curve():
    net = network()
    net.flat[0] = np.nan
    result = net.find_learning_rate(*data())
    assert result.diverged
    assert len(result.rates) == 0
    assert result.suggestion is None


def test_noise_gives_no_suggestion():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, *SHAPE)), rng.integers(0, 3, 64)
    assert network().find_learning_rate(x, y, most=1e-3, steps=20).suggestion is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"least": 0}, "least is 0, expected a number above 0"),
        ({"most": float("nan")}, "most is nan"),
        ({"least": 1, "most": 1}, "most is 1, expected more than least, 1"),
        ({"steps": 1}, "steps is 1, expected a whole number from 2"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"optimizer": "x"}, "optimizer is 'x'"),
        ({"augmentation": "x"}, "augmentation has 'x'"),
    ],
)
def test_the_range_test_refuses_wrong_numbers(options, message):
    with pytest.raises(InputError, match=message):
        network().find_learning_rate(*data(), **options)
