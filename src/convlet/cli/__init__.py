"""The command line: `convlet train`, `evaluate`, `plot`, `report` and the others below.

One module a command.  To add one: write a function with typer's annotations in a module here, and
register it below.
Commands raise `ConvletError`; `main` turns every error into one line and an exit status.
"""

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, cast

import typer

from convlet._version import __version__
from convlet.cli import augment, bench, check, evaluate, find_lr, plot, predict, report, show, train
from convlet.cli.console import fail, plain_warnings, printable
from convlet.cli.interrupt import ending, single_interrupt
from convlet.errors import ConvletError

BROKEN_PIPE = 141  # 128 + SIGPIPE
# the base of every wrong call, which typer does not export
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])

app = typer.Typer(
    name="convlet",
    help="Small convolutional networks, every derivative written out, trained on the CPU.",
    epilog="Example: convlet train mnist --epochs 5",
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"convlet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


# The help of a command is its docstring; the line below it is its example.
app.command(epilog=train.EXAMPLE)(train.train)
app.command("find-lr", epilog=find_lr.EXAMPLE)(find_lr.find_lr)
app.command(epilog=augment.EXAMPLE)(augment.augment)
app.command(epilog=evaluate.EXAMPLE)(evaluate.evaluate)
app.command(epilog=predict.EXAMPLE)(predict.predict)
app.command(epilog=show.EXAMPLE)(show.show)
app.command(epilog=check.EXAMPLE)(check.check)
app.command(epilog=bench.EXAMPLE)(bench.bench)
app.command(epilog=plot.EXAMPLE)(plot.plot)
app.command(epilog=report.EXAMPLE)(report.report)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command -> exit status.

    0, 1 (a derivative is wrong), 2 (an error), 129 (SIGHUP), 130 (Ctrl-C), 141 (nobody reads),
    143 (SIGTERM).
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  None where the caller closed it
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold any bytes
    try:
        with single_interrupt(restore=argv is not None), plain_warnings():
            status = _run(arguments or ["--help"])
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
    except UsageError as error:
        return fail(_usage(error))
    except ConvletError as error:
        return fail(error)
    except MemoryError as error:
        return fail(f"out of memory: {error or 'take a smaller network or batch size'}")
    except OSError as error:
        place = error.filename or ("stdout" if _output_fails() else None)
        _drop_output()
        return fail(f"{place}: {error.strerror or error}" if place else error.strerror or error)


def _run(arguments: list[str]) -> int:
    """Parse and invoke, without typer's own handling of errors and signals."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("convlet", arguments) as context:
            command.invoke(context)
    except typer.Exit as end:  # --help, --version, and a command with another status than 0
        return end.exit_code
    except SystemExit as end:  # rich, which prints the help, meets a broken pipe so
        raise BrokenPipeError from end
    return 0


def _usage(error: typer.BadParameter) -> str:
    """The message of a wrong call, in the form of the other errors."""
    message = error.format_message().removesuffix(".")
    return message[:1].lower() + message[1:]


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
