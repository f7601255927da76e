"""Values: what other libraries hand over, and numbers that mean something else than they should."""

import numpy as np
import pytest
from PIL import Image

import convlet
from convlet import InputError, Network
from convlet.values import FAR, as_array, highest_level
from made_data import bright_rows

LAYERS = "conv 4 3, relu, pool 2, flatten, dense 3, softmax"
X, Y = bright_rows(60)
FLOATS = X / np.float32(255)
MEAN, DEVIATION = FLOATS.mean(), FLOATS.std()


def network() -> Network:
    return Network(LAYERS, (6, 6, 1), seed=0)


def ask(x, how):
    """One of the ways in which a caller hands images over."""
    match how:
        case "fit":
            network().fit(x, Y[: len(x)], epochs=1)
        case "validation":
            network().fit(X, Y, validation=(x, Y[: len(x)]), epochs=1)
        case "evaluate":
            network().evaluate(x, Y[: len(x)])
        case "predict":
            network().predict(x)
        case "predict_proba":
            network().predict_proba(x)


WAYS = ["fit", "validation", "evaluate", "predict", "predict_proba"]

# ------------------------------------------------------------------------------------------- levels

WRONG = {
    "floats to 255": (
        X.astype(np.float32),
        r"x holds floats from 0 to 24\d, expected black as 0 and white as 1: x / 255$",
    ),
    "floats to 16": (
        FLOATS * np.float64(16),
        r"x holds floats from 0 to 15.\d*, expected black as 0 and white as 1: x / 15",
    ),
    "floats to 65535": (FLOATS * 65535, r"white as 1: x / 65535$"),
    "levels about 0": (
        X.astype(np.float64) - 128,
        r"floats from -128 to 12\d, .*: \(x - mean\) / deviation, with those of all training",
    ),
    "uint8 to 1": (
        (X > 99).astype(np.uint8),
        r"x holds uint8 that never exceeds 1, expected white as 255: x \* 255, or x.astype\(nump",
    ),
    "bool": (
        X > 99,
        r"x has dtype bool, expected uint8 \(0 to 255\) or a float: convert it with x",
    ),
    "int64": (X.astype(np.int64), r"has dtype int64, .*: convert it with x.astype\(numpy.uint8\)"),
    "int64 to 15": (X.astype(np.int64) // 16, r"has dtype int64, .*: if 15 is white, x / 15$"),
    "uint16": (X.astype(np.uint16) * 257, r"has dtype uint16, .*: if 6\d+ is white, x / 65535$"),
    "int8": ((X // 2).astype(np.int8) - 64, r"has dtype int8, .*: if 6. is white, \(x - mean\) / "),
    "uint8 to 15": (
        X // 16,
        r"x holds uint8 that never exceeds 15, expected white as 255: x \* 17 if 15 is white,",
    ),
    "a list of images of Pillow": (
        [Image.fromarray(x[..., 0]).convert("P") for x in X],
        r"x holds images of Pillow, .*: numpy.stack\(\[numpy.asarray\(image.convert",
    ),
    "a list of masked images": ([np.ma.masked_equal(x, 0) for x in X], r"x has \d+ masked entries"),
    "NaN": (
        np.where(X == 0, np.nan, FLOATS),
        r"x\[\d+, \d, \d, 0\] is nan, expected finite .*: clean .* numpy.nan_to_num\(x\)",
    ),
    "masked": (
        np.ma.masked_equal(X, 0),
        r"x has \d+ masked entries, expected a number everywhere: x.filled\(0\)",
    ),
    "flat": (X.reshape(60, 36), r"x has shape \(60, 36\), .*: x.reshape\(-1, 6, 6, 1\)$"),
    "channels first": (
        X.transpose(0, 3, 1, 2),
        r"x has shape \(60, 1, 6, 6\), .*: channels come last, as in x.transpose\(0, 2, 3, 1\)$",
    ),
}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_values_are_refused_with_the_line_that_mends_them(wrong, how):
    x, message = WRONG[wrong]
    with pytest.raises(InputError, match=message) as caught:
        ask(x, how)
    assert caught.value.parameter == ("validation x" if how == "validation" else "x")


@pytest.mark.parametrize(
    "x",
    [
        X,
        FLOATS,
        FLOATS.astype(np.float16),
        (FLOATS - MEAN) / DEVIATION,
        FLOATS * 2 - 1,
        (X > 99).astype(np.float32),
        (X > 99).astype(np.uint8) * np.uint8(255),
        np.ma.masked_array(X, False),
    ],
)
def test_what_people_make_of_images_is_taken(x):
    for how in WAYS[:1] + WAYS[2:]:
        ask(x, how)


def test_the_lines_that_mend_give_what_is_right():
    right = network().predict_proba(X)
    for mended in (X.astype(np.float32) / 255, np.ma.masked_array(X, False).filled(0)):
        np.testing.assert_array_equal(network().predict_proba(mended), right)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y + 1, r"y\[\d+\] is 3, .*: the network has 3 classes, counted from 0, as y - 1 is$"),
        (Y[:, None], r"y has shape \(60, 1\), .* distributions: y\[:, 0\]$"),
        (np.array(["a", "b", "c"])[Y], r"y has dtype <U1, .*: classes, y = numpy.unique\("),
    ],
)
def test_wrong_labels_are_refused_with_the_line_that_mends_them(y, message):
    with pytest.raises(InputError, match=message):
        network().fit(X, y, epochs=1)
    with pytest.raises(InputError, match=message):
        network().evaluate(X, y)
    with pytest.raises(InputError, match=message):
        network().fit(X, Y, validation=(X, y), epochs=1)


