"""Training on a terminal: the bar, Ctrl-C, and the terminal afterwards."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pytest

HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"
PATIENCE = 60  # seconds until a hanging program is killed: no speed is tested


class Terminal:
    """A program on a pseudo-terminal of 80 columns."""

    def __init__(self, folder, *arguments, **environment):
        self.main, self.end = pty.openpty()
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.end)
        clean = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "COLUMNS")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "convlet", *arguments],
            stdin=self.end,
            stdout=self.end,
            stderr=self.end,
            cwd=folder,
            env={**clean, "TERM": "xterm-256color", **environment},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.output = b""
        self.deadline = time.monotonic() + PATIENCE

    def read_until(self, text):
        """Read until text came, or without text until the program ended."""
        while text is None or text not in self.output:
            ended = self.process.poll() is not None
            if select.select([self.main], [], [], 0.05)[0]:
                self.output += os.read(self.main, 1 << 16)
            elif ended:
                assert text is None, self.output.decode()
                return
            assert time.monotonic() < self.deadline, self.output.decode()

    def type(self, keys):
        os.write(self.main, keys)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.main)
        os.close(self.end)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file with 2000 + 20 images (16, 16) of two classes."""
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    draws = np.random.default_rng(4)
    images = draws.integers(0, 256, (2020, 16, 16), dtype=np.uint8)
    labels = np.arange(2020) % 2
    np.savez(path, x_train=images[20:], y_train=labels[20:], x_test=images[:20], y_test=labels[:20])
    return path


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def start(*arguments, **environment):
        opened.append(Terminal(tmp_path, *arguments, **environment))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def assert_restored(terminal):
    """The cursor is shown, the colours are reset, the line discipline is as it was."""
    terminal.read_until(None)
    assert terminal.output.rfind(SHOW) > terminal.output.rfind(HIDE)
    assert termios.tcgetattr(terminal.end) == terminal.before


@pytest.mark.parametrize("times", [1, 30])
def test_ctrl_c_ends_training_with_130_and_restores_the_terminal(terminal, times, data, tmp_path):
    run = terminal("train", str(data), "--epochs", "5000")
    run.read_until(b"images/s")
    for _ in range(times):  # an impatient user; keys in one go would be one signal
        run.type(b"\x03")
        time.sleep(0.005)
    assert_restored(run)
    assert run.process.returncode == 130
    last = run.output.replace(b"^C", b"").split(b"\n")[-2]
    assert last.split(b"\x1b[2K")[-1] == b"convlet: interrupted\r"
    assert b"Traceback" not in run.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("checkpoint", [(), ("--checkpoint", "run")])
def test_sigterm_ends_training_with_143_and_restores_the_terminal(terminal, data, checkpoint):
    run = terminal("train", str(data), "--epochs", "5000", *checkpoint)
    run.read_until(b"images/s")
    run.process.send_signal(signal.SIGTERM)
    assert_restored(run)
    assert run.process.returncode == 143
    last = run.output.split(b"\n")[-2].split(b"\x1b[2K")[-1]
    hint = b": go on with --resume from run/checkpoint-" if checkpoint else b"\r"
    assert last.startswith(b"convlet: terminated" + hint)


def test_a_closed_terminal_ends_training_with_a_checkpoint(terminal, data, tmp_path):
    run = terminal("train", str(data), "--epochs", "5000", "--checkpoint", "run")
    run.read_until(b"epoch 2/5000, ")
    os.close(run.end)
    os.close(run.main)  # the system sends SIGHUP, and nothing can be written any more
    run.main, run.end = os.pipe()  # for `close`
    assert run.process.wait(PATIENCE) == 129
    place = max(path.name for path in (tmp_path / "run").glob("*.safetensors"))
    assert place > "checkpoint-000002"
    assert [path for path in tmp_path.iterdir() if path.name != "run"] == []


def test_the_bar_of_a_resumed_run(terminal, data):
    options = ("--recipe", "plain", "--checkpoint", "run", "--out", "m.safetensors")
    first = terminal("train", str(data), "--epochs", "2", *options)
    assert_restored(first)
    second = terminal("train", str(data), "--epochs", "4", *options, "--resume")
    assert_restored(second)
    assert second.process.returncode == 0
    assert b"going on from run, after epoch 2\r\n" in second.output
    assert b"epoch 3/4" in second.output
    assert b"epoch 2/4" not in second.output


def test_ctrl_c_in_a_long_step(terminal, data):
    run = terminal("train", str(data), "--batch-size", "2000", "--epochs", "5000")
    run.read_until(b"images/s")
    run.type(b"\x03")
    assert_restored(run)
    assert run.process.returncode == 130


def test_bar_shows_rate_loss_and_time_left_and_goes(terminal, data, tmp_path):
    run = terminal("train", str(data), "--epochs", "2", "--out", "m.safetensors")
    assert_restored(run)
    assert run.process.returncode == 0
    assert HIDE in run.output
    for part in (b"epoch 1/2", b"images/s", b"loss ", b" left", b"testing"):
        assert part in run.output
    rest = run.output[run.output.rfind(b"\x1b[2K") :]
    assert b"images/s" not in rest  # the bar is wiped out before the last lines
    assert b"model saved in m.safetensors" in rest
    assert (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize("arguments", [["--json"], []])
def test_no_bar_with_json_or_on_a_dumb_terminal(terminal, data, arguments):
    environment = {} if arguments else {"TERM": "dumb"}
    limits = ("--limit", "100", "--epochs", "1", "--out", "m.safetensors")
    run = terminal("train", str(data), *limits, *arguments, **environment)
    run.read_until(None)
    assert run.process.returncode == 0
    assert b"\x1b" not in run.output


def test_no_color(terminal):
    run = terminal("show", NO_COLOR="1")
    run.read_until(None)
    assert b"conv 8 5" in run.output
    assert b"\x1b[3" not in run.output


def test_sigint_in_a_pipe(data, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "convlet", "train", str(data), "--epochs", "5000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    try:
        while not process.stdout.readline().startswith(b"epoch 1/5000"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert err == b"convlet: interrupted\n"
    assert list(tmp_path.iterdir()) == []
