"""`convlet sweep`: the trials are those of `convlet train`, kept one by one, and gone on with."""

import csv
import errno
import json
import os
import shlex
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import convlet
from command_line import assert_refused
from convlet.cli import main
from convlet.cli.trials import Plan
from convlet.sweeps.folder import RESULTS, TRIALS, SweepFolder, read
from convlet.sweeps.outcomes import Outcome, Trial, best, ranked

LAYERS = "conv 3 3, relu, pool 2, flatten, dense 3, softmax"
LINEAR = "flatten, dense 8, dense 8, dense 8, dense 3, softmax"  # nothing in it saturates
GRID = "learning_rate=0.002,0.02; batch_size=8,16"
HOW = ["--layers", LAYERS, "--recipe", "default", "--epochs", "2"]


@pytest.fixture(autouse=True)
def _in_a_new_folder(plain_terminal):
    pass


def sweep(images, *arguments, grid=GRID):
    return main(["sweep", str(images), "--grid", grid, *HOW, *arguments])


def objects(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# ---------------------------------------------------------------------------- what is trained


def test_a_trial_is_what_train_does_with_the_same_options(images, capsys):
    assert sweep(images, "--folds", "3", "--seed", "2", "--seeds", "2", "--json") == 0
    *trials, last = objects(capsys)
    assert len(trials) == 4 * 3 * 2
    for seed, values in ((2, ["0.002", "16"]), (3, ["0.02", "8"])):
        options = ["--learning-rate", values[0], "--batch-size", values[1], "--seed", str(seed)]
        assert main(["train", str(images), *HOW, *options, "--folds", "3", "--json"]) == 0
        *folds, _ = objects(capsys)
        found = [
            {"fold": one["fold"], "loss": one["loss"], "accuracy": one["accuracy"]}
            for one in trials
            if [*one["values"].values()] == values and one["seed"] == seed
        ]
        assert found == folds
    values = ["0.02", "8"]
    accuracies = [one["accuracy"] for one in trials if [*one["values"].values()] == values]
    row = next(
        one for one in last["results"] if [one["learning_rate"], one["batch_size"]] == values
    )
    assert row["accuracy"] == pytest.approx(np.mean(accuracies))
    assert row["spread"] == pytest.approx(np.std(accuracies, ddof=1))
    assert row["trials"] == 6


def test_without_folds_training_images_that_are_held_out_decide(images, capsys):
    assert sweep(images, "--json", grid="optimizer=adam,nesterov") == 0
    first, *_ = objects(capsys)
    options = ["--optimizer", "adam", "--hold-out", "10", "--json"]  # one of six of 60
    assert main(["train", str(images), *HOW, *options]) == 0
    row = objects(capsys)[1]  # the second epoch
    assert first["accuracy"] == row["validation_accuracy"]
    assert first["loss"] == row["validation_loss"]
    assert sweep(images, "--hold-out", "20", "--out", "other", grid="optimizer=adam") == 0
    assert "40 images, judged by 20 held out, by --seed; the test images" in capsys.readouterr().out


def parts(count=90, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 6, 6), dtype=np.uint8), rng.integers(0, 3, count)


def seen_of(path, **given):
    """The images that the trials of a plan are trained on and judged by, as bytes."""
    data = convlet.datasets.load(path)
    plan = Plan({0: ()}, (0,), given.get("folds"), given.get("hold_out"), None)
    found = {"train": set(), "judging": set()}
    for trial in plan.trials():
        _, train, judging = plan.parts(data, trial)
        found["train"] |= {image.tobytes() for image in train.images}
        found["judging"] |= {image.tobytes() for image in judging.images}
    return data, found


