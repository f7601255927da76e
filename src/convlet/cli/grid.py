"""`--grid`: parameters of `convlet train` with the values that are tried."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import click

from convlet.cli.choices import Choices, given_settings
from convlet.cli.names import call
from convlet.cli.train import train
from convlet.cli.train_options import TrainOptions
from convlet.errors import InputError
from convlet.sweeps.outcomes import combinations
from convlet.wording import count

EXAMPLE = '"learning_rate=0.002,0.008; recipe=default,plain"'
FIXED = ("data", "seed", "engine", "threads")
"""Fields of `Choices` that are not tried."""
TRIED = (
    *(name for name in Choices.__dataclass_fields__ if name not in FIXED),
    *("epochs", "learning_rate", "schedule", "shards"),
)
WITH_COMMAS = ("augmentation", "class_weight", "layers")
"""Parameters whose values have commas of their own."""
MAY_BE_NONE = ("class_weight", "clip_norm")
OF_SWEEP = ("limit", "folds", "hold_out", "out", "cluster", "workers", "json")
"""Options of sweep that do not belong to a training: what judges, where, and how it is told."""
MOST = 10_000
"""Combinations of a grid."""


def parse(texts: Sequence[str]) -> dict[str, list[str]]:
    """The values of each parameter, as text, by its field of `Choices` or `TrainOptions`.

    As in "learning_rate=0.002,0.008; layers=conv 8 5, relu, ...|conv 16 5, relu, ...".  Raises
    `InputError`.
    """
    grid: dict[str, list[str]] = {}
    for text in texts:
        if not text.strip(" ;"):
            raise InputError("grid", text, f"as in {EXAMPLE}")
        for part in filter(None, map(str.strip, text.split(";"))):
            word, equals, rest = part.partition("=")
            name = _field(word.strip(), part if equals else None)
            if name in grid:
                raise InputError("grid", text, "each parameter once", found=f"names {word} twice")
            grid[name] = _values(name, word.strip(), rest)
    size = prod(map(len, grid.values()))
    if size > MOST:
        raise InputError("grid", size, f"at most {MOST:,}", found=f"has {size:,} combinations")
    return grid


def _field(word: str, part: str | None) -> str:
    """The field that a word of the grid means."""
    if part is None:
        raise InputError("grid", word, f"parameters with values, as in {EXAMPLE}")
    name = word.lstrip("-").replace("-", "_")
    name = "augmentation" if name == "augment" else name
    if name == "seed":
        hint = "--seeds N trains each combination with N seeds"
        raise InputError("grid", word, hint=hint, found="names seed, which is no choice")
    if name not in TRIED:
        known = sorted("augment" if one == "augmentation" else one for one in TRIED)
        raise InputError("grid", word, f"one of {', '.join(known)}", found=f"names {word!r}")
    return name


def _values(name: str, word: str, text: str) -> list[str]:
    mark = "|" if name in WITH_COMMAS or "|" in text else ","
    values = [value.strip() for value in text.split(mark)]
    if not all(values):
        expected = f"values with {mark!r} between them"
        raise InputError("grid", text, expected, found=f"has an empty value of {word}")
    twice = next((value for value, times in Counter(values).items() if times > 1), None)
    if twice is not None:
        raise InputError("grid", twice, "each value once", found=f"has {word}={twice} twice")
    return values


def chosen(
    grid: dict[str, list[str]], choices: Choices, training: TrainOptions
) -> tuple[tuple[Choices, TrainOptions], ...]:
    """The options of each combination, every one of them checked.  Raises `InputError`."""
    for name in grid:
        if is_given(name):
            given = vars(choices) | vars(training)
            raise InputError(
                name, given[name], but="it is in the grid", hint="leave one of them out"
            )
    call(**{name: f"--grid: {name}" for name in grid})
    if "optimizer" in grid or "momentum" in grid or "weight_decay" in grid:
        call(**{f"optimizer.{name}": f"--grid: {name}" for name in ("momentum", "weight_decay")})
    made = []
    for texts in combinations(grid):
        values = {name: value_of(name, text) for name, text in texts.items()}
        how = replace(training, **{n: v for n, v in values.items() if hasattr(training, n)})
        one = replace(choices, **{n: v for n, v in values.items() if hasattr(choices, n)})
        one = how.with_recipe(one)
        one.check(**given_settings(how))
        made.append((one, how))
    return tuple(made)


def is_given(name: str) -> bool:
    """Whether a parameter of the command was given as an option."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def value_of(name: str, text: str) -> Any:
    """A value as the option of that name makes it of its text."""
    if name in MAY_BE_NONE and text == "none":
        return None
    context = click.get_current_context()
    option = next(one for one in context.command.params if one.name == name)
    return option.type_cast_value(context, text)


def words(grid: dict[str, list[str]]) -> str:
    """How many combinations of what."""
    tried = ", ".join(f"{len(texts)} of {name}" for name, texts in grid.items())
    return f"{count(prod(map(len, grid.values())), 'combination')}: {tried}"


def train_command(data: str, values: Mapping[str, str]) -> str:
    """The command that trains a combination on all training images."""
    context = click.get_current_context()
    known = {one.name for one in train.params}
    words = ["convlet", "train", data]
    for option in context.command.params:
        name = option.name or ""
        if isinstance(option, click.Argument) or name in OF_SWEEP or name not in known:
            continue
        if name in values:
            if values[name] != "none" or name not in MAY_BE_NONE:
                words += [option.opts[0], values[name]]
        elif is_given(name):
            value = context.params[name]
            shown = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words += [option.opts[0]] if value is True else [option.opts[0], shown]
    return shlex.join(words)
