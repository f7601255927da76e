"""Folders of images, and single images for a prediction."""

import os
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest

from convlet import DataError, FileError, InputError, MissingDependencyError, datasets

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 3), np.uint8)
COLOUR = RNG.integers(0, 256, (4, 3, 3), np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


def class_folder(folder, count, start):
    """Images whose pixels are all start, start + 1, ..."""
    for n in range(count):
        save(folder / f"image-{n:02}.png", np.full((4, 3), start + n))


def huge_png(columns, rows):
    """The PNG header of an image that has no pixels in the file."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(9)))


# folders


def test_class_folders_are_divided_by_every_fifth(tmp_path):
    class_folder(tmp_path / "birds" / "owl", 11, 100)
    class_folder(tmp_path / "birds" / "jay", 5, 0)
    (tmp_path / "birds" / "README").write_text("is not looked at")
    (tmp_path / "birds" / "owl" / ".DS_Store").write_text("nor is this")
    (tmp_path / "birds" / "jay" / "Thumbs.db").write_text("nor this")
    data = datasets.load(tmp_path / "birds")
    assert data.name == "birds"
    assert data.classes == ("jay", "owl")
    assert data.train.images.shape == (13, 4, 3, 1)
    assert data.train.images.dtype == np.uint8
    owls = [100, 101, 102, 103, 105, 106, 107, 108, 110]
    assert data.train.images[:, 1, 2, 0].tolist() == [0, 1, 2, 3, *owls]
    assert data.train.labels.tolist() == [0] * 4 + [1] * 9
    assert data.test.images[:, 3, 0, 0].tolist() == [4, 104, 109]
    assert data.test.labels.tolist() == [0, 1, 1]


def test_a_class_folder_whose_name_is_no_unicode_is_refused(tmp_path):
    class_folder(tmp_path / "good", 5, 0)
    bad = tmp_path / os.fsdecode(b"caf\xe9")  # Latin-1, not UTF-8
    try:
        class_folder(bad, 5, 0)
    except (OSError, UnicodeError):
        pytest.skip("this file system knows Unicode only")
    expected = r"expected class folders with names in valid Unicode, found 'caf\\udce9': rename it"
    with pytest.raises(DataError, match=expected):
        datasets.load(tmp_path)


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, GREY),
        (2, GREY[:, ::-1]),
        (3, GREY[::-1, ::-1]),
        (6, np.rot90(GREY)),  # the camera was turned: a viewer turns the pixels clockwise
        (8, np.rot90(GREY, -1)),
    ],
)
def test_pictures_are_turned_as_their_exif_data_say(tmp_path, orientation, stored):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "turned.png", stored, exif=exif)
    np.testing.assert_array_equal(datasets.read_image(path, (4, 3))[..., 0], GREY)
    path = save(tmp_path / "turned.jpg", stored, exif=exif, quality=100)
    np.testing.assert_allclose(datasets.read_image(path, (4, 3))[..., 0], GREY, atol=4)
    for name in "ab":
        for n in range(5):
            save(tmp_path / "data" / name / f"{n}.png", stored, exif=exif)
    data = datasets.load(tmp_path / "data")
    np.testing.assert_array_equal(data.test.images[1, ..., 0], GREY)


def test_train_and_test_folders(tmp_path):
    rows = {("train", "b"): COLOUR, ("train", "a"): 255 - COLOUR, ("test", "b"): COLOUR // 2}
    for (part, name), pixels in rows.items():
        save(tmp_path / part / name / "one.png", pixels)
    (tmp_path / "validation").mkdir()
    data = datasets.load(tmp_path)
    assert data.classes == ("a", "b")
    np.testing.assert_array_equal(data.train.images, [255 - COLOUR, COLOUR])
    assert data.train.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(data.test.images, [COLOUR // 2])
    assert data.test.labels.tolist() == [1]


def test_numbers_as_classes_are_sorted_by_value(tmp_path):
    for n in (10, 2, 0):
        class_folder(tmp_path / str(n), 5, n)
    data = datasets.load(tmp_path)
    assert data.classes == ("0", "2", "10")
    assert data.test.images[:, 0, 0, 0].tolist() == [4, 6, 14]


def test_jpeg_and_bmp(tmp_path):
    flat = np.full((8, 8), 77, np.uint8)  # JPEG keeps a flat image exactly
    for name in ("a", "b"):
        save(tmp_path / "train" / name / "x.JPG", flat)
        save(tmp_path / "test" / name / "x.bmp", flat)
    data = datasets.load(tmp_path)
    assert (data.train.images == 77).all()
    assert (data.test.images == 77).all()


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (np.zeros((3, 4)), "3 x 4, mode L"),
        (np.zeros((4, 3, 3)), "4 x 3, mode RGB"),
        (np.zeros((4, 3, 4)), "4 x 3, mode RGBA"),
    ],
)
def test_another_size_or_mode_is_refused(tmp_path, pixels, found):
    class_folder(tmp_path / "a", 5, 0)
    class_folder(tmp_path / "b", 5, 0)
    odd = save(tmp_path / "b" / "image-03.png", pixels)
    message = f"{odd}: expected 4 x 3 pixels, mode L, as in .*a/image-00.png, found {found}"
    with pytest.raises(DataError, match=message):
        datasets.load(tmp_path)


def test_a_mode_without_reading_is_refused(tmp_path):
    class_folder(tmp_path / "a", 5, 0)
    save(tmp_path / "a" / "image-00.png", np.zeros((4, 3, 4)))
    with pytest.raises(DataError, match=r"image-00.png: expected mode L .* or RGB, found RGBA"):
        datasets.load(tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: class_folder(f / "a", 4, 0), "a: expected at least 5 images, .*found 4"),
        (lambda f: (f / "a").mkdir(), "a: expected images of this class, found none"),
        (lambda f: save(f / "x.png", GREY), "x.png: expected images in one folder for each"),
        (lambda f: class_folder(f / "a", 9, 0), "at least two classes, found one"),
        (lambda f: class_folder(f / "train" / "a", 9, 0), "both folders train and test, found o"),
        (
            lambda f: [class_folder(f / p, 5, 0) for p in ("train/a", "train/b", "test/c")],
            "test: expected classes of the training images, found c",
        ),
        (
            lambda f: [class_folder(f / "a", 5, 0), (f / "a" / "x.tif").write_text("")],
            "x.tif: expected an image .*found something else",
        ),
        (
            lambda f: [class_folder(f / "a", 5, 0), (f / "a" / "b").mkdir()],
            "a/b: expected an image .*found something else",
        ),
    ],
)
def test_another_layout_is_refused(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(DataError, match=message):
        datasets.load(tmp_path)


def test_damaged_and_disguised_images_are_refused(tmp_path):
    class_folder(tmp_path / "a", 5, 0)
    class_folder(tmp_path / "b", 5, 0)
    path = save(tmp_path / "b" / "image-02.png", RNG.integers(0, 256, (4, 3), np.uint8))
    whole = path.read_bytes()
    end = whole.index(b"IEND") - 4  # what follows holds no pixels
    for data in [b"", b"no image", *(whole[:length] for length in range(8, end - 8, 5))]:
        path.write_bytes(data)
        with pytest.raises(DataError, match=f"{path}: expected a whole PNG, JPEG, BMP image"):
            datasets.load(tmp_path)
    Image.fromarray(GREY).save(path, format="TIFF")
    with pytest.raises(DataError, match="another format"):
        datasets.load(tmp_path)


@pytest.mark.parametrize("size", [(8193, 8192), (20000, 20000), (1 << 30, 1 << 30)])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(huge_png(*size))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"bomb.png: expected .*(pixels, found|bomb)"):
            datasets.read_image(path, (28, 28, 1), resize=True)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_many_large_images_are_refused_before_memory_is_taken(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for n in range(50):
            (tmp_path / name / f"{n}.png").write_bytes(huge_png(8000, 8000))
    with pytest.raises(DataError, match=r"at most 4294967296 bytes, found images \(80, 8000, 8000"):
        datasets.load(tmp_path)


def test_pillow_is_named_if_it_is_missing(tmp_path, monkeypatch):
    class_folder(tmp_path / "a", 5, 0)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match=r'Pillow.*pip install "convlet\[data\]"'):
        datasets.load(tmp_path)
    with pytest.raises(MissingDependencyError, match="Pillow"):
        datasets.read_image(tmp_path / "a" / "image-00.png", (4, 3, 1))


# single images


def test_a_grey_and_a_colour_image(tmp_path):
    grey, colour = save(tmp_path / "grey.png", GREY), save(tmp_path / "colour.png", COLOUR)
    np.testing.assert_array_equal(datasets.read_image(grey, (4, 3)), GREY[..., None])
    np.testing.assert_array_equal(datasets.read_image(str(colour), (4, 3, 3)), COLOUR)
    # grey to colour repeats the value, colour to grey is ITU-R 601 luma
    np.testing.assert_array_equal(
        datasets.read_image(grey, (4, 3, 3)), np.repeat(GREY[..., None], 3, axis=2)
    )
    luma = COLOUR @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(datasets.read_image(colour, (4, 3, 1))[..., 0], luma, atol=0.51)
    images = datasets.read_images(grey, (4, 3, 1))
    assert images.shape == (1, 4, 3, 1)
    assert images.dtype == np.uint8


def test_black_and_white_and_palette_images(tmp_path):
    pixels = np.where(GREY > 127, 255, 0).astype(np.uint8)
    Image.fromarray(pixels).convert("1").save(tmp_path / "bits.png")
    Image.fromarray(pixels).convert("P").save(tmp_path / "palette.png")
    for name in ("bits.png", "palette.png"):
        np.testing.assert_array_equal(
            datasets.read_image(tmp_path / name, (4, 3, 1))[..., 0], pixels
        )


def test_another_size_is_refused_or_resized(tmp_path):
    path = save(tmp_path / "image.png", np.full((10, 20), 99))
    message = r"expected 4 x 3 pixels .*found 10 x 20: .*resize=True \(--resize\)"
    with pytest.raises(DataError, match=message):
        datasets.read_image(path, (4, 3, 1))
    np.testing.assert_array_equal(
        datasets.read_image(path, (4, 3, 1), resize=True), np.full((4, 3, 1), 99)
    )
    halves = save(tmp_path / "halves.png", np.repeat([[0] * 40, [255] * 40], 20, axis=0))
    resized = datasets.read_image(halves, (4, 2, 3), resize=True)
    assert resized.shape == (4, 2, 3)
    assert resized[0].max() < 20
    assert resized[3].min() > 235


def test_transparent_pixels_are_refused(tmp_path):
    opaque = np.concatenate([COLOUR, np.full((4, 3, 1), 255, np.uint8)], axis=2)
    path = save(tmp_path / "image.png", opaque)
    np.testing.assert_array_equal(datasets.read_image(path, (4, 3, 3)), COLOUR)
    opaque[2, 1, 3] = 254
    with pytest.raises(DataError, match=r"image\.png: expected an opaque image, found transp"):
        datasets.read_image(save(path, opaque), (4, 3, 3))
    save(path, GREY, transparency=int(GREY[0, 0]))
    with pytest.raises(DataError, match="transparent"):
        datasets.read_image(path, (4, 3, 1))


def test_16_bits_are_refused(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(GREY.astype(np.uint16) * 257).save(path)
    with pytest.raises(DataError, match=r"deep.png: expected 8-bit grey or RGB, found mode I"):
        datasets.read_image(path, (4, 3, 1))


def test_npy_with_one_image_or_several(tmp_path):
    path = tmp_path / "images.npy"
    stack = RNG.integers(0, 256, (5, 4, 3), np.uint8)
    for array, expected in [
        (GREY, GREY[None, ..., None]),
        (GREY[..., None], GREY[None, ..., None]),
        (stack, stack[..., None]),
        (np.asfortranarray(stack), stack[..., None]),
        (stack[..., None], stack[..., None]),
    ]:
        np.save(path, array)
        images = datasets.read_images(path, (4, 3, 1))
        assert images.dtype == np.uint8
        assert images.flags.c_contiguous
        np.testing.assert_array_equal(images, expected)
    with pytest.raises(DataError, match=r"images\.npy: expected one image, found 5"):
        datasets.read_image(path, (4, 3, 1))
    np.save(path, COLOUR)
    np.testing.assert_array_equal(datasets.read_image(path, (4, 3, 3)), COLOUR)
    np.save(path, np.stack([COLOUR, COLOUR]))
    assert datasets.read_images(path, (4, 3, 3)).shape == (2, 4, 3, 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_npy_of_floats_keeps_its_values(tmp_path, dtype):
    array = (np.stack([GREY, 1000.0 - GREY]) / 8).astype(dtype)
    np.save(tmp_path / "images.npy", array)
    images = datasets.read_images(tmp_path / "images.npy", (4, 3, 1))
    assert images.dtype == np.float32
    assert images.dtype.isnative
    np.testing.assert_array_equal(images[..., 0], array.astype(np.float32))


@pytest.mark.parametrize(
    ("array", "input_shape", "message"),
    [
        (GREY, (3, 4, 1), r"image of shape \(3, 4, 1\) or a stack .*found shape \(4, 3\)"),
        (GREY, (4, 3, 3), r"image of shape \(4, 3, 3\) .*found shape \(4, 3\)"),
        (COLOUR[None, None], (4, 3, 3), r"found shape \(1, 1, 4, 3, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), (4, 3, 1), r"found shape \(0, 4, 3\)"),
        (GREY.astype(int), (4, 3, 1), r"expected uint8 \(0 to 255\) or a float, found int64: save"),
        (GREY * np.nan, (4, 3, 1), r"image\.npy: expected finite float32 .*nan at position \(0,"),
        (GREY + 1e300, (4, 3, 1), r"expected finite float32 numbers, found inf at position"),
        (np.array([{}], object), (4, 3, 1), "Python objects, which are never loaded"),
    ],
)
def test_another_npy_is_refused(tmp_path, array, input_shape, message):
    np.save(tmp_path / "image.npy", array)
    with pytest.raises(DataError, match=message):
        datasets.read_images(tmp_path / "image.npy", input_shape, resize=True)


def test_a_cut_off_npy_is_refused(tmp_path):
    path = tmp_path / "image.npy"
    np.save(path, GREY)
    whole = path.read_bytes()
    for data in [*(whole[:length] for length in range(len(whole))), whole + b"\0"]:
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"image\.npy: expected"):
            datasets.read_images(path, (4, 3, 1))


def test_image_files_that_cannot_be_read(tmp_path):
    for name in ("none.png", "none.npy"):
        with pytest.raises(FileError, match=f"{name} cannot be read: No such file"):
            datasets.read_image(tmp_path / name, (4, 3, 1))
    with pytest.raises(FileError, match="found a folder"):
        datasets.read_image(tmp_path, (4, 3, 1))
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(FileError, match="device"):
        datasets.read_image(tmp_path / "pipe.png", (4, 3, 1))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match=r"expected a whole .* image, .* another format: convert"):
        datasets.read_image(tmp_path / "text.png", (4, 3, 1))


def test_an_input_shape_that_makes_no_sense(tmp_path):
    path = save(tmp_path / "image.png", GREY)
    with pytest.raises(InputError, match="input_shape is 28, expected"):
        datasets.read_image(path, 28)
    with pytest.raises(DataError, match=r"expected an .npy file, as the network takes 2 channels"):
        datasets.read_image(path, (4, 3, 2))
