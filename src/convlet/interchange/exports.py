"""What takes a network to other libraries: methods of every network.

What they need is loaded when it is asked for.
"""

from os import PathLike
from typing import TYPE_CHECKING

from convlet.formats.model import Saveable

if TYPE_CHECKING:
    from convlet.interchange.onnx_out import Dtype


class Exports:
    """See `Network`; docs/interchange.md has what becomes of each layer."""

    def to_onnx(
        self: Saveable,
        path: str | PathLike[str],
        *,
        dtype: "Dtype" = "uint8",
        prepare: bool = False,
        labels: bool = False,
    ) -> None:
        """Write the network to one ONNX file, opset 11, or leave an old file as it was.

        Its input "images" is (n, rows, columns, channels), n free, as of `predict_proba`; dtype
        "uint8" (255 is white) or "float32" (numbers as in training).  Its output "probabilities" is
        (n, classes).  prepare: the graph does what `preparation` says: images (n, rows, columns, 3)
        are RGB of any size.  labels: a second output, "label" (n,), names the most probable class.
        What else is known of the network is in the metadata.

        Raises `InputError` where that cannot mean the same as here, `FileError`,
        `MissingDependencyError`.
        """
        from convlet.interchange.onnx_out import save_onnx

        save_onnx(self, path, dtype, prepare, labels)
