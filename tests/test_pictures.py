"""Image files: every kind comes to 8 bits by its rule, hostile ones are refused within bounds."""

import io
import re
import struct
import zlib

import numpy as np
import pytest

import children
from convlet import DataError, InputError, datasets
from convlet.datasets.encoded.kind import kind_of
from convlet.datasets.encoded.pictures import PictureError, open_picture, opened
from convlet.datasets.encoded.pixels import read_picture
from convlet.datasets.figure import are_figures
from convlet.datasets.single import read_prepared
from convlet.libraries import quiet
from convlet.preparation import Preparation
from image_files import (
    COLOUR,
    GREY,
    KINDS,
    PLACES,
    SPELLINGS,
    TURNS,
    Image,
    encoded,
    huge_png,
    picture,
    pixels_of,
    png,
    save,
    tiff,
    turned,
)

SAME = Preparation(4, 3, "rgb")


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_read_by_its_rule(name, tmp_path):
    suffix, data, expected, off = KINDS[name]
    path = tmp_path / f"image{suffix}"
    path.write_bytes(data)
    rows, columns, _ = expected.shape
    found, done = read_picture(path, Preparation(rows, columns, "rgb"))
    assert np.abs(found.astype(int) - expected).max() <= off
    assert done == ""
    # to grey by the luma of ITU-R 601
    luma = found @ np.array([0.299, 0.587, 0.114])
    grey, _ = read_picture(path, Preparation(rows, columns, "grey"))
    np.testing.assert_allclose(grey[..., 0], luma, atol=0.51)


def test_kinds_are_told_by_their_headers(tmp_path):
    told = {}
    for name, (suffix, data, expected, _) in KINDS.items():
        path = tmp_path / f"image{suffix}"
        path.write_bytes(data)
        with open_picture(path) as image:
            kind = kind_of(image, "x")
        assert (kind.rows, kind.columns) == expected.shape[:2]
        assert not kind.turned
        told[name] = kind
    several = {name for name, kind in told.items() if kind.several}
    assert several == {name for name in KINDS if "several" in name}
    deep = {name for name, kind in told.items() if kind.deep}
    assert deep == {name for name in KINDS if "16-bit" in name}
    grey = {name for name, kind in told.items() if kind.grey}
    grey_ones = {"png, grey", "png, 1 bit", "png, grey and alpha", "jpeg, grey"}
    frames = {"png, several frames", "gif, several frames", "tiff, several pages"}
    assert grey == grey_ones | frames | {"png, 16-bit grey", "tiff, 16-bit grey"}


def test_kinds_are_told_where_the_orientation_stands_behind_the_pixels():
    """For which Pillow decodes the image, and forgets how it was stored."""
    exif = Image.Exif()
    exif[274] = 6
    told = png(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    grey_and_alpha = _deep_png(4, np.stack([DEEP_LEVELS, DEEP_LEVELS], 2))
    for data, name in ((KINDS["png, 16-bit rgb"][1], "RGB"), (grey_and_alpha, "grey with")):
        end = data.rindex(b"IEND") - 4
        with opened(io.BytesIO(data[:end] + told + data[end:]), "x") as image:
            kind = kind_of(image, "x")
        assert kind.deep
        assert kind.turned
        assert kind.name.startswith(name)
        assert kind.grey == (name != "RGB")


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("how", PLACES)
def test_orientation_is_followed_wherever_it_is_written(how, turn, tmp_path):
    path = tmp_path / f"image{PLACES[how]}"
    path.write_bytes(turned(how, turn))
    with open_picture(path) as image:
        kind = kind_of(image, "x")
    assert (kind.rows, kind.columns, kind.turned) == (4, 3, turn != 1)
    found, done = read_picture(path, Preparation(4, 3, "grey"))
    np.testing.assert_array_equal(found[..., 0], GREY)
    assert done == ""


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("how", [how for how in PLACES if "xmp" in how])
def test_orientation_is_followed_however_xmp_has_it(how, spelling):
    found = pixels_of(turned(how, 6, SPELLINGS[spelling]), Preparation(4, 3, "grey"))
    np.testing.assert_array_equal(found[..., 0], GREY)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_orientation_in_xmp_of_jpeg(spelling):
    levels = np.repeat([[0, 0, 200, 200]] * 8, 4, axis=1)  # 8 x 16, dark at the left
    xmp = (SPELLINGS[spelling] % 6).encode()
    found = pixels_of(
        encoded(picture(levels.astype(np.uint8)), "JPEG", xmp=xmp), Preparation(16, 8, "grey")
    )
    assert found[:7].max() < 20  # above
    assert found[9:].min() > 180


def test_an_image_that_says_twice_how_it_is_turned_is_turned_once():
    xmp = (SPELLINGS["single quotes"] % 6).encode()
    data = encoded(picture(TURNS[6]), "TIFF", tiffinfo={274: 6, 700: xmp})
    np.testing.assert_array_equal(pixels_of(data, Preparation(4, 3, "grey"))[..., 0], GREY)
    exif = Image.Exif()
    exif[274] = 3  # which counts more
    data = encoded(picture(TURNS[3]).convert("RGB"), "WEBP", lossless=True, exif=exif, xmp=xmp)
    np.testing.assert_array_equal(pixels_of(data, Preparation(4, 3, "grey"))[..., 0], GREY)


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (100, 255), (255, 0), (250, 0)])
def test_a_white_drawing_on_nothing_is_put_on_black(ink, paper, tmp_path):
    drawing = np.zeros((4, 3, 4), np.uint8)
    drawing[1:3, 1] = ink, ink, ink, 255
    Image.fromarray(drawing).save(tmp_path / "image.png")
    found = read_picture(tmp_path / "image.png", Preparation(4, 3, "grey"))[0][..., 0]
    np.testing.assert_array_equal(found, np.where(drawing[..., 3] == 255, ink, paper))


