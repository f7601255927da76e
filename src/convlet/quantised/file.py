"""Files of networks in whole numbers.  docs/model-file.md describes the format.

Multipliers and shifts are not in a file: they follow from its grids by (33).
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlet.files.atomic import write_atomic
from convlet.files.paths import file_name
from convlet.formats.header import Spec, damaged, parse_json
from convlet.formats.origin import (
    OPTIONAL_ORIGIN,
    HasOrigin,
    Origin,
    origin_fields,
    read_origin,
)
from convlet.formats.records import pack, unpack
from convlet.quantised import equations as eq
from convlet.quantised.calibration import Calibration
from convlet.quantised.equations import Grid
from convlet.quantised.stages import (
    QuantizedStage,
    is_float32,
    is_rectified,
    stage_in_whole_numbers,
)
from convlet.stages import Stage

KIND = "convlet-quantized"
VERSION = 1


class Description(NamedTuple):
    """What a file says."""

    origin: Origin
    parts: tuple[QuantizedStage, ...]
    calibration: Calibration


def write(
    network: HasOrigin,
    parts: Sequence[QuantizedStage],
    calibration: Calibration,
    path: str | os.PathLike[str],
) -> None:
    """Write a network to a file, atomically; equal networks give equal bytes.

    Raises `FileError` if the system refuses; an old file then stays as it was.
    """
    metadata = {**origin_fields(network), "calibration": json.dumps(calibration.record())}
    grids = [parts[0].x, *(part.y for part in parts)]
    arrays: dict[str, NDArray[Any]] = {"g": np.array([grid.scale for grid in grids])}
    arrays |= {f"h{part.stage.index}": part.scales for part in parts}
    arrays["o"] = np.array([grid.zero for grid in grids], np.int32)
    arrays |= {part.stage.b_name: part.b for part in parts}
    arrays |= {part.stage.w_name: part.w for part in parts}
    write_atomic(path, pack(KIND, VERSION, metadata, arrays))


def read(path: str | os.PathLike[str]) -> Description:
    """What a file says.

    Raises `FileError` if the file cannot be read, `ModelFileError` if it is damaged or describes no
    network that this version knows.  Nothing in a file is ever run.
    """
    name = file_name(path)

    def expected(metadata: dict[str, str]) -> dict[str, Spec]:
        return _specs(_describe(name, metadata)[0].stages)

    record = unpack(path, KIND, (VERSION,), expected)
    origin, calibration = _describe(name, record.metadata)
    arrays = {key: array.copy() for key, array in record.arrays.items()}  # aligned
    return Description(origin, _parts(name, origin.stages, arrays), calibration)


def _specs(stages: Sequence[Stage]) -> dict[str, Spec]:
    """The arrays, in the order of the file: 8 bytes, 4 bytes, 1 byte."""
    specs: dict[str, Spec] = {"g": ("F64", (len(stages) + 1,))}
    specs |= {f"h{stage.index}": ("F64", stage.w_shape[-1:]) for stage in stages}
    specs["o"] = ("I32", (len(stages) + 1,))
    specs |= {stage.b_name: ("I32", stage.b_shape or stage.w_shape[-1:]) for stage in stages}
    return specs | {stage.w_name: ("I8", stage.w_shape) for stage in stages}


def _describe(name: str, metadata: Mapping[str, str]) -> tuple[Origin, Calibration]:
    """Metadata as a description, or `ModelFileError`."""
    keys = {"layers", "input_shape", "calibration"}
    if set(metadata) - OPTIONAL_ORIGIN != keys:
        raise damaged(name, "the list of fields", sorted(metadata), f"{sorted(keys)}")
    text = metadata["calibration"]
    try:
        calibration = Calibration(**parse_json(text))
        if json.dumps(calibration.record()) != text:
            raise ValueError("it is not in the form in which it is written")
    except (ValueError, TypeError) as error:  # an InputError is a ValueError
        what = f"count, given, seed and ranges ({error!s:.200})"
        raise damaged(name, "calibration", text, what) from error
    return read_origin(name, metadata), calibration


def _parts(
    name: str, stages: Sequence[Stage], arrays: Mapping[str, NDArray[Any]]
) -> tuple[QuantizedStage, ...]:
    """The stages, checked: whatever is not of (26)-(33) is refused."""
    scales, zeros = arrays["g"], arrays["o"]
    for key in ("g", *(f"h{stage.index}" for stage in stages)):
        wrong = arrays[key][~(np.isfinite(arrays[key]) & (arrays[key] > 0))]
        if len(wrong):
            raise damaged(name, key, float(wrong[0]), "finite numbers above 0")
    if not ((zeros >= eq.LEAST) & (zeros <= eq.MOST)).all():
        raise damaged(name, "o", zeros.tolist(), "bytes")
    grids = [Grid(float(g), int(o)) for g, o in zip(scales, zeros, strict=True)]
    if grids[0] != eq.PIXELS:
        raise damaged(name, "the grid of its images", tuple(grids[0]), f"{tuple(eq.PIXELS)}")
    if not is_float32(grids[-1].scale):
        raise damaged(name, "g of the logits", grids[-1].scale, "a number above 0 in float32")
    parts = []
    for stage, x, y in zip(stages, grids, grids[1:], strict=False):
        w, b, h = (arrays[f"{kind}{stage.index}"] for kind in "wbh")
        if (w == eq.LEAST).any():
            raise damaged(name, stage.w_name, eq.LEAST, "weights from -127 to 127")
        if is_rectified(stage) and y.zero != eq.LEAST:
            raise damaged(name, f"o[{stage.index + 1}]", y.zero, f"{eq.LEAST}, as behind a ReLU")
        if not x.scale * float(h.max()) <= y.scale:
            what = "at least that of the sums before it"
            raise damaged(name, f"g[{stage.index + 1}]", y.scale, what)
        if (most := eq.largest_sum(w, b)) > eq.MOST_SUM:
            what = f"at most {eq.MOST_SUM}"
            raise damaged(name, f"the largest sum of stage {stage.index}", most, what)
        parts.append(stage_in_whole_numbers(stage, w, b, h, x, y))
    return tuple(parts)
