"""The command line as a whole: help, version, errors of one line, exit statuses."""

import os
import re
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import convlet
import convlet.__main__
from convlet import cli
from convlet.cli import main
from convlet.cli.options import refuse_unwritable

COMMANDS = ("train", "evaluate", "predict", "show", "check")


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch, tmp_path):
    """80 columns without colours, in an empty folder."""
    for name in ("FORCE_COLOR", "NO_COLOR", "PYTHONIOENCODING", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def assert_refused(arguments, capsys, *parts):
    """Status 2, nothing on stdout, one line on stderr that holds every part."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("convlet: error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for part in parts:
        assert part in err


@pytest.mark.parametrize("arguments", [["--help"], [], *([name, "--help"] for name in COMMANDS)])
def test_help_fits_80_columns_and_has_an_example(arguments, capsys):
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    assert f"Example: convlet {arguments[0] if len(arguments) == 2 else 'train'}" in out


def test_help_names_every_command(capsys):
    main(["--help"])
    out = capsys.readouterr().out
    for name in COMMANDS:
        assert f"│ {name} " in out


def test_help_of_train_says_what_the_defaults_are(capsys):
    main(["train", "--help"])
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    options = dict(re.findall(r"(--[a-z-]+) [A-Z]+ (.*?)(?= --[a-z-]+ [A-Z]+ |$)", words))
    for option in ("--epochs", "--batch-size", "--learning-rate", "--schedule"):
        assert "[default: (of the recipe" in options[option]
    for option in ("--optimizer", "--momentum", "--weight-decay", "--learning-rate", "--schedule"):
        assert option in options["--recipe"].partition("plain with")[2]  # see read_recipe's `plain`


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_h_is_help(command, capsys):
    assert main([*command, "-h"]) == 0
    short = capsys.readouterr().out
    main([*command, "--help"])
    assert capsys.readouterr().out == short


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"convlet {convlet.__version__}\n"


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--epochs", "0", "from 1"),
        ("--epochs", "-3", "from 1"),
        ("--epochs", "2.5", "whole number"),
        ("--epochs", "1e400", "whole number"),
        ("--epochs", "9" * 30, "whole number"),
        ("--batch-size", "0", "from 1"),
        ("--batch-size", "-1", "from 1"),
        ("--batch-size", "nan", "whole number"),
        ("--learning-rate", "0", "above 0"),
        ("--learning-rate", "-0.1", "above 0"),
        ("--learning-rate", "nan", "above 0"),
        ("--learning-rate", "inf", "above 0"),
        ("--learning-rate", "1e300", "at most"),
        ("--learning-rate", "fast", "above 0"),
        ("--seed", "-1", "from 0"),
        ("--seed", str(2**64), "from 0"),
        ("--limit", "0", "from 1"),
        ("--engine", "turbo", "auto, native, reference"),
        ("--layers", "conv", "--layers: layers[0] is 'conv'"),
        ("--layers", "conv 8 5, rely, softmax", "layers[1] is 'rely'"),
    ],
)
def test_train_refuses_a_value_by_the_name_of_its_option(option, value, expected, capsys):
    parts = (option, expected) if option == "--layers" else (f"{option} is ", expected)
    assert_refused(["train", option, value], capsys, *parts)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["trian"], "no such command 'trian'"),
        (["--quiet"], "no such option: --quiet"),
        (["train", "--epoch", "3"], "--epochs"),
        (["train", "--epochs"], "'--epochs' requires an argument"),
        (["train", "mnist", "digits"], "unexpected extra argument"),
        (["evaluate"], "missing argument 'MODEL'"),
        (["predict", "model.safetensors"], "missing argument 'IMAGE'"),
        (["train", "no-such-data"], "DATA is 'no-such-data', expected one of"),
        (["train", "./no-such-data"], "no-such-data"),
        (["evaluate", "missing.safetensors"], "missing.safetensors"),
        (["predict", "missing.safetensors", "a.png"], "missing.safetensors"),
        (["show", "missing.safetensors"], "missing.safetensors"),
        (["show", "a.safetensors", "--input", "8x8"], "--input"),
        (["show", "--input", "28"], "--input is '28', expected ROWSxCOLUMNS"),
        (["show", "--input", "0x28"], "--input is '0x28'"),
        (["show", "--input", "8x8"], "--input: conv 16 5: kernel 5 is larger than its input"),
        (["show", "--layers", "dense 1, softmax"], "--layers"),
        (["show", "--layers", "conv 2 3, relu"], "expected softmax"),
        (["check", "--seed", "1.5"], "--seed is '1.5'"),
        (
            ["check", "--layers", "conv 2 9, flatten, dense 2, softmax", "--input", "8x8"],
            "kernel 9",
        ),
        (["predict", "--top", "0", "m.safetensors", "a.png"], "--top is 0"),
    ],
)
def test_wrong_call(arguments, part, capsys):
    assert_refused(arguments, capsys, part)


@pytest.mark.parametrize(
    ("out", "part"),
    [
        ("missing/m.safetensors", "folder 'missing' does not exist"),
        ("a_file/m.safetensors", "folder 'a_file' does not exist"),
        ("a_folder", "is not a file"),
        ("/dev/null", "is not a file"),
        ("/proc/m.safetensors", "cannot be written to"),
    ],
)
def test_train_refuses_out_before_it_reads_the_data(out, part, capsys, monkeypatch):
    monkeypatch.setattr(convlet.datasets, "load", lambda name: pytest.fail("read the data"))
    Path("a_file").write_text("")
    Path("a_folder").mkdir()
    assert_refused(["train", "--out", out], capsys, f"--out is {out!r}", part)


@pytest.mark.parametrize("option", ["--out", "--history"])
def test_train_refuses_a_write_protected_file_before_it_reads_the_data(option, capsys, monkeypatch):
    monkeypatch.setattr(convlet.datasets, "load", lambda name: pytest.fail("read the data"))
    Path("old.jsonl").write_text("")
    Path("link.jsonl").symlink_to("old.jsonl")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may do anything
    for name in ("old.jsonl", "link.jsonl"):
        part = "it is there and write-protected: choose a place"
        assert_refused(["train", option, name], capsys, f"{option} is {name!r}", part)


def test_train_refuses_a_link_to_nowhere_before_it_reads_the_data(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(convlet.datasets, "load", lambda name: pytest.fail("read the data"))
    Path("dangling").symlink_to("missing/m.safetensors")
    Path("circle").symlink_to("circle")
    folder = f"folder {str(tmp_path / 'missing')!r} does not exist"
    assert_refused(["train", "--out", "dangling"], capsys, "--out is 'dangling'", folder)
    assert_refused(["train", "--out", "circle"], capsys, "--out is 'circle'", "lead in a circle")


def test_a_link_to_a_new_file_may_be_written(tmp_path):
    Path("folder").mkdir()
    Path("link").symlink_to("folder/new.safetensors")
    refuse_unwritable(Path("link"), "--out")
    assert list(Path("folder").iterdir()) == []


def test_layers_that_do_not_fit_the_data(capsys):
    small = "conv 2 3, relu, flatten, dense 7, softmax"
    assert_refused(["train", "--layers", small], capsys, "--layers ends with 7 classes", "has 10")
    large = "conv 2 29, relu, flatten, dense 10, softmax"
    assert_refused(["train", "--layers", large], capsys, "--layers: conv 2 29", "larger than")


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff" * 4000, b"\x08\0\0\0\0\0\0\0{}      "])
def test_damaged_model_file(content, capsys):
    Path("bad.safetensors").write_bytes(content)
    for command in (["evaluate"], ["show"]):
        assert_refused([*command, "bad.safetensors"], capsys, "bad.safetensors")


def test_error_with_control_characters_stays_one_line(capsys):
    assert_refused(["show", "no\nsuch\x1b[31m\rfile"], capsys, "no such\\x1b[31m file")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (KeyboardInterrupt(), 130, "convlet: interrupted"),
        (MemoryError("Unable to allocate 4 TiB"), 2, "out of memory: Unable to allocate 4 TiB"),
        (convlet.DataError("two\nlines"), 2, "convlet: error: two lines"),
        (PermissionError(13, "Permission denied", "f.npz"), 2, "f.npz: Permission denied"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_what_main_makes_of_an_exception(error, status, line, capsys, monkeypatch):
    def load(name):
        raise error

    monkeypatch.setattr(convlet.datasets, "load", load)
    monkeypatch.setattr(cli, "_drop_output", lambda: None)  # capsys's stdout stays as it is
    assert main(["train"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert line in err
    assert err.count("\n") == bool(line)


def test_warning_is_one_line(capsys, monkeypatch):
    import warnings

    def load(name):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("no target fits", UserWarning, stacklevel=1)
        raise convlet.DataError("stop here")

    monkeypatch.setattr(convlet.datasets, "load", load)
    main(["train"])
    assert capsys.readouterr().err.splitlines() == [
        "convlet: warning: no target fits",
        "convlet: error: stop here",
    ]


def run(*arguments, **options):
    command = [sys.executable, "-m", "convlet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_module_exits_with_the_status():
    done = run("show", "--input", "nonsense")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("convlet: error: --input is 'nonsense'")


def test_broken_pipe_is_quiet():
    reading, writing = os.pipe()
    os.close(reading)  # nobody reads: the first flush fails
    try:
        for arguments in (["show"], ["--help"], ["--version"]):
            command = [sys.executable, "-m", "convlet", *arguments]
            done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60)
            assert done.returncode == 141
            assert done.stderr == b""
    finally:
        os.close(writing)


def test_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "convlet", "show"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 2
    assert done.stderr == b"convlet: error: stdout: No space left on device\n"


def test_closed_stdout():
    done = run("show", preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, "")


def test_import_of_the_command_line_is_light():
    heavy = {"PIL", "sklearn", "matplotlib", "pooch", "rich.progress", "rich.table"}
    code = "import sys, convlet.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "convlet.cli.train" in loaded
    assert not loaded & heavy


def test_only_the_first_ctrl_c_counts(capsys, monkeypatch):
    def load(name):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # while the terminal is put in order
        raise convlet.DataError("the second did nothing")

    monkeypatch.setattr(convlet.datasets, "load", load)
    assert main(["train"]) == 2
    assert capsys.readouterr().err == "convlet: error: the second did nothing\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_the_command_line_is_imported():
    code = """
import signal, sys
from convlet.__main__ import main

class Impatient:
    def find_spec(self, name, *rest):
        if name == "typer":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Impatient())
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "convlet: interrupted\n")


def test_the_command_is_that_of_the_module():
    (command,) = entry_points(group="console_scripts", name="convlet")
    assert command.load() is convlet.__main__.main


def test_an_ignored_ctrl_c_stays_ignored(monkeypatch):
    def load(name):
        signal.raise_signal(signal.SIGINT)
        raise convlet.DataError("went on")

    monkeypatch.setattr(convlet.datasets, "load", load)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for a job with &
    try:
        assert main(["train"]) == 2
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