def test_an_image_of_which_nothing_shows_is_white(tmp_path):
    for ink in (0, 255):
        Image.fromarray(np.full((4, 3, 4), (ink, ink, ink, 0), np.uint8)).save(tmp_path / "i.png")
        assert (read_picture(tmp_path / "i.png", Preparation(4, 3, "grey"))[0] == 255).all()


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.zeros((4, 3), np.float32), "floating-point levels"),
        (np.zeros((4, 3), np.int32), "levels of 32 bits"),
    ],
)
def test_levels_of_which_none_is_white_are_refused_by_name(image, found, tmp_path):
    path = tmp_path / "image.tif"
    Image.fromarray(image).save(path)
    message = f"image.tif: expected 8 or 16 bits a channel, found {found}: nothing says which"
    with pytest.raises(PictureError, match=message):
        read_picture(path, SAME)


LEVELS = np.arange(0, 240, 20).reshape(4, 3)
DEEP_LEVELS = LEVELS * 257
SIGNED = [(339, 3, [2])]
_BACKWARDS = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], 1)[:, ::-1], 1)[
    :, 0
]


def _grey(levels, photometric=1, **options):
    return tiff(np.asarray(levels)[..., None], photometric, **options)


def _packed12(levels):
    """Two levels in three bytes; each row begins a byte."""
    bits = ["".join(f"{level:012b}" for level in row) for row in levels]
    rows = [row + "0" * (-len(row) % 8) for row in bits]
    return b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)


