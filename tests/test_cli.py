"""The command line as a whole: help, version, errors of one line, exit statuses."""

import os
import re
import signal
from contextlib import nullcontext
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import children
import convlet
import convlet.__main__
from command_line import assert_refused
from convlet import cli
from convlet.cli import interrupt, main
from convlet.cli.group import COMMANDS, GROUP
from convlet.cli.places import refuse_unwritable

pytestmark = pytest.mark.usefixtures("plain_terminal")


@pytest.mark.parametrize("arguments", [["--help"], [], *([name, "--help"] for name in COMMANDS)])
def test_help_fits_80_columns_and_has_an_example(arguments, capsys):
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    assert f"Example: convlet {arguments[0] if len(arguments) == 2 else 'train'}" in out


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_is_readable_at_40_columns(arguments, capsys, monkeypatch):
    main(arguments)
    wide = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "40")
    main(arguments)
    narrow = capsys.readouterr().out
    assert max(map(len, narrow.splitlines())) <= 40
    assert sorted(narrow.split()) == sorted(wide.split())  # no word is broken or lost


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_speaks_of_values_and_not_of_types(arguments, capsys):
    main(arguments)
    types = r"\b(int|float|str|bool|path|none|integer|text|boolean|word|sequence)\b"
    out = capsys.readouterr().out.replace("; or none", "").lower()
    assert re.findall(types, out) == []
    assert "<" not in out


def test_the_group_says_of_a_command_what_the_command_says_of_itself(capsys):
    main(["--help"])
    out = capsys.readouterr().out
    for name, what in COMMANDS.items():
        assert f"  {name} " in out
        command = GROUP.get_command(GROUP.make_context("convlet", [name]), name)
        assert command.name == name
        assert command.help.split("\n")[0] == what


def test_help_of_train_says_what_the_defaults_are(capsys):
    main(["train", "--help"])
    words = " ".join(capsys.readouterr().out.split())
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
        (["trian"], "No such command 'trian', expected one of: train, live,"),
        (["--quiet"], "--quiet"),
        (["train", "--epoch", "3"], "--epochs"),
        (["train", "--epochs"], "'--epochs' requires an argument"),
        (["train", "mnist", "digits"], "unexpected extra argument"),
        (["evaluate"], "Missing argument 'MODEL'"),
        (["predict", "model.safetensors"], "Missing argument 'IMAGE...'"),
        (["train", "no-such-data"], "DATA is 'no-such-data', expected one of"),
        (["train", "./no-such-data"], "no-such-data"),
        (["evaluate", "missing.safetensors"], "missing.safetensors"),
        (["predict", "missing.safetensors", "a.png"], "missing.safetensors"),
        (["show", "missing.safetensors"], "missing.safetensors"),
        (["show", "a.safetensors", "--input", "8x8"], "--input"),
        (["show", "--input", "28"], "--input is '28', expected ROWSxCOLUMNS"),
        (["show", "--input", "0x28"], "--input is '0x28'"),
        (["show", "--input", "8x8"], "--input: layers[3], conv 16 5: kernel 5 is larger than"),
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
    monkeypatch.setattr(convlet.datasets, "load", lambda name, **how: pytest.fail("read the data"))
    Path("a_file").write_text("")
    Path("a_folder").mkdir()
    assert_refused(["train", "--out", out], capsys, f"--out is {out!r}", part)


@pytest.mark.parametrize("option", ["--out", "--history"])
def test_train_refuses_a_write_protected_file_before_it_reads_the_data(option, capsys, monkeypatch):
    monkeypatch.setattr(convlet.datasets, "load", lambda name, **how: pytest.fail("read the data"))
    Path("old.jsonl").write_text("")
    Path("link.jsonl").symlink_to("old.jsonl")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may do anything
    for name in ("old.jsonl", "link.jsonl"):
        part = "it is there and write-protected: choose a place"
        assert_refused(["train", option, name], capsys, f"{option} is {name!r}", part)


