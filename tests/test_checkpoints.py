"""A folder of checkpoints: what is kept in it, which is taken, what is in a file."""

import os
import re
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

import convlet
from convlet import (
    Callback,
    FileError,
    InputError,
    ModelFileError,
    Network,
    StepDecay,
)
from convlet.checkpoint import identity, state
from convlet.formats import records
from convlet.settings import Settings
from small_runs import (
    LAYERS,
    SHAPE,
    SMALL,
    Cut,
    CutAfter,
    cut_at,
    floats,
    images,
    measured,
    name,
    names,
    newest,
    train,
)

# ------------------------------------------------------------------------------------- what is kept


class Watch(Callback):
    """The names that are there after each of the calls of the engine."""

    def __init__(self, folder):
        self.folder, self.seen = folder, []

    def on_progress(self, run):
        self.seen.append((run.updates, names(self.folder)))


def test_the_last_two_and_the_best_are_kept(folder):
    network = Network(LAYERS, SHAPE, engine="reference")
    rates = StepDecay(1, 0.01)  # after the first epochs nothing moves
    watch = Watch(folder)
    history = network.fit(
        *images(), images(30, 1), 6, 8, 0.2, schedule=rates, callbacks=[watch], checkpoint=folder
    )
    scores = [row.validation_accuracy for row in history]
    best = name(1 + int(np.argmax(scores)))
    assert best not in (name(5), name(6))
    assert names(folder) == [best, name(5), name(6)]
    assert watch.seen[0] == (1, [name(0)])
    assert all(len(found) <= 3 for _, found in watch.seen)
    loaded = convlet.load_checkpoint(folder / best)
    assert loaded.evaluate(*images(30, 1)).accuracy == max(scores)
    assert loaded.epochs == 1 + int(np.argmax(scores))


def test_without_validation_the_best_has_the_least_train_loss(folder):
    network = Network(LAYERS, SHAPE, engine="reference")
    history = network.fit(*images(), None, 8, 8, 0.6, checkpoint=folder)
    losses = [row.train_loss for row in history]
    assert set(names(folder)) == {name(1 + int(np.argmin(losses))), name(7), name(8)}


