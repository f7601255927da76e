"""`convlet train` on a cluster: the same model, and nobody left when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import children
import convlet
from command_line import assert_refused
from convlet.cli import main

ARGUMENTS = [
    *("train", "digits", "--layers", "flatten, dense 12, relu, dense 10, softmax"),
    *("--batch-size", "32", "--epochs", "1"),
]


def test_workers_train_the_same_model(in_a_new_folder, capsys) -> None:
    for options in (["--workers", "2"], ["--shards", "8"]):
        assert main([*ARGUMENTS, *options, "--out", f"{options[0][2:]}.safetensors"]) == 0
    flats = [convlet.load(f"{name}.safetensors").flat.tobytes() for name in ("workers", "shards")]
    assert flats[0] == flats[1]
    assert capsys.readouterr().out.count("shards: 8 a minibatch") == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "2", "--threads", "2"], "--threads is 2, but --workers share the threads"),
        (["--workers", "2", "--cluster", "tcp://h:1"], "--workers is 2, but there is a --cluster"),
        (["--workers", "9"], "--workers is 9, but a minibatch has 8 shards"),
        (["--cluster", "here"], "--cluster is 'here', expected the address of a scheduler, as"),
    ],
)
def test_what_cannot_be_is_refused_before_data_are_read(options, words, capsys) -> None:
    assert_refused(["train", "missing.npz", *options], capsys, words)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_command(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "convlet", *ARGUMENTS[:-1], "100000", "--workers", "2"]
    command += ["--out", str(tmp_path / "m.safetensors")]
    with children.start(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        for line in child.stdout:
            if line.startswith("epoch"):
                break
        (os.killpg if number == signal.SIGINT else os.kill)(child.pid, number)
        _, said = child.communicate(timeout=children.PATIENCE)
    end = time.monotonic() + 30
    while True:
        try:
            os.killpg(child.pid, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() < end, "a process is left"
        time.sleep(0.1)
    if number == signal.SIGINT:
        assert child.returncode == 130
        assert said.startswith("convlet: interrupted: what was learned is saved in")
        assert said.count("\n") == 1


def test_the_script_of_random_faults() -> None:
    """A short version of what docs/testing.md has the last whole run of."""
    script = Path(__file__).parents[1] / "scripts" / "test_cluster"
    done = children.run([sys.executable, script, "--teams", "1", "--runs", "3", "--callers", "1"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 runs and 1 callers, 0 wrong" in done.stdout
