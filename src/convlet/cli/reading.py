"""How images of files become data: the options that commands which read DATA share."""

from dataclasses import dataclass
from typing import Any

import click

from convlet.cli.options import Decorator, real, together, whole, word
from convlet.datasets.wishes import as_wishes
from convlet.errors import InputError, Name
from convlet.preparation import COLOURS, FITS


def _size(text: str) -> Any:
    """N or ROWSxCOLUMNS as a number or a pair, or the text as it is for the check that names it."""
    numbers = text.lower().split("x")
    if len(numbers) <= 2 and all(one.isascii() and one.isdigit() for one in numbers):
        values = tuple(map(int, numbers))
        return values[0] if len(values) == 1 else values
    return text


@dataclass(frozen=True)
class _Division:
    """What of the data is tested with, and what is left aside."""

    test_share: float | None
    group_by: str | None
    skip_damaged: bool

    def arguments(self) -> dict[str, Any]:
        """Of `datasets.load`: those that were given."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Tested(_Division):
    """Which images a network is tested with.  seed: of the training."""

    seed: int | None

    def check(self) -> None:
        """Refuse what is wrong or without effect, before data are read.  Raises `InputError`."""
        as_wishes(**self.arguments())
        for name in ("group_by", "seed"):
            value = getattr(self, name)
            if value is not None and self.test_share is None:
                but = ("nothing is divided without ", Name("test_share"))
                hint = ("add the ", Name("test_share"), " of the training")
                raise InputError(name, value, but=but, hint=hint)


@dataclass(frozen=True)
class Reading(_Division):
    """How data are divided, and what images become."""

    size: Any
    colour: str | None
    fit: str | None

    def check(self, seed: int = 0) -> None:
        """Refuse what is wrong, before any data are read.  Raises `InputError`."""
        as_wishes(seed=seed, **self.arguments())


_DIVISION = (
    click.option(
        "--group-by",
        metavar="REGEX",
        help="Images whose paths match alike are of one subject, and stay together.",
    ),
    click.option("--skip-damaged", is_flag=True, help="Leave damaged images out, and say which."),
)

OPTIONS: Decorator = together(
    "reading",
    Reading,
    [
        click.option(
            "--size",
            type=_size,
            metavar="SIZE",
            help="Of images, as in 64 or 48x64 (rows x columns).",
            show_default="as they are if all are alike and small, else their median, at most 64",
        ),
        word(
            "--colour",
            of=COLOURS,
            metavar="COLOUR",
            help=f"{' or '.join(COLOURS)}.",
            show_default="rgb if any image has colour",
        ),
        word(
            "--fit",
            of=FITS,
            metavar="HOW",
            help=f"How images of another shape get the size: {', '.join(FITS)}.",
            show_default="crop",
        ),
        real(
            "--test-share",
            help="Share of each class to test with, of data without a test part.",
            show_default="0.2, or the validation part",
        ),
        *_DIVISION,
    ],
)

TESTED: Decorator = together(
    "tested",
    Tested,
    [
        real(
            "--test-share",
            help="Where a folder has no test part: the share that training held back.",
            show_default="all images",
        ),
        *_DIVISION,
        whole("--seed", help="With --test-share: that of the training.", show_default="0"),
    ],
)
