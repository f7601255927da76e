"""Exported C files, many at a time: compiled as one library and called, or looked at."""

import ctypes
import shutil
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

import numpy as np

import children

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror")
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
HAS_FMA = " fma " in Path("/proc/cpuinfo").read_text()
FMA = ("-mfma",) if HAS_FMA else ()
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
CC = COMPILERS[0]
_numbers = count()


def run(*words: str | Path, **how: object) -> str:
    """A command that has to succeed -> what it printed."""
    done = children.run(list(map(str, words)), **how)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Library:
    """C files as one library.  flags: of the compiler, beside the strict ones."""

    def __init__(
        self,
        folder: Path,
        files: Iterable[Path],
        flags: Sequence[str] = ("-O1",),
        compiler: str = CC,
    ) -> None:
        number = next(_numbers)
        source, self.path = folder / f"all{number}.c", folder / f"all{number}.so"
        source.write_text("\n".join(file.read_text() for file in files))
        run(compiler, *STRICT, *flags, "-fPIC", "-shared", source, "-o", self.path)
        self.library = ctypes.CDLL(str(self.path))

    def predict(
        self, name: str, images: np.ndarray, classes: int, element: type, arena: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Answers (n, classes) and classes (n,) of a file; arena: elements of the caller's."""
        function = getattr(self.library, f"{name}_predict")
        images = np.ascontiguousarray(images)
        answers = np.full((len(images), classes), 99, element)
        own = [] if arena is None else [np.full(max(arena, 1), 77, element)]
        best = [
            function(*(array.ctypes.data_as(ctypes.c_void_p) for array in (image, answer, *own)))
            for image, answer in zip(images, answers, strict=True)
        ]
        return answers, np.array(best)


def undefined(path: Path) -> set[str]:
    """What an object file takes from others."""
    return {line.split()[-1] for line in run("nm", "-u", path).splitlines()}
