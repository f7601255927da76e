"""Processes that tests start.  They hear signals as a program does that somebody starts by hand.

nohup ignores SIGHUP, and a shell without job control ignores SIGINT for what it starts with &; both
are inherited by every process below.  Here a child gets the usual actions back, while the process
of the tests keeps its own: it must outlive a hangup where somebody asked for that.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
PATIENCE = 300  # seconds until a hanging program is killed: no speed is tested
CONVLET = (sys.executable, "-m", "convlet")


@contextmanager
def default_signals() -> Iterator[None]:
    """Meanwhile the three signals do what they do in a fresh Python; for the main thread."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


@contextmanager
def ignored(number: signal.Signals) -> Iterator[None]:
    """Meanwhile this process does not hear that signal."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def start(command: Sequence[str], **options: Any) -> subprocess.Popen:
    """A running child; `options` are those of Popen."""
    with default_signals():  # Popen returns when the child has begun, with its signals
        return subprocess.Popen(command, **options)


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess:
    """A child that has ended, with its output as text unless `options` say otherwise."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    with start(command, **options) as child:
        try:
            out, err = child.communicate(timeout=PATIENCE)
        except BaseException:
            child.kill()
            raise
    return subprocess.CompletedProcess(command, child.returncode, out, err)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python that has run the code, in which the modules of the tests may be imported."""
    here = str(Path(__file__).parent)
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment}
    return run([sys.executable, "-c", code], env=environment)


def output(code: str, **environment: str) -> str:
    """What the code prints; it must end well and complain of nothing."""
    done = python(code, **environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout
