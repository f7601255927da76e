"""Training by the ranks of MPI: the bits of one process, also after all of them died."""

import json
import re
import sys
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest

import children
import mpi_program
from command_line import assert_refused
from convlet import MissingDependencyError, Network
from convlet.cluster.mpi import _tag
from convlet.engine import middle_of

FOLDER = Path(__file__).parent


def mpiexec(ranks: int, seeds: list[int] | None = None, **options: Any) -> tuple[int, list[Any]]:
    """The status, and what each rank printed, in the order of ranks."""
    own = Path(sys.executable).parent / "mpiexec"
    program = str(own) if own.exists() else which("mpiexec")
    assert program, "the extra test brings mpich"
    told = json.dumps({"seeds": seeds or [0] * ranks, **options})
    command = [sys.executable, "-W", "error", "-m", "mpi4py", str(FOLDER / "mpi_program.py"), told]
    done = children.run([program, "-n", str(ranks), *command])
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return done.returncode, sorted(lines, key=lambda one: one["rank"])


@pytest.fixture(scope="module")
def alone():
    return mpi_program.train()["sha256"]


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_every_rank_ends_with_the_bits_of_one_process(ranks, alone):
    status, found = mpiexec(ranks)
    assert status == 0
    assert found == [{"rank": rank, "sha256": alone} for rank in range(ranks)]


def test_where_a_rank_dies_all_end_and_other_ranks_go_on_from_the_checkpoint(tmp_path, alone):
    kept = {"checkpoint": str(tmp_path / "run"), "every": 2}
    status, found = mpiexec(2, dies=True, **kept)
    assert status != 0
    assert found == []
    status, found = mpiexec(3, resume=True, **kept)
    assert status == 0
    assert [one["sha256"] for one in found] == [alone] * 3


@pytest.mark.parametrize(
    ("seeds", "options", "words"),
    [
        ([0, 5], {}, r"InputError: x is uint8 \(203, 10, 10, 1\) \w+ at rank 0 and .* at rank 1"),
        ([0, 0], {"shards": 1}, "InputError: shards is 1, but MPI has 2 ranks: start fewer ranks"),
    ],
)
def test_what_cannot_be_is_refused_on_all_ranks(seeds, options, words):
    status, found = mpiexec(2, seeds, **options)
    assert status == 0
    assert len(found) == 2
    for one in found:
        assert re.match(words, one["error"])


@pytest.mark.parametrize("rank", [0, 1])
def test_data_that_one_rank_refuses_end_the_call_of_all_and_not_the_next_one(rank, alone):
    status, found = mpiexec(2, short=rank)
    assert status == 0
    firsts = {one["rank"]: one["error"] for one in found if "error" in one}
    assert firsts[rank].startswith("InputError: sample_weight has")
    assert firsts[1 - rank].startswith(f"ClusterError: rank {rank} ended with InputError: sample")
    assert [one["sha256"] for one in found if "sha256" in one] == [alone] * 2


def test_an_error_of_rank_0_between_steps_is_told_to_all(tmp_path):
    (tmp_path / "file").write_text("")
    status, found = mpiexec(2, checkpoint=str(tmp_path / "file"))
    assert status == 0
    assert found[0]["error"].startswith("FileError")
    assert found[1]["error"].startswith("ClusterError: rank 0 ended with FileError")


@pytest.mark.parametrize("shards", [1, 2, 3, 8, 13, 64])
def test_every_node_has_a_tag_of_its_own(shards):
    def nodes(start, end):
        yield start, end
        if end - start > 1:
            middle = middle_of((start, end))
            yield from nodes(start, middle)
            yield from nodes(middle, end)

    tags = [_tag(node) for node in nodes(0, shards)]
    assert sorted(tags) == list(range(2 * shards - 1))


def test_the_command_line_leaves_it_to_scripts(capsys):
    assert_refused(
        ["train", "mnist", "--cluster", "mpi"],
        capsys,
        "--cluster is 'mpi', but each rank",
        "script",
    )


def fit_without_mpiexec():
    Network("flatten, dense 2, softmax", (2, 2)).fit(np.zeros((8, 2, 2)), [0, 1] * 4, cluster="mpi")


def test_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(MissingDependencyError, match=r"needs mpi4py.*\"convlet\[mpi\]\""):
        fit_without_mpiexec()
    (tmp_path / "mpi4py").mkdir()
    (tmp_path / "mpi4py" / "__init__.py").touch()
    (tmp_path / "mpi4py" / "MPI.py").write_text("raise RuntimeError('cannot load MPI library')")
    monkeypatch.delitem(sys.modules, "mpi4py")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependencyError, match=r"needs an MPI, .* pip install mpich"):
        fit_without_mpiexec()
