"""What takes a network to other libraries: methods of every network.

What they need is loaded when it is asked for.
"""

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Protocol

from convlet.equations import Float32
from convlet.formats.model import Saveable

if TYPE_CHECKING:
    import keras
    import torch.nn

    from convlet.formats.levels import Dtype


class _Trainable(Saveable, Protocol):
    """A network that takes other parameters."""

    flat: Float32


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

    def to_torch(self: Saveable, *, relu_at_zero: float = 0) -> "torch.nn.Sequential":
        """The network as a `torch.nn.Sequential` with a copy of its parameters, in eval mode.

        float32 (n, channels, rows, columns), numbers as in training -> what enters the softmax
        (n, classes), which PyTorch's losses take; `.softmax(1)` gives the probabilities.
        relu_at_zero: the derivative of ReLU at 0, PyTorch's 0, or 0.5 as in (10), by a module of
        convlet.  Raises `InputError`, `MissingDependencyError`.
        """
        from convlet.interchange.torch_out import to_torch

        return to_torch(self, relu_at_zero)

    def to_keras(self: Saveable) -> "keras.Sequential":
        """The network as a `keras.Sequential` with a copy of its parameters.

        float32 (n, rows, columns, channels), numbers as in training -> probabilities (n, classes).
        The derivative of ReLU at 0 is that of the backend.  Raises `InputError`,
        `MissingDependencyError`.
        """
        from convlet.interchange.keras_out import to_keras

        return to_keras(self)

    def save_state_dict(self: Saveable, path: str | PathLike[str]) -> None:
        """Write the parameters to a safetensors file as those of `to_torch()`, without PyTorch.

        They have its names, "0.weight", "0.bias", ..., and its layout.  Raises `InputError`,
        `FileError`.
        """
        from convlet.interchange.torch_names import save_state_dict

        save_state_dict(self, path)

    def load_state_dict(
        self: _Trainable, path: str | PathLike[str], modules: Sequence[str] | None = None
    ) -> None:
        """Take the parameters out of a safetensors file of PyTorch, without PyTorch.

        modules: the names of the modules with parameters in the order of the layers, as in
        ["conv1", "conv2", "fc1", "fc2"]; None is those of `to_torch()`.  Numbers of 16 or 64 bits
        become float32.  The file must have all parameters of the network, and no others; else it
        stays as it is.  Raises `InputError`, `FileError`, `ModelFileError`.
        """
        from convlet.interchange.torch_names import read_state_dict

        self.flat = read_state_dict(self, path, modules)
