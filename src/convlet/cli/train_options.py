"""The options of how to train that `convlet train` has beside those of choices.py."""

from dataclasses import dataclass, replace

from convlet.cli.choices import OF_RECIPE, Choices
from convlet.cli.names import call
from convlet.cli.options import Decorator, real, together, whole, word
from convlet.datasets import Dataset
from convlet.errors import InputError, Name
from convlet.inputs import as_count
from convlet.schedules import SCHEDULES


@dataclass(frozen=True)
class Course:
    """How one training goes, as given; None leaves a value to the recipe, or is none."""

    epochs: int | None
    shards: int | None
    learning_rate: float | None
    schedule: str | None
    patience: int | None
    hold_out: int | None
    limit: int | None

    def check(self) -> None:
        """Refuse what is no number of images."""
        for name in ("hold_out", "limit"):
            if getattr(self, name) is not None:
                as_count(getattr(self, name), name)

    def with_recipe(self, choices: Choices) -> Choices:
        """With the recipe that counts without --recipe."""
        if choices.recipe is not None:
            return choices
        # the numbers of the default one were not chosen for another step
        step = (choices.optimizer, choices.momentum, choices.weight_decay)
        own = any(value is not None for value in (*step, self.learning_rate, self.schedule))
        return replace(choices, recipe="plain" if own else "default")

    def limited(self, data: Dataset) -> Dataset:
        """With so many of the training images."""
        if self.limit is None:
            return data
        call(count="--limit")
        return data.limited(self.limit)

    def seen(self, data: Dataset, seed: int) -> Dataset:
        """The data as training sees them; the validation images are those that epochs end with.

        They are the images held out, else those that came with the data, else the test images.
        """
        seen = self.limited(data)
        if self.hold_out is None:
            return replace(seen, validation=seen.validation or seen.test)
        call(count="--hold-out")
        held = seen.hold_out(self.hold_out, seed)
        return replace(held, validation=held.test, test=data.test)


@dataclass(frozen=True)
class TrainOptions(Course):
    """Those of one training, or of one for each fold."""

    folds: int | None

    def check(self) -> None:
        """Refuse what is no number of images, and what folds leave no room for."""
        super().check()
        if self.folds is None:
            return
        as_count(self.folds, "folds", 2)
        for name in ("hold_out", "patience"):
            if getattr(self, name) is not None:
                but = "each fold is judged on images that nothing was chosen by"
                raise InputError(
                    name, getattr(self, name), but=but, hint=("leave out ", Name("folds"))
                )


COURSE = (
    whole("--epochs", help="How often every image is used.", show_default=OF_RECIPE),
    real(
        "--learning-rate",
        help="Step size, eta.",
        show_default="of the recipe; with an optimizer of another usual rate, that one",
    ),
    word(
        "--schedule",
        of=SCHEDULES,
        metavar="SCHEDULE",
        help=f'Of the learning rate: {", ".join(SCHEDULES)}; with numbers as in "step every 5".',
        show_default=OF_RECIPE,
    ),
)


def shards(usual: str) -> Decorator:
    """--shards of a command, with its usual number in words."""
    return whole(
        "--shards",
        help="Parts of a minibatch, whose sums meet along a tree: they decide the bits.",
        show_default=usual,
    )


LIMIT = whole("--limit", help="Use N training images only, of each class its share.")
_ONE = (
    *COURSE,
    shards("1; with --cluster or --workers 8"),
    whole(
        "--patience",
        help="Stop after N epochs without a lower validation loss; the best epoch is saved.",
    ),
    whole(
        "--hold-out",
        help="Keep N training images, chosen by --seed, for the validation after each epoch;"
        " without it that has the test images.",
    ),
    LIMIT,
)
ONE = together("course", Course, _ONE)
OPTIONS = together(
    "training",
    TrainOptions,
    [
        *_ONE,
        whole(
            "--folds",
            help="Train N networks, each without another part of the images, and test it on that"
            " part; the mean and the spread are said, and no model is saved.",
        ),
    ],
)
