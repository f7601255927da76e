"""Errors keep their parts, compose their sentence for any reader, and travel between processes."""

import ast
import pickle
import re
from pathlib import Path

import pytest

import convlet
from convlet.errors import (
    ArchitectureError,
    ConvletError,
    DivergedError,
    FileError,
    InputError,
    Name,
    blaming,
)

OPTIONS = {
    "batch_size": "--batch-size",
    "clip_norm": "--clip-norm",
    "learning_rate": "--learning-rate",
    "layers": "--layers",
    "momentum": "--momentum",
    "checkpoint": "--checkpoint",
    "Augmentation": "--augment",
    "StepDecay": "--schedule",
    "every": "--every",
    "resume": "--resume",
    "schedule": "--schedule",
    "schedule.end": "--end",
}


@pytest.mark.parametrize(
    ("error", "in_python", "on_the_command_line"),
    [
        (
            InputError("batch_size", 0, "a whole number from 1", "ask for one"),
            "batch_size is 0, expected a whole number from 1: ask for one",
            "--batch-size is 0, expected a whole number from 1: ask for one",
        ),
        (
            InputError("x", (3, 4), "images", found="has shape (3, 4)"),
            "x has shape (3, 4), expected images",
            "x has shape (3, 4), expected images",
        ),
        (
            InputError("momentum", 2, "a number below 1", owner="SGD"),
            "SGD: momentum is 2, expected a number below 1",
            "--momentum is 2, expected a number below 1",
        ),
        (
            InputError("shift", -1, "a number from 0", owner="Augmentation"),
            "Augmentation: shift is -1, expected a number from 0",
            "--augment: shift is -1, expected a number from 0",
        ),
        (
            ArchitectureError("layers", "pol 2", "pool SIZE", subject="layers[2]"),
            "layers[2] is 'pol 2', expected pool SIZE",
            "--layers: layers[2] is 'pol 2', expected pool SIZE",
        ),
        (
            InputError("clip_norm", None, but="the run has 1.0"),
            "clip_norm is None, but the run has 1.0",
            "--clip-norm is not given, but the run has 1.0",
        ),
        (
            InputError("every", 5, but=("there is no ", Name("checkpoint"))),
            "every is 5, but there is no checkpoint",
            "--every is 5, but there is no --checkpoint",
        ),
        (
            InputError("every", 0, "1 or more", owner="StepDecay"),
            "StepDecay: every is 0, expected 1 or more",
            "--schedule: every is 0, expected 1 or more",
        ),
        (
            InputError("schedule.every", 2, but="the run has 1"),
            "schedule.every is 2, but the run has 1",
            "--schedule: every is 2, but the run has 1",
        ),
        (
            InputError("schedule.end", 2, but="the run has 1"),
            "schedule.end is 2, but the run has 1",
            "--end is 2, but the run has 1",
        ),
        (
            InputError("resume", True, but=("there is no ", Name("checkpoint"))),
            "resume is True, but there is no checkpoint",
            "--resume is given, but there is no --checkpoint",
        ),
        (
            DivergedError("step 3", ("lower ", Name("learning_rate")), "run/last"),
            "step 3: lower learning_rate; last good checkpoint: run/last",
            "step 3: lower --learning-rate; last good checkpoint: run/last",
        ),
    ],
)
def test_the_sentence_is_composed_for_its_reader(error, in_python, on_the_command_line):
    assert str(error) == in_python
    assert error.told(OPTIONS) == on_the_command_line
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.told(OPTIONS)) == (
        type(error),
        in_python,
        on_the_command_line,
    )
    assert vars(again) == vars(error)


def test_text_of_a_user_is_never_taken_for_a_name():
    error = InputError("layers", "clip_norm {batch_size}", hint="say clip_norm")
    assert error.told(OPTIONS) == "--layers is 'clip_norm {batch_size}': say clip_norm"


def test_an_error_that_blames_nothing_may_be_blamed_on_a_parameter():
    with pytest.raises(FileError) as caught, blaming("checkpoint"):
        raise FileError("run cannot be written: the disk is full")
    assert str(caught.value) == "run cannot be written: the disk is full"
    assert caught.value.told(OPTIONS) == f"--checkpoint: {caught.value}"
    with pytest.raises(InputError) as caught, blaming("checkpoint"):
        raise InputError("batch_size", 0)
    assert caught.value.parameter == "batch_size"