def test_black_images_are_images():
    assert network().predict(np.zeros((3, 6, 6, 1), np.uint8)).shape == (3,)
    assert network().predict(np.zeros((3, 6, 6, 1), np.float32)).shape == (3,)


def test_the_end_of_what_is_far_is_a_root_mean_square():
    for size, far in ((FAR * 0.999, False), (FAR * 1.001, True)):
        x = np.full((2, 6, 6, 1), size, np.float32)
        x[0] *= -1
        if far:
            with pytest.raises(InputError, match=r"holds floats from -4.004 to 4.004"):
                network().predict(x)
        else:
            network().predict(x)


@pytest.mark.parametrize("place", [0, 5000, 9_999_999])
def test_a_single_level_above_1_is_found_wherever_it_is(place):
    x = np.ones((10, 1000, 1000, 1), np.uint8)
    assert highest_level(x, 1) == highest_level(x, 127) == 1
    x.reshape(-1)[place] = 2
    assert highest_level(x, 1) == highest_level(x, 127) == 2
    assert highest_level(x * np.uint8(0), 1) == 0


# ----------------------------------------------------------------------------- training, validation


@pytest.mark.parametrize(
    ("x", "other", "message"),
    [
        (
            FLOATS,
            FLOATS / 255,
            r"on another scale: root mean square 0.001\d*, that of training 0.3",
        ),
        (
            X,
            FLOATS / 255,
            r"validation x is on another scale: .*expected the scale of x: prepare bo",
        ),
        (FLOATS / 255, X, "on another scale: root mean square"),
        ((FLOATS - MEAN) / DEVIATION, FLOATS, r"its lowest number is 0, that of training is -1"),
        (
            FLOATS,
            (FLOATS - MEAN) / DEVIATION,
            r"its lowest number is -1.\d*, that of training is 0",
        ),
        ((FLOATS - MEAN) / DEVIATION, X, "on another scale: its lowest number is 0"),
    ],
)
def test_training_and_validation_on_different_scales_are_refused(x, other, message):
    with pytest.raises(InputError, match=message):
        network().fit(x, Y, validation=(other, Y), epochs=1)


@pytest.mark.parametrize("other", [X, FLOATS, FLOATS.astype(np.float64), FLOATS / 2, FLOATS * 0])
@pytest.mark.parametrize("x", [X, FLOATS])
def test_the_same_scale_in_another_dtype_is_the_same(x, other):
    network().fit(x, Y, validation=(other, Y), epochs=1)


