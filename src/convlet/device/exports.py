"""What takes a network to a device: methods of every network.  docs/devices.md walks through it.

What they need is loaded when it is asked for.
"""

from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convlet.device.described import Memory
    from convlet.device.program import Owner
    from convlet.device.saving import Exportable, ExportableWhole
    from convlet.formats.levels import Dtype


class DeviceExports:
    """See `Network`."""

    def to_c(
        self: "Exportable",
        path: str | PathLike[str],
        *,
        name: str | None = None,
        header: bool = False,
        arena: "Owner" = "static",
        dtype: "Dtype" = "uint8",
        selftest: Any = None,
        max_flash: int | str | None = None,
        max_ram: int | str | None = None,
    ) -> "Memory":
        """Write the network to one C99 file that computes its probabilities, and needs no library.

        `int NAME_predict(const uint8_t *image, float *probabilities)` returns the most probable
        class.  name: None is the stem of the path.  header: write PATH with .h, too.  arena: whose
        the memory of the stages is, "static" that of the file, or "caller" a third argument, so
        that calls may be under way at once.  dtype: of the image, "uint8" (255 stands for 1) or
        "float32" (numbers as in training).  selftest: images (n, rows, columns, channels), ten at
        most, to compile in with what `predict_proba` gives for them; levels become floats where
        the file takes these.  max_flash, max_ram: bytes, or text as "64k".  Returns what it needs.

        Raises `InputError`, also where the memory is not enough, `FileError`.
        """
        from convlet.device.saving import float_program, save_c

        return save_c(
            lambda n: float_program(self, n, arena, dtype, selftest),
            *(path, name, header, max_flash, max_ram),
        )

    def to_arduino(
        self: "Exportable",
        folder: str | PathLike[str],
        *,
        name: str | None = None,
        dtype: "Dtype" = "uint8",
        selftest: Any = None,
        max_flash: int | str | None = None,
        max_ram: int | str | None = None,
    ) -> "Memory":
        """Write the network as a library of Arduino, a folder, with an example sketch.

        name: None is that of the folder.  The others, and what is raised: as `to_c`.
        """
        from convlet.device.saving import float_program, save_arduino

        return save_arduino(
            lambda n: float_program(self, n, "static", dtype, selftest),
            *(folder, name, max_flash, max_ram),
        )


class WholeDeviceExports:
    """See `QuantizedNetwork`."""

    def to_c(
        self: "ExportableWhole",
        path: str | PathLike[str],
        *,
        name: str | None = None,
        header: bool = False,
        arena: "Owner" = "static",
        selftest: Any = None,
        max_flash: int | str | None = None,
        max_ram: int | str | None = None,
    ) -> "Memory":
        """Write the network to one C99 file that computes the bytes of its logits.

        `int NAME_predict(const uint8_t *image, int8_t *logits)` returns the class.  No float is
        in it.  The arguments, and what is raised: as of `Network.to_c`.
        """
        from convlet.device.saving import save_c, whole_program

        return save_c(
            lambda n: whole_program(self, n, arena, selftest),
            *(path, name, header, max_flash, max_ram),
        )

    def to_arduino(
        self: "ExportableWhole",
        folder: str | PathLike[str],
        *,
        name: str | None = None,
        selftest: Any = None,
        max_flash: int | str | None = None,
        max_ram: int | str | None = None,
    ) -> "Memory":
        """Write the network as a library of Arduino; see `Network.to_arduino`."""
        from convlet.device.saving import save_arduino, whole_program

        return save_arduino(
            lambda n: whole_program(self, n, "static", selftest),
            *(folder, name, max_flash, max_ram),
        )
