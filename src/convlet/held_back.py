"""Which images were held back to test with, of data that came without such."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from convlet.errors import InputError
from convlet.inputs import as_seed, is_number, plain


@dataclass(frozen=True)
class HeldBack:
    """Arguments of `datasets.load` that hold back the same images of the same data again.

    test_share: of each class.  seed: of the draw.  group_by: a regular expression, or None.

    Raises `InputError`.
    """

    test_share: float
    seed: int = 0
    group_by: str | None = None

    def __post_init__(self) -> None:
        as_share(self.test_share)
        as_seed(self.seed)
        if not isinstance(self.group_by, str | None):
            raise InputError("group_by", self.group_by, "a regular expression or None")

    @property
    def options(self) -> str:
        """As the command line has them."""
        grouped = "" if self.group_by is None else f" --group-by {shlex.quote(self.group_by)}"
        return f"--test-share {self.test_share:g} --seed {self.seed}{grouped}"

    def record(self) -> dict[str, Any]:
        """JSON values, from which `HeldBack(**record)` is this one again."""
        return asdict(self)


def as_share(value: Any, name: str = "test_share") -> float:
    """A share of images.  Raises `InputError`."""
    share = plain(value)
    if not is_number(share) or not 0 < share < 1:
        raise InputError(name, value, "a number above 0 and below 1")
    return float(share)


def as_held_back(value: Any, name: str = "held_back") -> HeldBack:
    """One, or its `record`.  Raises `InputError`."""
    try:
        found = HeldBack(**value) if isinstance(value, Mapping) else value
    except TypeError as error:
        raise InputError(name, value, "test_share, seed, group_by", str(error)) from None
    if not isinstance(found, HeldBack):
        raise InputError(name, value, "a HeldBack or None")
    return found