# ---------------------------------------------------------------------------------- other libraries


class Tensor:
    """A stand-in for a tensor of PyTorch: what convlet asks of one, and what NumPy may not do."""

    __module__ = "torch"

    def __init__(self, array, bars=(), dtype="torch.float32", layout="torch.strided", **marks):
        self.array, self.bars, self.dtype, self.layout = array, bars, dtype, layout
        self.__dict__.update(marks)

    def _without(self, bar):
        bars = [b for b in self.bars if b != bar]
        dtype = "torch.float32" if bar == "dtype" else self.dtype
        return Tensor(self.array, bars, dtype)

    def detach(self):
        return self._without("grad")

    def cpu(self):
        return self._without("cuda")

    def float(self):
        return self._without("dtype")

    def resolve_conj(self):
        return self._without("conj")

    def resolve_neg(self):
        return self._without("neg")

    def __array__(self, dtype=None, copy=None):
        if self.bars:
            raise TypeError(f"cannot: {self.bars}\nmore lines")
        return self.array


class OnlyDLPack:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        raise TypeError("implicit conversion is not allowed")

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize(
    "x",
    [
        Tensor(FLOATS),
        Tensor(FLOATS, ["grad", "cuda"]),
        Tensor(FLOATS, ["dtype"], "torch.bfloat16"),
        Tensor(FLOATS, ["conj", "neg"]),
        OnlyDLPack(FLOATS),
        memoryview(FLOATS),
        FLOATS.tolist(),
    ],
)
def test_arrays_of_other_libraries_are_the_same_numbers(x):
    np.testing.assert_array_equal(network().predict_proba(x), network().predict_proba(FLOATS))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (Tensor(X, is_quantized=True), r"x is quantized, expected .*: x.dequantize\(\)"),
        (Tensor(X, is_nested=True), r"x is a nested tensor, .*: x.to_padded_tensor\(0\)"),
        (Tensor(X, is_meta=True), r"x is a tensor on the device meta, without numbers"),
        (Tensor(X, layout="torch.sparse_coo"), r"x has layout torch.sparse_coo.*: x.to_dense\(\)"),
        (
            Tensor(X, ["other"]),
            r"x is no array \(cannot: \['other'\] more lines\), expected \(n, 6, 6, 1\)$",
        ),
        ([X[0], X[:2]], r"x is no array .*: stack arrays of one shape with numpy.stack"),
        (X.astype(complex), "x has dtype complex128, expected uint8"),
        (np.array(["a"]), "x has dtype <U1"),
        (convlet, "x is a module, expected"),
        (convlet.datasets.Split(X, Y), r"x is a Split, expected \(n, 6, 6, 1\)"),
    ],
)
def test_what_is_no_plain_array_is_refused(x, message):
    with pytest.raises(InputError, match=message):
        network().predict(x)


def test_sparse_matrices_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    for x in (sparse.csr_matrix(X.reshape(60, 36)), sparse.coo_array(X.reshape(60, 36))):
        with pytest.raises(InputError, match=r"x is sparse, .*: x.toarray\(\).reshape"):
            network().predict(x)


def test_labels_and_weights_may_be_tensors_too():
    y, weight = Tensor(Y, ["cuda"]), Tensor(np.ones(60), ["grad"])
    assert network().evaluate(FLOATS, y, weight) == network().evaluate(FLOATS, Y)
    with pytest.raises(InputError, match="y has 2 masked entries"):
        network().evaluate(X, np.ma.masked_array(Y, np.arange(60) < 2))


