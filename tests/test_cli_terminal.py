"""Training on a terminal: the bar, Ctrl-C, and the terminal afterwards."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

import children
from made_data import noise_file

HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"
END = b"<end>"  # of what a program wrote


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, folder, *arguments, columns=80, **environment):
        self.main, self.end = pty.openpty()
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        # a key that makes a signal throws away what was written and is not read yet, else
        modes = termios.tcgetattr(self.end)
        modes[3] |= termios.NOFLSH
        termios.tcsetattr(self.end, termios.TCSANOW, modes)
        self.before = termios.tcgetattr(self.end)
        clean = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "COLUMNS")}
        self.process = children.start(
            [*children.CONVLET, *arguments],
            stdin=self.end,
            stdout=self.end,
            stderr=self.end,
            cwd=folder,
            env={**clean, "TERM": "xterm-256color", **environment},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.output = b""
        self.deadline = time.monotonic() + children.PATIENCE

    def read_until(self, text):
        """Read until text came, or without text until the program ended and all of it is here."""
        marked = False
        while text is None or text not in self.output:
            if self.process.poll() is not None and not marked:
                os.write(self.end, END)  # behind all that the program wrote
                marked = True
            if select.select([self.main], [], [], 0.05)[0]:
                self.output += os.read(self.main, 1 << 16)
            if marked and self.output.endswith(END):
                self.output = self.output.removesuffix(END)
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
    return noise_file(tmp_path_factory.mktemp("data") / "noise.npz", 2000)


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def start(*arguments, **options):
        opened.append(Terminal(tmp_path, *arguments, **options))
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
    run.read_until(b" images/s")
    for _ in range(times):  # an impatient user; keys in one go would be one signal
        run.type(b"\x03")
        time.sleep(0.005)
    assert_restored(run)
    assert run.process.returncode == 130
    last = run.output.replace(b"^C", b"").split(b"\n")[-2]
    saved = "convlet-noise-interrupted.safetensors"
    said = f"convlet: interrupted: what was learned is saved in {saved}\r"
    assert last.split(b"\x1b[2K")[-1] == said.encode()
    assert b"Traceback" not in run.output
    assert [path.name for path in tmp_path.iterdir()] == [saved]


@pytest.mark.parametrize("checkpoint", [(), ("--checkpoint", "run")])
def test_sigterm_ends_training_with_143_and_restores_the_terminal(terminal, data, checkpoint):
    run = terminal("train", str(data), "--epochs", "5000", *checkpoint)
    run.read_until(b"images/s")
    run.process.send_signal(signal.SIGTERM)
    assert_restored(run)
    assert run.process.returncode == 143
    last = run.output.split(b"\n")[-2].split(b"\x1b[2K")[-1]
    hint = b"go on with --resume from run/checkpoint-"
    if not checkpoint:
        hint = b"what was learned is saved in convlet-noise-interrupted.safetensors\r"
    assert last.startswith(b"convlet: terminated: " + hint)


def test_a_closed_terminal_ends_training_with_a_checkpoint(terminal, data, tmp_path):
    run = terminal("train", str(data), "--epochs", "5000", "--checkpoint", "run")
    run.read_until(b"epoch 2/5000, ")
    os.close(run.end)
    os.close(run.main)  # the system sends SIGHUP, and nothing can be written any more
    run.main, run.end = os.pipe()  # for `close`
    assert run.process.wait(children.PATIENCE) == 129
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
    how = ("--epochs", "2", "--batch-size", "1")  # epochs that one can watch
    run = terminal("train", str(data), *how, "--out", "m.safetensors")
    assert_restored(run)
    assert run.process.returncode == 0
    assert HIDE in run.output
    for part in (b"epoch 1/2", b"images/s", b"loss ", b" left", b"validating"):
        assert part in run.output
    rest = run.output[run.output.rfind(b"\x1b[2K") :]
    assert b"images/s" not in rest  # the bar is wiped out before the last lines
    assert b"model saved in m.safetensors" in rest
    assert (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize("columns", [40, 60])
def test_the_time_left_is_seen_on_a_narrow_terminal(terminal, data, columns):
    run = terminal("train", str(data), "--epochs", "5000", columns=columns)
    run.read_until(b" left")
    run.type(b"\x03")
    assert_restored(run)
    shown = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|\^C", b"", run.output)  # without colours
    bar = rb"(epoch \d+/5000|validating) "
    bars = [line for line in re.split(rb"[\r\n]+", shown) if re.match(bar, line)]
    assert max(len(bar.decode()) for bar in bars) <= columns
    full = [bar for bar in bars if b" % " in bar]
    assert full
    assert all(bar.rstrip().endswith(b" left") for bar in full)


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
    process = children.start(
        [*children.CONVLET, "train", str(data), "--epochs", "5000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    try:
        while not process.stdout.readline().startswith(b"epoch 1/5000"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=children.PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    saved = "convlet-noise-interrupted.safetensors"
    assert err == f"convlet: interrupted: what was learned is saved in {saved}\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == [saved]
