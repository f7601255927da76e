"""Schedules: hand values, ends, lengths, any part of a run, the same bits on every machine."""

from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlet import Callback, Constant, Cosine, InputError, Network, OneCycle, StepDecay, WarmUp
from convlet.schedules import SCHEDULES, as_schedule

EXAMPLES = [
    Constant(),
    StepDecay(),
    StepDecay(3, 0.9),
    Cosine(),
    Cosine(0.25, 0.5),
    Cosine(warm_up=1),
    WarmUp(),
    WarmUp(0),
    OneCycle(),
    OneCycle(0, 0.5, 0.1),
    OneCycle(1.0),
]


def factors(schedule, total: int, epochs: int) -> np.ndarray:
    return schedule.factors(np.arange(total), total, epochs)


HALF = 0.5**0.5
BY_HAND = {
    "constant": (Constant(), 4, 2, [1, 1, 1, 1]),
    "step": (StepDecay(), 6, 3, [1, 1, 0.5, 0.5, 0.25, 0.25]),
    "step, every second epoch": (
        StepDecay(2, 0.1),
        10,
        5,
        [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01],
    ),
    "step, to zero": (StepDecay(1, 0), 4, 2, [1, 1, 0, 0]),
    "cosine": (Cosine(), 4, 1, [1, (1 + HALF) / 2, 0.5, (1 - HALF) / 2]),
    "cosine to an end": (Cosine(0.5), 4, 2, [1, 0.5 + (1 + HALF) / 4, 0.75, 0.5 + (1 - HALF) / 4]),
    "cosine after a rise": (Cosine(0, 0.5), 4, 1, [0.5, 1, 1, 0.5]),
    "warm-up": (WarmUp(0.4), 10, 1, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]),
    "one cycle": (OneCycle(0.5, 0.2, 0), 4, 2, [0.2, 0.6, 1, 0.5]),
    "one cycle, no rise": (OneCycle(0, 0.2, 0.5), 2, 1, [1, 0.75]),
}


