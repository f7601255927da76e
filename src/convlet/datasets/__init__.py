"""Images with labels: data sets by name or from files, and single images for a prediction.

data = convlet.datasets.load("mnist")
data.train.images, data.train.labels, data.test.images, data.test.labels, data.classes
"""

from convlet.datasets.cache import cache_folder
from convlet.datasets.census import census
from convlet.datasets.dataset import Dataset, Split
from convlet.datasets.loading import load, names
from convlet.datasets.numeric.idx import read_idx, write_idx
from convlet.datasets.single import read_image, read_images
from convlet.preparation import Preparation

__all__ = [
    "Dataset",
    "Preparation",
    "Split",
    "cache_folder",
    "census",
    "load",
    "names",
    "read_idx",
    "read_image",
    "read_images",
    "write_idx",
]
