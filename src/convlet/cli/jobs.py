"""One training, as `convlet train` plans, says and does it; with --folds there are several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from convlet.augmentation import check_shift
from convlet.balance import by_class
from convlet.callbacks import Callback
from convlet.cli import lines
from convlet.cli.choices import Choices, given_settings
from convlet.cli.train_options import Course
from convlet.datasets import Dataset
from convlet.datasets.dataset import Split
from convlet.inference import Evaluation
from convlet.network import Network
from convlet.recipes import Recipe
from convlet.run import History
from convlet.settings import Settings


@dataclass(frozen=True)
class Job:
    """What is trained, with what, and how.

    validation: images that each epoch ends with, or None.
    """

    train: Split
    validation: Split | None
    network: Network
    recipe: Recipe
    settings: Settings
    threads: int | None

    def lines(self) -> Iterator[str]:
        """What will be done, in words."""
        yield from lines.of_network(self.network)
        yield lines.of_recipe(self.recipe, self.settings)
        yield from lines.of_settings(self.settings, self.network.layers)

    def fit(self, callbacks: Sequence[Callback], **more: Any) -> History:
        """Train.  more: further arguments of `Network.fit`."""
        judges = self.validation
        return self.network.fit(
            self.train.images,
            self.train.labels,
            None if judges is None else (judges.images, judges.labels),
            **self.settings.arguments(),
            callbacks=callbacks,
            threads=self.threads,
            progress=False,
            **more,
        )

    def evaluate(self, split: Split) -> Evaluation:
        """Of the network as it is now."""
        return self.network.evaluate(split.images, split.labels, threads=self.threads)


def job_for(
    data: Dataset,
    train: Split,
    validation: Split | None,
    choices: Choices,
    training: Course,
) -> Job:
    """The job of these images, with the recipe fitted to the data that they are of.

    Raises `InputError`.
    """
    recipe = choices.fitted(data)
    settings = choices.settings(recipe, **given_settings(training))
    network = choices.network(data, recipe)
    check_shift(settings.augmentation, network.input_shape)
    by_class(settings.class_weight, train.labels, network.class_count, network.classes)
    return Job(train, validation, network, recipe, settings, choices.threads)