@pytest.mark.parametrize("every", [1, 2, 3, 5, 7])
def test_every_counts_the_steps_of_an_epoch(folder, monkeypatch, every):
    written = []
    real = os.replace

    def noting(source, target):
        written.append(os.path.basename(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", noting)
    train(epochs=2, checkpoint=folder, every=every)
    inside = [step for step in range(1, 5) if step % every == 0]
    epochs = [[name(epoch, step) for step in inside] + [name(epoch + 1)] for epoch in (0, 1)]
    assert written == [name(0), *epochs[0], *epochs[1]]


def test_temporary_files_of_a_killed_writer_are_deleted(folder):
    cut_at(folder, 7)
    for other in (".convlet-0123456789abcdef.tmp", ".convlet-mine.tmp", "notes.txt"):
        (folder / other).write_bytes(b"half")
    train(checkpoint=folder, resume=True)
    assert (folder / "notes.txt").exists()
    assert (folder / ".convlet-mine.tmp").exists()
    assert not (folder / ".convlet-0123456789abcdef.tmp").exists()


def test_a_callback_may_change_the_current_folder(tmp_path, monkeypatch):
    class Move(Callback):
        def on_epoch(self, run, row):
            os.chdir(tmp_path / "elsewhere")

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    train(checkpoint="run", callbacks=[Move()])
    assert os.listdir(tmp_path / "elsewhere") == []
    assert name(3) in names(tmp_path / "run")


# ----------------------------------------------------------------------------------- which is taken


def test_a_damaged_newest_is_named_and_the_one_before_is_used(folder):
    train(epochs=2, checkpoint=folder)
    expected, rows = train()
    path = folder / name(2)
    path.write_bytes(path.read_bytes()[:-1])
    good = re.escape(str(folder / name(1)))
    bad = re.escape(str(path))
    match = rf"^{bad} is damaged \(its size is wrong\): {good} is used, after epoch 1$"
    with pytest.warns(RuntimeWarning, match=match):
        network, history = train(checkpoint=folder, resume=True)
    assert network.flat.tobytes() == expected.flat.tobytes()
    assert measured(history) == measured(rows)


def test_a_file_under_another_name_counts_as_damaged(folder):
    train(epochs=2, checkpoint=folder)
    shutil.copy(folder / name(1), folder / name(3))
    match = r"checkpoint-00003-000000.safetensors is damaged \(its name is wrong\): /"
    with pytest.warns(RuntimeWarning, match=match):
        train(checkpoint=folder, resume=True)


def test_two_that_cannot_be_used_are_both_named(folder):
    train(epochs=3, checkpoint=folder)
    changed = bytearray((folder / name(3)).read_bytes())
    changed[-1] ^= 1
    (folder / name(3)).write_bytes(changed)
    Network(LAYERS, SHAPE).save(folder / name(2))
    (folder / name(1)).unlink(missing_ok=True)
    shutil.copy(folder / name(3), folder / name(4))
    first, second, third = (re.escape(str(folder / name(n))) for n in (4, 3, 2))
    match = (
        rf"^{first} is damaged \(its checksum is wrong\); {second} is damaged \(its checksum is"
        rf" wrong\); {third} is no checkpoint: no valid checkpoint is left, start again in"
    )
    with pytest.raises(ModelFileError, match=match):
        train(checkpoint=folder, resume=True)


def test_other_names_are_no_checkpoints(folder):
    train(epochs=2, checkpoint=folder)
    for other in ("checkpoint-0000003-000000.safetensors", "checkpoint-00009-000000.safetensors~"):
        (folder / other).write_bytes(b"mine")
    network, _ = train(checkpoint=folder, resume=True)
    assert network.flat.tobytes() == train()[0].flat.tobytes()
    assert (folder / "checkpoint-0000003-000000.safetensors").read_bytes() == b"mine"


def test_without_a_valid_one_nothing_is_trained_or_deleted(folder):
    cut_at(folder, 7)
    before = names(folder)
    for each in before:
        (folder / each).write_bytes(b"")
    network = Network(LAYERS, SHAPE, engine="reference")
    with pytest.raises(ModelFileError, match=r"its size is wrong\): no valid checkpoint is left"):
        network.fit(*images(), checkpoint=folder, resume=True)
    assert network.flat.tobytes() == Network(LAYERS, SHAPE).flat.tobytes()
    assert names(folder) == before


def test_another_version_of_the_format_is_refused(folder, monkeypatch):
    monkeypatch.setattr(state, "VERSION", 3)
    cut_at(folder, 7)
    monkeypatch.undo()
    with pytest.raises(
        ModelFileError, match=r"'format_version' is '3', expected 2: convlet .* use a"
    ):
        train(checkpoint=folder, resume=True)


def test_another_version_of_convlet_is_told(folder, monkeypatch):
    monkeypatch.setattr(records, "__version__", "0.0.9")
    cut_at(folder, 7)
    monkeypatch.undo()
    with pytest.warns(RuntimeWarning, match=r"was written by convlet 0\.0\.9.*its bits may differ"):
        train(checkpoint=folder, resume=True)


def test_a_file_that_cannot_be_read_is_not_taken_for_a_damaged_one(folder, monkeypatch):
    """A disk that does not answer for a moment must not cost a checkpoint."""
    cut_at(folder, 7)
    before = names(folder)
    newest(folder).unlink()
    newest_name = folder / before[-1]
    newest_name.mkdir()
    with pytest.raises(FileError, match="cannot be read"):
        train(checkpoint=folder, resume=True)
    assert names(folder) == before


# ---------------------------------------------------------------------------------------- callbacks


class Counter(Callback):
    """Has a state, which at first is empty."""

    def __init__(self):
        self.kept = {}

    def on_progress(self, run):
        self.kept = {"steps": run.updates, "vector": np.full(3, run.updates, np.float32)}

    def state(self):
        return self.kept

    def restore(self, state):
        self.kept = dict(state)


def test_the_state_of_a_callback_comes_back(folder):
    with pytest.raises(Cut):
        train(checkpoint=folder, callbacks=[Counter(), CutAfter(7)])
    seen = []

    class Look(Callback):
        def on_progress(self, run):
            if not seen:
                seen.append((counter.kept["steps"], counter.kept["vector"].tolist()))

    counter = Counter()
    train(checkpoint=folder, resume=True, callbacks=[Look(), counter])
    assert seen[0][0] >= 7
    assert seen[0][1] == [seen[0][0]] * 3


def test_callbacks_without_a_state_are_told_of_a_resumed_run_too(folder):
    told = []

    class Look(Callback):
        def restore(self, state):
            told.append((state, counter.kept.get("steps")))

    train(epochs=1, checkpoint=folder, callbacks=[counter := Counter(), Look()])
    assert told == []
    counter = Counter()
    train(epochs=1, checkpoint=folder, callbacks=[Look(), counter, Look()], resume=True)
    assert told == [({}, None), ({}, 5)]  # in their order


@pytest.mark.parametrize(
    ("kept", "match"),
    [
        ({"a": np.zeros(3)}, r"callback Counter has 'a' of shape \(3,\) and dtype float64"),
        ({"a": np.zeros((2, 2), np.float32)}, r"'a' of shape \(2, 2\)"),
        (
            {"a": {1, 2}},
            "the state of callback Counter has 'a', which cannot be kept as JSON: .*set",
        ),
        ({"a": 1, "b": [0, 1j]}, "callback Counter has 'b', which cannot be kept as JSON"),
        (None, "the state of callback Counter is None, expected a dict"),
        ([1], r"the state of callback Counter is \[1\], expected a dict"),
        ({1: 2}, "the state of callback Counter has the key 1, expected a str"),
        ({"a": [{"b": {2: 3}}]}, "the state of callback Counter has the key 2, expected a str"),
        ({"a": {"b": np.zeros(3, np.float32)}}, "callback Counter has 'a', which cannot be kept"),
    ],
)
def test_a_state_that_cannot_be_kept_is_refused_before_any_step(folder, kept, match):
    counter = Counter()
    counter.kept = kept
    with pytest.raises(InputError, match=match):
        train(checkpoint=folder, callbacks=[counter, CutAfter(0)])
    assert names(folder) == []


def test_a_state_within_itself_is_refused(folder):
    counter = Counter()
    counter.kept = {"a": []}
    counter.kept["a"].append(counter.kept)
    with pytest.raises(InputError, match="the state of callback Counter is nested too deeply"):
        train(checkpoint=folder, callbacks=[counter])


def test_a_setting_that_cannot_be_kept_is_named(folder):
    run = convlet.Run(Network(LAYERS, SHAPE), Settings(), 37, 0, ())
    with pytest.raises(InputError, match=r"clip_norm is .*True.*, which cannot be kept as JSON"):
        state.pack_run(run, (), {"engine": "native", "settings.clip_norm": np.True_})


# ----------------------------------------------------------------------------------------- the file


def test_the_network_of_a_checkpoint(folder):
    network, _ = train("adam, one-cycle, smoothing", checkpoint=folder)
    for engine in ("native", "reference"):
        loaded = convlet.load_checkpoint(folder / name(3), engine=engine)
        assert loaded.flat.tobytes() == network.flat.tobytes()
        assert (loaded.layers, loaded.input_shape, loaded.epochs) == (network.layers, SHAPE, 3)
        assert loaded.engine.name == engine
    with pytest.raises(
        ModelFileError, match=r"'convlet-checkpoint'.*read it with convlet\.load_checkpoint"
    ):
        convlet.load(folder / name(3))
    network.save(folder / "model")
    with pytest.raises(ModelFileError, match=r"'convlet-model'.*read it with convlet\.load$"):
        convlet.load_checkpoint(folder / "model")
    with pytest.raises(FileError, match="No such file"):
        convlet.load_checkpoint(folder / "no")


def test_the_names_of_classes_come_back(folder):
    network = Network(LAYERS, SHAPE, classes=["é", "🙂", ""], engine="reference")
    network.fit(*images(), epochs=1, checkpoint=folder)
    assert convlet.load_checkpoint(folder / name(1)).classes == ("é", "🙂", "")


def test_safetensors_reads_it(folder):
    run = "adam, one-cycle, smoothing"
    network, history = train(run, checkpoint=folder)
    arrays = load_file(folder / name(3))
    assert set(arrays) == {"sums", "history", "weights", "slot0", "slot1"}
    assert np.array_equal(arrays["weights"], network.flat)
    assert arrays["slot0"].any()
    assert (arrays["slot1"] >= 0).all()
    columns = [
        (row.train_loss, row.validation_loss, row.validation_accuracy, row.seconds)
        for row in history
    ]
    assert np.array_equal(arrays["history"], columns)
    assert arrays["sums"].tolist() == [0, 0, 0]


def test_thousands_of_epochs_fit(folder):
    """Nothing in a header grows with the epochs."""
    x, y = images(1)
    network = Network(SMALL, SHAPE, engine="reference")
    sizes = []
    for epochs in (1, 60):
        network.fit(x, y, epochs=epochs, checkpoint=folder, resume=True)
        sizes.append((folder / name(epochs)).stat().st_size)
    assert sizes[1] - sizes[0] <= 59 * 32 + 64


def test_equal_runs_give_equal_files_but_for_their_seconds(tmp_path):
    runs = []
    for n in (1, 2):
        train(checkpoint=tmp_path / str(n), epochs=2, engine="native", threads=n)
        saved = state.read(tmp_path / str(n) / name(2))
        arrays = {key: array.copy() for key, array in saved.arrays.items()}
        arrays["history"][:, 3] = 0
        runs.append((saved.identity, saved.position, {k: v.tobytes() for k, v in arrays.items()}))
    assert runs[0] == runs[1]


def test_each_part_of_the_data_has_its_own_fingerprint():
    network = Network(LAYERS, SHAPE)
    x, y = images()
    weight = np.ones(37)
    kinds = [images(), floats(), images(36), (x, y, weight), (x, y, weight + 1), (x[::-1], y)]
    parts = [identity.fingerprints(network.samples(*data), None) for data in kinds]
    for part, different in (("x", 4), ("y", 3), ("sample_weight", 3)):
        assert len({each[part] for each in parts}) == different
    assert {each["validation x"] for each in parts} == {"none"}
    held_out = identity.fingerprints(network.samples(*images(36)), network.samples(*images()))
    assert held_out["validation x"] == parts[0]["x"]
    assert held_out["validation y"] == parts[0]["y"]
