"""What `convlet export` asks of a C file, and how it is written."""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import click

from convlet.cli import options, places
from convlet.cli.console import say
from convlet.cli.models import data_for, load_either
from convlet.cli.names import call
from convlet.cli.options import word
from convlet.cli.places import Output
from convlet.device.budget import as_bytes
from convlet.device.described import Memory
from convlet.device.program import WRITTEN, Owner, as_owner
from convlet.device.selftest import MOST
from convlet.device.text import as_c_name
from convlet.errors import InputError
from convlet.files.streams import open_regular
from convlet.network import Network


@dataclass(frozen=True)
class CFile:
    """The options of a C file."""

    header: bool
    name: str | None
    arena: str | None
    selftest: str | None
    max_flash: str | None
    max_ram: str | None
    arduino: Path | None

    def refuse(self, ending: str) -> None:
        """Raise `InputError` for an option of C files where another one is written."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value is not False:
                but = f"that is for .c files, not for {ending}"
                raise InputError(field.name, value if value is True else str(value), but=but)


OPTIONS = (
    click.option("--header", is_flag=True, help="C: write a .h file beside FILE, too."),
    click.option(
        "--name",
        metavar="NAME",
        help="C: what the names in FILE begin with.",
        show_default="that of FILE",
    ),
    word(
        "--arena",
        of=get_args(Owner),
        metavar="WHOSE",
        help="C: whose the memory is, static (the file's) or caller.",
        show_default="static",
    ),
    click.option(
        "--selftest", metavar="DATA", help=f"C: compile in {MOST} test images of DATA, to compare."
    ),
    click.option("--max-flash", metavar="SIZE", help="C: refuse to need more flash, as 64k."),
    click.option("--max-ram", metavar="SIZE", help="C: refuse to need more RAM, as 8k."),
    options.folder("--arduino", help="C: write a library of Arduino, too."),
)


def write_c(model: Path, file: Path, dtype: str, chosen: CFile) -> None:
    """Write MODEL, in floats or in whole numbers, as C files."""
    name = as_c_name(chosen.name, file)
    whose = as_owner("static" if chosen.arena is None else chosen.arena)
    if whose == "caller" and chosen.arduino is not None:
        but = "a library of Arduino has an arena of its own"
        raise InputError("arena", whose, but=but, hint="export twice, once without --arduino")
    as_bytes(chosen.max_flash, "max_flash")
    as_bytes(chosen.max_ram, "max_ram")
    output = Output(file, "", "a C file of convlet", _is_ours, "file")
    beside = file.with_suffix(".h")
    if chosen.header:
        Output(beside, "", "a header of convlet", _is_ours, "file")
    if chosen.arduino is not None:
        places.refuse_unwritable_folder(chosen.arduino, "arduino")
        _refuse_other_folder(chosen.arduino, name)
    network = load_either(model)
    how: dict[str, Any] = {"max_flash": chosen.max_flash, "max_ram": chosen.max_ram}
    if isinstance(network, Network):
        how["dtype"] = dtype
    elif dtype != "uint8":
        but = "a network in whole numbers takes levels"
        raise InputError("dtype", dtype, but=but, hint="uint8")
    if chosen.selftest is not None:
        call(data="--selftest", name_or_path="--selftest")
        how["selftest"] = data_for(network, chosen.selftest, model).test.images[:MOST]
    needs: list[Memory] = []

    def write(path: Path) -> None:
        needs.append(network.to_c(path, name=name, header=chosen.header, arena=whose, **how))

    say(f"exported to {output.write(write)}")
    if chosen.header:
        say(f"header: {beside}")
    if chosen.arduino is not None:
        network.to_arduino(chosen.arduino, name=name, **how)
        say(f"library of Arduino: {chosen.arduino}")
    say(str(needs[0]))


def _is_ours(path: Path) -> bool:
    with open_regular(path) as file:
        return WRITTEN.encode() in file.read(400)


def _refuse_other_folder(folder: Path, name: str) -> None:
    """Raise `InputError` for a folder with other things than an earlier library of that name."""
    if not folder.is_dir() or not os.listdir(folder):
        return
    source = folder / "src" / f"{name}.c"
    if not (source.is_file() and _is_ours(source)):
        but = f"it has other files than a library of {name}"
        raise InputError("arduino", str(folder), but=but, hint="name a new folder")
