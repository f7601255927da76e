"""Settings as the page proposes them: checked field by field, completed, made into a network."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite, prod
from typing import Any

from convlet import recipes
from convlet.augmentation import check_shift
from convlet.errors import InputError, Name
from convlet.layers import Layer
from convlet.network import Network
from convlet.optimizers import Optimizer, as_optimizer, with_numbers
from convlet.server.description import Data, Json, optimizer_name, settings_json, stage_json
from convlet.settings import Settings
from convlet.stages import Stage, group
from convlet.text import parse_layers

FIELDS = {
    "layers",
    "recipe",
    "momentum",
    "weight_decay",
    *(one.name for one in fields(Settings) if one.name != "class_weight"),
}
WORDS = ("recipe", "optimizer", "augmentation", "schedule")
NONE: Mapping[str, Any] = {
    "clip_norm": None,
    "patience": None,
    "label_smoothing": 0.0,
    "learning_rate": None,
    "augmentation": "none",
    "schedule": "constant",
}
"""What an empty field means: off, or the usual value."""
LEFT = ("momentum", "weight_decay", "shards", "recipe", "optimizer")
"""Fields that are as if they were not there where they are empty."""

MOST_SEED = 2**53 - 1
"""Greater ones lose digits in JavaScript: a page would begin another run than it says."""


@dataclass(frozen=True)
class Plan:
    """What is trained, and how; recipe: whose values hold where nobody chose another."""

    layers: tuple[Layer, ...]
    settings: Settings
    recipe: str | None

    def as_json(self) -> Json:
        return settings_json(self.settings, self.layers, self.recipe)


@dataclass(frozen=True)
class Proposal:
    """What became of proposed fields: a plan, or problems by field."""

    plan: Plan | None
    stages: tuple[Stage, ...]
    problems: tuple[tuple[str, str], ...]

    def as_json(self) -> Json:
        return {
            "stages": [stage_json(stage) for stage in self.stages],
            "parameters": sum(stage.parameter_count for stage in self.stages),
            "problems": [{"field": name, "message": text} for name, text in self.problems],
            "settings": None if self.plan is None else self.plan.as_json(),
        }


def check_for(settings: Settings, data: Data) -> None:
    """Raise `InputError` for settings that make no sense with these data."""
    check_shift(settings.augmentation, data.train.images.shape[1:])
    if settings.patience is not None and data.judges is None:
        hint = ("give ", Name("validation"), "=(x, y)")
        raise InputError("patience", settings.patience, but="no images judge the epochs", hint=hint)


def proposed(given: Mapping[str, Any], now: Plan, network: Network, data: Data | None) -> Proposal:
    """The plan for these fields.

    What is not given is that of the recipe where another one is given, else as it is now.  What is
    given as null or an empty text is off, or the usual value: a rate is that of the recipe.
    """
    problems: dict[str, str] = {}
    filled = {k: NONE.get(k) if v in (None, "") else _whole(v) for k, v in given.items()}
    chosen = {k: v for k, v in filled.items() if v is not None or k not in LEFT}
    for one in given:
        if one not in FIELDS:
            problems[one] = f"{one} is no setting, expected one of: {', '.join(sorted(FIELDS))}"
    for one in WORDS:
        if not isinstance(chosen.get(one, ""), str):
            problems[one] = f"{one} is {chosen.pop(one)!r:.50}, expected a text"
    recipe, name = None, now.recipe
    if "recipe" in chosen:
        try:
            name = str(chosen["recipe"])
            found = recipes.recipe(name) if data is None else data.recipe(name)
            if name != now.recipe:
                recipe = found
            elif chosen.get("learning_rate", 0) is None and "optimizer" not in chosen:
                chosen["learning_rate"] = found.learning_rate
        except InputError as error:
            problems["recipe"] = str(error)
    layers, stages = _layers(chosen, recipe, now, network, problems)
    settings = _settings(chosen, recipe, now, problems)
    if settings is not None and data is not None:
        try:
            check_for(settings, data)
        except InputError as error:
            named = error.parameter if error.parameter in FIELDS else "augmentation"
            problems[named] = str(error)
    if problems or settings is None:
        return Proposal(None, stages, tuple(problems.items()))
    return Proposal(Plan(layers, settings, name), stages, ())


def _layers(
    chosen: Mapping[str, Any],
    recipe: recipes.Recipe | None,
    now: Plan,
    network: Network,
    problems: dict[str, str],
) -> tuple[tuple[Layer, ...], tuple[Stage, ...]]:
    """The layers and their stages; those that are there now where they are wrong."""
    classes = network.class_count
    try:
        if "layers" in chosen:
            layers = parse_layers(chosen["layers"])
        else:
            layers = now.layers if recipe is None else recipe.layers(classes)
        stages = group(layers, network.input_shape)
        units = stages[-1].output_shape[0]
        if units != classes:
            found, but = f"ends with {units} classes", f"the data have {classes}"
            hint = f"end with dense {classes}, softmax"
            raise InputError("layers", units, found=found, but=but, hint=hint)
    except InputError as error:
        problems["layers"] = _said(error)
        return now.layers, ()
    return layers, stages


def _whole(value: Any) -> Any:
    """A whole number of which a page could not keep every digit, and so sent its text."""
    whole = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20
    return int(value) if whole else value


def _said(error: InputError) -> str:
    """In the words of a field, where the value is none that stands in one."""
    if error.value is None and not error.found:
        return str(error.remade(found="is empty"))
    try:
        finite = isfinite(float(error.value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        finite = True  # of what is no number at all
    if isinstance(error.value, str) and not any(map(str.isdigit, error.value)):
        finite = True  # "nan" and "inf" are words, 1e400 is none
    return str(error) if finite else str(error.remade(found="is not a finite number"))


def _settings(
    chosen: Mapping[str, Any],
    recipe: recipes.Recipe | None,
    now: Plan,
    problems: dict[str, str],
) -> Settings | None:
    """The settings, each wrong one named; None where there is one."""
    names = [one.name for one in fields(Settings) if one.name in chosen]
    values = {name: chosen[name] for name in names if name != "optimizer"}
    for name, value in values.items():
        try:
            Settings(**{name: value})
        except InputError as error:
            if name != "shards":  # with the size of the minibatch, below
                problems[name] = _said(error)
    if "seed" in values and "seed" not in problems and values["seed"] > MOST_SEED:
        problems["seed"] = f"seed is {values['seed']}, expected at most {MOST_SEED} on a page"
    numbers = {name: chosen[name] for name in ("momentum", "weight_decay") if name in chosen}
    before = now.settings.optimizer if recipe is None else recipe.optimizer
    try:
        values["optimizer"] = _optimizer(chosen.get("optimizer"), before, numbers)
    except InputError as error:
        problems[error.parameter if error.parameter in FIELDS else "optimizer"] = _said(error)
        return None
    if problems:
        return None
    try:
        if recipe is None:
            return now.settings.but(**values)
        kept = now.settings.class_weight
        return recipe.settings_but(class_weight=kept, **values)
    except InputError as error:
        problems[error.parameter] = _said(error)
        return None


def _optimizer(name: str | None, before: Optimizer, numbers: Mapping[str, Any]) -> Optimizer:
    """The optimiser of that name; with the numbers that it had, if it is the same."""
    same = name in (None, optimizer_name(before))
    found = before if same else as_optimizer(name)
    return with_numbers(found, **numbers)


def network_for(plan: Plan, like: Network) -> Network:
    """A network of the plan's layers with first weights by its seed, for the data of another."""
    network = Network(
        plan.layers,
        like.input_shape,
        plan.settings.seed,
        classes=like.classes,
        engine=like.engine.name,
    )
    network.preparation, network.held_back = like.preparation, like.held_back
    network.data = like.data
    return network


def size_of(stages: tuple[Stage, ...]) -> int:
    """Numbers that one image leaves in all stages."""
    return sum(prod(stage.z_shape) * (1 + len(stage.sigma)) for stage in stages)
