"""Ctrl-C and SIGTERM, once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command in the same order as Ctrl-C does."""


_DEFAULT: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


@contextmanager
def single_interrupt(restore: bool) -> Iterator[None]:
    """Inside, the first SIGINT raises KeyboardInterrupt, the first SIGTERM `Terminated`.

    Later ones do nothing: a second Ctrl-C would otherwise strike while a checkpoint is written or
    the terminal is being put in order.  restore: take the old handlers again afterwards; False
    where the process is about to end.  Does nothing for a signal that somebody else handles, or
    ignores, as a shell does with SIGINT for `convlet train &`.
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
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
