"""Image files that are too dark to be meant so, and those of MNIST's figures, as data sets."""

import numpy as np
import pytest

from convlet import DataError, datasets
from convlet.datasets import figure
from convlet.datasets.loading import load_tested
from convlet.preparation import Preparation
from image_files import picture, save

RNG = np.random.default_rng(7)
PLACED = "figures are placed as in MNIST: predict does the same with image files"
INVERTED = "figures are dark on light: inverted, as those of MNIST are bright on black"


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CONVLET_CACHE", str(tmp_path_factory.mktemp("cache")))


def levels_in(folder, highest, count=32, dtype=np.uint16, suffix="png"):
    """Images of two classes whose levels are 0 to `highest`."""
    for n in range(count):
        levels = RNG.integers(0, highest + 1, (16, 16))
        levels[0, 0] = highest
        place = folder / "ab"[n % 2]
        place.mkdir(parents=True, exist_ok=True)
        picture(levels.astype(dtype)).save(place / f"{n}.{suffix}")
    return folder


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("highest", "top", "bits", "factor"),
    [(4095, 15, 12, 16), (1023, 3, 10, 64), (8191, 31, 13, 8), (255, 0, 8, 256)],
)
def test_fewer_bits_in_files_of_16_are_refused(highest, top, bits, factor, suffix, tmp_path):
    message = (
        f"expected white as 255, found no level above {top} in 32 images of 16 bits, of which the"
        f" high 8 are taken: perhaps {bits} bits are stored in them: multiply their levels by"
        f" {factor}, and save them again$"
    )
    levels_in(tmp_path, highest, suffix=suffix)
    with pytest.raises(DataError, match=message):
        datasets.load(tmp_path)
    with pytest.raises(DataError, match=message):
        load_tested(tmp_path, Preparation(16, 16, "grey"))


def test_files_of_8_bits_that_are_nearly_black_are_refused(tmp_path):
    levels_in(tmp_path / "dark", 20, dtype=np.uint8)
    message = (
        "no level above 20 in 32 images: make all of them brighter alike, by 12 if 20 is white"
    )
    with pytest.raises(DataError, match=message):
        datasets.load(tmp_path / "dark")
    levels_in(tmp_path / "grey", 33, dtype=np.uint8)
    assert datasets.load(tmp_path / "grey").said == ("32 images as they are",)
    levels_in(tmp_path / "few", 20, count=31, dtype=np.uint8)
    assert len(datasets.load(tmp_path / "few").train) == 25
    levels_in(tmp_path / "black", 0, dtype=np.uint8)
    assert datasets.load(tmp_path / "black").train.images.max() == 0


def test_a_part_of_nearly_black_files_is_named(tmp_path):
    levels_in(tmp_path / "train", 65535)
    levels_in(tmp_path / "test", 4095)
    with pytest.raises(
        DataError, match=r"\(test\): expected white as 255, found no level above 15"
    ):
        datasets.load(tmp_path)


def test_a_few_bright_levels_among_dark_ones_of_16_bits_are_said(tmp_path):
    levels_in(tmp_path, 4095, count=64)
    hot = np.zeros((16, 16), np.uint16)
    hot[3, 3] = 65535
    picture(hot).save(tmp_path / "a" / "hot.png")
    (said,) = datasets.load(tmp_path).said[1:]
    assert said.startswith("above 32 of 255 are 1 of 16,640 levels of ")
    assert said.endswith(": perhaps its files of 16 bits hold fewer")


def figures_in(folder, images):
    for n, (image, label) in enumerate(images):
        save(folder / str(label) / f"{n:03}.png", image)
    return folder


@pytest.fixture(scope="module")
def digits():
    """Of MNIST, with their labels."""
    test = datasets.load("mnist").test
    chosen = [n for n in range(200) if test.labels[n] in (3, 7)][:32]
    return [(test.images[n, ..., 0], test.labels[n]) for n in chosen]


@pytest.mark.parametrize("dark", [False, True])
def test_files_of_mnist_are_placed_as_its_arrays(digits, dark, tmp_path):
    given = [(255 - x if dark else x, label) for x, label in digits]
    data = datasets.load(figures_in(tmp_path, given))
    assert data.preparation == Preparation(28, 28, "grey", "figure")
    assert data.said == ("32 images as they are", *[INVERTED] * dark, PLACED)
    plain = datasets.load(tmp_path, fit="crop")
    assert plain.preparation == Preparation(28, 28, "grey", "crop")
    for part, bits in ((data.train, plain.train), (data.test, plain.test)):
        np.testing.assert_array_equal(part.images, 255 - bits.images if dark else bits.images)
        assert part.names == bits.names
    tested = load_tested(tmp_path, data.preparation, test_share=0.2)
    np.testing.assert_array_equal(tested.test.images, data.test.images)
    one = datasets.read_image(tmp_path / data.test.names[0], data.preparation)
    np.testing.assert_array_equal(one, data.test.images[0])


def test_other_files_are_not_placed(digits, tmp_path, monkeypatch):
    def is_plain(name, images, **wishes):
        data = datasets.load(figures_in(tmp_path / name, images), **wishes)
        assert data.preparation.fit == "crop"
        assert PLACED not in data.said

    is_plain("scaled", digits, size=24)
    is_plain("coloured", digits, colour="rgb")
    is_plain("mixed", [(255 - x if n % 2 else x, k) for n, (x, k) in enumerate(digits)])
    monkeypatch.setattr(figure, "LOOKED", 16)  # every second one
    moved = [(np.roll(x, 5, axis=1) if n == 1 else x, k) for n, (x, k) in enumerate(digits)]
    is_plain("one elsewhere that is not looked at first", moved)
