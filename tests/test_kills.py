"""Processes that end by a signal: SIGKILL at any moment, Ctrl-C and SIGTERM in order."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import children
import convlet
from convlet.cli import main
from made_data import noise_file

SCRIPT = Path(__file__).parents[1] / "scripts" / "kill_and_resume"
LAYERS = "conv 4 3, relu, pool 2, flatten, dense 2, softmax"
EPOCHS = 4000


def test_runs_killed_at_random_moments_end_with_the_same_weights():
    """A short version of the script whose whole result is in docs/checkpoints.md."""
    done = children.run([sys.executable, str(SCRIPT), "--runs", "8"])
    assert done.returncode == 0, done.stdout + done.stderr
    (total,) = re.findall(r"^\| all \| (.*) \|$", done.stdout, re.MULTILINE)
    runs, kills, saving, _, threads, differences = map(int, total.split(" | "))
    assert (runs, differences) == (8, 0)
    assert kills >= 8
    assert saving >= 1
    assert threads >= 1


# ------------------------------------------------------------------------------ Ctrl-C and SIGTERM


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return noise_file(tmp_path_factory.mktemp("data") / "noise.npz", 600)


def arguments(data, *more):
    how = ["--recipe", "plain", "--optimizer", "adam", "--layers", LAYERS]
    return ["train", str(data), *how, "--out", "m.safetensors", *more]


def signalled(data, folder, number, *more, start="epoch 2/"):
    """A training that gets a signal after a line that begins so -> status, lines, stderr."""
    process = children.start(
        [*children.CONVLET, *arguments(data, "--epochs", str(EPOCHS), *more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    try:
        lines = []
        while not (lines and lines[-1].startswith(start)):
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        process.send_signal(number)
        out, err = process.communicate(timeout=children.PATIENCE)
    finally:
        process.kill()
        process.wait()
    return process.returncode, [*lines, *out.splitlines(keepends=True)], err


SIGNALS = [
    (signal.SIGINT, 130, "interrupted"),
    (signal.SIGTERM, 143, "terminated"),
    (signal.SIGHUP, 129, "hung up"),
]


@pytest.mark.parametrize(("number", "status", "word"), SIGNALS)
def test_a_signal_writes_a_checkpoint_and_says_where_to_go_on(
    data, tmp_path, number, status, word, monkeypatch, capsys
):
    code, _, err = signalled(data, tmp_path, number, "--checkpoint", "run")
    assert code == status
    found = sorted(path.name for path in (tmp_path / "run").glob("*.safetensors"))
    assert err == f"convlet: {word}: go on with --resume from run/{found[-1]}\n"
    assert not (tmp_path / "m.safetensors").exists()

    monkeypatch.chdir(tmp_path)
    begun = convlet.load_checkpoint(tmp_path / "run" / found[-1])
    assert begun.epochs >= 1  # the line is printed before the epoch is closed
    epochs = str(begun.epochs + 2)
    resume = ["--checkpoint", "run", "--resume", "--epochs", epochs]
    assert main(arguments(data, *resume)) == 0
    out = capsys.readouterr().out
    step = int(found[-1].split("-")[2].split(".")[0])
    where = f"after step {step} of 19 of epoch {begun.epochs + 1}" if step else "after epoch"
    assert f"going on from run, {where}" in out
    assert f"epoch {begun.epochs + 1}/{epochs}" in out
    assert main(arguments(data, "--epochs", epochs, "--out", "whole.safetensors")) == 0
    whole = convlet.load("whole.safetensors")
    assert convlet.load("m.safetensors").flat.tobytes() == whole.flat.tobytes()


def test_json_stays_json(data, tmp_path):
    code, lines, err = signalled(
        data, tmp_path, signal.SIGTERM, "--checkpoint", "run", "--json", start='{"epoch": 2'
    )
    assert code == 143
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, len(lines) + 1))
    assert err.startswith("convlet: terminated: go on with --resume from run/checkpoint-")
    code, lines, err = signalled(
        data, tmp_path, signal.SIGINT, "--checkpoint", "run", "--resume", "--json", start="{"
    )
    assert code == 130
    assert all(json.loads(line) for line in lines)
    first, second = err.splitlines()
    assert first.startswith("convlet: going on from run, after ")
    assert second.startswith("convlet: interrupted: go on with --resume from run/checkpoint-")


@pytest.mark.parametrize(("number", "status", "word"), SIGNALS)
def test_a_signal_without_checkpoints_saves_what_was_learned(data, tmp_path, number, status, word):
    (tmp_path / "m-interrupted.safetensors").write_bytes(b"of another run")
    code, _, err = signalled(data, tmp_path, number)
    saved = "m-interrupted-2.safetensors"  # nothing is replaced
    said = f"convlet: {word}: what was learned is saved in {saved}\n"
    assert (code, err) == (status, said)
    assert (tmp_path / "m-interrupted.safetensors").read_bytes() == b"of another run"
    assert (
        convlet.load(tmp_path / saved).epochs >= 1
    )  # a line is printed before its epoch is closed
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.usefixtures("default_signals")
def test_only_the_first_signal_counts(capsys, monkeypatch):
    """The second would strike while a checkpoint is written."""

    def load(name, **how):
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            print("saved")
            raise

    monkeypatch.setattr(convlet.datasets, "load", load)
    assert main(["train"]) == 143
    assert capsys.readouterr() == ("saved\n", "convlet: terminated\n")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_sigterm_stays_ignored(monkeypatch):
    def load(name, **how):
        os.kill(os.getpid(), signal.SIGTERM)
        raise convlet.DataError("went on")

    monkeypatch.setattr(convlet.datasets, "load", load)
    with children.ignored(signal.SIGTERM):
        assert main(["train"]) == 2
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
