"""How a caller wants the data that `datasets.load` reads."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from convlet.errors import InputError
from convlet.held_back import as_share
from convlet.inputs import as_bool, as_seed
from convlet.preparation import Colour, Fit, Preparation, as_colour, as_fit, as_size

_AS_THEY_ARE = "whose images are as they are"
NOT_OF_ARRAYS: Mapping[str, str] = {
    "size": _AS_THEY_ARE,
    "colour": _AS_THEY_ARE,
    "fit": _AS_THEY_ARE,
    "group_by": "whose images have no paths",
    "skip_damaged": "of which no single image is damaged",
}
"""What only images in files can be given, and why arrays cannot."""


@dataclass(frozen=True)
class Wishes:
    """How a caller wants images: see `datasets.load`.

    judged: images to test with are wanted, no others.  test_share: None is what division.py says.
    given: arguments as they came, for messages.
    """

    size: tuple[int, int] | None = None
    colour: Colour | None = None
    fit: Fit | None = None
    test_share: float | None = None
    group_by: re.Pattern[str] | None = None
    seed: int = 0
    skip_damaged: bool = False
    preparation: Preparation | None = None
    progress: bool = False
    judged: bool = False
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_fit(self) -> bool:
        """Whether it is said how images get their size, or they are not trained with."""
        return self.fit is not None or self.preparation is not None or self.judged

    def refuse_for_arrays(self, what: str) -> None:
        """Refuse what only images in files can be given.  what: the data are.

        Raises `InputError`.
        """
        for name, why in NOT_OF_ARRAYS.items():
            value = getattr(self, name)
            if value not in (None, False):
                but = f"{what} has arrays, {why}"
                raise InputError(name, self.given.get(name, value), but=but, hint="leave it out")

    def refuse_share(self, what: str) -> None:
        """Refuse a share of data that have images to test with.  what: they are.

        Raises `InputError`.
        """
        if self.test_share is not None:
            but, hint = f"{what} has a test part", "leave it out"
            raise InputError("test_share", self.test_share, but=but, hint=hint)


def as_wishes(
    size: Any = None,
    colour: Any = None,
    fit: Any = None,
    test_share: Any = None,
    group_by: Any = None,
    seed: Any = 0,
    skip_damaged: Any = False,
    preparation: Any = None,
    progress: bool = False,
    judged: bool = False,
) -> Wishes:
    """Wishes in their normal form.  Raises `InputError`."""
    given = {"size": size, "colour": colour, "fit": fit, "group_by": group_by}
    if preparation is not None:
        if not isinstance(preparation, Preparation):
            expected = "a convlet.datasets.Preparation, as network.preparation is"
            raise InputError("preparation", preparation, expected)
        for name in ("size", "colour", "fit"):
            if given[name] is not None:
                but, hint = "preparation says it", "leave one of them out"
                raise InputError(name, given[name], but=but, hint=hint)
    if group_by is not None:
        try:
            group_by = re.compile(group_by)
        except (re.error, TypeError) as error:
            hint = str(error)
            raise InputError("group_by", group_by, "a regular expression", hint) from None
    if test_share is not None:
        test_share = as_share(test_share)
    return Wishes(
        as_size(size),
        None if colour is None else as_colour(colour),
        None if fit is None else as_fit(fit),
        test_share,
        group_by,
        as_seed(seed),
        as_bool(skip_damaged, "skip_damaged"),
        preparation,
        progress,
        judged,
        given,
    )
