"""scripts/mutants, which makes mistakes in the code: its list is that of the code as it is."""

import re
import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
mutants = runpy.run_path(str(ROOT / "scripts" / "mutants"))["mutants"]


def test_every_text_is_once_in_its_file():
    every = mutants()
    assert len({(one.file, one.old, one.new) for one in every}) == len(every)
    assert len({(one.file, one.what) for one in every}) == len(every)
    assert len({one.file for one in every}) > 10


@pytest.mark.parametrize("in_python", [False, True])
@pytest.mark.parametrize(("text", "times"), [("gone", 0), ("twice", 2)])
def test_a_text_that_is_not_there_once_is_refused(tmp_path, text, times, in_python):
    for folder in ("native", "scripts", "src"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    one = next(one for one in mutants() if one.in_python == in_python)
    path = tmp_path / one.path
    source = path.read_text(encoding="utf-8")
    path.write_text(source.replace(one.old, one.old * times), encoding="utf-8")
    match = re.escape(f"{one.file}, {one.what}: {times} times: {one.old}")
    with pytest.raises(SystemExit, match=match):
        mutants(tmp_path)
