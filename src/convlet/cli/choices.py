"""How a step is taken: the options that `convlet train` and `convlet find-lr` share."""

from dataclasses import dataclass, fields
from typing import Any

import click

from convlet import recipes
from convlet.balance import parsed
from convlet.cli import options
from convlet.cli.options import Decorator, real, together, whole, word
from convlet.datasets import Dataset
from convlet.engines import ENGINES, as_engine
from convlet.errors import ArchitectureError, InputError, Name
from convlet.inputs import as_threads
from convlet.layers import Layer
from convlet.network import Network
from convlet.optimizers import BY_NAME, Optimizer, as_optimizer, with_numbers
from convlet.recipes import Recipe
from convlet.settings import Settings
from convlet.stages import group
from convlet.text import parse_layers
from convlet.wording import size

OF_RECIPE = "of the recipe"


def shared(recipe: Decorator) -> Decorator:
    """The options, which the command gets in its parameter `choices`.

    recipe: the option --recipe, which has another default in each.
    """
    return together("choices", Choices, [options.DATA, options.LAYERS, recipe, *_OPTIONS])


def recipe_option(about: str, **attrs: Any) -> Decorator:
    """--recipe.  about: what holds without it."""
    what = f"What options are unless given: {', '.join(recipes.NAMES)}.{about}"
    return word("--recipe", of=recipes.NAMES, metavar="NAME", help=what, **attrs)


_OPTIONS = (
    whole("--batch-size", help="Images in one step.", show_default=OF_RECIPE),
    word(
        "--optimizer",
        of=BY_NAME,
        metavar="NAME",
        help=", ".join(BY_NAME) + ".",
        show_default=OF_RECIPE,
    ),
    real("--momentum", help="Of sgd, momentum and nesterov.", show_default=OF_RECIPE),
    real("--weight-decay", help="Lambda, beside the gradient.", show_default=OF_RECIPE),
    real("--clip-norm", help="Greatest norm of a gradient."),
    real("--label-smoothing", default=0.0, help="Share spread over all classes."),
    click.option(
        "--class-weight",
        metavar="WEIGHTS",
        help='balanced: all classes weigh the same; or as in "cat=2, dog=0.5".',
    ),
    click.option(
        "--augment",
        "augmentation",
        metavar="CHANGES",
        help='As in "shift 2, rotation 15": also scale, shear, elastic, sigma, flip; or none.',
        show_default=OF_RECIPE,
    ),
    whole(
        "--seed",
        default=0,
        help="Of weights, shuffles, dropout, augmentation; also of images that are held back or"
        " dealt to folds.",
    ),
    word("--engine", of=ENGINES, metavar="NAME", default="auto", help=f"{', '.join(ENGINES)}."),
    options.THREADS,
)


def given_settings(given: object) -> dict[str, Any]:
    """The arguments of `Settings` that a record of options has, those that were given."""
    values = ((field.name, getattr(given, field.name, None)) for field in fields(Settings))
    return {name: value for name, value in values if value is not None}


@dataclass(frozen=True)
class Choices:
    """What was given; None leaves a value to the recipe."""

    data: str
    layers: str | None
    recipe: str | None
    batch_size: int | None
    optimizer: str | None
    momentum: float | None
    weight_decay: float | None
    clip_norm: float | None
    label_smoothing: float
    class_weight: str | None
    augmentation: str | None
    seed: int
    engine: str
    threads: int | None

    def check(self, **more: Any) -> None:
        """Refuse what is wrong, before any data are read.  more: of `settings`."""
        self.settings(self.base(), **more)
        as_engine(self.engine)
        as_threads(self.threads)
        if self.layers is not None:
            parse_layers(self.layers)

    def base(self) -> Recipe:
        """The recipe, not yet fitted to the data."""
        return self.fitted(None)

    def fitted(self, data: Dataset | None) -> Recipe:
        """The recipe for these data."""
        return recipes.recipe("default" if self.recipe is None else self.recipe, data)

    def settings(self, recipe: Recipe, **more: Any) -> Settings:
        """What was given, and where it was not, what the recipe says.

        more: further arguments of `Settings`.
        """
        optimizer = self.optimizer_for(recipe.optimizer)
        chosen = given_settings(self) | more | {"optimizer": optimizer}
        if self.class_weight is not None:
            chosen["class_weight"] = parsed(self.class_weight)
        return recipe.settings_but(**chosen)

    def optimizer_for(self, otherwise: Optimizer) -> Optimizer:
        """The optimiser with the numbers that were given.  otherwise: without --optimizer."""
        optimizer = otherwise if self.optimizer is None else as_optimizer(self.optimizer)
        return with_numbers(optimizer, self.momentum, self.weight_decay)

    def network(self, data: Dataset, recipe: Recipe) -> Network:
        """The network for these data, of --layers or of the recipe.  Raises `InputError`."""
        shape, classes = data.train.images.shape[1:], len(data.classes)
        try:
            layers = self._layers(data) or recipe.layers(classes)
            network = Network(layers, shape, self.seed, classes=data.classes, engine=self.engine)
        except ArchitectureError as error:
            if self.layers is not None:
                raise
            but = f"its network does not fit images {size(shape)} ({error})"
            hint = ("describe one with ", Name("layers"))
            raise InputError("recipe", recipe.name, but=but, hint=hint) from None
        network.preparation = data.preparation
        network.held_back = data.held_back
        return network

    def _layers(self, data: Dataset) -> tuple[Layer, ...] | None:
        """The layers of --layers."""
        if self.layers is None:
            return None
        layers, classes = parse_layers(self.layers), len(data.classes)
        units = group(layers, data.train.images.shape[1:])[-1].output_shape[0]
        if units != classes:
            raise InputError(
                "layers",
                units,
                found=f"ends with {units} classes",
                but=f"{data.name} has {classes}",
                hint=f"end with dense {classes}, softmax",
            )
        return layers