@pytest.mark.parametrize(("schedule", "total", "epochs", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_factors_by_hand(schedule, total, epochs, expected):
    np.testing.assert_allclose(factors(schedule, total, epochs), expected, rtol=0, atol=1e-15)


def test_ends():
    total, epochs = 3000, 3
    for name, first, last in [
        (Cosine(), 1, 0),
        (Cosine(0.1, 0.2), 0, 0.1),
        (WarmUp(), 0, 1),
        (OneCycle(), 0.04, 0),
        (OneCycle(0.25, 0.1, 0.02), 0.1, 0.02),
    ]:
        got = factors(name, total, epochs)
        assert got[0] == pytest.approx(first, abs=0.004)
        assert got[-1] == pytest.approx(last, abs=1e-5)
        assert got.max() == 1
    assert factors(OneCycle(), 1000, 1).argmax() == 300
    assert factors(Cosine(0, 0.1), 1000, 1)[99:101].tolist() == [1, 1]


@given(
    st.sampled_from(EXAMPLES),
    st.integers(1, 40),
    st.integers(1, 6),
    st.integers(0, 250),
    st.integers(0, 250),
)
def test_a_part_of_the_run_is_that_part_of_the_whole(schedule, steps, epochs, a, b):
    """One factor a step, in [0, 1], wherever a call of the engine begins."""
    total = steps * epochs
    whole = factors(schedule, total, epochs)
    assert whole.shape == (total,)
    assert whole.dtype == np.float64
    assert ((whole >= 0) & (whole <= 1)).all()
    first, last = sorted((a % (total + 1), b % (total + 1)))
    part = schedule.factors(np.arange(first, last), total, epochs)
    assert part.tobytes() == whole[first:last].tobytes()


def test_a_run_of_billions_of_steps_takes_no_memory():
    at = np.array([0, 10**11, 2**41])
    for schedule in EXAMPLES:
        got = schedule.factors(at, 2**41 + 1024, 2**30)
        assert np.isfinite(got).all()


def decimal_cosine(x: Decimal) -> Decimal:
    term = total = Decimal(1)
    for n in range(2, 120, 2):
        term = -term * x * x / (n * (n - 1))
        total += term
    return total


def test_the_cosine_is_right_to_the_last_bits():
    """Its own series, in 60 digits; NumPy's cosine and power differ between instruction sets."""
    getcontext().prec = 60
    steps = 257
    got = factors(Cosine(), steps, 1)
    exact = [
        float((1 + decimal_cosine(Decimal(float(np.pi * n / steps)))) / 2) for n in range(steps)
    ]
    np.testing.assert_allclose(got, exact, rtol=0, atol=4e-16)


PINNED = [
    [
        "0x1.0000000000000p+0",
        "0x1.fe45c0fb472e4p-1",
        "0x1.a61b9f7154b46p-3",
        "0x1.4b2b2fc080000p-19",
    ],
    [
        "0x1.47ae147ae1480p-5",
        "0x1.359598a84a140p-4",
        "0x1.8e11bc73f6ea1p-2",
        "0x1.51ed4cc960000p-18",
    ],
    [
        "0x1.0000000000000p+0",
        "0x1.0000000000000p+0",
        "0x1.5f3b645a1cabfp-2",
        "0x1.ebb98c7e2823ep-3",
    ],
]


def test_bits_are_pinned_and_use_no_function_of_numpy(monkeypatch):
    """Hexadecimal, so that a machine with other bits fails here."""
    for name in ("cos", "sin", "exp", "power", "float_power"):
        monkeypatch.delattr(np, name)
    at = np.array([0, 37, 700, 999])
    seen = [
        schedule.factors(at, 1000, 10) for schedule in (Cosine(), OneCycle(), StepDecay(2, 0.7))
    ]
    assert [[float(factor).hex() for factor in row] for row in seen] == PINNED


def test_step_multiplies_in_a_fixed_order():
    """0.7^13 = 0.7 (0.7^4 (0.7^8)), by squares."""
    squared = 0.7 * 0.7
    fourth = squared * squared
    expected = 0.7 * fourth * (fourth * fourth)
    assert factors(StepDecay(1, 0.7), 14, 14)[-1] == expected


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (Constant(), "constant"),
        (StepDecay(5, 0.1), "step every 5 factor 0.1"),
        (WarmUp(0.25), "warm-up share 0.25"),
        (Cosine(1e-7, 0.05), "cosine end 1e-07 warm-up 0.05"),
        (OneCycle(), "one-cycle"),
    ],
)
def test_every_schedule_is_printed_as_it_is_read(schedule, text):
    assert str(schedule) == text
    assert as_schedule(text) == schedule


# ------------------------------------------------------------ in fit


def data(count: int = 24):
    rng = np.random.default_rng(0)
    return rng.standard_normal((count, 3, 3)).astype(np.float32), rng.integers(0, 2, count)


@pytest.mark.parametrize("schedule", [StepDecay(1, 0.5), Cosine(), OneCycle()])
def test_the_schedule_goes_on_over_the_epochs_of_one_call(schedule, monkeypatch):
    """Every step of every call of the engine gets its own rate, whatever the cuts."""
    x, y = data()
    net = Network("flatten, dense 2, softmax", (3, 3, 1))
    seen: list[float] = []
    original = net.engine.train

    def train(parameters, slots, data, steps, settings, threads=None):
        assert steps.updates == len(seen)
        seen.extend(steps.rates.tolist())
        return original(parameters, slots, data, steps, settings, threads)

    monkeypatch.setattr(net, "engine", Spy(net.engine, train))
    net.fit(x, y, epochs=3, batch_size=5, learning_rate=0.2, schedule=schedule)
    expected = (0.2 * factors(schedule, 15, 3)).astype(np.float32)
    assert seen == expected.tolist()
    assert len(set(seen)) > 2


class Spy:
    """An engine with another `train`."""

    def __init__(self, engine, train) -> None:
        self.engine, self.train = engine, train

    def __getattr__(self, name):
        return getattr(self.engine, name)


