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
from convlet.datasets.encoded.pictures import PictureError, open_picture, opened, quiet
from convlet.datasets.encoded.pixels import prepared, read_picture
from convlet.datasets.figure import are_figures
from convlet.datasets.single import read_prepared
from convlet.preparation import Preparation
from image_files import (
    COLOUR,
    GREY,
    KINDS,
    PLACES,
    TURNS,
    Image,
    encoded,
    huge_png,
    picture,
    png,
    save,
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


def test_a_colour_profile_is_followed_and_srgb_is_left_as_it_is(tmp_path):
    from PIL import ImageCms

    usual = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "image.png"
    path.write_bytes(encoded(picture(COLOUR), "PNG", icc_profile=usual))
    np.testing.assert_array_equal(read_picture(path, SAME)[0], COLOUR)
    # one that calls red what others call green: its matrix has the columns exchanged
    swapped = _swapped(usual)
    path.write_bytes(encoded(picture(COLOUR), "PNG", icc_profile=swapped))
    found = read_picture(path, SAME)[0].astype(int)
    assert np.abs(found - COLOUR[..., [1, 0, 2]]).max() <= 3
    # of other colours, or damaged: as if there were none
    path.write_bytes(encoded(picture(GREY), "PNG", icc_profile=usual))
    np.testing.assert_array_equal(read_picture(path, SAME)[0][..., 0], GREY)
    path.write_bytes(encoded(picture(COLOUR), "PNG", icc_profile=b"no profile"))
    np.testing.assert_array_equal(read_picture(path, SAME)[0], COLOUR)


def _swapped(profile):
    """With the tags rXYZ and gXYZ exchanged, and another name."""
    data = bytearray(profile.replace(b"s\0R\0G\0B", b"o\0t\0h\0r").replace(b"sRGB", b"othr"))
    count = struct.unpack(">I", data[128:132])[0]
    for n in range(count):
        at = 132 + 12 * n
        name = bytes(data[at : at + 4])
        if name in (b"rXYZ", b"gXYZ"):
            data[at : at + 4] = b"gXYZ" if name == b"rXYZ" else b"rXYZ"
    return bytes(data)


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


def _tiff(bits, photometric, data, sample_format=None, channels=1):
    """The bytes of a TIFF file of 4 x 3 pixels in one strip, little-endian."""
    tags = {256: (4, 3), 257: (4, 4), 258: (3, bits), 259: (3, 1), 262: (3, photometric)}
    tags |= {277: (3, channels), 278: (4, 4), 279: (4, len(data))}
    if sample_format is not None:
        tags[339] = (3, sample_format)
    tags[273] = (4, 8 + 2 + 12 * (len(tags) + 1) + 4)
    body = struct.pack("<H", len(tags))
    for number, (kind, value) in sorted(tags.items()):
        body += struct.pack("<HHII", number, kind, 1, value)
    return b"II*\0" + struct.pack("<I", 8) + body + bytes(4) + data


def _packed12(levels):
    """Two levels in three bytes; each row begins a byte."""
    bits = ["".join(f"{level:012b}" for level in row) for row in levels]
    rows = [row + "0" * (-len(row) % 8) for row in bits]
    return b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)


def _deep_png(kind, pixels, clear):
    """A PNG file of 16 bits a channel with one colour that is clear."""
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", 3, 4, 16, kind, 0, 0, 0)
    chunks = png(b"IHDR", header) + png(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    return b"\x89PNG\r\n\x1a\n" + chunks + png(b"IDAT", zlib.compress(raw)) + png(b"IEND", b"")


RAW = {
    # name: (bytes, the levels that are looked at, or what the message says)
    "8 bits": (_tiff(8, 1, LEVELS.astype("u1").tobytes()), LEVELS),
    "8 bits, 0 is white": (_tiff(8, 0, (255 - LEVELS).astype("u1").tobytes()), LEVELS),
    "16 bits": (_tiff(16, 1, DEEP_LEVELS.astype("<u2").tobytes()), LEVELS),
    "16 bits, 0 is white": (
        _tiff(16, 0, (65535 - DEEP_LEVELS).astype("<u2").tobytes(), sample_format=1),
        LEVELS,
    ),
    "12 bits": (_tiff(12, 1, _packed12(LEVELS * 16)), "found 12 bits: nothing says which"),
    "signed, 8 bits": (
        _tiff(8, 1, (LEVELS - 128).astype("i1").tobytes(), sample_format=2),
        "found signed levels: nothing",
    ),
    "signed, 16 bits": (
        _tiff(16, 1, (DEEP_LEVELS - 32768).astype("<i2").tobytes(), sample_format=2),
        "found signed levels: nothing",
    ),
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
            _read(data, how)
        told = pytest.raises(PictureError, match=re.escape(expected))
        with quiet(), opened(io.BytesIO(data), "x") as image, told:
            kind_of(image, "x")
    else:
        np.testing.assert_array_equal(_read(data, how)[..., 0], expected)


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
    whole = _read(data, how)
    refused = 0
    for length in range(len(data)):
        try:
            found = _read(data[:length], how)
        except PictureError:
            refused += 1
        else:
            np.testing.assert_array_equal(found, whole)
    assert refused > len(data) / 3


def _read(data, how):
    with quiet(), opened(io.BytesIO(data), "x") as image:
        return prepared(image, how, "x")[0]


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
