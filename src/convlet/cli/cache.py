"""`convlet cache`."""

import click

from convlet import datasets
from convlet.cli.console import print_table, say, say_json
from convlet.cli.help import Command
from convlet.cli.options import JSON
from convlet.datasets.encoded.image_cache import caches, clear


@click.command(cls=Command, epilog="Example: convlet cache --clear")
@click.option("--clear", "cleared", is_flag=True, help="Delete all of them.")
@JSON
def cache(cleared: bool, json: bool) -> None:
    """Show the decoded images that are kept, or delete them.

    They are made again when they are needed.  CONVLET_CACHE names another folder for them.
    """
    found = list(caches())
    if cleared:
        clear()
    if json:
        for one in found:
            say_json({**vars(one), "path": str(one.path), "deleted": cleared})
        return
    total = sum(one.bytes for one in found)
    if found and not cleared:
        rows = [
            (one.source, f"{one.images:,}", one.size, _megabytes(one.bytes), one.words)
            for one in found
        ]
        print_table(("source", "images", "size", "MB", ""), rows, "<>>><", ("size", "images"))
        say()
    what = f"{len(found)} cache{'s' * (len(found) != 1)}, {_megabytes(total)} MB"
    say(f"{what}{' deleted' if cleared else ''}, in {datasets.cache_folder()}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f}"
