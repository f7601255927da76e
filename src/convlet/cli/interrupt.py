"""Ctrl-C, SIGTERM and SIGHUP, once."""

import errno
import os
import signal
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command in the same order as Ctrl-C does."""


class HungUp(KeyboardInterrupt):
    """SIGHUP, of a terminal that was closed, likewise."""


_DEFAULT: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}
_RAISED = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
    signal.SIGHUP: HungUp,
}


def ending(stop: KeyboardInterrupt) -> tuple[int, str]:
    """The exit status for it, 128 and the number of its signal, and the word for it."""
    match stop:
        case Terminated():
            return 128 + signal.SIGTERM, "terminated"
        case HungUp():
            return 128 + signal.SIGHUP, "hung up"
        case _:
            return 128 + signal.SIGINT, "interrupted"


@contextmanager
def single_interrupt(restore: bool) -> Iterator[None]:
    """Inside, the first SIGINT raises KeyboardInterrupt, SIGTERM `Terminated`, SIGHUP `HungUp`.

    Later ones do nothing: a second Ctrl-C would otherwise strike while a checkpoint is written or
    the terminal is being put in order.  restore: take the old handlers again afterwards; False
    where the process is about to end.  Does nothing for a signal that somebody else handles, or
    ignores, as a shell does with SIGINT for `convlet train &` and nohup with SIGHUP.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number, old in _DEFAULT.items() if signal.getsignal(number) == old]
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        if restore:
            for number in ours:
                signal.signal(number, _DEFAULT[number])


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in _DEFAULT:
        if signal.getsignal(each) is _interrupt:
            signal.signal(each, signal.SIG_IGN)
    if number == signal.SIGHUP:
        _drop_closed_terminal()
    raise _RAISED[signal.Signals(number)]


def _drop_closed_terminal() -> None:
    """What would be written to a terminal that is gone goes nowhere, in the place of an error."""
    for output in (1, 2):
        try:
            termios.tcgetattr(output)
        except termios.error as error:
            if error.args[0] == errno.EIO:  # a file or a pipe says ENOTTY
                os.dup2(os.open(os.devnull, os.O_WRONLY), output)
