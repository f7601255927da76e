"""Ctrl-C, once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def single_interrupt(restore: bool) -> Iterator[None]:
    """Inside, the first SIGINT raises KeyboardInterrupt and later ones do nothing.

    A second Ctrl-C would otherwise strike while the terminal is being put in order.  restore: take
    the old handler again afterwards; False where the process is about to end.  Does nothing where
    somebody else handles SIGINT, or ignores it, as a shell does for `convlet train &`.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        if restore:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
