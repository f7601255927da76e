"""Tests start their children in one place, with the signals of a program started by hand."""

import re
import signal
from pathlib import Path

import pytest

import children

SAY = "import signal; print(*[signal.getsignal(n).name for n in (1, 15)], signal.getsignal(2))"


@pytest.mark.parametrize("number", children.SIGNALS)
def test_a_child_hears_a_signal_that_the_tests_ignore(number):
    with children.ignored(number):
        said = children.output(SAY)
        assert signal.getsignal(number) is signal.SIG_IGN, "the tests themselves ignore it no more"
    assert said.startswith("SIG_DFL SIG_DFL <built-in function default_int_handler>")


def test_children_are_started_in_one_place():
    starts = re.compile(r"\b(subprocess\.(run|Popen|call|check_\w+)|os\.(system|popen))\(")
    for path in Path(__file__).parent.glob("*.py"):
        if path.name != "children.py":
            assert not starts.search(path.read_text(encoding="utf-8")), path.name
