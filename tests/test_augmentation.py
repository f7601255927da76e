"""Augmentation: exact cases, both engines, the elastic field, keys, same bits, text form."""

import hashlib
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlet import Augmentation, InputError, Network, native
from convlet.augmentation import apply, as_augmentation, parse_augmentation
from convlet.cli import main
from convlet.engine import Samples, as_floats
from convlet.randomness import Purpose, raw_words
from convlet.settings import Settings
from engines import take_steps
from targets import TARGETS, chosen

CHANGES = {
    "shift": Augmentation(shift=2.5),
    "rotation": Augmentation(rotation=30),
    "scale": Augmentation(scale=0.3),
    "shear": Augmentation(shear=0.4),
    "flip": Augmentation(flip=True),
    "elastic": Augmentation(elastic=30, sigma=3),
    "everything": Augmentation(2, 15, 0.15, 0.2, True, 25, 4),
    "far": Augmentation(64, 180, 0.9, 2, True, 1000, 0.5),
}
each_changes = pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
SHAPES = [(28, 28, 1), (9, 14, 3), (1, 6, 1), (7, 1, 2), (32, 32, 3)]


def images(shape, count=6, kind="bytes"):
    rng = np.random.default_rng(4)
    if kind == "bytes":
        return rng.integers(0, 256, (count, *shape)).astype(np.uint8)
    return rng.standard_normal((count, *shape)).astype(np.float32)


def engine_for(shape) -> native.NativeEngine:
    return native.NativeEngine(Network("flatten, dense 2, softmax", shape).stages)


def reference(x, changes, seed=0, epoch=0):
    return apply(as_floats(x), changes, np.arange(len(x)), seed, epoch)


def draws(sample: int, seed: int = 0, epoch: int = 0) -> list[float]:
    """The six numbers in [-1, 1) of a sample: down, right, angle, zoom, slant, mirror."""
    raw = raw_words(seed, Purpose.AUGMENT, epoch, 6, sample).tolist()
    return [(word >> 11) / 2**52 - 1 for word in raw]


# ------------------------------------------------------------ exact cases


@pytest.mark.parametrize("kind", ["bytes", "floats"])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_zero_is_the_identity_in_every_bit(target, shape, kind):
    x = images(shape, kind=kind)
    np.testing.assert_array_equal(engine_for(shape).augment(x, Augmentation(), 1, 2), as_floats(x))
    np.testing.assert_array_equal(reference(x, Augmentation(), 1, 2), as_floats(x))


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("layers", ["conv 4 3 padding same, relu, pool 2, flatten", "flatten"])
def test_training_with_all_zero_has_the_bits_of_no_augmentation(layers, engine):
    x, y = images((9, 10, 3), 40), np.random.default_rng(0).integers(0, 3, 40)
    results = []
    for changes in (None, Augmentation()):
        net = Network(f"{layers}, dense 3, softmax", (9, 10, 3), engine=engine)
        net.fit(x, y, epochs=1, batch_size=8, augmentation=changes)
        results.append(net.flat.tobytes())
    assert results[0] == results[1]


def sample_with(condition) -> int:
    """The first sample whose draws are so."""
    return next(sample for sample in range(10_000) if condition(draws(sample)))


def native_one(x, changes, sample, target_shape):
    """What sample number `sample` becomes; the others are blank."""
    many = np.zeros((sample + 1, *target_shape), x.dtype)
    many[sample] = x
    return engine_for(target_shape).augment(many, changes, 0, 0)[sample]


def test_a_shift_by_whole_pixels_is_exact(target):
    """A range that makes the draw of one sample whole: (i, j) is image (i + down, j + right)."""
    x = images((8, 9, 2), 1, "floats")[0]
    moved = 0
    for sample in range(5):
        down, right, *_ = draws(sample)
        shift = 2 / abs(down)  # 2 pixels down or up
        if shift > 64 or abs(shift * right) > 6:
            continue
        changes = Augmentation(shift=shift)
        got = native_one(x, changes, sample, x.shape)
        expected = shifted(x.astype(np.float64), round(shift * down), shift * right)
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5)
        one = apply(x[None], changes, np.array([sample]), 0, 0)[0]
        np.testing.assert_allclose(one, expected, rtol=0, atol=1e-12)
        moved += 1
    assert moved >= 2