@pytest.mark.parametrize("how", [{"folds": 4}, {"hold_out": 20}, {}])
@pytest.mark.parametrize("kind", ["with a test part", "without one"])
def test_no_test_image_has_a_part_in_the_choice(how, kind):
    x, y = parts()
    if kind == "without one":
        np.savez("data.npz", x=x, y=y)
    else:
        np.savez("data.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    data, found = seen_of("data.npz", **how)
    tested = {image.tobytes() for image in data.test.images}
    assert len(data.test) >= 18
    assert not tested & (found["train"] | found["judging"])
    trained = {image.tobytes() for image in data.train.images}
    assert found["train"] | found["judging"] == trained


def test_validation_images_that_came_judge():
    x, y = parts()
    np.savez(
        "data.npz",
        **{"x_train": x[:50], "y_train": y[:50], "x_test": x[70:], "y_test": y[70:]},
        **{"x_val": x[50:70], "y_val": y[50:70]},
    )
    _, found = seen_of("data.npz")
    assert found["judging"] == {image[..., None].tobytes() for image in x[50:70]}
    assert found["train"] == {image[..., None].tobytes() for image in x[:50]}


# ---------------------------------------------------------------------------------- what wins


def test_the_mean_decides_and_what_failed_on_one_fold_cannot_win():
    def came(combination, fold, accuracy, loss=0.5, error=""):
        return Outcome(Trial(combination, 0, fold), accuracy, loss, 1.0, error)

    grid = {"batch_size": ["1", "2", "3", "4"]}
    outcomes = [
        *(came(0, 1, 0.5), came(0, 2, 1.0)),
        *(came(1, 1, 0.75, 0.4), came(1, 2, 0.75, 0.4)),
        *(came(2, 1, 1.0), came(2, 2, None, None, "it diverged")),
        came(3, 1, 0.99),
    ]
    results = ranked(grid, outcomes, 2)
    assert [one.combination for one in results] == [3, 1, 0, 2]
    assert results[0].accuracy == 0.99
    assert not results[0].is_whole
    assert best(results).combination == 1
    assert (results[3].accuracy, results[3].error) == (None, "it diverged")
    assert results[2].spread == pytest.approx(0.5**1.5)
    assert best(ranked(grid, outcomes[4:6], 2)) is None


def test_the_last_line_trains_the_best_one(images, capsys):
    layers = f"flatten, dense 3, softmax|{LAYERS}"
    command = ["sweep", str(images), "--grid", f"layers={layers}; clip_norm=none,2", "--seed", "3"]
    options = ["--recipe", "plain", "--epochs", "2", "--augment", "shift 1", "--limit", "50"]
    assert main([*command, *options]) == 0
    out = capsys.readouterr().out
    assert "\nlayers #1: flatten, dense 3, softmax\n" in out
    *_, line = out.splitlines()
    words = shlex.split(line.removeprefix("to train it: convlet "))
    assert words[:2] == ["train", str(images)]
    assert "--limit" not in words
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert given["--layers"] in layers.split("|")
    assert given.get("--clip-norm") in (None, "2")
    assert {**given, "--layers": "", "--clip-norm": ""} == {
        **{"--layers": "", "--recipe": "plain", "--clip-norm": "", "--augment": "shift 1"},
        **{"--seed": "3", "--epochs": "2"},
    }
    assert main(words) == 0


# ---------------------------------------------------------------------------------- going on


def test_the_same_command_goes_on_and_another_one_is_refused(images, capsys, monkeypatch):
    run, ended = Plan.run, []

    def interrupted(self, data, trial, *rest):
        if len(ended) == 5:
            raise KeyboardInterrupt
        ended.append(trial)
        return run(self, data, trial, *rest)

    monkeypatch.setattr(Plan, "run", interrupted)
    assert sweep(images, "--folds", "2") == 130
    err = capsys.readouterr().err
    assert err == (
        "convlet: interrupted: 5 of 8 trials are kept in convlet-sweep-rows: the same command goes"
        " on\n"
    )
    ended.clear()
    assert sweep(images, "--folds", "2") == 0
    assert len(ended) == 3
    out = capsys.readouterr().out
    assert "\n5 of 8 trials are in convlet-sweep-rows already\n" in out
    monkeypatch.setattr(Plan, "run", run)
    assert sweep(images, "--folds", "2", "--out", "whole") == 0
    capsys.readouterr()

    def numbers(folder):
        return {one.trial: (one.accuracy, one.loss) for one in read(Path(folder))[1]}

    assert numbers("convlet-sweep-rows") == numbers("whole")
    kept = Path("convlet-sweep-rows", TRIALS).read_bytes()
    for options, words in (
        (
            ["--folds", "3"],
            "--folds is 3, but convlet-sweep-rows/trials.jsonl is of a sweep with 2",
        ),
        (["--folds", "2", "--label-smoothing", "0.1"], "--label-smoothing is 0.1, but"),
        (["--folds", "2", "--limit", "59"], "--limit is 59, but"),
    ):
        assert_refused(["sweep", str(images), "--grid", GRID, *HOW, *options], capsys, words)
    refused = ["sweep", str(images), "--grid", f"{GRID},32", *HOW, "--folds", "2"]
    words = "learning_rate=0.002,0.02; batch_size=8,16,32, but"
    assert_refused(refused, capsys, "--grid is", words, "or take another folder")
    x, y = parts(60)
    np.savez("rows.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    again = ["sweep", "rows.npz", "--grid", GRID, *HOW, "--folds", "2"]
    assert_refused(again, capsys, "DATA (images", "of a sweep with", "sha256")
    assert Path("convlet-sweep-rows", TRIALS).read_bytes() == kept


def test_what_may_end_in_another_way_runs_again(images, capsys, monkeypatch):
    run = Plan.run

    def lost(self, data, trial, *rest):
        return Outcome(trial, error="the machine is gone", again=True)

    monkeypatch.setattr(Plan, "run", lost)
    assert sweep(images, grid="batch_size=8,16") == 1
    assert "no combination ended well" in capsys.readouterr().out
    monkeypatch.setattr(Plan, "run", run)
    assert sweep(images, grid="batch_size=8,16") == 0
    assert "already" not in capsys.readouterr().out
    assert len(read(Path("convlet-sweep-rows"))[1]) == 2


def test_what_diverges_is_a_row_and_not_the_end(images, capsys):
    grid = f"learning_rate=1e6,0.002; optimizer=sgd; layers={LINEAR}"
    command = ["sweep", str(images), "--grid", grid, "--folds", "2", "--epochs", "2"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert ": failed: " in out
    assert "\nfailed: learning rate 1e6, optimizer sgd, layers #1: " in out
    assert "best: learning rate 0.002, optimizer sgd, layers #1: accuracy " in out
    rows = list(csv.DictReader(Path("convlet-sweep-rows", RESULTS).read_text().splitlines()))
    assert [row["learning_rate"] for row in rows] == ["0.002", "1e6"]
    assert rows[0]["error"] == "" != rows[1]["error"]
    assert rows[1]["accuracy"] == ""
    assert float(rows[0]["accuracy"]) > 0
    assert main(command) == 0
    assert "4 of 4 trials are in" in capsys.readouterr().out  # it would diverge again


def outcomes(count):
    return [Outcome(Trial(n % 3, n // 3), n / count, 0.5, 1.0) for n in range(count)]


def test_a_trial_is_a_line_behind_those_before(tmp_path, monkeypatch):
    """So many bytes as it has are written, and they are on the disk."""
    identity = {"grid": {"batch_size": ["1", "2", "3"]}, "trials": 4}
    path, synchronised, whole = tmp_path / TRIALS, [], []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synchronised.append(file) or fsync(file))
    with closing(SweepFolder(tmp_path, identity)) as folder:
        for n, outcome in enumerate(outcomes(12)):
            begun = len(synchronised)
            folder.add(outcome)
            assert len(synchronised) > begun
            whole.append((path.stat().st_ino, path.read_bytes()))
            assert read(tmp_path)[1] == outcomes(12)[: n + 1]
        assert not (tmp_path / RESULTS).exists()
    assert len({number for number, _ in whole}) == 1
    assert all(after.startswith(before) for (_, before), (_, after) in pairwise(whole))
    rows = list(csv.DictReader((tmp_path / RESULTS).read_text().splitlines()))
    assert [row["batch_size"] for row in rows] == ["3", "2", "1"]


def test_a_last_line_that_a_crash_cut_is_forgiven(tmp_path):
    identity = {"grid": {"batch_size": ["1", "2", "3"]}, "trials": 4}
    with closing(SweepFolder(tmp_path, identity)) as folder:
        for outcome in outcomes(3):
            folder.add(outcome)
    path = tmp_path / TRIALS
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        assert read(tmp_path)[1] == outcomes(3)[:2]
        with closing(SweepFolder(tmp_path, identity)) as folder:
            assert folder.outcomes == outcomes(3)[:2]
            folder.add(outcomes(3)[2])
        assert path.read_bytes() == whole
    path.write_bytes(whole[: last - 3] + b"\n" + whole[last:])  # not the last one
    with pytest.raises(convlet.DataError, match="line 3"):
        read(tmp_path)


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    identity = {"grid": {"batch_size": ["1", "2", "3"]}, "trials": 4}
    with closing(SweepFolder(tmp_path, identity)) as folder:
        folder.add(outcomes(2)[0])
        kept, write = (tmp_path / TRIALS).read_bytes(), os.write

        def full(file, data):
            if len(data) < 9:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(file, data[:9])

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(convlet.FileError, match="No space left"):
            folder.add(outcomes(2)[1])
        assert (tmp_path / TRIALS).read_bytes() == kept
        assert folder.outcomes == outcomes(2)[:1]
        monkeypatch.setattr(os, "write", write)


def test_of_a_trial_that_ran_again_the_last_line_counts(tmp_path):
    identity = {"grid": {"batch_size": ["1"]}, "trials": 1}
    lost = Outcome(Trial(0, 0), error="the machine is gone", again=True)
    with closing(SweepFolder(tmp_path, identity)) as folder:
        for outcome in (lost, outcomes(1)[0]):
            folder.add(outcome)
            assert folder.outcomes == read(tmp_path)[1] == [outcome]


def test_two_sweeps_do_not_write_to_one_folder(images, capsys):
    from convlet.checkpoint.lock import Lock

    Path("s").mkdir()
    lock = Lock("s")
    assert_refused(
        ["sweep", str(images), "--grid", GRID, *HOW, "--out", "s"], capsys, "writes its trials"
    )
    lock.release()


@pytest.mark.parametrize(
    "lines",
    [
        ["[]"],
        ['{"convlet sweep": 2}'],
        ['{"convlet sweep": 1, "grid": {}, "trials": 1}'],
        ["\x00\xff"],
        [None, "{}"],
        [None, '{"combination": 0, "seed": 0, "fold": null, "accuracy": "1", "loss": 0}'],
        [None, '{"combination": -1, "seed": 0, "fold": null, "accuracy": 1, "loss": 0}'],
        [None, '{"combination": 0, "seed": 0, "fold": null, "accuracy": 1, "loss": NaN}'],
    ],
)
def test_a_damaged_file_is_refused(images, lines, capsys):
    assert sweep(images, "--out", "s") == 0
    capsys.readouterr()
    path = Path("s", TRIALS)
    first = path.read_text().splitlines()[0]
    path.write_text("".join(f"{first if line is None else line}\n" for line in lines))
    command = ["sweep", str(images), "--grid", GRID, *HOW, "--out", "s"]
    assert_refused(command, capsys, "trials.jsonl")


# ---------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ("", 'as in "learning_rate=0.002,0.008; recipe=default,plain"'),
        ("learning_rate", "--grid is 'learning_rate', expected parameters with values"),
        ("rate=1,2", "--grid names 'rate', expected one of augment, batch_size, class_weight"),
        ("seed=1,2", "--seeds N"),
        ("batch_size=8,,16", "--grid has an empty value of batch_size"),
        ("batch_size=8,8", "--grid has batch_size=8 twice"),
        ("batch_size=8; batch-size=16", "--grid names batch-size twice"),
        ("learning_rate=0.1,x", "--grid: learning_rate is 'x', expected a number above 0"),
        ("recipe=default,none", "--grid: recipe is 'none', expected one of: plain, default, best"),
        ("optimizer=adam,newton", "--grid: optimizer is 'newton', expected"),
        ("momentum=0.5,1", "--grid: momentum"),
        ("optimizer=adam; momentum=0.5,0.9", "--grid: momentum"),
        ("layers=convolve 8|flatten, dense 3, softmax", "--grid: layers"),
        ("augment=shift 1|turn 3", "--grid: augment"),
        (f"batch_size={','.join(map(str, range(1, 10_002)))}", "10,001 combinations"),
    ],
)
def test_a_wrong_grid_is_refused_before_work(grid, words, capsys):
    assert_refused(["sweep", "missing.npz", "--grid", grid], capsys, words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--folds", "1"], "--folds is 1"),
        (["--folds", "2", "--hold-out", "3"], "--hold-out is 3"),
        (["--seeds", "0"], "--seeds is 0"),
        (["--batch-size", "8"], "--batch-size is 8, but it is in the grid"),
        (["--cluster", "tcp://127.0.0.1:1", "--workers", "2"], "--workers is 2"),
        (["--workers", "0"], "--workers is 0"),
        (["--workers", "2", "--threads", "2"], "--threads is 2, but a trial has all threads"),
        (["--cluster", "mpi"], "--cluster is 'mpi', but each rank would print everything"),
        (["--cluster", "here"], "--cluster is 'here', expected the address of a scheduler, as"),
        (["--out", "/dev/null"], "--out is '/dev/null'"),
        (["--picture", "p.gif"], "--picture is 'p.gif'"),
    ],
)
def test_wrong_options_are_refused_before_data_are_read(options, words, capsys):
    assert_refused(["sweep", "missing.npz", "--grid", GRID, *options], capsys, words)


def test_layers_that_do_not_fit_the_data_are_refused_before_work(images, capsys):
    command = ["sweep", str(images), "--grid", "layers=flatten, dense 3, softmax|conv 4 9, softmax"]
    assert_refused(command, capsys, "--grid: layers")
    command = ["sweep", str(images), "--grid", "layers=flatten, dense 4, softmax"]
    assert_refused(command, capsys, "--grid: layers ends with 4 classes")
    command = ["sweep", str(images), "--grid", GRID, *HOW, "--folds", "60"]
    assert_refused(command, capsys, "--folds is 60")
    assert not Path("convlet-sweep-rows").exists()


# ---------------------------------------------------------------------------------- pictures


def test_the_picture_has_every_trial_and_mean(images):
    grid = "learning_rate=0.001,0.01,0.1; recipe=default,plain"
    command = ["sweep", str(images), "--grid", grid, "--epochs", "1", "--folds", "2"]
    command += ["--layers", LAYERS, "--picture", "p.svg", "--out", "s"]
    assert main(command) == 0
    svg = Path("p.svg").read_text()
    for words in ("accuracy on images held out, %", "learning rate", "recipe plain", "0.001"):
        assert words in svg
    axes = convlet.plots.sweep("s").axes[0]
    identity, outcomes = read(Path("s"))
    results = ranked(identity["grid"], outcomes, 2)
    means = {
        (float(x), round(float(y), 6))
        for line in axes.lines
        if line.get_marker() != "."
        for x, y in zip(*line.get_data(), strict=True)
    }
    assert means == {
        (float(one.values["learning_rate"]), round(100 * one.accuracy, 6)) for one in results
    }
    points = sorted(
        y for line in axes.lines if line.get_marker() == "." for y in line.get_data()[1]
    )
    assert points == pytest.approx(sorted(100 * one.accuracy for one in outcomes))
    assert axes.get_xscale() == "log"


def test_names_are_rows_the_best_first(images):
    layers = f"flatten, dense 3, softmax|{LAYERS}"
    assert main(["sweep", str(images), "--grid", f"layers={layers}", "--epochs", "1"]) == 0
    drawing = convlet.plots.sweep("convlet-sweep-rows")
    names = [text.get_text() for text in drawing.axes[0].get_yticklabels()]
    identity, outcomes = read(Path("convlet-sweep-rows"))
    first = ranked(identity["grid"], outcomes, 1)[0]
    assert names[0] == f"layers #{first.combination + 1}"
    assert f"layers #2: {LAYERS}" in drawing.get_supxlabel().replace("\n", " ")


def test_a_picture_of_nothing_is_refused(images, monkeypatch):
    monkeypatch.setattr(Plan, "run", lambda self, data, trial, *rest: Outcome(trial, error="no"))
    assert sweep(images, "--picture", "p.png") == 1
    assert not Path("p.png").exists()
    with pytest.raises(convlet.InputError, match="has no trial that ended well"):
        convlet.plots.sweep("convlet-sweep-rows")
    with pytest.raises(convlet.FileError, match="nowhere"):
        convlet.plots.sweep("nowhere")
