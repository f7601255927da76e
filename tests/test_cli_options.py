"""Every option and argument of every command: a wrong value is refused by its name, before work."""

import shutil
from pathlib import Path

import click
import numpy as np
import pytest

import convlet
from command_line import assert_refused
from convlet import gradcheck
from convlet.cli import models
from convlet.cli.group import COMMANDS, GROUP
from convlet.cli.help import Argument

ONNX = Path(__file__).parent / "data" / "onnx" / "keras-mnist.onnx"
FLAG = ["=yes"]  # which takes no value
PICTURE = ["a_file/x.png", "x.gif", "a_folder", "missing/x.png", "other.png", ""]
SHARED = {
    "layers": ["", "conv", "conv 8 5, rely, softmax", "conv 0 5, softmax", "dropout 2, softmax"],
    "recipe": ["fast", ""],
    "batch_size": ["0", "x"],
    "optimizer": ["rms", ""],
    "momentum": ["1", "x", "-0.1"],
    "weight_decay": ["-1", "x"],
    "clip_norm": ["0", "x"],
    "label_smoothing": ["1", "x", "-1"],
    "class_weight": ["x", "0=", "=1", "0=1, 0=2", "0=x", "0=-1", "0=inf", ""],
    "augmentation": ["tilt 3", "shift -1", "sigma 2", ""],
    "seed": ["-1", "x", str(1 << 64)],
    "engine": ["turbo", ""],
    "threads": ["0", "1025", "x"],
    "json": FLAG,
}
DIVISION = {
    "test_share": ["0", "1", "x"],
    "group_by": ["("],
    "skip_damaged": FLAG,
}
READING = {
    **DIVISION,
    "size": ["0", "x", "8x8x8", "64x0", "5000", ""],
    "colour": ["blue", ""],
    "fit": ["squeeze", "figure", ""],
}
WRONG = {
    "train": {
        **SHARED,
        **READING,
        "epochs": ["0", "x", "2.5", "-1", "1e3"],
        "learning_rate": ["0", "x", "nan", "inf", "1e300", "-1"],
        "schedule": ["linear", "step every 0", "cosine 3", "one-cycle rise 2", ""],
        "patience": ["0", "x"],
        "hold_out": ["0", "x"],
        "limit": ["0", "x"],
        "folds": ["0", "1", "x"],
        "out": ["a_file/m", "a_file", "a_folder", "missing/m.safetensors", "/dev/null", ""],
        "history": ["a_file/x.csv", "x.txt", "missing/x.csv", "/proc/x.csv", ""],
        "tensorboard": ["a_file", "a_file/x", "/proc/x", ""],
        "checkpoint": ["a_file", "a_file/x", "/proc/x", ""],
        "every": ["0", "x", "5"],  # 5 without --checkpoint
        "resume": ["", "=yes"],  # likewise
        "shards": ["0", "x", "4097", "65"],
        "cluster": ["", "foo://x"],
        "workers": ["0", "x", "9"],
    },
    "live": {
        **{name: values for name, values in SHARED.items() if name != "json"},
        **READING,
        "epochs": ["0", "x"],
        "learning_rate": ["0", "x"],
        "schedule": ["linear", ""],
        "patience": ["0", "x"],
        "hold_out": ["0", "x"],
        "limit": ["0", "x"],
        "shards": ["0", "x", "4097", "65"],
        "model_file": [""],
        "begin": FLAG,
        "no_browser": FLAG,
        "port": ["-1", "x", "65536"],
        "host": ["0.0.0.0", "example.org", ""],
        "expose": FLAG,
    },
    "find-lr": {
        **SHARED,
        **READING,
        "least": ["0", "x", "inf"],
        "most": ["0", "x", "1e-9"],
        "steps": ["1", "x"],
        "out": PICTURE,
    },
    "sweep": {
        **SHARED,
        **READING,
        "grid": ["", "rate=1", "batch_size=0", "batch_size=8,8"],
        "epochs": ["0", "x"],
        "learning_rate": ["0", "x"],
        "schedule": ["linear", ""],
        "shards": ["0", "x", "4097"],
        "limit": ["0", "x"],
        "folds": ["1", "x"],
        "hold_out": ["0", "x"],
        "seeds": ["0", "x"],
        "out": ["a_file", "a_file/x", "/proc/x", ""],
        "picture": PICTURE,
        "cluster": ["", "here"],
        "workers": ["0", "x"],
    },
    "augment": {
        **READING,
        "preview": PICTURE,
        "augment": ["none", "tilt 3", "scale 7", ""],
        "seed": ["-1", "x"],
        "count": ["0", "51", "x"],
    },
    "data": {**READING, "out": PICTURE, "json": FLAG},
    "evaluate": {**DIVISION, "seed": ["-1", "x"], "threads": ["0", "x"], "json": FLAG},
    "cache": {"cleared": FLAG, "json": FLAG},
    "predict": {
        "top": ["0", "x"],
        "as_is": FLAG,
        "invert": FLAG,
        "as_csv": FLAG,
        "threads": ["0", "x"],
        "json": FLAG,
    },
    "import": {
        "out": ["a_file/m", "a_file", "a_folder", "missing/m.safetensors", "/dev/null", ""],
        "input": ["28", "0x8", "axb", ""],
        "white": ["0", "x", "nan", "-1"],
    },
    "quantize": {
        **DIVISION,
        "seed": ["-1", "x"],
        "out": ["a_file/m", "a_file", "a_folder", "missing/m.safetensors", "m.safetensors", ""],
        "count": ["0", "x"],
        "calibration_seed": ["-1", "x"],
        "ranges": ["most", ""],
        "threads": ["0", "x"],
        "json": FLAG,
    },
    "show": {"layers": SHARED["layers"], "input": ["28", "0x8", "axb", ""], "engine": FLAG},
    "check": {
        "layers": SHARED["layers"],
        "input": ["28", "0x8", "8x8x8x8", "3x3"],
        "seed": ["-1", "x"],
        "json": FLAG,
    },
    "bench": {
        "network": ["vgg", ""],
        "batch_size": ["0", "x", "60001"],
        "threads": ["0", "x"],
        "quick": FLAG,
        "json": FLAG,
    },
    "export": {
        "dtype": ["int8", "float", ""],
        "prepare": FLAG,
        "labels": FLAG,
        "header": FLAG,
        "name": ["2a", "int", "a-b", ""],
        "arena": ["heap", ""],
        "selftest": ["nosuch", "a_file", ""],
        "max_flash": ["0", "64q", "-1", ""],
        "max_ram": ["0", "8 k", ""],
        "arduino": ["a_file", "a_file/x", ""],
    },
    "plot": {
        **DIVISION,
        "seed": ["-1", "x"],
        "out": PICTURE,
        "image": ["-1", "x"],
        "label": ["-1", "x", "0"],
        "count": ["0", "401", "x"],
    },
    "report": {
        **DIVISION,
        "seed": ["-1", "x"],
        "out": ["a_file/x.html", "a_file", "a_folder", "missing/x.html", "m.safetensors", ""],
        "history": ["x.txt", "missing.csv", "a_folder/none.csv", ""],
    },
}
"""Command -> option -> values.  One that begins with "=" belongs to a flag."""

