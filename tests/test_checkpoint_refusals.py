"""A folder of checkpoints refuses another run, wrong arguments and a second writer."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import children
import convlet
from convlet import (
    SGD,
    Adam,
    Callback,
    EarlyStopping,
    FileError,
    InputError,
    Network,
)
from convlet.checkpoint import identity
from convlet.settings import Settings
from small_runs import (
    LAYERS,
    SHAPE,
    SMALL,
    Cut,
    CutAfter,
    cut_at,
    images,
    name,
    names,
    newest,
    train,
)

SAME = {"epochs": 3, "batch_size": 8, "learning_rate": 0.05, "seed": 7}
"""The settings of `small_runs.train`."""


# ---------------------------------------------------------------------------------- what is refused

DIGEST = r"sha256 [0-9a-f]{12}\.\.\."

OTHERS = {
    "learning_rate": ({"learning_rate": 0.1}, "learning_rate is 0.1, but .* of a run with 0.05"),
    "batch_size": ({"batch_size": 9}, "batch_size is 9, but"),
    "seed": ({"seed": 8}, "seed is 8, but .* of a run with 7"),
    "optimizer": ({"optimizer": "adam"}, "optimizer is adam, but .* of a run with sgd"),
    "momentum": ({"optimizer": SGD(0.5)}, r"optimizer.momentum is 0\.5, but .* with 0\.0"),
    "schedule": ({"schedule": "cosine"}, "schedule is cosine, but .* of a run with constant"),
    "clip_norm": ({"clip_norm": 1}, r"clip_norm is 1\.0, but .* of a run without one"),
    "label_smoothing": ({"label_smoothing": 0.1}, r"label_smoothing is 0\.1, but"),
    "augmentation": (
        {"augmentation": "flip, shift 2"}, "augmentation is shift 2, flip, but .* without one",
    ),
    "engine": ({"engine": "native"}, "engine is native, but .* of a run with reference"),
    "validation": ({"validation": None}, "validation x is none, but .* of a run with 20 images 6x"),
    "other validation": (
        {"validation": images(20, 2)}, f"validation x is 20 images 6x6x1 uint8, {DIGEST}, but",
    ),
    "other answers": (
        {"validation": (images(20, 1)[0], images(20, 2)[1])},
        f"validation y is 20 class numbers, {DIGEST}, but .* with 20 class numbers, {DIGEST}: go",
    ),
    "weights": (
        {"sample_weight": np.arange(37)},
        f"sample_weight is 37 weights, {DIGEST}, but .* of a run with none",
    ),
    "fewer epochs": ({"epochs": 1}, "epochs is 1, but .* stands in epoch 2 of its run: ask for as"),
    "callback": ({"callbacks": [EarlyStopping()]}, "callbacks with a state are Early.* with none"),
}  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
def test_another_run_is_refused_and_the_folder_stays(folder, other):
    changes, match = OTHERS[other]
    cut_at(folder, 7)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match=match):
        train(checkpoint=folder, resume=True, **changes)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    del before["lock"], after["lock"]
    assert after == before


@pytest.mark.parametrize("schedule", ["cosine", "warm-up", "one-cycle"])
@pytest.mark.parametrize("epochs", [2, 5])
def test_other_epochs_are_refused_where_the_rates_depend_on_them(folder, schedule, epochs):
    cut_at(folder, 7, schedule=schedule)
    match = f"epochs is {epochs}, but .* with 3, and the {schedule} schedule spans all of them"
    with pytest.raises(InputError, match=match):
        train(checkpoint=folder, resume=True, schedule=schedule, epochs=epochs)


@pytest.mark.parametrize(
    ("layers", "shape", "classes", "match"),
    [
        (SMALL, SHAPE, None, "layers is flatten, dense 3, softmax, but .* of a run with conv 3 3"),
        (LAYERS, SHAPE, ["a", "b", "c"], r"classes is \['a', 'b', 'c'\], but .* without one"),
        (LAYERS, (9, 4, 1), None, r"input_shape is \[9, 4, 1\], but .* with \[6, 6, 1\]"),
    ],
)
def test_another_network_is_refused(folder, layers, shape, classes, match):
    cut_at(folder, 7)
    network = Network(layers, shape, classes=classes, engine="reference")
    x, y = images()
    with pytest.raises(InputError, match=match):
        network.fit(x.reshape(-1, *shape), y, checkpoint=folder, resume=True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("order", "x is 37 images 6x6x1 uint8"),
        ("pixel", "x is 37 images 6x6x1 uint8"),
        ("dtype", "x is 37 images 6x6x1 float32"),
        ("label", "y is 37 class numbers"),
        ("one-hot", "y is 37 distributions over 3 classes"),
        ("weight", "sample_weight is 37 weights"),
    ],
)
def test_other_data_are_refused_by_what_differs(folder, change, named):
    weight = np.ones(37)
    cut_at(folder, 7, sample_weight=weight)
    x, y = images()
    match change:
        case "order":
            x = x[::-1]
        case "pixel":
            x[5, 2, 2] ^= 1
        case "label":
            y[5] = (y[5] + 1) % 3
        case "one-hot":
            y = np.eye(3)[y]
        case "weight":
            weight[3] = 2
        case "dtype":
            x = (x / 255).astype(np.float32)
    options = {**SAME, "checkpoint": folder, "resume": True, "sample_weight": weight}
    network = Network(LAYERS, SHAPE, engine="reference")
    with pytest.raises(InputError, match=f"^{named}, {DIGEST}, but .* with 37 .*, {DIGEST}: go on"):
        network.fit(x, y, images(20, 1), **options)


@pytest.mark.parametrize("changes", [{"min_delta": 0.1}, {"restore_best": False}])
def test_other_numbers_of_early_stopping_are_refused(folder, changes):
    with pytest.raises(Cut):
        train(checkpoint=folder, callbacks=[EarlyStopping(3), CutAfter(7)])
    ((key, value),) = changes.items()
    with pytest.raises(InputError, match=f"EarlyStopping: {key} is {value}, but the checkpoint"):
        train(
            checkpoint=folder, resume=True, callbacks=[EarlyStopping(**{"patience": 3} | changes)]
        )


def test_every_setting_is_part_of_what_a_run_is():
    """A setting that is forgotten would let two runs with other bits pass for one."""
    fields = {f"settings.{field}" for field in Settings.__dataclass_fields__}
    network, _ = train(epochs=1)
    run = convlet.Run(network, Settings(), 37, 0, ())
    assert fields < identity.identity(run, {}).keys()
    changed = replace(Settings(), optimizer=Adam(beta2=0.9))
    other = convlet.Run(network, changed, 37, 0, ())
    assert identity.identity(other, {})["settings.optimizer.beta2"] == 0.9


def test_a_run_in_the_folder_is_not_overwritten(folder):
    cut_at(folder, 7, every=1)
    before = newest(folder).read_bytes()
    where = rf"checkpoint is '{re.escape(str(folder))}', which holds a run already"
    match = rf"{where} \(.*, after step 2 of 5 of epoch 2\): go on with it by resume=True"
    with pytest.raises(InputError, match=match):
        train(checkpoint=folder)
    assert newest(folder).read_bytes() == before
    newest(folder).write_bytes(b"")  # damaged: a run all the same
    with pytest.raises(InputError, match="which holds a run already"):
        train(checkpoint=folder)


def test_a_run_without_a_step_is_not_worth_keeping(folder):
    cut_at(folder, 1)
    for path in folder.iterdir():
        if path.name != name(0):
            path.unlink()
    train(checkpoint=folder, epochs=1, learning_rate=0.3)  # another run
    assert names(folder)[-1] == name(1)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"every": 5}, r"every is 5, but there is no checkpoint: give checkpoint=folder"),
        ({"resume": True}, "resume is True, but there is no checkpoint"),
        ({"checkpoint": "run", "resume": 1}, "resume is 1, expected True or False"),
        ({"checkpoint": "run", "every": 0}, "every is 0, expected a whole number from 1"),
        ({"checkpoint": "run", "every": 2.0}, r"every is 2\.0, expected a whole number"),
        ({"checkpoint": "run", "every": True}, "every is True"),
        ({"checkpoint": ""}, "checkpoint is '', expected the name of a folder"),
        ({"checkpoint": 5}, "checkpoint is 5, expected the name of a folder"),
        ({"checkpoint": "a\0b"}, "checkpoint is 'a"),
        ({"checkpoint": "run", "epochs": 0}, "epochs is 0"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(tmp_path, monkeypatch, arguments, match):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=match):
        train(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_bytes(b"mine")
    with pytest.raises(FileError, match="run cannot be written: it is a file, name a folder"):
        train(checkpoint=tmp_path / "run")
    with pytest.raises(FileError, match="run/below cannot be written: Not a directory"):
        train(checkpoint=tmp_path / "run" / "below")
    assert (tmp_path / "run").read_bytes() == b"mine"


def test_a_new_folder_reaches_the_disk(folder, monkeypatch):
    done, real = [], os.fsync

    def noting(file):
        done.append(os.readlink(f"/proc/self/fd/{file}"))
        real(file)

    monkeypatch.setattr(os, "fsync", noting)
    train(checkpoint=folder)
    assert done[0] == str(folder.parent)


def test_resume_may_be_of_numpy(folder):
    cut_at(folder, 7)
    network, _ = train(checkpoint=folder, resume=np.True_)
    assert network.flat.tobytes() == train()[0].flat.tobytes()
    train(resume=np.False_, epochs=1)


# ----------------------------------------------------------------------------------------- the lock


HOLD = """
import sys
from convlet.checkpoint.lock import Lock
lock = Lock(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_two_processes_cannot_write_to_one_folder(folder):
    cut_at(folder, 7)
    before = names(folder)
    other = children.start(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"held\n"
        match = f"{re.escape(str(folder))} is in use: process {other.pid} writes its checkpoints"
        for resume in (True, False):
            with pytest.raises(FileError, match=match):
                train(checkpoint=folder, resume=resume)
        assert names(folder) == before
    finally:
        other.kill()
        other.communicate()
    train(checkpoint=folder, resume=True)  # the lock died with its process


def test_two_runs_of_one_process_cannot_either(tmp_path):
    class Second(Callback):
        def on_epoch(self, run, row):
            with pytest.raises(FileError, match=f"in use: process {os.getpid()} writes"):
                train(checkpoint=tmp_path)

    train(epochs=1, checkpoint=tmp_path, callbacks=[Second()])


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    children = []

    class Fork(Callback):
        def on_epoch(self, run, row):
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
            os.close(reading)
            children.append((child, writing))

    train(epochs=1, checkpoint=tmp_path, callbacks=[Fork()])
    try:
        train(checkpoint=tmp_path, resume=True)
    finally:
        for child, writing in children:
            os.close(writing)
            os.waitpid(child, 0)