def test_train_refuses_a_link_to_nowhere_before_it_reads_the_data(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(convlet.datasets, "load", lambda name, **how: pytest.fail("read the data"))
    Path("dangling").symlink_to("missing/m.safetensors")
    Path("circle").symlink_to("circle")
    folder = f"folder {str(tmp_path / 'missing')!r} does not exist"
    assert_refused(["train", "--out", "dangling"], capsys, "--out is 'dangling'", folder)
    assert_refused(["train", "--out", "circle"], capsys, "--out is 'circle'", "lead in a circle")


def test_a_link_to_a_new_file_may_be_written(tmp_path):
    Path("folder").mkdir()
    Path("link").symlink_to("folder/new.safetensors")
    refuse_unwritable(Path("link"), "out")
    assert list(Path("folder").iterdir()) == []


def test_layers_that_do_not_fit_the_data(capsys):
    small = "conv 2 3, relu, flatten, dense 7, softmax"
    assert_refused(["train", "--layers", small], capsys, "--layers ends with 7 classes", "has 10")
    large = "conv 2 29, relu, flatten, dense 10, softmax"
    assert_refused(
        ["train", "--layers", large], capsys, "--layers: layers[0], conv 2 29", "larger than"
    )


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
        (
            MemoryError("Unable to allocate 4 TiB"),
            2,
            "out of memory (Unable to allocate 4 TiB): take",
        ),
        (MemoryError(), 2, "error: out of memory: take fewer or smaller images, a smaller batch"),
        (convlet.DataError("two\nlines"), 2, "convlet: error: DATA: two lines"),
        (PermissionError(13, "Permission denied", "f.npz"), 2, "f.npz: Permission denied"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_what_main_makes_of_an_exception(error, status, line, capsys, monkeypatch):
    def load(name, **how):
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

    def load(name, **how):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("no target fits", UserWarning, stacklevel=1)
        raise convlet.DataError("stop here")

    monkeypatch.setattr(convlet.datasets, "load", load)
    main(["train"])
    assert capsys.readouterr().err.splitlines() == [
        "convlet: warning: no target fits",
        "convlet: error: DATA: stop here",
    ]


def test_module_exits_with_the_status():
    done = children.run([*children.CONVLET, "show", "--input", "nonsense"])
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("convlet: error: --input is 'nonsense'")


def test_broken_pipe_is_quiet():
    reading, writing = os.pipe()
    os.close(reading)  # nobody reads: the first flush fails
    try:
        for arguments in (["show"], ["--help"], ["--version"]):
            done = children.run([*children.CONVLET, *arguments], stdout=writing)
            assert (done.returncode, done.stderr) == (141, "")
    finally:
        os.close(writing)


def test_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        done = children.run([*children.CONVLET, "show"], stdout=full)
    assert done.returncode == 2
    assert done.stderr == "convlet: error: stdout: No space left on device\n"


def test_closed_stdout():
    done = children.run([*children.CONVLET, "show"], preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, "")


def loaded_by(*arguments):
    """The modules that a call loads."""
    code = f"import sys; from convlet.cli import main; main({list(arguments)}); print(*sys.modules)"
    return set(children.python(code).stdout.splitlines()[-1].split())


@pytest.mark.parametrize("argument", ["--help", "--version", "trian"])
def test_what_needs_no_command_loads_none_and_no_numpy(argument):
    loaded = loaded_by(argument)
    assert not loaded & {"numpy", "rich", "convlet.network", "convlet.settings"}
    ours = {name for name in loaded if name.startswith("convlet.cli.")}
    assert ours == {f"convlet.cli.{n}" for n in ("console", "group", "help", "interrupt", "names")}


def test_loading_a_command_is_light():
    heavy = {"PIL", "sklearn", "matplotlib", "pooch", "rich", "scipy"}
    loaded = loaded_by("train", "--help")
    assert "convlet.cli.train" in loaded
    assert not loaded & heavy


@pytest.mark.usefixtures("default_signals")
def test_only_the_first_ctrl_c_counts(capsys, monkeypatch):
    def load(name, **how):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # while the terminal is put in order
        raise convlet.DataError("the second did nothing")

    monkeypatch.setattr(convlet.datasets, "load", load)
    assert main(["train"]) == 2
    assert capsys.readouterr().err == "convlet: error: DATA: the second did nothing\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_later_ctrl_c_counts_again(monkeypatch):
    """Where the first one was lost, as Python does in a callback of its own."""
    now = [100.0]
    monkeypatch.setattr(interrupt, "monotonic", lambda: now[0])
    with interrupt.single_interrupt(restore=True):
        for after, counts in ((0, True), (1, False), (interrupt.DEAF, True), (0.5, False)):
            now[0] += after
            with pytest.raises(KeyboardInterrupt) if counts else nullcontext():
                signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(("times", "loaded"), [(1, True), (2, False)])
def test_ctrl_c_waits_while_modules_are_loaded_and_a_second_one_does_not(times, loaded):
    done = []

    def load():
        with interrupt.deferred_interrupt():
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            done.append("loaded")

    with pytest.raises(KeyboardInterrupt):
        load()
    assert bool(done) == loaded
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("when", ["click", "convlet.cli.train", "numpy", "convlet.network"])
def test_ctrl_c_while_the_command_line_is_imported(when):
    code = f"""
import signal, sys

when = {when!r}
sys.argv = ["convlet", "train"]
from convlet.__main__ import main

class Impatient:
    def find_spec(self, name, *rest):
        if name == when:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Impatient())
sys.exit(main())
"""
    done = children.python(code)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "convlet: interrupted\n")


def test_the_command_is_that_of_the_module():
    (command,) = entry_points(group="console_scripts", name="convlet")
    assert command.load() is convlet.__main__.main


def test_an_ignored_ctrl_c_stays_ignored(monkeypatch):
    def load(name, **how):
        signal.raise_signal(signal.SIGINT)
        raise convlet.DataError("went on")

    monkeypatch.setattr(convlet.datasets, "load", load)
    with children.ignored(signal.SIGINT):  # as by a shell for a job with &
        assert main(["train"]) == 2
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
