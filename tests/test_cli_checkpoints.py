"""`convlet train --checkpoint DIR --every N --resume`: what is refused, and what is said."""

import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

import convlet
from convlet.checkpoint.lock import Lock
from convlet.cli import main

LAYERS = "flatten, dense 3, softmax"


pytestmark = pytest.mark.usefixtures("in_a_new_folder")


def train(images, *options, epochs="2", layers=LAYERS):
    how = ["--recipe", "plain", "--layers", layers, "--epochs", epochs, "--batch-size", "8"]
    return main(["train", str(images), *how, "--out", "m.safetensors", *options])


def assert_refused(images, capsys, *options, match, **changes):
    """Status 2, and one line that holds match; what was said before on stdout does not matter."""
    capsys.readouterr()
    assert train(images, *options, **changes) == 2
    err = capsys.readouterr().err
    assert err.startswith("convlet: error: ")
    assert err.count("\n") == 1
    assert match in err


def rows_of(out):
    *rows, last = [json.loads(line) for line in out.splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows], last


# ------------------------------------------------------------------------------------------- resume


def test_a_resumed_run_ends_as_the_whole_one(images, capsys):
    options = ["--optimizer", "momentum", "--checkpoint", "run", "--json"]
    assert train(images, *options[:2], "--json", epochs="5") == 0
    rows, last = rows_of(capsys.readouterr().out)
    whole = Path("m.safetensors").read_bytes()
    assert train(images, *options) == 0
    first, _ = rows_of(capsys.readouterr().out)
    Path("m.safetensors").unlink()
    assert train(images, *options, "--resume", "--history", "rows.csv", epochs="5") == 0
    out, err = capsys.readouterr()
    rest, end = rows_of(out)
    assert err == "convlet: going on from run, after epoch 2\n"
    assert first + rest == rows
    assert end["test_accuracy"] == last["test_accuracy"]
    assert Path("m.safetensors").read_bytes() == whole
    assert len(convlet.watch.read_history("rows.csv")) == 5


def test_a_finished_run_is_said_to_be_one_and_the_model_is_written(images, capsys):
    assert train(images, "--checkpoint", "run") == 0
    whole = Path("m.safetensors").read_bytes()
    Path("m.safetensors").unlink()
    capsys.readouterr()
    assert train(images, "--checkpoint", "run", "--resume") == 0
    out, err = capsys.readouterr()
    assert "the run in run is finished, after epoch 2: nothing is left to train\n" in out
    assert "epoch 1/2" not in out
    assert out.endswith("model saved in m.safetensors\n")
    assert err == ""
    assert Path("m.safetensors").read_bytes() == whole


