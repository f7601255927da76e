"""`convlet check`: it passes for right derivatives of any network, and fails for wrong ones."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convlet import (
    ArchitectureError,
    Conv2D,
    Dense,
    Flatten,
    InputError,
    MaxPool2D,
    ReLU,
    Softmax,
    backprop,
    native,
)
from convlet import equations as eq
from convlet.differences import CheckRow, compare, difference
from convlet.gradcheck import check_network

SMALL = (
    "conv 2 3, relu, pool 2, conv 8 3, relu, pool 2, flatten, dense 5, relu, dense 3, softmax",
    (16, 15, 2),
)
GENERAL = (
    "conv 3 3x2 stride 1x2 padding 1 bias position, pool 3 stride 1, relu, "
    "conv 2 2 padding same bias none, relu, flatten, dense 4 bias none, softmax",
    (7, 8, 2),
)

needs_native = pytest.mark.skipif(native.TARGET.name is None, reason="no target on this CPU")


def assert_check_passes(layers=SMALL[0], input_shape=SMALL[1], seed: int = 0) -> None:
    for row in check_network(layers, input_shape, seed):
        assert row.limit == 1e-6
        assert row.relative_difference < 1e-6, row
        assert row.passed


def equations(rows: list[CheckRow]) -> set[str]:
    return {row.equation for row in rows}


def test_default_network_passes_with_a_row_for_every_derivative():
    rows = check_network()
    assert all(row.passed for row in rows)
    assert equations(rows) == {
        *("(2)", "(3)", "(4)", "(5)", "(7)", "(8)", "(10)", "(12)", "(13)", "(15)"),
        *("(16), (21)", "(17), (18), (19)", "(17), (18), (20)", "(22)-(25)", "(16)-(21)"),
    }
    parameters = {f"{kind}{stage}" for stage in range(4) for kind in "wb"}
    assert {row.name for row in rows if row.equation == "(22)-(25)"} == parameters
    chain = ("(16), (21)", "(17), (18), (19)", "(17), (18), (20)")
    assert {row.name for row in rows if row.equation in chain} == parameters
    assert [row.name for row in rows if row.equation == "(2)"] == [
        "stage 0: conv 8 5",
        "stage 1: conv 16 5",
    ]


@pytest.mark.parametrize("seed", range(5))
def test_small_network_passes_for_any_seed(seed):
    assert_check_passes(seed=seed)


def test_another_network_has_no_rows_of_this_case():
    rows = check_network(*GENERAL)
    assert all(row.passed for row in rows)
    assert "(22)-(25)" not in equations(rows)
    chain = [row.what for row in rows if row.equation in ("(16), (21)", "(17), (18), (20)")]
    assert chain == ["dE/dw0", "dE/db0", "dE/dw1", "dE/dw2"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pool 2, conv", "pool 2 stride 1, conv"),
        ("conv 2 3,", "conv 2 3 stride 1x2,"),
        ("conv 2 3,", "conv 2 3 padding 1,"),
        ("conv 2 3,", "conv 2 3 bias position,"),
        ("dense 5", "dense 5 bias none"),
        ("dense 5, relu", "dense 5"),
    ],
)
def test_only_the_network_of_23_has_rows_of_this_case(old, new):
    assert "(22)-(25)" in equations(check_network(*SMALL))
    rows = check_network(SMALL[0].replace(old, new), (16, 23, 2))
    assert all(row.passed for row in rows)
    assert "(22)-(25)" not in equations(rows)


@st.composite
def networks(draw):
    side = st.integers(1, 3)
    pair = st.tuples(side, side)
    shape = (draw(st.integers(7, 11)), draw(st.integers(7, 11)), draw(st.integers(1, 5)))
    layers = []
    for _ in range(draw(st.integers(0, 2))):
        layers.append(
            Conv2D(
                draw(st.integers(1, 5)),
                draw(st.tuples(st.integers(1, 7), st.integers(1, 7))),
                draw(pair),
                draw(st.sampled_from(["valid", "same", 0, 1, 2])),
                draw(st.sampled_from(["channel", "position", None])),
            )
        )
        layers += draw(st.sampled_from([[], [ReLU()]]))
        if draw(st.booleans()):
            layers.append(MaxPool2D(draw(pair), draw(pair)))
        layers += draw(st.sampled_from([[], [ReLU()]]))
    layers.append(Flatten())
    for _ in range(draw(st.integers(0, 2))):
        layers.append(Dense(draw(st.integers(1, 6)), draw(st.booleans())))
        layers += draw(st.sampled_from([[], [ReLU()]]))
    return [*layers, Dense(draw(st.integers(2, 5)), draw(st.booleans())), Softmax()], shape


@settings(max_examples=100)
@given(network=networks(), seed=st.integers(0, 2**64 - 1))
def test_any_network_passes(network, seed):
    try:
        rows = check_network(*network, seed)
    except ArchitectureError:
        assume(False)
    wrong = [row for row in rows if not row.passed]
    assert not wrong


def test_the_same_seed_gives_the_same_rows_and_another_seed_others():
    assert check_network(*SMALL, seed=3) == check_network(*SMALL, seed=3)
    assert check_network(*SMALL, seed=3) != check_network(*SMALL, seed=4)


def test_difference_is_of_fourth_order():
    assert difference(lambda s: 7 + 3 * s + s**4, 0.1) == pytest.approx(3, rel=1e-13)
    assert difference(np.exp, 1e-2) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize(
    ("derivative", "passed"),
    [(2.0, True), (2 * (1 + 0.9e-6), True), (2 * (1 + 1.1e-6), False), (-2.0, False), (0, False)],
)
def test_a_row_passes_up_to_its_limit(derivative, passed):
    row = compare("(0)", "df/ds", "line", derivative, lambda s: 2 * s, 0.1)
    assert row.passed == passed


def test_nan_never_passes_and_zero_is_zero():
    assert not compare("(0)", "df/ds", "", float("nan"), lambda s: 2 * s, 0.1).passed
    assert not compare("(0)", "df/ds", "", 2.0, lambda s: float("nan"), 0.1).passed
    assert compare("(0)", "df/ds", "", 0.0, lambda s: 2.0, 0.1).relative_difference == 0


def test_a_wrong_derivative_is_shown_in_its_rows(monkeypatch):
    right = eq.conv2d_dw
    monkeypatch.setattr(eq, "conv2d_dw", lambda *a: right(*a)[::-1])
    wrong = {row.what for row in check_network(*SMALL) if not row.passed}
    assert wrong == {"dC/dw", "dE/dw0", "dE/dw1"}


def test_dropout_is_checked_with_a_mask_and_called_by_its_name(monkeypatch):
    layers = "dense 4, dropout 0.4, relu, dense 2, softmax"
    rows = [row for row in check_network(f"flatten, {layers}", (1, 1, 5)) if "dropout" in row.name]
    assert [(row.equation, row.what, row.name) for row in rows] == [
        ("", "d(mask x)/dx", "stage 0: dropout 0.4")
    ]
    assert rows[0].passed
    right = backprop.through_sigma
    monkeypatch.setattr(
        backprop,
        "through_sigma",
        lambda layers, inputs, error, masks=(): right(layers, inputs, error, [None] * len(layers)),
    )
    wrong = [row.name for row in check_network(f"flatten, {layers}", (1, 1, 5)) if not row.passed]
    assert wrong == ["stage 0: dropout 0.4"]


@needs_native
def test_the_native_engine_has_a_row_for_each_parameter_and_is_caught(monkeypatch):
    rows = [row for row in check_network(*SMALL) if row.name == "native engine"]
    names = [f"{kind}{stage}" for stage in range(4) for kind in "wb"]
    assert [row.what for row in rows] == [f"dE/d{name}" for name in names]
    assert all(row.passed and row.relative_difference < row.limit == 1e-6 for row in rows)
    assert all(row.relative_difference > 0 for row in rows)
    right = native.NativeEngine.gradients

    def wrong(self, parameters, batch, threads=None):
        cost, gradient = right(self, parameters, batch, threads)
        gradient[-1] += 1e-4  # of b3
        return cost, gradient

    monkeypatch.setattr(native.NativeEngine, "gradients", wrong)
    failed = [row.what for row in check_network(*SMALL) if not row.passed]
    assert failed == ["dE/db3"]


def test_without_a_target_there_is_no_row_of_the_native_engine(monkeypatch):
    monkeypatch.setattr(native, "TARGET", native.Target(None, "the test says so"))
    assert not [row for row in check_network(*SMALL) if row.name == "native engine"]


def test_a_derivative_wrong_by_one_part_in_1e5_is_found(monkeypatch):
    right = eq.relu_derivative
    monkeypatch.setattr(eq, "relu_derivative", lambda z: right(z) * (1 + 1e-5))
    assert "(10)" in {row.equation for row in check_network(*SMALL) if not row.passed}


def test_wrong_arguments_are_refused():
    with pytest.raises(ArchitectureError, match="kernel 5 is larger than its input"):
        check_network("conv 2 5, relu, flatten, dense 2, softmax", (4, 4, 1))
    with pytest.raises(InputError, match="seed is -1, expected a whole number from 0"):
        check_network(*SMALL, seed=-1)
    with pytest.raises(InputError, match=r"input_shape is \(4,\), expected \(rows, columns"):
        check_network(SMALL[0], (4,))
