"""Each number explained: by hand, by the numbers it was made of, by central differences."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import convlet
from convlet import Address, InputError, Network, explain
from convlet.explaining.address import DERIVATIVES, output_shapes
from networks import networks, some_levels
from one_example import DELTA, DW, DX, ERROR, IMAGE, Z, example

ENGINES = ("reference", "native")
ROOMY = "conv 3 3x2 stride 2x1 padding same, relu, pool 2 stride 1, flatten, dense 4, softmax"


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


def text(kind, stage, place, layer=None):
    return str(Address(kind, stage, layer, tuple(map(int, place))))


def addresses(network):
    """Every kind of address, as (kind, stage, layer, shape of the array that it is in)."""
    last = len(network.stages) - 1
    yield "cost", None, None, ()
    yield "error", last, None, network.stages[-1].output_shape
    for stage in network.stages:
        for kind, shape in {
            "x": stage.x_shape,
            "z": stage.z_shape,
            "delta": stage.z_shape,
            "dx": stage.x_shape,
            "w": stage.w_shape,
            "b": stage.b_shape,
        }.items():
            if shape is not None:
                yield kind, stage.index, None, shape
        for n, shape in enumerate(output_shapes(stage)):
            yield "out", stage.index, n, shape
            if stage.index < last or n < len(stage.sigma) - 1:
                yield "error", stage.index, n, shape


def somewhere(network, rng):
    """One address of each kind, at a random place."""
    for kind, stage, layer, shape in addresses(network):
        yield Address(kind, stage, layer, tuple(int(rng.integers(n)) for n in shape))


def numbers(told, role):
    return told.term(role).values


# ------------------------------------------------------------------------------------ by hand


@pytest.mark.parametrize("place", list(np.ndindex(2, 2)))
def test_the_convolution_of_the_example(engine, place):
    network, (i, j) = example(engine=engine), place
    told = explain(network, IMAGE, None, text("z", 0, (i, j, 0)))
    assert told.equation == 1
    assert_array_equal(numbers(told, "window"), IMAGE[i : i + 2, j : j + 2])
    assert_array_equal(numbers(told, "kernel")[..., 0], [[2, -2], [3, 1]])  # flipped
    assert told.value == told.summed == numbers(told, "products").sum() == Z[i, j, 0]
    assert told.bias.value == 0
    assert [str(p) for p in told.term("kernel").places] == [
        "w/0/1,1,0,0",
        "w/0/1,0,0,0",
        "w/0/0,1,0,0",
        "w/0/0,0,0,0",
    ]
    assert str(told.term("window").places[1]) == f"x/0/{i},{j + 1},0"
    assert str(told.bias.place) == "b/0/0"


@pytest.mark.parametrize("place", list(np.ndindex(3, 3)))
def test_the_errors_of_the_pixels_of_the_example(engine, place):
    t, u = place
    told = explain(example(engine=engine), IMAGE, 1, text("dx", 0, (t, u, 0)))
    assert told.equation == 2
    assert told.value == told.summed == DX[t, u, 0]
    if place == (1, 1):  # 0·1 + 2·3 + (-1)·(-2) + 3·2
        assert_array_equal(numbers(told, "errors")[..., 0], [[0, 2], [-1, 3]])
        assert_array_equal(numbers(told, "kernel")[..., 0], [[1, 3], [-2, 2]])
    if place == (0, 1):  # 0·(-2) + 2·2
        assert_array_equal(numbers(told, "errors")[..., 0], [[0, 2]])
        assert_array_equal(numbers(told, "kernel")[..., 0], [[-2, 2]])


@pytest.mark.parametrize("place", list(np.ndindex(2, 2)))
def test_the_errors_and_the_taps_of_the_example(engine, place):
    network, (i, j) = example(engine=engine), place
    told = explain(network, IMAGE, 1, text("delta", 0, (i, j, 0)))
    assert told.equation == 10
    assert told.value == told.summed == DELTA[i, j, 0]
    assert numbers(told, "errors").tolist() == [ERROR[i, j, 0]]
    assert numbers(told, "slopes").tolist() == [{-1: 0, 0: 0.5}.get(Z[i, j, 0], 1)]
    told = explain(network, IMAGE, 1, text("w", 0, (i, j, 0, 0)))
    assert told.equation == 3
    assert told.value == told.summed == DW[i, j, 0, 0]
    assert_array_equal(numbers(told, "errors"), DELTA[..., 0])
    assert_array_equal(numbers(told, "window"), IMAGE[1 - i : 3 - i, 1 - j : 3 - j, 0])


def test_the_other_numbers_of_the_example(engine):
    network = example(engine=engine)
    bias = explain(network, IMAGE, 1, "b/0/0", learning_rate=0.25)
    assert (bias.equation, bias.value, bias.summed) == (18, 4, 4)  # 0 + 2 + (-1) + 3
    assert vars(bias.step) == {"learning_rate": 0.25, "change": -1, "before": 0, "after": -1}
    relu = explain(network, IMAGE, None, "out/0/0/0,0,0")
    assert (relu.equation, relu.value, relu.summed, float(numbers(relu, "inputs"))) == (9, 0, 0, -1)
    flat = explain(network, IMAGE, None, "out/0/1/1")
    assert (flat.equation, flat.value, str(flat.term("inputs").places[0])) == (
        5,
        3,
        "out/0/0/0,1,0",
    )
    unit = explain(network, IMAGE, None, "z/1/0")
    assert (unit.equation, unit.value, unit.summed, unit.bias.value) == (6, 0, 0, -10)
    assert_array_equal(numbers(unit, "products"), [0, 12, -2, 0])
    assert [*map(str, unit.places)] == [
        *(f"out/0/1/{i}" for i in range(4)),
        *(f"w/1/{i},0" for i in range(4)),
        "b/1/0",
    ]
    share = explain(network, IMAGE, None, "out/1/0/1")
    assert (share.equation, share.value, share.summed) == (11, 0.5, 0.5)
    cost = explain(network, IMAGE, 1, "cost")
    assert cost.equation == 14
    assert cost.value == pytest.approx(np.log(2), rel=1e-6)
    assert cost.summed == pytest.approx(np.log(2), rel=1e-12)
    for what in ("error/1/1", "delta/1/1"):
        error = explain(network, IMAGE, 1, what)
        assert (error.equation, error.value, error.summed) == (15, -0.5, -0.5)
    down = explain(network, IMAGE, 1, "dx/1/3")
    assert (down.equation, down.value, down.summed) == (7, 6, 6)
    assert_array_equal(numbers(down, "products"), [6, 0])
    weight = explain(network, IMAGE, 1, "w/1/1,0")
    assert (weight.equation, weight.value, weight.summed) == (8, 1.5, 1.5)
    assert explain(network, IMAGE, 1, "error/0/0/1,1,0").value == 6
    assert explain(network, IMAGE, None, "x/1/1").value == 3
    assert explain(network, IMAGE, None, "x/0/0,2,0").value == 3


def test_the_pool_of_the_example(engine):
    network = example("relu, pool 2, flatten", engine=engine)
    pool = explain(network, IMAGE, None, "out/0/1/0,0,0")
    assert (pool.equation, pool.value, pool.summed) == (4, 3, 3)
    assert_array_equal(numbers(pool, "window"), [[0, 3], [1, 0]])
    assert_array_equal(numbers(pool, "winners"), [[0, 1], [0, 0]])
    assert str(pool.term("window").places[2]) == "out/0/0/1,0,0"
    for (i, j), won in {(0, 1): 1, (1, 0): 0}.items():
        told = explain(network, IMAGE, 1, f"delta/0/{i},{j},0")
        assert told.equation == 10
        assert (numbers(told, "errors").tolist(), numbers(told, "winners").tolist()) == ([5], [won])
        assert told.value == told.summed == 5 * won
        assert [str(p) for p in told.term("winners").places] == ["out/0/1/0,0,0"]
        assert [str(p) for p in told.term("errors").places] == ["dx/1/0"]


def test_the_first_of_equals_wins_and_windows_that_overlap_add():
    network = Network("conv 1 1 bias none, pool 2 stride 1, flatten, dense 2, softmax", (3, 3, 1))
    network.parameters["w0"][...] = 1
    image = np.zeros((3, 3, 1), np.float32)
    image[1, 1] = 1  # of all four windows
    network.parameters["w1"][:, 0] = [2, 4, 6, 8]
    network.parameters["w1"][:, 1] = 0
    network.parameters["b1"][0] = -20
    told = explain(network, image, 1, "delta/0/1,1,0")
    assert numbers(told, "errors").tolist() == [1, 2, 3, 4]
    assert numbers(told, "winners").tolist() == [1, 1, 1, 1]
    assert told.value == told.summed == 10
    network.parameters["b1"][0] = 0
    told = explain(network, np.zeros_like(image), 1, "delta/0/0,1,0")
    assert numbers(told, "winners").tolist() == [0, 1]  # first of the right window only
    assert told.value == told.summed == 2


@pytest.mark.parametrize("flat", [True, False])
def test_a_window_and_its_pixels_know_the_same_winner(flat):
    """Windows of 2 x 3 that overlap, numbers that are equal: one winner each, the first of them."""
    layers = "conv 2 1, relu, pool 2x3 stride 1x2, flatten, dense 3, softmax"
    network = Network(layers, (4, 7, 1), seed=3)
    image = np.full((4, 7, 1), 0.5, np.float32)
    if not flat:
        image = np.round(3 * np.random.default_rng(1).random((4, 7, 1))).astype(np.float32)
    values = network.activations(image[None])[0].outputs[0][0]
    won = {}
    for place in np.ndindex(3, 3, 2):
        told = explain(network, image, None, text("out", 0, place, 1))
        term = told.term("winners")
        assert term.values.sum() == 1
        (n,) = np.flatnonzero(term.values)
        winner = told.term("window").places[n].place
        i, j, k = place
        window = [(i + p, 2 * j + q, k) for p in range(2) for q in range(3)]
        first = next(one for one in window if values[one] == max(values[w] for w in window))
        assert winner == first
        won[place] = winner
    for place in np.ndindex(4, 7, 2):
        term = explain(network, image, 0, text("delta", 0, place)).term("winners")
        windows = {one.place: value for one, value in zip(term.places, term.values, strict=True)}
        assert windows == {
            (i, j, k): float(winner == place)
            for (i, j, k), winner in won.items()
            if k == place[2] and 0 <= place[0] - i < 2 and 0 <= place[1] - 2 * j < 3
        }


def test_pools_behind_each_other_follow_the_winners_only():
    network = Network(
        "conv 1 1, pool 2 stride 1, pool 2 stride 1, flatten, dense 2, softmax", (4, 4)
    )
    network.parameters["w0"][...] = 1
    network.parameters["w1"][...] = [[2, 0], [4, 0], [6, 0], [8, 0]]
    network.parameters["b1"][0] = -20
    image = np.zeros((4, 4), np.float32)
    image[1, 1] = 1  # it wins four windows, and each of these one more
    told = explain(network, image, 1, "delta/0/1,1,0")
    assert told.value == told.summed == 1 + 2 + 3 + 4
    first, second = (term.values for term in told.terms if term.role == "winners")
    assert first.tolist() == [1] * 9  # its windows' windows: 1, 2, 2 and 4
    assert second.sum() == 4
    told = explain(network, image, 1, "delta/0/3,3,0")
    assert told.value == told.summed == 0
    assert told.term("products").values.size == 0


def test_too_many_windows_are_refused():
    layers = "conv 1 1, pool 30 stride 1, pool 30 stride 1, flatten, dense 2, softmax"
    network = Network(layers, (90, 90, 1), seed=1)
    image = np.zeros((90, 90), np.float32)
    image[45, 45] = 1
    network.parameters["w0"][...] = 1
    with pytest.raises(
        InputError, match="what is 'delta/0/45,45,0', but more than 65536 windows of"
    ):
        explain(network, image, 1, "delta/0/45,45,0")
    explain(network, image, 1, "dx/0/45,45,0")  # of the errors, which are there


def test_zeros_of_the_padding_have_no_place():
    network = Network(ROOMY, (5, 5, 1), seed=1)
    image = some_levels(network, 1)[0]
    told = explain(network, image, None, "z/0/0,0,0")  # one row above, no column on the left
    assert [str(p) for p in told.term("window").places] == [
        *("None", "None"),
        *("x/0/0,0,0", "x/0/0,1,0"),
        *("x/0/1,0,0", "x/0/1,1,0"),
    ]
    assert_array_equal(numbers(told, "window")[0], 0)
    told = explain(network, image, 0, "w/0/2,0,0,1")  # tap row 2 meets the first row of a window
    assert [p is None for p in told.term("window").places][:5] == [True] * 5


# -------------------------------------------------------------------- random networks, all numbers


@given(networks(), st.sampled_from(ENGINES), st.integers(0, 9))
def test_the_terms_make_the_number_that_the_core_computed(network, engine, seed):
    network.engine = engine
    rng = np.random.default_rng(seed)
    image, y = some_levels(network, 1)[0], int(rng.integers(network.class_count))
    for address in somewhere(network, rng):
        told = explain(network, image, y, address)
        assert str(told.what) == str(address)
        size = abs(told.value)
        if any(term.role == "products" for term in told.terms):
            products = numbers(told, "products")
            summed = products.sum() + (0 if told.bias is None else told.bias.value)
            assert told.summed == pytest.approx(summed, rel=1e-12)
            assert {term.values.shape for term in told.terms} == {products.shape}
            size = np.abs(products).sum() + (0 if told.bias is None else abs(told.bias.value))
        assert abs(told.summed - told.value) <= 1e-5 * size + 1e-7
        json.dumps(told.as_json(), allow_nan=False)


@given(networks(), st.integers(0, 9))
def test_each_term_is_the_number_at_its_place(network, seed):
    rng = np.random.default_rng(seed)
    image, y = some_levels(network, 1)[0], int(rng.integers(network.class_count))
    made_of_others = {"slopes", "winners", "logarithms"}
    for address in somewhere(network, rng):
        told = explain(network, image, y, address)
        for term in told.terms:
            if term.where is None or not term.values.size:
                continue
            n = int(rng.integers(term.values.size))
            place, value = term.places[n], float(term.values.reshape(-1)[n])
            if place is None:
                assert value == 0
            elif place.kind == "w":
                assert network.parameters[f"w{place.stage}"][place.place] == value
            elif term.role not in made_of_others:
                assert explain(network, image, y, place).value == pytest.approx(value, rel=1e-5)
            else:
                explain(network, image, y, place)
        if told.bias is not None:
            stage, place = told.bias.place.stage, told.bias.place.place
            assert network.parameters[f"b{stage}"][place] == np.float32(told.bias.value)


@given(networks(), st.sampled_from(ENGINES), st.integers(0, 9))
def test_derivatives_are_central_differences(network, engine, seed):
    network.engine = engine
    rng = np.random.default_rng(seed)
    image = rng.random(network.input_shape, np.float32)
    y = convlet.equations.softmax(rng.normal(size=network.class_count))
    smooth = 0
    for address in somewhere(network, rng):
        told = explain(network, image, y, address, differences=True)
        if address.kind not in DERIVATIVES:
            assert told.difference is None
        elif not told.difference.kink:
            found = told.difference
            assert abs(told.value - found.value) <= 1e-4 * abs(told.value) + 1e-6
            scale = max(abs(told.value), abs(found.value))
            off = abs(told.value - found.value) / scale if scale else 0
            assert found.relative_error == pytest.approx(off)
            smooth += 1
    assert smooth  # (15) has no kink


def test_errors_lead_up_to_the_cost():
    """From the image by the errors, the way that backpropagation came."""
    network = Network(None, seed=2)
    image = some_levels(network, 1)[0]
    what, way = Address.of("dx/0/14,14,0"), []
    while True:
        told = explain(network, image, 3, what)
        way.append(told.equation)
        if told.equation == 15:
            break
        errors = told.term("errors")
        what = errors.places[int(np.abs(errors.values).argmax())]
    assert way == [2, 10, 2, 10, 7, 10, 7, 15]


def test_inputs_lead_down_to_the_image():
    network = Network(None, seed=2)
    image = some_levels(network, 1)[0]
    what, way = Address.of("cost"), []
    while what.kind != "x":
        told = explain(network, image, 3, what)
        way.append(told.equation)
        terms = {term.role: term for term in told.terms}
        term = terms.get("inputs") or terms["window"]
        what = term.places[int(term.values.argmax())]
    assert way == [14, 6, 9, 6, 5, 4, 9, 1, 4, 9, 1]


# ------------------------------------------------------------------------------------- the step


def test_the_step_is_that_of_training(engine):
    network = Network(ROOMY, (6, 5, 3), seed=1, engine=engine)
    image = some_levels(network, 1)[0]
    whats = {"w/0/1,0,2,1": "w0", "b/0/2": "b0", "w/1/3,2": "w1", "b/1/0": "b1"}
    told = {what: explain(network, image, 2, what, learning_rate=0.3) for what in whats}
    before = network.flat.copy()
    network.fit(image[None], [2], epochs=1, learning_rate=0.3, progress=False)
    assert not np.array_equal(before, network.flat)
    for what, name in whats.items():
        after = network.parameters[name][told[what].what.place]
        assert told[what].step.after == pytest.approx(float(after), rel=1e-6)
        assert told[what].step.before + told[what].step.change == pytest.approx(float(after))
    assert explain(network, image, 2, "b/1/0").step.learning_rate == np.float32(0.3)
    assert explain(Network(ROOMY, (6, 5, 3)), image, 2, "b/1/0").step.learning_rate == 0.1
    assert explain(network, image, 2, "z/1/0").step is None


# -------------------------------------------------------------------------------------- a kink


def test_a_kink_is_said():
    network = example()
    there = explain(network, IMAGE, 1, "delta/0/1,1,0", differences=True)  # z is 0
    assert there.difference.kink
    assert there.value == pytest.approx(there.difference.value, rel=1e-6)  # 1/2 is what it gives
    smooth = explain(network, IMAGE, 1, "delta/0/0,1,0", differences=True)
    assert not smooth.difference.kink
    assert smooth.difference.relative_error < 1e-6
    assert 0 < smooth.difference.rounding < 1e-9
    image = IMAGE.copy()
    tied = example("pool 2, flatten")
    image[...] = 1  # all four windows are the same
    told = explain(tied, image, 1, "delta/0/0,0,0", differences=True)
    assert told.difference.kink
    told = explain(tied, image, 1, "b/0/0", differences=True)  # moves all of them alike
    assert not told.difference.kink
    assert told.difference.relative_error < 1e-6


# --------------------------------------------------------------------------- labels, images, JSON


def test_the_image_may_be_levels_or_floats_and_the_label_a_distribution():
    network = Network(ROOMY, (5, 5, 1), seed=3, classes=["a", "b", "c", "d"])
    levels = some_levels(network, 1)[0]
    level = explain(network, levels, None, "x/0/2,3,0")
    assert (level.equation, int(numbers(level, "numbers"))) == (None, int(levels[2, 3, 0]))
    assert level.value == pytest.approx(level.summed, rel=1e-6)
    floats = levels / np.float32(255)
    plain = explain(network, floats[..., 0], None, "x/0/2,3,0")
    assert (plain.terms, plain.value) == ((), level.value)
    hard = explain(network, levels, np.int64(2), "delta/0/1,1,1")
    same = explain(network, floats, [0, 0, 1, 0], "delta/0/1,1,1")
    assert hard.value == pytest.approx(same.value, rel=1e-5, abs=1e-9)
    soft = np.array([0.1, 0.2, 0.3, 0.4])
    cost = explain(network, levels, soft, "cost")
    p = network.predict_proba(levels[None])[0]
    assert cost.value == pytest.approx(-(soft * np.log(p)).sum(), rel=1e-5)
    error = explain(network, levels, soft, "error/1/3")
    assert error.value == pytest.approx(p[3] - 0.4, abs=1e-6)


def test_a_pixel_of_a_flat_image_may_be_called_by_its_place_there():
    network = Network("flatten, dense 4, softmax", (3, 4, 2))
    image = some_levels(network, 1)[0]
    for kind in ("x", "dx"):
        told, same = (explain(network, image, 1, f"{kind}/0/{p}") for p in ("2,1,1", "19"))
        assert told.value == same.value
    unit = explain(network, image, None, "z/0/1")
    assert str(unit.term("inputs").places[19]) == "x/0/2,1,1"
    with pytest.raises(InputError, match=r"of an array of 3x4x2, expected a place from 0,0,0 to"):
        explain(network, image, None, "x/0/3,0,0")


def test_json_has_the_largest_products_of_many():
    network = Network("flatten, dense 3, softmax", (30, 30, 1))
    image = some_levels(network, 1)[0]
    told = explain(network, image, None, "z/0/1")
    whole, cut = told.as_json(), told.as_json(10)
    assert (whole["count"], whole["left_out"]) == (900, 0)
    assert [term["shape"] for term in whole["terms"]] == [[900]] * 3
    assert (cut["count"], cut["left_out"]) == (900, 890)
    inputs, weights, products = cut["terms"]
    assert_allclose(np.multiply(inputs["values"], weights["values"]), products["values"])
    rest = np.sort(np.abs(numbers(told, "products")))[:-10]
    assert min(map(abs, products["values"])) >= rest.max()
    assert products["places"] is None
    for place, value in zip(inputs["places"], inputs["values"], strict=True):
        assert explain(network, image, None, place).value == value
    assert json.loads(json.dumps(whole)) == whole


def test_what_is_not_finite_is_null_in_json(engine):
    network = Network(ROOMY, (5, 5, 1), engine=engine)
    network.parameters["w0"][...] = 3e38
    image = np.ones((5, 5, 1), np.float32)
    with np.errstate(all="raise"):
        for what in ("z/0/1,1,0", "cost", "delta/0/1,1,0", "w/1/0,0"):
            told = explain(network, image, 0, what, differences=True)
            json.dumps(told.as_json(), allow_nan=False)
    assert told.as_json()["value"] is None


# --------------------------------------------------------------------------------------- refusals


@given(st.builds(lambda n, s: n[s], st.just(sorted(DERIVATIVES)), st.integers(0, 4)), st.data())
def test_an_address_is_what_its_text_says(kind, data):
    places = st.lists(st.integers(0, 999), min_size=1, max_size=4).map(tuple)
    layer = data.draw(st.none() | st.integers(0, 9)) if kind == "error" else None
    address = Address(kind, data.draw(st.integers(0, 99)), layer, data.draw(places))
    assert Address.of(str(address)) == address == Address.of(address)


@pytest.mark.parametrize(
    "what",
    [
        *(
            "",
            "z",
            "z/0",
            "z/0/",
            "z/0/1,",
            "z/0/,1",
            "z//0",
            "z/-1/0",
            "z/0/1.5",
            "z/0/ 1",
            "Z/0/1",
        ),
        *("out/0/1", "out/0/0/0/0", "cost/0", "y/0/1", "z/1,2/3", "out/0/1,2/3", "z/0/1\n"),
        *(
            "z/0/1,2,3,4,5",
            "z/0/1234567890",
            "z/0/٣",
            "z/0/²",
            None,
            3,
            b"cost",
            ["cost"],
            "x" * 10_000,
        ),
    ],
)
def test_what_is_no_address_is_refused(what):
    with pytest.raises(InputError, match=r"what is .* expected one of: x/0/3,4,0, z/0/3,4,2"):
        explain(Network(ROOMY, (5, 5, 1)), np.zeros((5, 5, 1), np.float32), 0, what)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("z/2/0", "what is 'z/2/0', expected stage 0 to 1: the network has no other stage"),
        ("z/0/3,0,0", "what is 'z/0/3,0,0', of an array of 3x5x3, expected a place from 0,0,0 to"),
        ("z/0/0,0", "of an array of 3x5x3"),
        ("w/0/2,2,0,0", "of an array of 3x2x1x3, expected a place from 0,0,0,0 to 2,1,0,2"),
        ("b/1/4", "of an array of 4, expected a place from 0 to 3"),
        ("out/0/3/0", "expected a layer of stage 0: 0 relu, 1 pool 2 stride 1, 2 flatten"),
        ("out/1/1/0", "expected a layer of stage 1: 0 softmax"),
        ("error/1/0/0", "expected a layer with an error of stage 1: none"),
        ("error/0/0", "expected the last stage, whose softmax .* error/0/LAYER/PLACE"),
        ("error/1/4", "expected a place from 0 to 3"),
    ],
)
def test_a_place_that_is_not_there_is_refused(what, message):
    image = np.zeros((5, 5, 1), np.float32)
    with pytest.raises(InputError, match=message) as caught:
        explain(Network(ROOMY, (5, 5, 1)), image, 0, what)
    assert caught.value.parameter == "what"


def test_other_arguments_that_do_not_fit_are_refused():
    network = Network("conv 2 3 bias none, relu, flatten, dense 4, softmax", (5, 5, 1))
    image = np.zeros((5, 5, 1), np.float32)
    with pytest.raises(InputError, match="what is 'b/0/0', but conv 2 3 bias none has no bias"):
        explain(network, image, 0, "b/0/0")
    for what in ("cost", "error/1/0", "delta/0/0,0,0", "dx/1/0", "w/1/0,0", "b/1/0"):
        with pytest.raises(
            InputError, match=r"y is None, expected the label of the image: '.*(14)"
        ):
            explain(network, image, None, what)
    for what in ("x/0/0,0,0", "z/1/0", "out/1/0/3"):
        explain(network, image, None, what)
    for y, message in {
        4: "y is 4, expected 0 to 3",
        -1: "y is -1, expected 0 to 3",
        1.5: "y is 1.5, expected a whole number",
        "cat": "y has dtype <U3, expected whole numbers",
        (1, 2): r"y has shape \(2,\), expected a class, 0 to 3, or a distribution \(4,\)",
        (1, 1, 0, 0): "y adds up to 2, expected 1",
    }.items():
        with pytest.raises(InputError, match=message):
            explain(network, image, y, "cost")
    for x, message in {
        (1, 5, 5, 1): r"x has shape \(1, 5, 5, 1\), expected \(5, 5, 1\): one image, as in x\[0\]",
        (5, 4): r"x has shape \(5, 4\)",
    }.items():
        with pytest.raises(InputError, match=message):
            explain(network, np.zeros(x, np.float32), 0, "cost")
    with pytest.raises(InputError, match="x holds floats from 0 to 255"):
        explain(network, np.linspace(0, 255, 25, dtype=np.float32).reshape(5, 5), 0, "cost")
    with pytest.raises(InputError, match="differences is 1, expected True or False"):
        explain(network, image, 0, "cost", 1)
    with pytest.raises(InputError, match="learning_rate is 0"):
        explain(network, image, 0, "cost", learning_rate=0)
    with pytest.raises(InputError, match=r"network is 3, expected a convlet\.Network"):
        explain(3, image, 0, "cost")
    network.scale = (-2.0, 1.0)
    with pytest.raises(InputError, match="x is on another scale"):
        explain(network, np.zeros((5, 5, 1), np.uint8), 0, "cost")


def test_formulas_have_the_indices_of_their_number():
    network = Network(ROOMY, (5, 5, 1), seed=1)
    image = some_levels(network, 1)[0]
    formulas = {
        "z/0/1,2,0": "z⁰[1, 2, 0] = Σ over p, q, r of x⁰[1+p, 2+q, r] · w⁰[2-p, 1-q, r, 0] + b⁰[0]",
        "out/0/1/0,1,2": "P(R(z⁰))[0, 1, 2] = max over p, q of R(z⁰)[p, 1+q, 2]",
        "out/0/2/5": "F(P(R(z⁰)))[5] = P(R(z⁰))[0, 1, 2]",
        "z/1/3": "z¹[3] = Σ over i of x¹[i] · w¹[i, 3] + b¹[3]",
        "error/1/2": "∂E/∂z¹[2] = x²[2] - y[2]",
        "dx/1/7": "e¹[7] = Σ over j of δ¹[j] · w¹[7, j]",
        "delta/0/1,2,0": "δ⁰[1, 2, 0] = Σ over windows of e¹ · R'(z⁰) · P⁻¹",
        "dx/0/2,3,0": "e⁰[2, 3, 0] = Σ over i, j, k of δ⁰[i, j, k] · w⁰[2 i-1, j-2, 0, k]",
        "w/0/2,1,0,2": "∂E/∂w⁰[2, 1, 0, 2] = Σ over i, j of δ⁰[i, j, 2] · x⁰[2 i-1, j, 0]",
        "b/0/1": "∂E/∂b⁰[1] = Σ over i, j of δ⁰[i, j, 1]",
    }
    for what, formula in formulas.items():
        assert explain(network, image, 1, what).formula == formula


def test_an_explanation_as_text():
    network = example()
    told = explain(network, IMAGE, 1, "w/0/1,0,0,0", differences=True, learning_rate=0.5)
    assert str(told).splitlines() == [
        "w/0/1,0,0,0: (3) conv 1 2: a tap from channel 0 to map 0",
        "∂E/∂w⁰[1, 0, 0, 0] = Σ over i, j of δ⁰[i, j, 0] · x⁰[i, j+1, 0]",
        "11 by the engine, 11 from its terms",
        "11 by central differences, on a kink",  # of the z that is 0
        "a step of 0.5: -2 -> -7.5",
    ]
    assert repr(told) == "<Explanation w/0/1,0,0,0: 11>"
    pixel = explain(network, IMAGE, None, "x/0/0,2,0")
    assert str(pixel).startswith("x/0/0,2,0: a pixel of the image\nx⁰[0, 2, 0]\n3 by the engine")


def test_a_formula_is_what_its_numbers_are():
    """The taps and pixels that the text of (2), (3) names are those of the terms."""
    network = Network(ROOMY, (7, 6, 2), seed=1)
    image = some_levels(network, 1)[0]
    for what in ("dx/0/3,4,1", "w/0/1,0,1,2"):
        told = explain(network, image, 1, what)
        rows, columns = re.findall(r"[wx]⁰\[(.*?), (.*?),", told.formula)[-1]
        term = told.term("kernel" if what.startswith("dx") else "window")
        errors = told.term("errors").places
        for error, place in zip(errors, term.places, strict=True):
            i, j, _ = error.place
            where = [eval(one.replace("2 i", "2*i"), {"i": i, "j": j}) for one in (rows, columns)]
            if place is not None:
                assert list(place.place[:2]) == where