@pytest.mark.pytorch
def test_tensors_of_pytorch():
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(FLOATS)
    whole = (FLOATS * 16).round() / 16  # exact in bfloat16
    right, right16 = network().predict_proba(FLOATS), network().predict_proba(whole)
    for taken in (x, x.clone().requires_grad_(), torch.nn.Parameter(x), x[:, :, :, :], x.double()):
        np.testing.assert_array_equal(network().predict_proba(taken), right)
    for dtype in (torch.bfloat16, torch.float16):
        taken = torch.from_numpy(whole).to(dtype)
        np.testing.assert_array_equal(network().predict_proba(taken), right16)
    quantized = torch.quantize_per_tensor(x, 0.01, 0, torch.quint8)
    for refused, mend in (
        (quantized, "dequantize"),
        (x.to_sparse(), "to_dense"),
        (torch.empty(60, 6, 6, 1, device="meta"), "without numbers"),
        (x.permute(0, 3, 1, 2), r"x.transpose\(0, 2, 3, 1\)"),
        (x * 255, "x / 255"),
        (x.to(torch.complex64), "complex64"),
    ):
        with pytest.raises(InputError, match=mend):
            network().predict(refused)


def test_bfloat16_of_jax_and_tensorflow_is_exact():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    whole = (FLOATS * 16).round() / 16
    np.testing.assert_array_equal(as_array(whole.astype(ml_dtypes.bfloat16), "x", ""), whole)


# --------------------------------------------------------------------------------------- not finite


def test_evaluate_never_counts_nan_as_right():
    broken = network()
    broken.parameters["w1"][...] = np.nan
    cost, accuracy = broken.evaluate(X, Y)
    assert np.isnan(cost)
    assert accuracy == 0.0
    with pytest.raises(InputError, match="numbers that are not finite for 60 of 60"):
        broken.predict(X)


# ------------------------------------------------------------------- the scale of training travels


def trained_on(x, tmp_path):
    network = convlet.Network("flatten, dense 2, softmax", (4, 4), seed=1)
    network.fit(x, np.arange(len(x)) % 2, epochs=1)
    network.save(tmp_path / "m.safetensors")
    return convlet.load(tmp_path / "m.safetensors")


def test_a_model_refuses_levels_where_it_was_trained_on_standardised_images(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
    floats = levels.astype(np.float32) / 255
    standard = (floats - floats.mean()) / floats.std()
    network = trained_on(standard, tmp_path)
    assert network.scale.lowest == pytest.approx(standard.min())
    assert network.scale.size == pytest.approx(1, abs=1e-3)
    network.predict(standard[:1])
    network.evaluate(standard, np.zeros(40, int))
    for x in (levels, levels[:1], floats):
        with pytest.raises(convlet.InputError, match=r"^x is on another scale: .*the same line"):
            network.predict(x)
        with pytest.raises(convlet.InputError, match=r"^x is on another scale"):
            network.evaluate(x, np.zeros(len(x), int))


def test_levels_and_shares_of_white_are_one_scale(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
    network = trained_on(levels, tmp_path)
    probabilities = network.predict_proba(levels)
    assert (network.predict_proba(levels.astype(np.float32) / 255) == probabilities).all()
    network.predict(np.zeros((1, 4, 4), np.uint8))  # a black image is one of them
    for some in (40, 1):
        with pytest.raises(convlet.InputError, match="x is on another scale: its lowest number is"):
            network.predict(levels[:some].astype(np.float32) / 255 - 0.5)


def test_names_as_labels_are_told_to_be_places_in_those_of_the_network(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
    network = trained_on(levels, tmp_path)
    y = np.array(["dog"] * 40)
    with pytest.raises(convlet.InputError, match=r"numpy.unique.*, the same for all data"):
        network.evaluate(levels, y)
    network.classes = ("cat", "dog")
    with pytest.raises(convlet.InputError, match=r"y = \[network.classes.index\(name\) for name"):
        network.evaluate(levels, y)


def test_levels_are_refused_where_training_divided_twice(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
    network = trained_on(levels / np.float32(255 * 255), tmp_path)
    for x in (levels, levels[:1]):
        with pytest.raises(
            convlet.InputError, match=r"x is on another scale: root mean square 0\.\d"
        ):
            network.predict(x)


@pytest.mark.parametrize("wrong", [(1,), "ab", (0, -1), (float("nan"), 1), 3])
def test_what_is_no_scale_is_refused(wrong):
    with pytest.raises(convlet.InputError, match=r"scale is .*expected the lowest number"):
        convlet.Network().scale = wrong
