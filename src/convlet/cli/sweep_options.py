"""The options of `convlet sweep` that say what every trial does, and what judges it."""

from dataclasses import dataclass, fields

from convlet.cli.options import together, whole
from convlet.cli.train_options import COURSE, LIMIT, TrainOptions, shards
from convlet.errors import InputError, Name
from convlet.inputs import as_count

MOST_SEEDS = 1000


@dataclass(frozen=True)
class SweepOptions:
    """How a sweep judges, as given."""

    epochs: int | None
    learning_rate: float | None
    schedule: str | None
    shards: int | None
    limit: int | None
    folds: int | None
    hold_out: int | None
    seeds: int

    def check(self) -> None:
        """Refuse what is wrong.  Raises `InputError`."""
        as_count(self.seeds, "seeds", 1, MOST_SEEDS)
        for name, least in (("folds", 2), ("hold_out", 1), ("limit", 1)):
            if getattr(self, name) is not None:
                as_count(getattr(self, name), name, least)
        if self.folds is not None and self.hold_out is not None:
            but = "each fold is judged by itself"
            raise InputError("hold_out", self.hold_out, but=but, hint=("leave out ", Name("folds")))

    @property
    def training(self) -> TrainOptions:
        """Of every trial, but for what its combination says."""
        names = [one.name for one in fields(TrainOptions)]
        given = {name: getattr(self, name, None) for name in names}
        return TrainOptions(**{**given, "limit": None, "hold_out": None, "folds": None})


OPTIONS = together(
    "sweep",
    SweepOptions,
    [
        *COURSE,
        shards("1"),
        LIMIT,
        whole(
            "--folds",
            help="Judge by cross-validation, with the folds of train --folds N: N trials for each"
            " combination.",
        ),
        whole(
            "--hold-out",
            help="Without --folds: judge by N training images, chosen by --seed.",
            show_default="the validation images that came with the data, or else one of six",
        ),
        whole("--seeds", default=1, help="Train each combination with N seeds, from --seed on."),
    ],
)
