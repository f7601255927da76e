"""`fashion-mnist`: from the cache, from Debian's package, or downloaded into the cache."""

import hashlib
import os
import tempfile
from pathlib import Path

from convlet.datasets.cache import cache_folder
from convlet.datasets.dataset import Dataset
from convlet.datasets.numeric.idx_folder import find_idx, load_idx
from convlet.errors import ConvletError, DataError, FileError, MissingDependencyError, one_line
from convlet.files.atomic import write_atomic
from convlet.files.paths import file_error
from convlet.files.streams import CHUNK, open_unpacked

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
# of the unpacked bytes: mirrors pack the same files differently
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_fashion_mnist() -> Dataset:
    """Fashion-MNIST (Xiao, Rasul, Vollgraf 2017), 60,000 + 10,000 images (28, 28, 1) of clothes.

    Taken from the folder fashion-mnist in `cache_folder()`, from Debian's package
    dataset-fashion-mnist, or downloaded (30 MB) into the cache.  Raises `FileError` or
    `MissingDependencyError` that say how to get the files, `DataError` if they are damaged.
    """
    cache = cache_folder() / "fashion-mnist"
    if not _holds_all(cache) and _holds_all(DEBIAN_FOLDER):
        return load_idx("fashion-mnist", find_idx(DEBIAN_FOLDER), CLASSES)
    for name in SHA256:
        if not _holds(cache, name):
            _download(name, cache)
    return load_idx("fashion-mnist", find_idx(cache), CLASSES)


def _holds(folder: Path, name: str) -> bool:
    return (folder / name).is_file() or (folder / f"{name}.gz").is_file()


def _holds_all(folder: Path) -> bool:
    return all(_holds(folder, name) for name in SHA256)


def _download(name: str, cache: Path) -> None:
    """Put name.gz, checked, in the cache: whole or not at all."""
    try:
        import pooch
    except ImportError as error:
        raise MissingDependencyError(
            f"fashion-mnist is not on this machine, and pooch, which downloads it, is not"
            f' installed: pip install "convlet[data]", {_other_ways(cache)}'
        ) from error
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error("written", str(cache), error) from error

    download = pooch.HTTPDownloader(timeout=30)
    failures = []
    for mirror in MIRRORS:
        url = f"{mirror}{name}.gz"
        pooch.get_logger().info("Downloading %s into %s", url, cache)
        with tempfile.TemporaryDirectory(prefix="convlet-") as folder:
            file = Path(folder) / f"{name}.gz"
            try:
                download(url, str(file), None)
                _verify(file, SHA256[name])
            except (ConvletError, OSError, ValueError) as error:  # errors of requests are OSError
                failures.append(f"{url}: {_reason(error)}")
                continue
            write_atomic(cache / file.name, file.read_bytes())
            return
    raise FileError(
        "fashion-mnist is not on this machine and could not be downloaded"
        f" ({'; '.join(failures)}): try again with a network connection, {_other_ways(cache)}"
    )


def _reason(error: Exception) -> str:
    """Why a download failed, in a few words: requests tells a story of classes and addresses."""
    if isinstance(error, ConvletError):
        return str(error)
    name = type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the server answers {status}"
    return {"ConnectionError": "no connection", "SSLError": "no secure connection"}.get(
        name, "no answer in time" if "Timeout" in name else one_line(error)[:80]
    )


def _verify(file: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with open_unpacked(file) as (stream, _):
        while piece := stream.read(CHUNK):
            digest.update(piece)
    if digest.hexdigest() != expected:
        raise DataError(f"expected sha256 {expected} unpacked, found {digest.hexdigest()}")


def _other_ways(cache: Path) -> str:
    names = ", ".join(f"{name}.gz" for name in SHA256)
    return (
        "or install Debian's package (apt-get install dataset-fashion-mnist),"
        f" or put the four files {names} into {os.fspath(cache)}"
    )