def shifted(x: np.ndarray, down: int, right: float) -> np.ndarray:
    """By slices: whole rows, and between two columns."""
    h, w, r = x.shape
    wide = np.zeros((h + 20, w + 40, r))
    wide[10 : 10 + h, 20 : 20 + w] = x
    whole = int(np.floor(right))
    u = right - whole
    rows = slice(10 + down, 10 + down + h)
    left = wide[rows, 20 + whole : 20 + whole + w]
    return (1 - u) * left + u * wide[rows, 21 + whole : 21 + whole + w]


def test_a_flip_may_be_of_numpy():
    assert Augmentation(flip=np.bool_(True)).flip is True


def test_a_flip_is_exact_and_half_of_the_images_get_it(target):
    changes, x = Augmentation(flip=True), images((7, 6, 3), 400)
    got = engine_for((7, 6, 3)).augment(x, changes, 0, 0)
    straight, mirrored = as_floats(x), as_floats(x)[:, :, ::-1]
    flipped = np.array([draws(sample)[5] < 0 for sample in range(400)])
    np.testing.assert_array_equal(got, np.where(flipped[:, None, None, None], mirrored, straight))
    assert 0.4 < flipped.mean() < 0.6
    np.testing.assert_array_equal(got, reference(x, changes).astype(np.float32))


def test_a_square_turned_by_90_degrees_is_itself_and_other_images_turn(target):
    """The range that turns one sample by a right angle: (i, j) = image (-j, i)."""
    sample = sample_with(lambda d: 0.6 < d[2] < 0.9)
    changes = Augmentation(rotation=90 / draws(sample)[2])
    square = np.zeros((12, 12, 1), np.float32)
    square[3:9, 3:9] = 1
    np.testing.assert_allclose(native_one(square, changes, sample, (12, 12, 1)), square, atol=2e-5)
    x = images((11, 11, 2), 1, "floats")[0]
    turned = native_one(x, changes, sample, (11, 11, 2))
    # rows = -x, columns = y: (i, j) comes from (10 - j, i)
    expected = np.array([[x[10 - j, i] for j in range(11)] for i in range(11)])
    np.testing.assert_allclose(turned, expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize("name", ["scale", "shear"])
def test_scale_and_shear_map_a_ramp_linearly(target, name):
    """An image whose value is its column (or row) shows where each pixel came from."""
    sample = 3
    zoom, slant = draws(sample)[3:5]
    changes = Augmentation(**{name: 0.25})
    i, j = np.indices((15, 15)) - 7.0
    rows, columns = i, j
    if name == "scale":
        rows, columns = i / (1 + 0.25 * zoom), j / (1 + 0.25 * zoom)
    else:
        columns = j + 0.25 * slant * i
    inside = (abs(rows) < 6.9) & (abs(columns) < 6.9)
    for axis, expected in ((0, rows), (1, columns)):
        ramp = (np.indices((15, 15))[axis] - 7.0).astype(np.float32)[..., None]
        got = native_one(ramp, changes, sample, (15, 15, 1))[..., 0]
        np.testing.assert_allclose(got[inside], expected[inside], atol=1e-4)
    assert inside.sum() > 100


def test_outside_is_black(target):
    x = np.full((4, 8, 8, 1), 255, np.uint8)
    got = engine_for((8, 8, 1)).augment(x, Augmentation(shift=64), 0, 0)
    for sample in range(4):
        down, right = (64 * d for d in draws(sample)[:2])
        if max(abs(down), abs(right)) > 9:
            assert not got[sample].any()
    assert (got == 0).any()


# ------------------------------------------------------------ both engines


@each_changes
@pytest.mark.parametrize("shape", SHAPES)
def test_native_agrees_with_numpy(target, shape, changes):
    """Coordinates are float32 there: a pixel moves by 1e-6 of its distance, its value by less."""
    x = images(shape, 12)
    got = engine_for(shape).augment(x, changes, 2**63 + 5, 11)
    expected = reference(x, changes, 2**63 + 5, 11)
    assert got.shape == x.shape
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-3 if changes.elastic > 100 else 1e-4)


