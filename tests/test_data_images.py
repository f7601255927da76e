"""Single images for a prediction: image files, .npy files, and what is refused."""

import os

import numpy as np
import pytest

from convlet import DataError, FileError, InputError, datasets
from convlet.datasets.loading import load_tested
from convlet.preparation import Preparation
from image_files import COLOUR, GREY, RNG, save


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


def test_another_size_is_prepared_or_refused(tmp_path):
    path = save(tmp_path / "image.png", np.full((10, 20), 99))
    message = r"expected 4 x 3 pixels .*found another size \(resized from 10x20\): scale it, or"
    with pytest.raises(DataError, match=message):
        datasets.read_image(path, (4, 3, 1))
    found = datasets.read_image(path, Preparation(4, 3, "grey"))
    np.testing.assert_array_equal(found, np.full((4, 3, 1), 99))


def test_an_image_has_the_bits_that_it_had_in_training(tmp_path):
    for n in range(10):
        shape = (9 + n, 14 - n, 3) if n % 3 else (9, 9)
        save(tmp_path / "ab"[n % 2] / f"{n}.png", RNG.integers(0, 256, shape, np.uint8))
    for fit in ("crop", "pad", "stretch"):
        for colour in ("grey", "rgb"):
            data = load_tested(tmp_path, Preparation(8, 8, colour, fit))
            for n in range(10):
                found = datasets.read_image(tmp_path / "ab"[n % 2] / f"{n}.png", data.preparation)
                place = 5 * (n % 2) + n // 2  # classes one after the other
                np.testing.assert_array_equal(found, data.test.images[place])


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
        datasets.read_images(tmp_path / "image.npy", input_shape)


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
    with pytest.raises(DataError, match=r"expected a PNG, .* image, found no whole image: conv"):
        datasets.read_image(tmp_path / "text.png", (4, 3, 1))


def test_an_input_shape_that_makes_no_sense(tmp_path):
    path = save(tmp_path / "image.png", GREY)
    with pytest.raises(InputError, match="input_shape is 28, expected"):
        datasets.read_image(path, 28)
    with pytest.raises(DataError, match=r"expected an .npy file, as the network takes 2 channels"):
        datasets.read_image(path, (4, 3, 2))
