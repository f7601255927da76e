"""The command line: `convlet train`, `evaluate`, `plot`, `report` and the others of group.py.

Commands raise `ConvletError`; `main` turns every error into one line and an exit status.
"""

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from convlet.cli.console import fail, plain_warnings
from convlet.cli.group import COMMANDS, COMPLETE, GROUP, load
from convlet.cli.interrupt import deferred_interrupt, ending, single_interrupt
from convlet.cli.names import NAMES
from convlet.errors import ConvletError
from convlet.wording import printable

BROKEN_PIPE = 141  # 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command -> exit status.

    0, 1 (check: a derivative is wrong; bench: threads give other bits; predict: an image cannot be
    read; sweep: no combination ended well), 2 (an error), 129 (SIGHUP),
    130 (Ctrl-C), 141 (nobody reads), 143 (SIGTERM).
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  None where the caller closed it
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold any bytes
    names = dict(NAMES)
    try:
        with deferred_interrupt():
            for name in [word for word in arguments if word in COMMANDS][:1]:
                load(name)
        with single_interrupt(restore=argv is not None), plain_warnings():
            status = _run(arguments or ["--help"], names)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt as stop:
        status, word = ending(stop)
        hint = f": {printable(stop)}" if str(stop) else ""
        print(f"convlet: {word}{hint}", file=sys.stderr)
        return status
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except click.UsageError as error:
        return fail(error.format_message())
    except ConvletError as error:
        return fail(error.told(names))
    except MemoryError as error:
        what = f"out of memory ({error})" if str(error) else "out of memory"
        return fail(f"{what}: take fewer or smaller images, a smaller batch size or network")
    except OSError as error:
        place = error.filename or ("stdout" if _output_fails() else None)
        _drop_output()
        return fail(f"{place}: {error.strerror or error}" if place else error.strerror or error)


def _run(arguments: list[str], names: dict[str, str]) -> int:
    """Parse and invoke, without click's own handling of errors and signals.

    names: what parameters are called in errors; a command may change them.
    """
    if COMPLETE in os.environ:
        GROUP.main(arguments, prog_name="convlet")  # answers the shell, and exits
    try:
        with GROUP.make_context("convlet", arguments, obj=names) as context:
            return GROUP.invoke(context) or 0  # a command returns its status, or None
    except click.exceptions.Exit as end:  # --help, --version
        return end.exit_code


def _output_fails() -> bool:
    """Whether stdout is what cannot be written: then what it holds fails again."""
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _drop_output() -> None:
    """Nobody reads stdout any more: what is still buffered must not fail again when Python ends."""
    with suppress(OSError):  # raised also by a stdout that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
