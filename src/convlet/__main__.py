"""The command `convlet`, also `python -m convlet`: the command line, ready for Ctrl-C at once."""

import sys


def main() -> int:
    """Run the command line -> its exit status.  Ctrl-C counts while Python still imports, too."""
    try:
        from convlet.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("convlet: interrupted", file=sys.stderr)
        return 130  # 128 + SIGINT


if __name__ == "__main__":
    sys.exit(main())