@pytest.mark.parametrize(
    "layers",
    [
        "conv 6 3, relu, pool 2, flatten, dense 3",
        "conv 6 3 padding same, relu, pool 2, conv 5 2, flatten, dense 3",
        "conv 5 5 padding 2 stride 2, relu, flatten, dense 3",
        "flatten, dense 8, relu, dense 3",
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_native_training_follows_the_reference(target, layers, channels):
    shape = (10, 11, channels)
    x, y = images(shape, 48), np.random.default_rng(1).integers(0, 3, 48).astype(np.int32)
    results = []
    for engine in ("native", "reference"):
        net = Network(f"{layers}, softmax", shape, engine=engine)
        order = np.random.default_rng(2).permutation(48)
        how = dict(augmentation=CHANGES["everything"], seed=5, epoch=3)
        costs = take_steps(net.engine, net.flat, Samples(x, y), order, 16, 0.05, **how)
        results.append((net.flat, costs))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=0, atol=2e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-4)
    plain = Network(f"{layers}, softmax", shape)
    costs = take_steps(plain.engine, plain.flat, Samples(x, y), order, 16, 0.05)
    assert np.abs(costs - results[0][1]).max() > 1e-3, "the augmentation did nothing"


@each_changes
def test_the_same_bits_on_every_target_and_number_of_threads_however_cut(changes):
    x = images((12, 13, 1), 40)
    y = np.random.default_rng(1).integers(0, 3, 40).astype(np.int32)
    layers = "conv 8 3 padding 1, relu, pool 2, flatten, dense 3, softmax"
    seen = set()
    for target, threads, cut in product(TARGETS, (1, 2, 3), (0, 16)):
        with chosen(target):
            net = Network(layers, (12, 13, 1))
        how = dict(augmentation=changes, seed=3, epoch=2)
        for part in (np.arange(cut), np.arange(cut, 40)):
            take_steps(net.engine, net.flat, Samples(x, y), part, 16, 0.05, threads, **how)
        everything = net.engine.augment(x, changes, 3, 2).tobytes() + net.flat.tobytes()
        seen.add(hashlib.sha256(everything).hexdigest())
    assert len(seen) == 1


# ------------------------------------------------------------ elastic field


def displacement(changes, size=64, count=60):
    """(count, size, size) columns from which pixels come, less their own: a ramp tells."""
    ramp = np.broadcast_to(
        np.arange(size, dtype=np.float64)[None, None, :, None], (1, size, size, 1)
    )
    moved = apply(np.repeat(ramp, count, 0), changes, np.arange(count), 1, 0)[..., 0]
    return moved - ramp[..., 0]


@pytest.mark.parametrize(("alpha", "sigma"), [(6, 2), (10, 3)])
def test_the_elastic_field_has_the_spread_of_its_formula(alpha, sigma):
    """alpha G_sigma * U(-1, 1): its variance is alpha^2 / 3 times the squared taps of both axes."""
    t = np.arange(-3 * sigma, 3 * sigma + 1)
    taps = np.exp(-(t**2) / (2 * sigma**2))
    taps /= taps.sum()
    expected = alpha / 3**0.5 * (taps**2).sum()
    assert expected == pytest.approx(alpha / (3**0.5 * 2 * np.pi**0.5 * sigma), rel=0.01)
    margin = 3 * sigma + 4  # in the middle: no zeros of the border in the sums
    field = displacement(Augmentation(elastic=alpha, sigma=sigma))[
        :, margin:-margin, margin:-margin
    ]
    assert np.abs(field).max() < margin
    assert field.std() == pytest.approx(expected, rel=0.1)
    assert abs(field.mean()) < 0.1 * expected
    # neighbours agree: the correlation of two pixels a distance d apart is e^(-d^2 / 4 sigma^2)
    near = (field[:, :, 1:] * field[:, :, :-1]).mean() / field.var()
    assert near == pytest.approx(np.exp(-1 / (4 * sigma**2)), abs=0.01)


def test_rows_and_columns_move_by_other_fields():
    changes = Augmentation(elastic=20, sigma=3)
    ramps = np.indices((40, 40)).astype(np.float64)
    x = np.stack(ramps, axis=-1)[None]
    moved = (apply(x, changes, np.array([5]), 0, 0) - x)[0, 10:-10, 10:-10]
    assert moved.std() > 0.3
    correlation = np.corrcoef(moved[..., 0].ravel(), moved[..., 1].ravel())[0, 1]
    assert abs(correlation) < 0.9


# ------------------------------------------------------------ keys


def test_every_sample_epoch_and_seed_has_its_own_draws():
    x = np.repeat(images((12, 12, 1), 1), 4, axis=0)
    engine = engine_for((12, 12, 1))
    changes = CHANGES["everything"]
    keys = ((0, 0), (1, 0), (0, 1), (2**63, 0))
    seen = [engine.augment(x, changes, *key).tobytes() for key in keys]
    assert len(set(seen)) == 4
    a = engine.augment(x, changes, 0, 0)
    assert len({image.tobytes() for image in a}) == 4


def test_a_sample_does_not_depend_on_those_beside_it():
    x, changes = images((12, 12, 1), 8), CHANGES["everything"]
    engine = engine_for((12, 12, 1))
    whole = engine.augment(x, changes, 3, 1)
    np.testing.assert_array_equal(engine.augment(x[:5], changes, 3, 1), whole[:5])
    one = apply(as_floats(x)[6:7], changes, np.array([6]), 3, 1)
    np.testing.assert_array_equal(one[0], reference(x, changes, 3, 1)[6])


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_preview_is_what_training_sees(engine):
    """The gradient of a single weighted image, in a network that copies its pixels to w."""
    x = images((6, 6, 1), 5)
    net = Network("flatten, dense 2, softmax", (6, 6, 1), engine=engine)
    shown = net.preview(x, "shift 2, rotation 20, flip", seed=4, epoch=2)
    assert shown.dtype == np.float32
    assert shown.shape == x.shape
    for sample in range(5):
        flat = np.zeros_like(net.flat)
        how = dict(augmentation=parse_augmentation("shift 2, rotation 20, flip"), seed=4, epoch=2)
        data = Samples(x, np.zeros(5, np.int32))
        take_steps(net.engine, flat, data, np.array([sample]), 1, 2.0, **how)
        seen = flat[: 2 * 36].reshape(36, 2)[:, 0]  # (S - y) = (-1/2, 1/2): w = x, exactly
        np.testing.assert_array_equal(seen, shown[sample].ravel())
    np.testing.assert_array_equal(net.preview(x, "none"), as_floats(x))


def test_preview_refuses():
    net = Network("flatten, dense 2, softmax", (6, 6, 1))
    with pytest.raises(InputError, match="x has shape"):
        net.preview(images((5, 5, 1)), "shift 1")
    with pytest.raises(InputError, match="augmentation has 'tilt 1'"):
        net.preview(images((6, 6, 1)), "tilt 1")
    with pytest.raises(InputError, match="seed is -1"):
        net.preview(images((6, 6, 1)), "shift 1", seed=-1)


FAR = r"shift is {:g}.*, expected at most 6, the shorter side of the images: a longer one moves"


def test_a_shift_out_of_sight_is_refused_and_one_of_the_side_is_not():
    """Up to the shorter side, 6, something of every image is left; above it, of some nothing is."""
    shape = (6, 9, 1)
    net = Network("flatten, dense 2, softmax", shape)
    x, y = np.full((200, *shape), 200, np.uint8), np.arange(200) % 2
    assert all(image.any() for image in net.preview(x, "shift 6"))
    seen = net.engine.augment(x, Augmentation(shift=12), 0, 0)  # without the check
    assert 60 < sum(not image.any() for image in seen) < 190
    before = net.flat.copy()
    for shift in (6.5, 900.0):
        changes = Augmentation(shift=shift)
        for call in (
            lambda how: net.fit(x, y, augmentation=how),
            lambda how: net.fit_samples(net.samples(x, y), None, Settings(augmentation=how)),
            lambda how: net.find_learning_rate(x, y, augmentation=how),
            lambda how: net.preview(x, how),
        ):
            with pytest.raises(InputError, match=FAR.format(shift)):
                call(changes)
    assert np.array_equal(net.flat, before)
    assert net.settings is None
    net.fit(x, y, epochs=1, augmentation="shift 6")


@pytest.mark.parametrize("command", ["train", "find-lr", "augment", "live"])
def test_the_command_line_refuses_such_a_shift(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = np.full((20, 6, 9, 1), 200, np.uint8), np.arange(20) % 2
    np.savez("small.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    more = {"augment": ["--preview", "seen.png"], "live": ["--no-browser"]}.get(command, [])
    for name in ("uvicorn", "starlette") if command == "live" else ():
        pytest.importorskip(name)
    arguments = [command, "small.npz", "--augment", "shift 7", *more]
    assert main(arguments) == 2
    assert "error: --augment: shift is 7.0, expected at most 6" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["small.npz"]


def test_training_learns_with_augmentation_and_evaluation_sees_none():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    x = np.zeros((200, 12, 12), np.uint8)
    for image, label in zip(x, y, strict=True):
        image[slice(4, 8) if label else slice(5, 7), slice(5, 7) if label else slice(4, 8)] = 200
    net = Network("conv 4 3, relu, pool 2, flatten, dense 2, softmax", (12, 12, 1))
    net.fit(x, y, epochs=5, batch_size=8, augmentation=Augmentation(shift=2))
    assert net.evaluate(x, y).accuracy == 1


# ------------------------------------------------------------ text form

numbers = st.one_of(st.just(0.0), st.integers(0, 640).map(lambda n: n / 64))


@given(numbers, numbers, numbers, numbers, st.booleans(), numbers, st.integers(1, 200))
def test_every_text_is_read_as_it_was_printed(shift, rotation, scale, shear, flip, elastic, sigma):
    changes = Augmentation(shift, rotation, scale / 12, shear / 6, flip, elastic, sigma / 2)
    again = as_augmentation(str(changes)) or Augmentation()
    assert str(again) == str(changes)
    assert again == (
        changes if elastic else Augmentation(shift, rotation, scale / 12, shear / 6, flip)
    )


def test_text_forms():
    changes = Augmentation(2, 15, 0.1, 0.05, True, 30, 5)
    assert str(changes) == "shift 2, rotation 15, scale 0.1, shear 0.05, flip, elastic 30, sigma 5"
    assert parse_augmentation(" Rotation 15,SHIFT 2 ") == Augmentation(2, 15)
    assert str(Augmentation()) == "none"
    assert parse_augmentation("none") is None
    assert as_augmentation(None) is None
    assert as_augmentation(changes) is changes


@pytest.mark.parametrize(
    "text",
    ["", "shift", "shift x", "shift 1 2", "flip 1", "shift 1, shift 2", "zoom 2", "shift 1,,flip"],
)
def test_wrong_texts_are_refused(text):
    with pytest.raises(InputError, match=r"augmentation has .*, expected each once.*shift X.*flip"):
        parse_augmentation(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": -1}, "Augmentation: shift is -1, expected a number from 0 to 65536"),
        ({"shift": float("nan")}, "shift is nan"),
        ({"rotation": 181}, "rotation is 181, expected a number from 0 to 180"),
        ({"scale": 1}, "scale is 1, expected a number from 0 to 0.9"),
        ({"shear": "1"}, "shear is '1'"),
        ({"shear": True}, "shear is True"),
        ({"flip": 1}, "flip is 1, expected True or False"),
        ({"elastic": 1e10}, "elastic is 1"),
        ({"sigma": 0}, "sigma is 0, expected a number from 0.5 to 65536"),
    ],
)
def test_wrong_numbers_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Augmentation(**options)


def test_fit_refuses_a_wrong_augmentation():
    net = Network("flatten, dense 2, softmax", (6, 6, 1))
    with pytest.raises(InputError, match=r"augmentation is 3, expected Augmentation\(...\)"):
        net.fit(images((6, 6, 1)), np.zeros(6, int), augmentation=3)
    assert net.epochs == 0


@pytest.mark.parametrize("sigma", [20.0, 65536.0])
def test_a_gaussian_wider_than_the_image_takes_no_more_than_the_image(sigma):
    """Its taps beyond the image meet zeros: both engines bend alike, in little memory."""
    x = np.random.default_rng(0).integers(0, 256, (2, 6, 7, 1)).astype(np.uint8)
    augmentation = Augmentation(elastic=1e4, sigma=sigma)
    ours, reference = (
        Network("flatten, dense 2, softmax", (6, 7, 1), engine=engine).preview(x, augmentation)
        for engine in ("native", "reference")
    )
    np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-3)
    assert not np.array_equal(ours, x / np.float32(255))