NEEDED = {
    "sweep": ["--grid", "clip_norm=1,2"],
    "augment": ["--augment", "flip", "--preview", "seen.png"],
    "evaluate": ["m.safetensors"],
    "predict": ["m.safetensors", "one.npy"],
    "import": ["one.onnx"],
    "export": ["m.safetensors", "m.onnx"],
    "plot": ["mistakes", "m.safetensors"],
    "quantize": ["m.safetensors"],
    "report": ["m.safetensors"],
}
"""What a command does not do without."""


@pytest.fixture(autouse=True)
def _places(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("a_folder").mkdir()
    Path("a_file").write_text("text")
    Path("other.png").write_text("no picture")
    Path("a.onnx").write_text("no ONNX file of convlet")
    convlet.Network("flatten, dense 2, softmax", (4, 4)).save("m.safetensors")
    shutil.copy(ONNX, "one.onnx")
    np.save("one.npy", np.zeros((4, 4), np.uint8))


def command(name):
    return GROUP.get_command(GROUP.make_context("convlet", [name]), name)


def written():
    """Every file here, and what is in it."""
    return {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}


def assert_refused_before_any_work(arguments, name, capsys):
    """One line on stderr holds the name; nothing was written."""
    before = written()
    assert_refused(arguments, capsys, name)
    assert written() == before


def test_every_option_is_below():
    assert {*WRONG} == {*COMMANDS}
    for name, options in WRONG.items():
        found = {one.name for one in command(name).params if isinstance(one, click.Option)}
        assert found == {*options}


CASES = [
    (name, option, value)
    for name, options in WRONG.items()
    for option, values in options.items()
    for value in values
]


@pytest.mark.parametrize(("name", "option", "value"), CASES)
def test_a_wrong_value_is_refused_by_the_name_of_its_option(
    name, option, value, capsys, monkeypatch
):
    def work(*arguments, **options):
        pytest.fail("it began to work")

    monkeypatch.setattr(convlet.datasets, "load", work)
    monkeypatch.setattr(models, "load", work)
    monkeypatch.setattr(gradcheck, "_affine_rows", work)
    (flag,) = [one.opts[0] for one in command(name).params if one.name == option]
    given = [f"{flag}{value}"] if value.startswith("=") else [flag, value]
    if option == "resume" and not value:
        given = [flag]
    assert_refused_before_any_work([name, *NEEDED.get(name, []), *given], flag, capsys)


# ------------------------------------------------------------------------------------- arguments

ARGUMENTS = {
    ("train", "data"): ["nosuch", "./nosuch", "a_file", "a_folder", ""],
    ("live", "data"): ["nosuch", "./nosuch", "a_file", "a_folder", ""],
    ("find-lr", "data"): ["nosuch", "./nosuch", "a_file"],
    ("data", "data"): ["nosuch", "./nosuch", "a_file"],
    ("sweep", "data"): ["nosuch", "./nosuch", "a_file"],
    ("augment", "data"): ["nosuch", "./nosuch", "a_file"],
    ("evaluate", "model"): ["nosuch", "a_file", "a_folder", "one.npy", ""],
    ("evaluate", "data"): ["nosuch", "./nosuch", "a_file", "mnist"],
    ("predict", "model"): ["nosuch", "a_file", "a_folder", "one.npy"],
    ("predict", "images"): ["", "~nobody-at-all/x.png"],
    ("import", "file"): ["nosuch", "a_file", "a_folder", "one.npy", "m.safetensors", ""],
    ("quantize", "model"): ["nosuch", "a_file", "a_folder", "one.npy"],
    ("quantize", "data"): ["nosuch", "./nosuch", "a_file", "mnist"],
    ("show", "model"): ["nosuch", "a_file", "a_folder", "one.npy"],
    ("export", "model"): ["nosuch", "a_file", "a_folder", "m.onnx", ""],
    ("export", "file"): ["m.txt", "a_file/x.onnx", "missing/x.onnx", "a.onnx", "a_folder", ""],
    ("plot", "kind"): ["pie", ""],
    ("plot", "model"): ["nosuch", "a_file", "a_folder"],
    ("plot", "data"): ["nosuch", "./nosuch", "a_file", "mnist"],
    ("report", "model"): ["nosuch", "a_file", "a_folder"],
    ("report", "data"): ["nosuch", "./nosuch", "a_file", "mnist"],
}


def test_every_argument_is_above():
    found = {
        (name, one.name)
        for name in COMMANDS
        for one in command(name).params
        if isinstance(one, Argument)
    }
    assert found == {*ARGUMENTS}


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [(*which, value) for which, values in ARGUMENTS.items() for value in values],
)
def test_a_wrong_argument_is_refused_by_its_name(name, argument, value, capsys, monkeypatch):
    monkeypatch.setattr(convlet.Network, "fit", lambda *rest, **more: pytest.fail("it trained"))
    given = list(NEEDED.get(name, []))
    places = [one.name for one in command(name).params if isinstance(one, Argument)]
    first = name in ("augment", "sweep")  # what they need are options
    at = 0 if first else places.index(argument)
    given[at : at + (not first)] = [value]
    assert_refused_before_any_work([name, *given], argument.upper().removesuffix("S"), capsys)


def test_a_missing_argument_is_named(capsys):
    for name, argument in (("evaluate", "MODEL"), ("predict", "MODEL"), ("plot", "KIND")):
        assert_refused_before_any_work([name], f"Missing argument '{argument}'", capsys)
    assert_refused_before_any_work(["plot", "curves"], "Missing argument 'MODEL'", capsys)
    assert_refused_before_any_work(
        ["predict", "m.safetensors"], "Missing argument 'IMAGE...'", capsys
    )


@pytest.mark.parametrize("name", ["--help", "--version"])
def test_flags_of_the_group(name, capsys):
    assert_refused_before_any_work([f"{name}=yes"], name, capsys)
