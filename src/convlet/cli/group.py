"""The group of all commands.

A command is loaded when it is asked for; what the group itself says of it stands here, so that
`convlet --help` needs nothing of the library.  To add one: a module here that is called like it
with a click command of that name, and a line in `COMMANDS`.
"""

from importlib import import_module
from keyword import iskeyword

import click
from click.shell_completion import CompletionItem

from convlet._version import __version__
from convlet.cli.help import Context

COMPLETE = "_CONVLET_COMPLETE"
"""The environment variable by which a shell asks for completions."""

COMMANDS = {
    "train": "Train a network and save it.",
    "live": "Serve a page on which a network learns, and any number of it can be followed.",
    "data": "Say what is in a data set, and what is wrong with it.",
    "find-lr": "Suggest a learning rate: a short training while the rate grows.",
    "sweep": "Try settings, and say which is best on images that are held out.",
    "augment": "Draw training images beside what augmentation makes of them.",
    "evaluate": "Measure a saved model on test images.",
    "predict": "Name the most probable classes of images.",
    "import": "Bring in a network of another library, from an ONNX file.",
    "export": "Write a model for other programs, or for small devices.",
    "quantize": "Make a saved model one in whole numbers, for small devices.",
    "show": "Show the stages of a network.",
    "check": "Compare every derivative with central differences.",
    "cache": "Show the decoded images that are kept, or delete them.",
    "bench": "Time training and prediction on MNIST.",
    "plot": "Draw one picture of training or of what was learned.",
    "report": "Write one HTML page about a model.",
}
"""Each with the first sentence of its help."""


def load(name: str) -> click.Command:
    """The command of that name, with all that it imports."""
    module = name.replace("-", "_")
    if iskeyword(module):
        module += "_"
    command: click.Command = getattr(import_module(f"convlet.cli.{module}"), module)
    return command


class _Group(click.Group):
    """Commands by name, each in its own module."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            return load(cmd_name)
        if cmd_name.startswith("-") or ctx.resilient_parsing:
            return None
        return ctx.fail(f"No such command {cmd_name!r}, expected one of: {', '.join(COMMANDS)}.")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        fitting = {name: what for name, what in COMMANDS.items() if name.startswith(incomplete)}
        commands = [CompletionItem(name, help=what) for name, what in fitting.items()]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


GROUP = _Group(
    "convlet",
    help="Small convolutional networks, every derivative written out, trained on the CPU.",
    epilog="Example: convlet train mnist --epochs 5",
    context_settings={"help_option_names": ["--help", "-h"], "show_default": True},
    no_args_is_help=False,
)
click.version_option(__version__, message="convlet %(version)s", help="Show the version.")(GROUP)
