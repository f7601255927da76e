"""What kinds of data are read, in words, and which are refused by name."""

from collections.abc import Sequence

from convlet.wording import listed

KINDS = (
    "a folder of images for each class, a folder with IDX, CIFAR, .npy, .csv, .parquet or .tar"
    " files, or one of these or an .npz file"
)
NEVER = {
    (".pkl", ".pickle", ".p", ".pt", ".pth", ".joblib"): (
        "a pickle, which can run code and is never loaded: save its arrays with numpy.savez"
    ),
    (".mat",): "a file of MATLAB: save scipy.io.loadmat(path) with numpy.savez",
    (".h5", ".hdf5"): "an HDF5 file: read it with h5py and save its arrays with numpy.savez",
    (".zip", ".7z", ".rar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"): (
        "a packed archive: unpack it and name the folder"
    ),
    (".tfrecord", ".tfrecords", ".arrow", ".feather", ".lmdb"): (
        "a format that convlet does not read: write a folder of images, .npz or Parquet"
    ),
}
"""Formats that are refused by name: what they are, and what to do."""
MOST_NAMED = 3  # files


def refusal(name: str) -> str | None:
    """What a file is that is never read, and what to do; None for another one."""
    lower = name.lower()
    return next((words for endings, words in NEVER.items() if lower.endswith(endings)), None)


def unknown(names: Sequence[str]) -> str:
    """What to say of the files in a folder that is none of KINDS."""
    for name in names:
        if words := refusal(name):
            return f"{name}, {words}"
    return listed(names, MOST_NAMED) or "no file"