def test_steps_move_by_their_rate():
    """Constant gradient direction: with rate 0 at the end of the run nothing moves."""
    x, y = data(4)
    net = Network("flatten, dense 2, softmax", (3, 3, 1))
    moves = []

    class Watch(Callback):
        def on_begin(self, run):
            self.flat = run.network.flat.copy()

        def on_epoch(self, run, row):
            moves.append(float(np.abs(run.network.flat - self.flat).max()))
            self.flat = run.network.flat.copy()

    net.fit(x, y, epochs=3, batch_size=4, callbacks=[Watch()], schedule=StepDecay(2, 0.0))
    assert moves[0] > 0
    assert moves[1] > 0
    assert moves[2] == 0


def test_an_enormous_number_of_epochs_costs_nothing():
    class Stop(Callback):
        def on_epoch(self, run, row):
            run.stop = True

    x, y = data()
    net = Network("flatten, dense 2, softmax", (3, 3, 1))
    history = net.fit(x, y, epochs=1 << 30, batch_size=1, callbacks=[Stop()], schedule="one-cycle")
    assert len(history) == 1


# ------------------------------------------------------------ wrong values


def test_names():
    assert list(SCHEDULES) == ["constant", "step", "cosine", "warm-up", "one-cycle"]
    for name, kind in SCHEDULES.items():
        assert as_schedule(name) == kind()
    assert as_schedule(StepDecay(3)) == StepDecay(3)
    assert as_schedule("step factor 0.1  every 5") == StepDecay(5, 0.1)
    assert as_schedule("cosine warm_up 0.05") == Cosine(warm_up=0.05)
    assert as_schedule("cosine warm-up 0.05") == Cosine(warm_up=0.05)
    assert as_schedule("one-cycle rise 0.2 start 1e-2 end 0") == OneCycle(0.2, 0.01, 0)
    assert StepDecay(np.int64(3)) == StepDecay(3)
    assert type(StepDecay(np.int64(3)).every) is int


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepDecay(0), r"StepDecay: every is 0, expected a whole number from 1 to"),
        (lambda: StepDecay(1.5), r"StepDecay: every is 1.5"),
        (lambda: StepDecay(True), r"StepDecay: every is True"),
        (lambda: StepDecay(1, 1.5), r"StepDecay: factor is 1.5, expected a number from 0 to 1"),
        (lambda: Cosine(-0.1), r"Cosine: end is -0.1"),
        (lambda: Cosine(0, 2), r"Cosine: warm_up is 2"),
        (lambda: WarmUp("half"), r"WarmUp: share is 'half'"),
        (lambda: OneCycle(float("nan")), r"OneCycle: rise is nan"),
        (lambda: OneCycle(start=True), r"OneCycle: start is True"),
        (lambda: OneCycle(end=1.1), r"OneCycle: end is 1.1"),
        (lambda: as_schedule("cosin"), r"schedule is 'cosin', expected .*constant, step, cosine"),
        (lambda: as_schedule(""), r"schedule is '', expected one of: constant"),
        (lambda: as_schedule(0.1), r"schedule is 0.1, expected"),
        (
            lambda: as_schedule("step 3"),
            r"schedule is 'step 3', expected step alone, or .*: every NUMBER, factor NUMBER",
        ),
        (
            lambda: as_schedule("step every 1 every 2"),
            r"or with each at most once: every NUMBER, fac",
        ),
        (
            lambda: as_schedule("constant x 1"),
            r"schedule is 'constant x 1', expected constant alone",
        ),
        (lambda: as_schedule("step every 0"), r"StepDecay: every is 0, expected"),
        (lambda: as_schedule("warm-up share x"), r"WarmUp: share is 'x', expected"),
    ],
)
def test_wrong_schedules_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_fit_refuses_a_wrong_schedule():
    x, y = data()
    with pytest.raises(InputError, match="schedule is 'linear'"):
        Network("flatten, dense 2, softmax", (3, 3, 1)).fit(x, y, schedule="linear")