@pytest.fixture
def noise():
    """What is learned of it soon makes the test loss rise."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((90, 6, 6)).astype(np.float32), rng.integers(0, 3, 90)
    np.savez("noise.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    return Path("noise.npz")


def test_an_early_stop_is_a_finish(noise, capsys):
    options = ["--checkpoint", "run", "--patience", "1"]
    assert train(noise, *options, epochs="50") == 0
    out = capsys.readouterr().out
    whole = Path("m.safetensors").read_bytes()
    assert "epoch 50/50" not in out
    assert train(noise, *options, "--resume", epochs="50") == 0
    again = capsys.readouterr().out
    said = (
        r"the run in run was stopped early, after epoch [0-9]+: only a larger --patience trains on"
    )
    assert re.search(said, again)
    assert out.splitlines()[-2] == again.splitlines()[-2]  # the accuracy, of which epoch, and when
    assert Path("m.safetensors").read_bytes() == whole


@pytest.mark.filterwarnings("default")  # of a terminal, not of these tests
def test_more_epochs_of_a_run_that_was_stopped_early(noise, capsys):
    options = ["--checkpoint", "run", "--patience", "1"]
    assert train(noise, *options, epochs="50") == 0
    capsys.readouterr()
    assert train(noise, *options, "--resume", epochs="60") == 0
    out, err = capsys.readouterr()
    assert "was stopped early, after epoch" in out
    assert err.startswith("convlet: warning: ")
    assert ": more epochs do nothing, but a larger patience may" in err


def test_more_patience_goes_on(noise, capsys):
    assert train(noise, "--patience", "4", epochs="50") == 0
    last = capsys.readouterr().out.splitlines()[-2]
    whole = Path("m.safetensors").read_bytes()
    options = ["--checkpoint", "run", "--patience"]
    assert train(noise, *options, "1", epochs="50") == 0
    assert Path("m.safetensors").read_bytes() != whole
    capsys.readouterr()
    assert train(noise, *options, "4", "--resume", epochs="50") == 0
    out = capsys.readouterr().out
    assert "going on from run, after epoch " in out
    assert out.splitlines()[-2].split(" after ")[0] == last.split(" after ")[0]
    assert Path("m.safetensors").read_bytes() == whole


def test_too_little_patience_is_refused_and_nothing_else_is_said(noise, capsys):
    options = ["--checkpoint", "run", "--resume", "--patience"]
    assert train(noise, *options, "3", epochs="50") == 0
    capsys.readouterr()
    assert train(noise, *options, "1", epochs="50") == 2
    out, err = capsys.readouterr()
    assert "run in run" not in out
    match = "convlet: error: --patience is 1, but with that the run would have ended before "
    assert err.startswith(match)


@pytest.mark.parametrize("started_with", [True, False])
def test_early_stopping_is_not_added_or_left_out(images, capsys, started_with):
    options, patience = ["--checkpoint", "run", "--resume"], ["--patience", "3"]
    first, second = (patience, []) if started_with else ([], patience)
    assert train(images, *options, *first) == 0
    capsys.readouterr()
    assert train(images, *options, *second) == 2
    out, err = capsys.readouterr()
    assert "run in run" not in out
    given = "not given, but the run in run was started with it: give it"
    if not started_with:
        given = "given, but the run in run was started without it: leave it out"
    assert err == f"convlet: error: --patience is {given}, or take another folder\n"


def test_an_empty_folder_is_said_to_be_one(images, capsys):
    assert train(images, "--checkpoint", "new/run", "--resume") == 0
    assert "no checkpoint in new/run yet: the run begins\n" in capsys.readouterr().out


@pytest.mark.filterwarnings("default")  # of a terminal, not of these tests
def test_a_damaged_checkpoint_is_one_line_and_the_run_goes_on(images, capsys):
    assert train(images, "--checkpoint", "run") == 0
    newest = sorted(Path("run").glob("*.safetensors"))[-1]
    newest.write_bytes(newest.read_bytes()[:99])
    capsys.readouterr()
    assert train(images, "--checkpoint", "run", "--resume") == 0
    out, err = capsys.readouterr()
    start = (
        f"convlet: warning: {newest.absolute()} is damaged (the length of its header is wrong): "
    )
    assert err.startswith(start)
    assert err.endswith("checkpoint-00001-000000.safetensors is used, after epoch 1\n")
    assert err.count("\n") == 1
    assert "going on from run, after epoch 1\n" in out


def test_every_is_in_steps(images, monkeypatch):
    written = []
    real = os.replace

    def noting(source, target):
        written.append(Path(target).name)
        real(source, target)

    monkeypatch.setattr(os, "replace", noting)
    assert train(images, "--checkpoint", "run", "--every", "3", epochs="1") == 0
    assert [name[11:23] for name in written[:-1]] == [
        "00000-000000",
        "00000-000003",
        "00000-000006",
        "00001-000000",
    ]


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--every", "5"], "--every is 5, but there is no --checkpoint: give --checkpoint=folder"),
        (["--resume"], "--resume is given, but there is no --checkpoint: give --checkpoint=folder"),
        (["--checkpoint", "run", "--every", "0"], "--every is 0, expected a whole number from 1"),
        (["--checkpoint", "run", "--every", "x"], "--every is 'x', expected a whole number"),
        (["--checkpoint", "a_file"], "--checkpoint is 'a_file', which is not a folder"),
        (["--checkpoint", "a_file/run"], "--checkpoint is 'a_file/run', but '"),
        (["--tensorboard", "a_file"], "--tensorboard is 'a_file', which is not a folder"),
        (["--tensorboard", "a_file/run"], "--tensorboard is 'a_file/run', but '"),
        (["--tensorboard", "/proc/run"], "--tensorboard is '/proc/run', but the folder '/proc' c"),
        (["--checkpoint", "/proc/run"], "--checkpoint is '/proc/run', but the folder '/proc' can"),
    ],
)
def test_wrong_options_are_refused_before_the_data_are_read(
    images, capsys, options, match, monkeypatch
):
    monkeypatch.setattr(convlet.datasets, "load", lambda name, **how: pytest.fail("read the data"))
    Path("a_file").write_text("")
    assert_refused(images, capsys, *options, match=match)
    assert os.listdir() == ["a_file"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            ["--checkpoint", "np/run"],
            "--checkpoint is 'np/run', which cannot be written: Permission",
        ),
        (["--history", "np/x.csv"], "--history is 'np/x.csv', which cannot be written: Permission"),
        (["--tensorboard", "np/x"], "--tensorboard is 'np/x', which cannot be written: Permission"),
    ],
)
def test_a_folder_that_cannot_be_looked_into(images, capsys, options, match, monkeypatch):
    real = os.stat

    def stat(path, **rest):  # root may do anything
        if str(path).startswith("np/"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, **rest)

    Path("np").mkdir()
    monkeypatch.setattr(convlet.datasets, "load", lambda name, **how: pytest.fail("read the data"))
    monkeypatch.setattr(os, "stat", stat)
    assert_refused(images, capsys, *options, match=match)
    assert os.listdir("np") == []


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_files_of_a_run_may_be_in_its_folder(images, resume):
    options = ["--history", "run/rows.csv", "--out", "run/m.safetensors"]
    options += ["--tensorboard", "run/events"]
    pytest.importorskip("tensorboardX")
    assert train(images, "--checkpoint", "run", *resume, *options) == 0
    assert len(convlet.watch.read_history("run/rows.csv")) == 2
    assert convlet.load("run/m.safetensors").epochs == 2
    assert len(os.listdir("run/events")) == 1
    assert train(images, "--checkpoint", "run", *options, "--resume", epochs="3") == 0
    assert len(convlet.watch.read_history("run/rows.csv")) == 3


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--learning-rate", "0.2"], "--learning-rate is 0.2, but "),
        (["--batch-size", "9"], "--batch-size is 9, but "),
        (["--seed", "1"], "--seed is 1, but "),
        (["--optimizer", "adam"], "--optimizer is adam, but "),
        (["--momentum", "0.5"], "--momentum is 0.5, but "),
        (["--weight-decay", "0.5"], "--weight-decay is 0.5, but "),
        (["--schedule", "cosine"], "--schedule is cosine, but "),
        (["--clip-norm", "2"], "--clip-norm is 2.0, but "),
        (["--label-smoothing", "0.5"], "--label-smoothing is 0.5, but "),
        (["--augment", "flip"], "--augment is flip, but "),
        (["--augment", "flip"], "safetensors is of a run without one: go on with what it was "),
        (["--engine", "reference"], "--engine is reference, but "),
        (
            ["--limit", "50"],
            "DATA (images to train with, which --limit, --hold-out and --seed choose)",
        ),
        (["--limit", "50"], ") is 50 images 6x6x1 uint8, sha256 "),
        (["--hold-out", "9"], ") is 51 images 6x6x1 uint8, sha256 "),
        (["--hold-out", "9", "--seed", "1"], "--seed is 1, but "),
        (["--epochs", "1"], "--epochs is 1, but "),
    ],
)
def test_another_run_is_refused_by_the_name_of_the_option(images, capsys, options, match):
    assert train(images, "--checkpoint", "run") == 0
    assert_refused(images, capsys, "--checkpoint", "run", "--resume", *options, match=match)


def test_numbers_without_an_option_of_their_own(images, capsys):
    options = ["--checkpoint", "run", "--optimizer", "momentum", "--schedule"]
    assert train(images, *options, "step every 1") == 0
    match = "--schedule: every is 2, but "
    assert_refused(images, capsys, *options, "step every 2", "--resume", match=match)
    options[3] = "nesterov"
    match = "--optimizer: nesterov is True, but "
    assert_refused(images, capsys, *options, "step every 1", "--resume", match=match)


def test_an_option_that_is_left_out_is_none(images, capsys):
    assert train(images, "--checkpoint", "run", "--augment", "shift 2, flip") == 0
    match = "--augment is none, but "
    assert_refused(images, capsys, "--checkpoint", "run", "--resume", match=match)
    match = "of a run with shift 2, flip: go on"
    assert_refused(images, capsys, "--checkpoint", "run", "--resume", match=match)


def test_another_network_is_refused(images, capsys):
    assert train(images, "--checkpoint", "run") == 0
    layers = "flatten, dense 4, relu, dense 3, softmax"
    options = ["--checkpoint", "run", "--resume"]
    assert_refused(images, capsys, *options, match="--layers is flatten, dense 4", layers=layers)


def test_a_run_in_the_folder_is_not_overwritten(images, capsys):
    assert train(images, "--checkpoint", "run") == 0
    match = "which holds a run already"
    assert_refused(images, capsys, "--checkpoint", "run", match=match)
    assert_refused(images, capsys, "--checkpoint", "run", match="go on with it by --resume")


def test_an_error_of_another_option_keeps_its_words(images, capsys, monkeypatch):
    """A history file on a full disk; the checkpoint is written, and the run can go on."""
    real = convlet.watch.CSV.line

    def line(self, row):
        if row.epoch == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, row)

    options = ["--checkpoint", "run", "--history", "rows.csv"]
    with monkeypatch.context() as patch:
        patch.setattr(convlet.watch.CSV, "line", line)
        match = "convlet: error: rows.csv cannot be written: No space left on device"
        assert_refused(images, capsys, *options, match=match)
    assert train(images, *options, "--resume") == 0
    assert "going on from run, after step 8 of 8 of epoch 2\n" in capsys.readouterr().out
    assert len(convlet.watch.read_history("rows.csv")) == 2


def test_a_folder_in_use(images, capsys):
    Path("run").mkdir()
    lock = Lock("run")
    folder = Path("run").absolute()
    match = f"--checkpoint: {folder} is in use: process {os.getpid()} writes its checkpoints there"
    assert_refused(images, capsys, "--checkpoint", "run", match=match)
    lock.release()
    assert train(images, "--checkpoint", "run") == 0


def test_a_full_disk_is_one_line_and_the_checkpoint_before_stays(images, capsys, monkeypatch):
    real, count = os.fsync, [0]

    def full(file):
        count[0] += 1
        if count[0] == 6:  # one for the new folder, two in each save: the third one fails
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file)

    match = "000000.safetensors cannot be written: No space left on device: free some space on"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert_refused(images, capsys, "--checkpoint", "run", match=match, epochs="9")
    assert sorted(os.listdir("run")) == [
        "checkpoint-00000-000000.safetensors",
        "checkpoint-00001-000000.safetensors",
        "lock",
    ]
    assert not Path("m.safetensors").exists()
    assert convlet.load_checkpoint("run/checkpoint-00001-000000.safetensors").epochs == 1


def test_a_diverged_run_names_step_stage_and_the_last_good_checkpoint(images, capsys):
    layers = "flatten, dense 30, dense 30, dense 3, softmax"  # no ReLU that could die
    assert_refused(
        images, capsys, "--checkpoint", "run", "--every", "1", "--learning-rate", "1e5",
        match=" is not finite, first in ", layers=layers,
    )  # fmt: skip
    train(images, "--checkpoint", "run", "--every", "1", "--learning-rate", "1e5", "--resume",
          layers=layers)  # fmt: skip
    err = capsys.readouterr().err
    good = Path(err.split("last good checkpoint: ")[1].strip())
    assert "of stage " in err
    assert "try a --learning-rate below" in err
    assert good == sorted(Path("run").absolute().glob("*.safetensors"))[-1]
    assert np.isfinite(convlet.load_checkpoint(good).flat).all()


def test_a_place_in_a_message_is_not_rewritten(images, capsys):
    train(images, "--checkpoint", "clip_norm", "--learning-rate", "1e6", "--layers",
          "flatten, dense 30, dense 3, softmax")  # fmt: skip
    err = capsys.readouterr().err
    assert "or --clip-norm; last good checkpoint: " in err
    assert Path(err.split("last good checkpoint: ")[1].strip()).is_file()


# ------------------------------------------------------------- a checkpoint in place of a model


def test_a_checkpoint_is_a_model_too(images, capsys):
    assert train(images, "--checkpoint", "run") == 0
    place = "run/checkpoint-00002-000000.safetensors"
    said = {}
    for model in (place, "m.safetensors"):
        capsys.readouterr()
        commands = [
            ["evaluate", model, str(images), "--json"],
            ["show", model],
            ["predict", model, "one.npy", "--json"],
        ]
        np.save("one.npy", np.full((6, 6), 9, np.uint8))
        assert [main(command) for command in commands] == [0, 0, 0]
        said[model] = capsys.readouterr().out.replace(model, "MODEL")
    assert said[place] == said["m.safetensors"]
    assert "batch size: 8\noptimizer: sgd\nlearning rate: 0.1, constant\n" in said[place]
    Path("other.safetensors").write_bytes(b"no model")
    assert main(["show", "other.safetensors"]) == 2