def _clear_png(bits, levels, clear):
    """A PNG file of grey of some bits with one level that is clear."""
    rows = ["".join(f"{level:0{bits}b}" for level in row) for row in levels]
    rows = [row + "0" * (-len(row) % 8) for row in rows]
    raw = b"".join(b"\0" + int(row, 2).to_bytes(len(row) // 8) for row in rows)
    header = struct.pack(">IIBBBBB", levels.shape[1], len(levels), bits, 0, 0, 0, 0)
    chunks = png(b"IHDR", header) + png(b"tRNS", struct.pack(">H", clear))
    return b"\x89PNG\r\n\x1a\n" + chunks + png(b"IDAT", zlib.compress(raw)) + png(b"IEND", b"")


def _deep_png(kind, pixels, clear=()):
    """A PNG file of 16 bits a channel; clear: one colour that is."""
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", 3, 4, 16, kind, 0, 0, 0)
    chunks = png(b"IHDR", header)
    if clear:
        chunks += png(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    return b"\x89PNG\r\n\x1a\n" + chunks + png(b"IDAT", zlib.compress(raw)) + png(b"IEND", b"")


SMALL = np.arange(12).reshape(4, 3)

RAW = {
    # name: (bytes, the levels that are looked at, or what the message says)
    "8 bits": (_grey(LEVELS), LEVELS),
    "8 bits, 0 is white": (_grey(255 - LEVELS, 0), LEVELS),
    "8 bits, the lowest first": (_grey(_BACKWARDS[LEVELS], tags=[(266, 3, [2])]), LEVELS),
    "16 bits": (_grey(DEEP_LEVELS, bits=16), LEVELS),
    "16 bits, the first byte highest": (_grey(DEEP_LEVELS, bits=16, order=">"), LEVELS),
    "16 bits, 0 is white": (
        _grey(65535 - DEEP_LEVELS, 0, bits=16, tags=[(339, 3, [1])]),
        LEVELS,
    ),
    "12 bits": (
        _grey(LEVELS, tags=[(258, 3, [12])], pack=lambda _: _packed12(LEVELS * 16)),
        "found 12 bits: nothing says which",
    ),
    "signed, 8 bits": (_grey(LEVELS - 128, tags=SIGNED), "found signed levels: nothing"),
    "signed, 16 bits": (
        _grey(DEEP_LEVELS - 32768, bits=16, tags=SIGNED),
        "found signed levels: nothing",
    ),
    "signed, 8 bits, in colours": (
        tiff(COLOUR.astype(int) - 128, 2, tags=[(339, 3, [2, 2, 2])]),
        "found signed levels: nothing",
    ),
    "signed, 16 bits, in colours": (
        tiff(COLOUR.astype(int) - 128, 2, bits=16, order=">", tags=[(339, 3, [2, 2, 2])]),
        "found signed levels: nothing",
    ),
    "32 bits, in colours": (tiff(COLOUR, 2, bits=32), "found levels of 32 bits: nothing"),
    "64 bits": (_grey(LEVELS, bits=64), "found levels of 64 bits: nothing"),
    "24 bits": (_grey(LEVELS, tags=[(258, 3, [24])]), "found levels of 24 bits: nothing"),
    **{
        f"{size} bits, floating point, {name}": (
            tiff(pixels, kind, bits=size, tags=[(339, 3, [3])]),
            "found floating-point levels: nothing",
        )
        for size in (16, 32, 64)
        for name, kind, pixels in (("grey", 1, LEVELS[..., None]), ("in colours", 2, COLOUR))
    },
    "complex": (_grey(LEVELS, bits=64, tags=[(339, 3, [6])]), "found complex levels: nothing"),
    "grey and alpha of 16 bits": (
        tiff(COLOUR[..., :2], 1, bits=16, tags=[(338, 3, [2])]),
        "found grey in 2 uncompressed channels of 16 bits: save it as PNG",
    ),
    "grey and another channel": (
        tiff(COLOUR[..., :2], 1, tags=[(338, 3, [0])]),
        "found grey in 2 uncompressed channels of 8 bits, 1 of them without a stated meaning: save",
    ),
    "RGB and another channel": (
        tiff(COLOUR[..., [0, 1, 2, 0]], 2, tags=[(338, 3, [0])]),
        "found RGB in 4 uncompressed channels of 8 bits, 1 of them without a stated meaning: save",
    ),
    "RGB and another channel, 16 bits": (
        tiff(COLOUR[..., [0, 1, 2, 0]], 2, bits=16, tags=[(338, 3, [0])]),
        "found RGB in 4 uncompressed channels of 16 bits, 1 of them without a stated meaning: save",
    ),
    "RGB, alpha and another channel": (
        tiff(COLOUR[..., [0, 1, 2, 0, 1]], 2, tags=[(338, 3, [2, 0])]),
        "found RGB in 5 uncompressed channels of 8 bits, 1 of them without a stated meaning: save",
    ),
    "CMYK and another channel": (
        tiff(COLOUR[..., [0, 1, 2, 0, 1]], 5, tags=[(338, 3, [0])]),
        "found CMYK in 5 uncompressed channels of 8 bits, 1 of them without a stated meaning: save",
    ),
    "BigTIFF, the highest byte first": (
        struct.pack(">2sHHHQ", b"MM", 43, 8, 0, 16) + bytes(64),
        "found BigTIFF with the highest byte of each number first: save it as PNG",
    ),
    "packed in an unknown way": (
        _grey(LEVELS, tags=[(259, 3, [34933])]),
        "found compression 34933: save it as PNG",
    ),
    "half the levels of colour": (
        tiff(COLOUR, 6, tags=[(530, 3, [2, 1])]),
        "found YCbCr in 3 uncompressed channels of 8 bits, fewer of colour: save it as PNG",
    ),
    **{
        f"clear grey of {bits} bits": (
            _clear_png(bits, SMALL % 2**bits, clear),
            np.where(SMALL % 2**bits == clear, 255, SMALL % 2**bits * (255 // (2**bits - 1))),
        )
        for bits, clear in ((1, 1), (2, 2), (4, 2), (8, 2))
    },
    # of two levels with the same high byte one is clear
    "clear grey of 16 bits": (
        _deep_png(0, np.where(LEVELS == 40, 40 * 257 + 1, DEEP_LEVELS), (60 * 257,)),
        np.where(LEVELS == 60, 255, LEVELS),
    ),
    "clear grey of 16 bits that is not there": (_deep_png(0, DEEP_LEVELS, (60 * 256,)), LEVELS),
    "clear colour of 16 bits": (
        _deep_png(2, np.repeat(DEEP_LEVELS[..., None], 3, 2), (1, 2, 3)),
        "found one transparent colour of 16 bits a channel: save it with 8 bits",
    ),
}


@pytest.mark.parametrize("name", RAW)
def test_levels_are_read_as_the_file_means_them_or_refused(name):
    data, expected = RAW[name]
    how = Preparation(4, 3, "grey")
    if isinstance(expected, str):
        with pytest.raises(PictureError, match=re.escape(expected)):
            pixels_of(data, how)
        told = pytest.raises(PictureError, match=re.escape(expected))
        with told, quiet(), opened(io.BytesIO(data), "x") as image:
            kind_of(image, "x")
    else:
        np.testing.assert_array_equal(pixels_of(data, how)[..., 0], expected)


def _over_white(colour, alpha):
    return colour * alpha / 255 + 255 - alpha


PACKED = {"uncompressed": (1, bytes), "deflate": (8, zlib.compress)}
REFUSED = {  # of planes: which Pillow decodes to other colours
    ("RGB", 16, "uncompressed"),
    ("RGB and alpha", 16, "uncompressed"),
    ("CMYK", 16, "uncompressed"),
    ("grey and alpha", 8, "uncompressed"),
    ("grey and alpha", 8, "deflate"),
    ("RGB, the lowest bit first", 8, "uncompressed"),
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize(
    "name", ["RGB", "RGB and alpha", "CMYK", "grey and alpha", "RGB, the lowest bit first"]
)
def test_planes_are_read_as_channels_are_or_refused(name, planar, bits, packing, order):
    rng = np.random.default_rng(0)
    photometric, count = {"R": (2, 3), "C": (5, 4), "g": (1, 2)}[name[0]]
    count += name == "RGB and alpha"
    given = rng.integers(0, 256, (5, 7, count))
    compression, pack = PACKED[packing]
    tags = [(259, 3, [compression])] + [(338, 3, [2])] * ("alpha" in name)
    if "lowest" in name:
        tags.append((266, 3, [2]))
        pack = _backwards(pack)
    data = tiff(given * (257 if bits == 16 else 1), photometric, bits, order, planar, tags, pack)
    if (planar == 2 and (name, bits, packing) in REFUSED) or _unread(name, bits):
        with pytest.raises(PictureError, match="expected a TIFF file as Pillow reads it, found "):
            pixels_of(data, Preparation(5, 7, "rgb"))
        return
    expected = given
    if "alpha" in name:
        expected = _over_white(given[..., :-1], given[..., -1:])
    if name == "CMYK":
        expected = (255 - given[..., :3]) * (255 - given[..., 3:]) / 255
    found = pixels_of(data, Preparation(5, 7, "rgb"))
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1.01)


def _backwards(pack):
    """Bits of each byte the other way round."""
    return lambda data: _BACKWARDS[np.frombuffer(pack(data), np.uint8)].tobytes()


def _unread(name, bits):
    """What Pillow does not read in channels either."""
    return bits == 16 and name in ("grey and alpha", "RGB, the lowest bit first")


def test_grey_that_is_multiplied_by_its_alpha_is_put_on_white():
    alpha = np.maximum(COLOUR[..., 1], 1)
    grey = COLOUR[..., 0] % (alpha.astype(int) + 1)
    data = tiff(np.stack([grey, alpha], 2), 1, tags=[(338, 3, [1])])
    found = pixels_of(data, Preparation(4, 3, "grey"))[..., 0]
    np.testing.assert_allclose(found, grey + 255 - alpha.astype(int), atol=1)


# ------------------------------------------------------------------------------------------- fits


def test_how_images_of_another_shape_get_the_size(tmp_path):
    wide = np.repeat(np.repeat([[0, 60, 120, 180]], 20, axis=1), 40, axis=0)  # 40 x 80
    path = save(tmp_path / "wide.png", wide)
    cropped, done = read_picture(path, Preparation(4, 4, "grey", "crop"))
    assert done == "resized from 40x80"
    np.testing.assert_allclose(cropped[0, [0, 3], 0], [60, 120], atol=15)
    padded, _ = read_picture(path, Preparation(4, 4, "grey", "pad"))
    assert padded[[0, 3]].min() == 255  # white above and below
    np.testing.assert_allclose(padded[1, :, 0], [0, 60, 120, 180], atol=15)
    stretched, _ = read_picture(path, Preparation(4, 4, "grey", "stretch"))
    np.testing.assert_allclose(stretched[:, :, 0], [[0, 60, 120, 180]] * 4, atol=15)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rows": 0, "columns": 4}, "rows is 0, expected a whole"),
        ({"rows": 4, "columns": 5000}, "columns is 5000, expected a whole number from 1 to 4096"),
        ({"rows": 4, "columns": 4, "colour": "blue"}, "colour is 'blue', expected grey or rgb"),
        ({"rows": 4, "columns": 4, "fit": "bend"}, "fit is 'bend', expected crop, pad or stretch"),
        ({"rows": 4, "columns": 4, "fit": "figure"}, "colour is 'rgb', expected grey, as a figure"),
    ],
)
def test_a_preparation_that_makes_no_sense(given, message):
    with pytest.raises(InputError, match=message):
        Preparation(**given)


# ----------------------------------------------------------------------------------------- digits


def _figure(stroke, ground, shape, box):
    """A bar of a level on a ground; box: rows and columns that it covers."""
    image = np.full(shape, ground, np.uint8)
    image[box] = stroke
    return image


FIGURE = Preparation(28, 28, "grey", "figure")
HOW = " (box, 20 pixels, centre of mass)"


@pytest.mark.parametrize(
    ("stroke", "ground", "said"),
    [(20, 240, "dark on light, prepared as a digit of MNIST"), (250, 5, "prepared as a digit")],
)
def test_a_figure_is_put_where_those_of_mnist_are(stroke, ground, said, tmp_path):
    image = _figure(stroke, ground, (300, 400), (slice(30, 130), slice(200, 240)))
    found, done = read_picture(save(tmp_path / "one.png", image), FIGURE)
    assert done.startswith(said)
    assert done.endswith("(box, 20 pixels, centre of mass)")
    ink = found[..., 0].astype(float)
    down, across = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    assert (np.ptp(down) + 1, np.ptp(across) + 1) == (20, 8)  # 100 x 40 scaled by a fifth
    assert ink.max() == 255
    places = np.indices(ink.shape)
    assert abs((places[0] * ink).sum() / ink.sum() - 14) <= 0.51  # as in MNIST
    assert abs((places[1] * ink).sum() / ink.sum() - 14) <= 0.51


def test_an_image_as_those_of_mnist_keeps_its_bits(tmp_path):
    digits = datasets.load("mnist").test.images[:50, ..., 0]
    for n, digit in enumerate(digits):
        found, done = read_picture(save(tmp_path / f"{n}.png", digit), FIGURE)
        assert done == ""
        np.testing.assert_array_equal(found[..., 0], digit)
        found, done = read_picture(save(tmp_path / f"{n}.png", 255 - digit), FIGURE)
        assert done == "dark on light, inverted"
        np.testing.assert_array_equal(found[..., 0], digit)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", ["png", "uint8", "float"])
def test_a_digit_elsewhere_in_28_pixels_is_placed(kind, dark, tmp_path):
    off = []
    for n, digit in enumerate(datasets.load("mnist").test.images[:20, ..., 0]):
        moved = np.roll(digit, (-3, 3), (0, 1))
        moved = 255 - moved if dark else moved
        if kind == "png":
            found, done = read_picture(save(tmp_path / f"{n}.png", moved), FIGURE)
        else:
            np.save(tmp_path / "x.npy", moved if kind == "uint8" else moved / np.float32(255))
            found, done, _ = read_prepared(tmp_path / "x.npy", FIGURE)
        white = 1 if kind == "float" else 255
        assert done == f"{'dark on light, ' * dark}prepared as a digit of MNIST{HOW}"
        off.append(np.abs(found.reshape(28, 28) * (255 / white) - digit.astype(float)).mean())
    assert np.median(off) < 8  # a pixel to the side some have 25, three pixels 45


def test_a_float_digit_in_place_keeps_its_bits(tmp_path):
    digits = datasets.load("mnist").test.images[:20] / np.float32(255)
    np.save(tmp_path / "x.npy", digits * np.float32(0.97))
    found = read_prepared(tmp_path / "x.npy", FIGURE)
    np.testing.assert_array_equal(found.images, digits * np.float32(0.97))
    assert found.done == ""


def test_data_of_such_figures_are_known_by_their_images():
    mnist = datasets.load("mnist")
    assert mnist.preparation == FIGURE
    assert are_figures(mnist.test.images)
    assert are_figures(mnist.test.images / np.float32(255))
    assert not are_figures(255 - mnist.test.images)
    assert not are_figures(np.roll(mnist.test.images, 3, axis=1))
    assert not are_figures(np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), np.uint8))
    assert datasets.load("digits").preparation is None


def test_enlarged_digits_in_a_frame_come_back_nearly(tmp_path):
    digits = datasets.load("mnist").test.images[:50, ..., 0]
    off = []
    for n, digit in enumerate(digits):
        page = np.full((500, 400), 255, np.uint8)
        large = picture(digit).resize((140, 140), Image.Resampling.BICUBIC)
        page[300:440, 60:200] = 255 - np.asarray(large)
        found, _ = read_picture(save(tmp_path / f"{n}.png", page), FIGURE)
        off.append(np.abs(found[..., 0].astype(float) - digit).mean())
    # of two different digits of the set it is some 30 levels
    assert np.median(off) < 8


def test_dark_digits_of_arrays_are_inverted_as_those_of_files(tmp_path):
    digits = datasets.load("mnist").test.images[:3]
    for given, said in (
        (digits, ""),
        (255 - digits, "dark on light, inverted"),
        (np.stack([255 - digits[0], digits[1], digits[2]]), "1 of 3 dark on light, inverted"),
    ):
        np.save(tmp_path / "x.npy", given)
        found = read_prepared(tmp_path / "x.npy", FIGURE)
        np.testing.assert_array_equal(found.images, digits)
        assert found.done == said
    as_they_are = datasets.read_images(tmp_path / "x.npy", (28, 28, 1))
    np.testing.assert_array_equal(as_they_are, given)


@pytest.mark.parametrize("kind", ["light falls off", "noise", "frame", "specks", "bright"])
def test_a_figure_is_found_on_paper_as_it_is(kind, tmp_path):
    rng = np.random.default_rng(0)
    off = []
    for digit in datasets.load("mnist").test.images[:12, ..., 0]:
        large = np.asarray(picture(digit).resize((100, 100), Image.Resampling.BICUBIC)) / 255
        page = np.full((240, 280), 240.0)
        if kind == "light falls off":
            page -= np.linspace(0, 100, 280)
        page[100:200, 60:160] *= 1 - 0.9 * large
        if kind == "noise":
            page += rng.normal(0, 15, page.shape)
        if kind == "frame":
            page = np.pad(page, 10)
        if kind == "specks":
            page[20:24, 250:254] = page[230:233, 30:33] = 0
        page = np.clip(page, 0, 255).astype(np.uint8)
        page = 255 - page if kind == "bright" else page
        found, done = read_picture(save(tmp_path / "page.png", page), FIGURE)
        assert ("dark on light" in done) == (kind != "bright")
        off.append(np.abs(found[..., 0].astype(float) - digit).mean())
    assert np.median(off) < 9  # of two different digits of the set it is some 30 levels


@pytest.mark.parametrize("size", [60, 28])
@pytest.mark.parametrize("kind", ["blank", "nearly blank", "shaded", "noise"])
def test_where_there_is_no_figure_that_is_said(kind, size, tmp_path):
    rng = np.random.default_rng(0)
    page = np.full((size, size), 128)
    if kind == "nearly blank":
        page += rng.integers(0, 20, page.shape)
    if size == 60 and kind == "shaded":
        page += np.linspace(0, 100, size, dtype=int)
    if size == 60 and kind == "noise":
        page = rng.integers(0, 256, page.shape)
    found, done = read_picture(save(tmp_path / "flat.png", page), FIGURE)
    assert done == "no figure found" + (", resized from 60x60" if size == 60 else "")
    if kind == "blank":
        assert (found == 128).all()


# ---------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize("name", KINDS)
def test_a_file_cut_anywhere_is_refused_or_read_whole(name):
    _, data, expected, _ = KINDS[name]
    how = Preparation(*expected.shape[:2], "rgb")
    whole = pixels_of(data, how)
    refused = 0
    for length in range(len(data)):
        try:
            found = pixels_of(data[:length], how)
        except PictureError:
            refused += 1
        else:
            np.testing.assert_array_equal(found, whole)
    assert refused > len(data) / 3


@pytest.mark.parametrize("size", [(8193, 8192), (20000, 20000), (1 << 30, 1 << 30)])
def test_a_bomb_of_dimensions_is_refused_by_its_header(size, tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(huge_png(*size))
    with pytest.raises(DataError, match=r"bomb.png: expected .*(pixels, found|bomb)"):
        read_picture(path, SAME)


def test_a_bomb_of_scans_is_refused_by_its_number_of_them(tmp_path):
    """A progressive JPEG file goes over all pixels once for each of its scans."""
    whole = encoded(picture(np.zeros((2000, 2000), np.uint8)), "JPEG", progressive=True)
    at = whole.rindex(b"\xff\xda")
    scan, end = whole[at:-2], whole[-2:]
    path = tmp_path / "bomb.jpg"
    path.write_bytes(whole[:at] + scan * 5000 + end)
    with pytest.raises(DataError, match=r"bomb.jpg: expected fewer scans of 2000 x 2000 pixels"):
        read_picture(path, SAME)


HOSTILE = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from convlet import ConvletError, datasets
try:
    print(datasets.load(sys.argv[1] if len(sys.argv) > 1 else {place!r}))
except ConvletError as error:
    print(type(error).__name__, error)
"""


def test_hostile_folders_end_within_memory_and_time(tmp_path):
    """With 3 GB of addresses and a minute of the processor: one process for all of them."""
    from PIL import PngImagePlugin

    place = tmp_path / "photos"
    for label in "ab":
        for n in range(3):
            save(place / label / f"{n}.png", GREY)
    wrong = {
        "header.png": huge_png(60000, 60000),
        "packed.png": _packed(),
        "text.jpg": b"this is no image",
        "empty.gif": b"",
        "model.webp": encoded(picture(COLOUR), "PPM"),
        "frames.gif": _many_frames(),
    }
    info = PngImagePlugin.PngInfo()
    for n in range(90):  # 90 MB of text in 90 kB
        info.add_text(f"key{n}", "x" * (1 << 20), zip=True)
    wrong["text.png"] = encoded(picture(GREY), "PNG", pnginfo=info)
    for name, data in wrong.items():
        (place / "b" / name).write_bytes(data)
    said = children.output(HOSTILE.format(place=str(place)))
    assert said.startswith("DataError")
    fine = "frames.gif"  # small, and the first frame is whole
    for name in wrong:
        assert (f"b/{name}: " in said) == (name != fine), said


def _packed():
    """A PNG file of 64 million pixels in 64 kB, which is allowed, but cut off."""
    return encoded(Image.new("L", (8192, 8192)), "PNG")[:-2000]


def _many_frames():
    """200,000 frames of a pixel."""
    head = encoded(Image.new("P", (3, 4)), "GIF")
    frame = head[head.index(b",") : head.rindex(b";")]
    return head[:-1] + frame * 200_000 + b";"
