"""The options of how to train that `convlet train` has beside those of choices.py."""

from dataclasses import dataclass, replace

from convlet.cli.choices import OF_RECIPE, Choices
from convlet.cli.options import real, together, whole, word
from convlet.datasets import Dataset
from convlet.inputs import as_count
from convlet.schedules import SCHEDULES


@dataclass(frozen=True)
class TrainOptions:
    """How a whole training goes, as given; None leaves a value to the recipe, or is none."""

    epochs: int | None
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

    def seen(self, data: Dataset, seed: int) -> Dataset:
        """The data as training sees them: its test images are those that each epoch ends with."""
        seen = replace(data, train=data.train.take(slice(self.limit)))
        return seen if self.hold_out is None else seen.hold_out(self.hold_out, seed)


OPTIONS = together(
    "training",
    TrainOptions,
    [
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
            help=f"Of the learning rate: {', '.join(SCHEDULES)}; with numbers as in"
            ' "step every 5".',
            show_default=OF_RECIPE,
        ),
        whole(
            "--patience",
            help="Stop after N epochs without a lower validation loss; the best epoch is saved.",
        ),
        whole(
            "--hold-out",
            help="Keep N training images, chosen by --seed, for the validation after each epoch;"
            " without it that has the test images.",
        ),
        whole("--limit", help="Use the first N training images only."),
    ],
)