@pytest.mark.parametrize(
    ("call", "parameter", "value"),
    [
        (lambda: convlet.Settings(epochs=0), "epochs", 0),
        (lambda: convlet.Settings(batch_size=2.5), "batch_size", 2.5),
        (lambda: convlet.Settings(learning_rate=-1), "learning_rate", -1),
        (lambda: convlet.Settings(seed=-1), "seed", -1),
        (lambda: convlet.Settings(optimizer="none"), "optimizer", "none"),
        (lambda: convlet.Settings(schedule="none"), "schedule", "none"),
        (lambda: convlet.Settings(clip_norm=0), "clip_norm", 0),
        (lambda: convlet.Settings(label_smoothing=1), "label_smoothing", 1),
        (lambda: convlet.Settings(augmentation=3), "augmentation", 3),
        (lambda: convlet.SGD(momentum=1), "momentum", 1),
        (lambda: convlet.AdamW(epsilon=0), "epsilon", 0),
        (lambda: convlet.Dropout(1), "rate", 1),
        (lambda: convlet.Network(input_shape=(1,)), "input_shape", (1,)),
        (lambda: convlet.Network("relu, softmax"), "layers", convlet.ReLU()),
        (lambda: convlet.Network(seed="a"), "seed", "a"),
        (lambda: convlet.Network(engine="gpu"), "engine", "gpu"),
    ],
)
def test_an_error_says_its_parameter_and_value(call, parameter, value):
    with pytest.raises(InputError) as caught:
        call()
    assert (caught.value.parameter, caught.value.value) == (parameter, value)
    assert parameter in str(caught.value) or caught.value.subject


ALLOWED = {
    "cli/interrupt.py": ["error.args"],  # termios keeps the number of its error there, no words
    "errors.py": ["str(error)"],  # of another library: lines become one
}
OF_PATTERNS = {"sub", "match", "fullmatch", "search", "findall", "finditer", "split", "fill"}


def uses_of_words(source: str) -> list[str]:
    """Expressions that look into the words of an error, which may only be handed on as a whole.

    An error is what `except` gives a name to, or a parameter whose type is called so.
    """
    tree = ast.parse(source)
    errors = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)}
    errors |= {
        node.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.arg)
        and node.annotation is not None
        and re.search(r"(Error|Exception|Interrupt)\b", ast.unparse(node.annotation))
    }

    def is_error(node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in errors

    def is_words(node: ast.AST) -> bool:
        match node:
            case ast.Call(func=ast.Name(id="str" | "repr" | "format"), args=[inside, *_]):
                return is_error(inside)
            case ast.Call(func=ast.Attribute(value=inside, attr="told" | "__str__")):
                return is_error(inside)
            case ast.JoinedStr(values=values):
                return any(isinstance(v, ast.FormattedValue) and is_error(v.value) for v in values)
            case ast.Attribute(value=inside, attr="args"):
                return is_error(inside)
        return False

    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=inside) | ast.Subscript(value=inside):
                looked_at = [inside]
            case ast.Compare(left=left, comparators=right):
                looked_at = [left, *right]
            case ast.For(iter=inside) | ast.comprehension(iter=inside) | ast.Starred(value=inside):
                looked_at = [inside]
            case ast.Call(func=ast.Attribute(attr=name), args=args) if name in OF_PATTERNS:
                looked_at = args
            case ast.Call(func=ast.Name(id="len" | "sorted" | "list" | "map"), args=args):
                looked_at = args
            case ast.Assign(targets=[ast.Tuple() | ast.List()], value=inside):
                looked_at = [inside]
            case _:
                looked_at = []
        found += [ast.unparse(words) for words in looked_at if is_words(words)]
    return found


def test_nothing_in_the_package_edits_or_parses_a_message():
    """An error is never made from a part of the text of another one, nor asked for its words."""
    package = Path(convlet.__file__).parent
    found = {
        path.relative_to(package).as_posix(): uses
        for path in sorted(package.rglob("*.py"))
        if (uses := uses_of_words(path.read_text()))
    }
    assert found == ALLOWED


@pytest.mark.parametrize(
    "use",
    [
        'str(error).replace("a", "b")',
        "str(error)[:40]",
        'f"{error}".split(":")',
        '"such" in str(error)',
        'str(error) == "x"',
        'error.told().partition(",")',
        're.sub("a", "b", str(error))',
        "error.args[0]",
        "[word for word in str(error)]",
        "first, *rest = error.args",
    ],
)
def test_each_way_to_look_into_a_message_is_seen(use):
    assert uses_of_words(f"try:\n    pass\nexcept OSError as error:\n    {use}\n")
    assert uses_of_words(f"def f(error: ConvletError | None):\n    {use}\n")
    assert not uses_of_words(f"def f(error: str):\n    {use}\n")


def test_a_message_may_be_handed_on():
    for use in ('f"it failed ({error})"', "fail(str(error))", 'f"; {error}" if str(error) else ""'):
        assert not uses_of_words(f"try:\n    pass\nexcept OSError as error:\n    {use}\n")


def test_every_error_is_one_family():
    for name in dir(convlet.errors):
        kind = getattr(convlet.errors, name)
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert issubclass(kind, ConvletError)
