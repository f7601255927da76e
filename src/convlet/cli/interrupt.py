"""Ctrl-C, SIGTERM and SIGHUP, once."""

import errno
import os
import signal
import termios
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], None]

DEAF = 10.0
"""Seconds after a signal in which no other one counts: enough for a checkpoint on a slow disk."""


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
    """Inside, SIGINT raises KeyboardInterrupt, SIGTERM `Terminated`, SIGHUP `HungUp`.

    Others that follow within DEAF seconds do nothing: a second Ctrl-C would otherwise strike while
    a checkpoint is written or the terminal is being put in order.  restore: take the old handlers
    again afterwards; False where the process is about to end.  Does nothing for a signal that
    somebody else handles, or ignores, as a shell does with SIGINT for `convlet train &` and nohup
    with SIGHUP.
    """
    struck = -inf

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal struck
        now = monotonic()
        if now - struck < DEAF:
            return
        struck = now
        if number == signal.SIGHUP:
            _drop_closed_terminal()
        raise _RAISED[signal.Signals(number)]

    ours = _take(_DEFAULT, interrupt)
    try:
        yield
    finally:
        for number in ours:
            if restore:
                signal.signal(number, _DEFAULT[number])
            elif struck > -inf:
                signal.signal(number, signal.SIG_IGN)  # to the very end of Python, too


@contextmanager
def deferred_interrupt() -> Iterator[None]:
    """Inside, Ctrl-C waits for the end; a second one does not.

    For modules that are being loaded: there it may be lost in a callback of Python's own, or meet a
    module in C that ends the process.
    """
    noted = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal noted
        if noted:
            raise KeyboardInterrupt
        noted = True

    ours = _take([signal.SIGINT], note)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, _DEFAULT[number])
    if noted:
        raise KeyboardInterrupt


def _take(numbers: Iterable[signal.Signals], handler: Handler) -> list[signal.Signals]:
    """Make this the handler of the signals that have Python's own -> these."""
    if threading.current_thread() is not threading.main_thread():
        return []
    ours = [number for number in numbers if signal.getsignal(number) == _DEFAULT[number]]
    for number in ours:
        signal.signal(number, handler)
    return ours


def _drop_closed_terminal() -> None:
    """What would be written to a terminal that is gone goes nowhere, in the place of an error."""
    for output in (1, 2):
        try:
            termios.tcgetattr(output)
        except termios.error as error:
            if error.args[0] == errno.EIO:  # a file or a pipe says ENOTTY
                os.dup2(os.open(os.devnull, os.O_WRONLY), output)
