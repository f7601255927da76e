"""Programs of networks, and the files around them: C, header, a library of Arduino."""

from collections.abc import Callable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from convlet import arrays
from convlet.device.arduino import MANIFEST, SKETCH
from convlet.device.budget import as_bytes, refuse_too_large
from convlet.device.described import Described, Memory
from convlet.device.floats import Floats
from convlet.device.program import Program, as_owner
from convlet.device.selftest import MOST, Selftest
from convlet.device.text import as_c_name, filled
from convlet.device.whole import Whole, WholeStage
from convlet.engine import as_floats
from convlet.equations import Array, Float32
from convlet.errors import InputError
from convlet.files.atomic import make_folder, write_atomic
from convlet.files.paths import file_name
from convlet.formats.levels import as_dtype, check_dtype
from convlet.formats.model import Saveable, refuse_not_finite
from convlet.inputs import as_bool
from convlet.shapes import Shape
from convlet.stages import Stage
from convlet.values import check_scale


class Exportable(Saveable, Protocol):
    """A network in floats."""

    @property
    def stages(self) -> tuple[Stage, ...]: ...
    def predict_proba(self, x: Any) -> Float32: ...


class ExportableWhole(Described, Protocol):
    """A network in whole numbers."""

    @property
    def parts(self) -> Sequence[WholeStage]: ...
    def predict_bytes(self, x: Any) -> NDArray[np.int8]: ...


def float_program(network: Exportable, name: str, owner: Any, dtype: Any, selftest: Any) -> Program:
    """A network in floats as a program.  Raises `InputError`."""
    dtype = as_dtype(dtype)
    check_dtype(dtype, network.scale)
    refuse_not_finite(network.parameters)
    arithmetic = Floats(network, name, uint8=dtype == "uint8")
    images = _images(selftest, network.input_shape, dtype)
    if images is not None and images.dtype == np.uint8 and dtype == "float32":
        check_scale(images, network.scale, "selftest")
        images = as_floats(images)
    test = None
    if images is not None:
        test = Selftest(images, network.predict_proba(images))
        if not np.isfinite(test.answers).all():
            found = "has images for which the network gives numbers that are not finite"
            hint = "its weights are far too large, train it anew"
            raise InputError("selftest", None, "finite probabilities", hint, found=found)
    return Program(network, arithmetic, name, as_owner(owner), test)


def whole_program(network: ExportableWhole, name: str, owner: Any, selftest: Any) -> Program:
    """A network in whole numbers as a program.  Raises `InputError`."""
    arithmetic = Whole(network.parts, network.input_shape, name)
    images = _images(selftest, network.input_shape, "uint8")
    test = None if images is None else Selftest(images, network.predict_bytes(images))
    return Program(network, arithmetic, name, as_owner(owner), test)


def _images(selftest: Any, shape: Shape, dtype: str) -> Array | None:
    """Images of a self-test: levels, or where floats are taken either."""
    if selftest is None:
        return None
    images = arrays.as_images(selftest, shape, "selftest")
    if len(images) > MOST:
        found = f"has {len(images)} images"
        raise InputError("selftest", None, f"{MOST} at most", "they lie in flash", found=found)
    if dtype == "uint8" and images.dtype != np.uint8:
        raise InputError("selftest", None, "uint8", found=f"is {images.dtype}")
    return images if images.dtype == np.uint8 else images.astype(np.float32)


def save_c(
    made: Callable[[str], Program],
    path: str | PathLike[str],
    name: str | None,
    header: bool,
    max_flash: int | str | None,
    max_ram: int | str | None,
) -> Memory:
    """Write a program to a file, and its header beside it; see `Network.to_c`."""
    target = Path(file_name(path))
    if target.suffix.lower() != ".c":
        raise InputError("path", fspath(path), "a name that ends in .c")
    program = _checked(made(as_c_name(name, target)), max_flash, max_ram)
    beside = target.with_suffix(".h") if as_bool(header, "header") else None
    write_atomic(target, program.text(None if beside is None else beside.name).encode())
    if beside is not None:
        write_atomic(beside, program.header.encode())
    return program.memory


def save_arduino(
    made: Callable[[str], Program],
    folder: str | PathLike[str],
    name: str | None,
    max_flash: int | str | None,
    max_ram: int | str | None,
) -> Memory:
    """Write a program as a library of Arduino; see `Network.to_arduino`."""
    target = Path(file_name(folder, "folder", "folder"))
    program = _checked(made(as_c_name(name, target)), max_flash, max_ram)
    name, sketch = program.name, f"Recognise_{program.name}"
    files = {
        "library.properties": MANIFEST,
        f"src/{name}.h": program.header,
        f"src/{name}.c": program.text(f"{name}.h"),
        f"examples/{sketch}/{sketch}.ino": SKETCH,
    }
    a = program.arithmetic
    words = {"NAME": name, "UPPER": name.upper(), "ANSWER": a.answer}
    words |= {"ELEMENT": a.element, "PIXEL": a.pixel}
    for file, text in files.items():
        if not file.startswith("src/"):
            text = filled(text, **words)
        make_folder(str((target / file).parent))
        write_atomic(target / file, text.encode())
    return program.memory


def _checked(program: Program, max_flash: Any, max_ram: Any) -> Program:
    refuse_too_large(program, as_bytes(max_flash, "max_flash"), as_bytes(max_ram, "max_ram"))
    return program
