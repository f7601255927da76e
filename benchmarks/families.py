"""The families of networks that nobody tuned convlet for: layers, images, data and weights.

Their images are made: what a step costs depends on how many units are alive, not on what is seen.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlet import MaxPool2D, Network
from convlet.stages import Stage
from layout import Net
from team import write_data

BATCHES = (1, 8, 32, 128, 512)
IMAGES = (1, 8, 64, 1000)

SEED = 13
COARSE = 7  # rows and columns of the pattern of a class
NOISE, CONTRAST = 40, 60  # levels, standard deviations of noise and pattern
WRONG = 0.1  # of the labels: the cost does not go to 0 while everybody trains
LEAST_IMAGES, MOST_IMAGES, MOST_NUMBERS = 256, 8192, 12_000_000  # of a training set
SEEN, MOST_WORK, LEARNING_RATE = 6400, 2e11, 0.02
"""From He's weights to those from which everybody starts: whole epochs in steps of 32, of about so
many images, or of fewer where their multiply-adds would be more than so many."""


@dataclass(frozen=True)
class Family:
    """batches: images a step; images: in a call.  Fewer where images are large."""

    net: Net
    batches: tuple[int, ...] = BATCHES
    images: tuple[int, ...] = IMAGES

    @property
    def kind(self) -> str:
        """Of promises: "with a pool", "strided without a pool" or "dense only"."""
        if any(isinstance(layer, MaxPool2D) for stage in self.net.stages for layer in stage.sigma):
            return "with a pool"
        return "strided without a pool" if any(map(_is_conv, self.net.stages)) else "dense only"

    @property
    def count(self) -> int:
        """Training images."""
        most = min(MOST_IMAGES, MOST_NUMBERS // math.prod(self.net.shape))
        return max(most, LEAST_IMAGES, 4 * max(self.batches))


def _is_conv(stage: Stage) -> bool:
    return len(stage.w_shape) == 4


def family(name: str, shape: tuple[int, int, int], layers: str, **fewer: tuple[int, ...]) -> Family:
    return Family(Net(name, layers, shape), **fewer)


def blocks(*channels: int, kernel: int = 3, times: int = 1, pool: str = "pool 2") -> str:
    """For each number of channels so many padded convolutions with ReLU, then a pool."""
    return "".join(
        f"conv {k} {kernel} padding same, relu, " * times + f"{pool}, " for k in channels
    )


def strided(*convs: tuple[int, int]) -> str:
    """Of each (channels, kernel) a padded convolution of stride 2 with ReLU."""
    return "".join(f"conv {k} {taps} stride 2 padding same, relu, " for k, taps in convs)


def head(*units: int) -> str:
    return f"flatten, {''.join(f'dense {n}, relu, ' for n in units[:-1])}dense {units[-1]}, softmax"


GREY, COLOUR = (28, 28, 1), (32, 32, 3)
LARGE = {"batches": (1, 8, 32, 128)}
HUGE = {"batches": (1, 8, 32), "images": (1, 8, 64)}

LENET = "conv 6 5, relu, pool 2, conv 16 5, relu, pool 2, " + head(120, 84, 10)
TEN_TWENTY = "conv 10 5, relu, pool 2, conv 20 5, relu, pool 2, " + head(50, 10)
POINTS = (
    "conv 32 3 padding same, relu, conv 16 1, relu, pool 2, "
    "conv 64 3 padding same, relu, conv 32 1, relu, pool 2, "
) + head(64, 10)
DROPOUT = (
    "conv 32 3, relu, conv 64 3, relu, pool 2, dropout 0.25, "
    "flatten, dense 128, relu, dropout 0.5, dense 10, softmax"
)
OVERLAPPING = blocks(32, 64, kernel=5, pool="pool 3 stride 2") + head(64, 10)
PHOTOGRAPH = "conv 16 7 stride 2 padding same, relu, pool 3 stride 2, " + blocks(32, 64, 64)

FAMILIES = {
    one.net.name: one
    for one in (
        family("dense-256-128", GREY, head(256, 128, 10)),
        family("dense-1024-1024", GREY, head(1024, 1024, 10)),
        family("lenet-grey-28", GREY, LENET),
        family("lenet-colour-32", COLOUR, LENET),
        family("channels-10-20", GREY, TEN_TWENTY),
        family("3x3-two-stages", GREY, blocks(16, 32) + head(64, 10)),
        family("3x3-three-stages", (64, 64, 1), blocks(16, 32, 64) + head(128, 10)),
        family("3x3-four-stages", (64, 64, 3), blocks(16, 32, 64, 128) + head(128, 10), **LARGE),
        family("5x5-wide-colour", COLOUR, blocks(32, 32, 64, kernel=5) + head(64, 10)),
        family("7x7-then-3x3", (64, 64, 1), blocks(16, kernel=7) + blocks(32, 64) + head(64, 10)),
        family("1x1-between", COLOUR, POINTS),
        family("conv-conv-pool", COLOUR, blocks(32, 64, times=2) + head(128, 10), **LARGE),
        family("conv-conv-dropout", GREY, DROPOUT, **LARGE),
        family("overlapping-pools", COLOUR, OVERLAPPING),
        family("strided-grey", GREY, strided((16, 3), (32, 3)) + head(64, 10)),
        family(
            "strided-colour", (64, 64, 3), strided((32, 5), (64, 3), (64, 3)) + head(10), **LARGE
        ),
        family("not-square-48x80", (48, 80, 1), blocks(12, 24, 48) + head(96, 10)),
        family("large-96", (96, 96, 1), blocks(8, kernel=5) + blocks(16, 32) + head(64, 10)),
        family("large-128", (128, 128, 1), blocks(8, 16, 32, 64) + head(64, 10), **LARGE),
        family("thousand-classes", (64, 64, 3), blocks(32, 64, 64) + head(256, 1000), **LARGE),
        family("huge-224-colour", (224, 224, 3), PHOTOGRAPH + head(128, 10), **HUGE),
    )
}


def make_images(
    count: int, shape: tuple[int, int, int], classes: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Images that can be told apart, and labels of which a tenth are wrong.

    A class has a coarse pattern, the same for each seed, under noise of each image's own.
    """
    patterns = np.random.default_rng((SEED, classes)).normal(
        0, CONTRAST, (classes, COARSE, COARSE, shape[2])
    )
    rows, columns = (np.arange(side) * COARSE // side for side in shape[:2])
    draws = np.random.default_rng((SEED, seed))
    labels = draws.integers(0, classes, count, np.int32)
    images = np.empty((count, *shape), np.uint8)
    for image, label in zip(images, labels, strict=True):
        noise = draws.standard_normal(shape, np.float32) * np.float32(NOISE)
        image[...] = np.clip(128 + patterns[label][rows][:, columns] + noise, 0, 255)
    wrong = draws.random(count) < WRONG
    labels[wrong] = draws.integers(0, classes, wrong.sum(), np.int32)
    return images, labels


def prepare(
    family: Family, folder: Path, images: Sequence[int], say: Callable[[str], None]
) -> Path:
    """Write images and weights for the workers -> the file of the weights.

    images: the numbers of them that will be predicted.
    """
    net = family.net
    folder.mkdir()
    x, y = make_images(family.count, net.shape, net.classes, seed=0)
    test, _ = make_images(max(64, *images), net.shape, net.classes, seed=1)
    write_data(folder, x, y, test)
    network = Network(net.layers, net.shape)
    epochs = math.ceil(min(SEEN, MOST_WORK / net.multiply_adds) / len(x))
    history = network.fit(x, y, epochs=epochs, learning_rate=LEARNING_RATE)
    say(f"{net.name}: weights after {epochs} epochs, cost {history[-1].train_loss:.2f}")
    np.savez(folder / "weights.npz", **network.parameters)
    return folder / "weights.npz"
