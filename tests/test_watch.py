"""Histories as JSON Lines and CSV, event files for TensorBoard, and the options of train."""

import csv
import json
import math
import struct
import sys

import numpy as np
import pytest

import convlet
from convlet import DataError, FileError, History, InputError, MissingDependencyError, Network, Row
from convlet.callbacks import Callback
from convlet.cli import main
from convlet.watch import CSV, JSONLines, TensorBoard, read_history

ROWS = [
    Row(1, 0.1 + 0.2, 1e-300, 0.5, 1.25),
    Row(2, 2.5, None, None, 0.0),
    Row(3, 1 / 3, 7.0, 1.0, 9.0),
]
WATCHERS = {".jsonl": JSONLines, ".csv": CSV}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.random((40, 4, 4, 1), np.float32), rng.integers(0, 3, 40)


def make_network():
    return Network("flatten, dense 3, softmax", (4, 4, 1), engine="reference")


def train(data, *callbacks, network=None, epochs=2):
    network = network or make_network()
    history = network.fit(*data, validation=data, epochs=epochs, callbacks=callbacks)
    return network, history


def write_rows(path, rows):
    """The file that a run with these rows would leave."""
    watcher = WATCHERS[path.suffix](path)
    path.write_text(watcher.start() + "".join(map(watcher.line, rows)))


@pytest.mark.parametrize("suffix", WATCHERS)
def test_what_is_written_is_read_again(suffix, tmp_path):
    path = tmp_path / f"run{suffix}"
    write_rows(path, ROWS)
    assert list(read_history(path)) == ROWS


def test_the_files_say_what_their_formats_say(tmp_path):
    write_rows(tmp_path / "a.jsonl", ROWS)
    write_rows(tmp_path / "a.csv", ROWS)
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == History(ROWS).as_dicts()
    with open(tmp_path / "a.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["epoch"] for row in found] == ["1", "2", "3"]
    assert [float(row["train_loss"]) for row in found] == [row.train_loss for row in ROWS]
    assert [row["validation_loss"] for row in found] == ["1e-300", "", "7.0"]


@pytest.mark.parametrize("suffix", WATCHERS)
def test_each_epoch_is_in_the_file_as_it_happens(suffix, tmp_path, data):
    path = tmp_path / f"run{suffix}"
    seen = []

    class Look(Callback):
        def on_epoch(self, run, row):
            seen.append(list(read_history(path)))

    _, history = train(data, WATCHERS[suffix](path), Look(), epochs=3)
    assert seen == [history.rows[:1], history.rows[:2], history.rows]


@pytest.mark.parametrize("suffix", WATCHERS)
def test_a_resumed_run_continues_its_file(suffix, tmp_path, data):
    path = tmp_path / f"run{suffix}"
    watcher = WATCHERS[suffix]
    network, first = train(data, watcher(path))
    _, second = train(data, watcher(path), network=network)
    assert list(read_history(path)) == first.rows + second.rows
    assert [row.epoch for row in read_history(path)] == [1, 2, 3, 4]
    assert path.read_text().count("validation_accuracy") == (1 if suffix == ".csv" else 4)


@pytest.mark.parametrize("suffix", WATCHERS)
def test_epochs_that_are_trained_again_replace_their_rows(suffix, tmp_path, data):
    path = tmp_path / f"run{suffix}"
    network, first = train(data, WATCHERS[suffix](path), epochs=3)
    with open(path, "a") as file:
        file.write('{"epoch": 4, "tr' if suffix == ".jsonl" else "4,0.1")  # killed inside a row
    network.epochs = 1  # as from a checkpoint
    _, second = train(data, WATCHERS[suffix](path), network=network, epochs=1)
    assert list(read_history(path)) == [first[0], second[0]]
    _, fresh = train(data, WATCHERS[suffix](path), epochs=1)
    assert list(read_history(path)) == fresh.rows


@pytest.mark.parametrize("suffix", WATCHERS)
def test_a_file_of_something_else_is_not_overwritten(suffix, tmp_path, data):
    path = tmp_path / f"run{suffix}"
    path.write_text("my diary\n")
    network = make_network()
    before = network.flat.copy()
    with pytest.raises(DataError, match="line 1"):
        train(data, WATCHERS[suffix](path), network=network)
    assert path.read_text() == "my diary\n"
    assert np.array_equal(network.flat, before)


def test_numbers_that_are_not_finite(tmp_path):
    row = Row(1, math.nan, math.inf, 0.5, 1.0)
    for suffix, loss in ((".jsonl", None), (".csv", math.inf)):
        path = tmp_path / f"run{suffix}"
        write_rows(path, [row])
        (found,) = read_history(path)
        assert math.isnan(found.train_loss)
        assert found.validation_loss == loss


def test_the_output_of_train_json_is_a_history(tmp_path):
    path = tmp_path / "run.jsonl"
    write_rows(path, ROWS)
    with open(path, "a") as file:
        file.write('{"model": "a.safetensors", "validation_accuracy": 0.5, "seconds": 1.0}\n')
    assert list(read_history(path)) == ROWS


GOOD = (
    '{"epoch": 1, "train_loss": 0.5, "validation_loss": 0.5, "validation_accuracy": 0.5,'
    ' "seconds": 1.0}\n'
)
HEADER = "epoch,train_loss,validation_loss,validation_accuracy,seconds\n"


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        (GOOD + "\n", 2, "JSON"),
        (GOOD + "[1]\n", 2, "list"),
        (GOOD + "[" * 100_000 + "\n", 2, "JSON"),
        (GOOD + GOOD, 2, "an epoch after 1, found 1"),
        (GOOD[:-1], 1, "ends inside"),
        (GOOD.replace("1,", "0,", 1), 1, "from 1, found 0"),
        (GOOD.replace("1,", "1.5,", 1), 1, "whole number, found 1.5"),
        (GOOD.replace("1,", "true,", 1), 1, "whole number, found True"),
        (GOOD.replace("1,", "9" * 400 + ",", 1), 1, "whole number"),
        (GOOD.replace("0.5", "9" * 400, 1), 1, "number"),
        (GOOD.replace("0.5", "9" * 5000, 1), 1, "JSON"),
        (GOOD.replace("0.5", '"0.5"', 1), 1, "a number, found '0.5'"),
        (GOOD.replace("0.5", "NaN", 1), 1, "NaN"),
        (
            GOOD.replace('"validation_accuracy": 0.5', '"validation_accuracy": 1.5'),
            1,
            "0 to 1, found 1.5",
        ),
        (GOOD.replace('"seconds": 1.0', '"seconds": -1'), 1, "0 to inf, found -1"),
        (GOOD.replace("seconds", "hours"), 1, "'hours'"),
        (GOOD.replace(', "seconds": 1.0', ""), 1, "seconds"),
        (GOOD.replace("validation_loss", "train_loss"), 1, "twice"),
        ("\udcff\n", 1, "UTF-8"),
    ],
)
def test_broken_json_lines_are_refused_with_their_line(text, line, found, tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=f"run.jsonl, line {line}: expected") as error:
        read_history(path)
    assert found in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("\n", 1, "header"),
        (HEADER.replace("seconds", "hours"), 1, "header"),
        (HEADER.replace("seconds", "epoch"), 1, "header"),
        (HEADER + "1,0.5,0.5,0.5\n", 2, "5 cells, found 4"),
        (HEADER + "1,0.5,0.5,0.5,1.0,\n", 2, "5 cells, found 6"),
        (HEADER + "1,0.5,0.5,0.5,1.0", 2, "ends inside"),
        (HEADER + "1,0.5,0.5,0.5,1.0\n1,0.5,0.5,0.5,1.0\n", 3, "an epoch after 1"),
        (HEADER + "one,0.5,0.5,0.5,1.0\n", 2, "found 'one'"),
        (HEADER + ",0.5,0.5,0.5,1.0\n", 2, "found None"),
        (HEADER + "1_0,0.5,0.5,0.5,1.0\n", 2, "found '1_0'"),
        (HEADER + "1,0.5.5,0.5,0.5,1.0\n", 2, "found '0.5.5'"),
        (HEADER + "1,0.5, 0.5,0.5,1.0\n", 2, "found ' 0.5'"),
    ],
)
def test_broken_csv_is_refused_with_its_line(text, line, found, tmp_path):
    path = tmp_path / "run.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=f"run.csv, line {line}: expected") as error:
        read_history(path)
    assert found in str(error.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"path is 'run.txt', expected .*\.jsonl or \.csv"):
        read_history("run.txt")
    with pytest.raises(FileError, match=r"none\.csv cannot be read"):
        read_history(tmp_path / "none.csv")
    for suffix, text in ((".jsonl", ""), (".csv", HEADER)):
        (tmp_path / f"empty{suffix}").write_text(text)
        with pytest.raises(DataError, match="at least one epoch, found none"):
            read_history(tmp_path / f"empty{suffix}")


@pytest.mark.parametrize("path", ["b.txt", "b", "b.csv.gz"])
@pytest.mark.parametrize("suffix", WATCHERS)
def test_a_name_that_could_not_be_read_again_is_refused(suffix, path):
    with pytest.raises(
        InputError, match=rf"path is '{path}', expected a name that ends in \{suffix}"
    ):
        WATCHERS[suffix](path)
    other = {".csv": "a.jsonl", ".jsonl": "a.csv"}[suffix]
    with pytest.raises(InputError, match=f"path is '{other}', expected"):
        WATCHERS[suffix](other)
    assert WATCHERS[suffix](f"B{suffix.upper()}").path.name == f"B{suffix.upper()}"


def test_a_file_that_cannot_be_written_ends_training_before_its_first_step(tmp_path, data):
    network = make_network()
    before = network.flat.copy()
    with pytest.raises(FileError, match="cannot be written"):
        train(data, CSV(tmp_path / "no" / "run.csv"), network=network)
    assert np.array_equal(network.flat, before)


# ------------------------------------------------------------------------------------- TensorBoard


def crc32c(data):
    """Castagnoli's CRC bit by bit, masked as TFRecord asks."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_events(path):
    """The events of one file: length, its CRC, data, its CRC."""
    from tensorboardX.proto import event_pb2

    data, events = path.read_bytes(), []
    while data:
        length, check = struct.unpack("<QI", data[:12])
        body, end = data[12 : 12 + length], struct.unpack("<I", data[12 + length : 16 + length])[0]
        assert check == crc32c(data[:8])
        assert end == crc32c(body)
        events.append(event_pb2.Event.FromString(body))
        data = data[16 + length :]
    return events


def scalars(events):
    pairs = [(event.step, value) for event in events for value in event.summary.value]
    return {(value.tag, step): value.simple_value for step, value in pairs}


def test_crc32c_of_the_test_is_right():
    masked = crc32c(b"123456789")
    crc = (masked - 0xA282EAD8) & 0xFFFFFFFF
    assert (crc >> 17 | crc << 15) & 0xFFFFFFFF == 0xE3069283  # the check value of CRC-32C


def test_event_files_hold_the_history(tmp_path, data):
    pytest.importorskip("tensorboardX")
    folder = tmp_path / "runs" / "first"
    seen = []

    class Look(Callback):
        def on_epoch(self, run, row):
            seen.append(len(scalars(read_events(next(folder.iterdir())))))

    network, history = train(data, TensorBoard(folder), Look(), epochs=3)
    assert seen == [4, 8, 12]  # each epoch is on disk when it has ended
    (path,) = folder.iterdir()
    events = read_events(path)
    assert events[0].file_version == "brain.Event:2"
    assert (events[1].step, events[1].session_log.status) == (1, 1)  # START: hides older points
    found = scalars(events)
    for row in history:
        assert found["loss/train", row.epoch] == np.float32(row.train_loss)
        assert found["loss/validation", row.epoch] == np.float32(row.validation_loss)
        assert found["accuracy/validation", row.epoch] == np.float32(row.validation_accuracy)
        assert found["images_per_second", row.epoch] == np.float32(40 / row.seconds)

    train(data, TensorBoard(folder), network=network, epochs=1)
    (second,) = set(folder.iterdir()) - {path}
    events = read_events(second)
    assert events[1].step == 4
    assert {step for _, step in scalars(events)} == {4}


def shown(folder):
    """The points that TensorBoard shows: START of a later file hides those of its step and after.

    One entry a point: an epoch that was written twice, and not hidden, would be there twice.
    """
    points = []
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        for event in read_events(path):
            if event.session_log.status == event.session_log.START:
                points = [(tag, step) for tag, step in points if step < event.step]
            points += [(value.tag, event.step) for value in event.summary.value]
    return sorted(points)


@pytest.mark.parametrize("before", [True, False])
def test_event_files_of_a_resumed_run_have_its_earlier_epochs_once(tmp_path, data, before):
    pytest.importorskip("tensorboardX")
    folder, run = tmp_path / "events", tmp_path / "run"
    options = {"validation": data, "checkpoint": run}
    early = [TensorBoard(folder)] if before else []
    make_network().fit(*data, epochs=2, callbacks=early, **options)
    for epochs in (4, 4, 5):  # the second time nothing is left to train
        board = TensorBoard(folder)
        rows = make_network().fit(*data, epochs=epochs, callbacks=[board], resume=True, **options)
        tags = ["accuracy/validation", "images_per_second", "loss/train", "loss/validation"]
        assert shown(folder) == [(tag, step) for tag in tags for step in range(1, epochs + 1)]
    newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    found = scalars(read_events(newest))
    for row in rows:
        assert found["loss/validation", row.epoch] == np.float32(row.validation_loss)


def test_event_files_keep_the_epochs_before_the_run(tmp_path, data):
    """A run that began in the third epoch of the network's life, and was resumed in the fourth."""
    pytest.importorskip("tensorboardX")
    folder, run = tmp_path / "events", tmp_path / "run"
    network, _ = train(data, TensorBoard(folder))
    options = {"checkpoint": run, "validation": data}
    network.fit(*data, epochs=1, callbacks=[TensorBoard(folder)], **options)
    make_network().fit(*data, epochs=2, callbacks=[TensorBoard(folder)], resume=True, **options)
    assert [step for tag, step in shown(folder) if tag == "loss/train"] == [1, 2, 3, 4]


def test_event_files_without_validation_have_no_test_points(tmp_path, data):
    pytest.importorskip("tensorboardX")
    make_network().fit(*data, epochs=1, callbacks=[TensorBoard(tmp_path)])
    (path,) = tmp_path.iterdir()
    assert {tag for tag, _ in scalars(read_events(path))} == {"loss/train", "images_per_second"}


def test_without_tensorboardx_the_message_says_what_to_install(tmp_path, monkeypatch):
    for name in ("tensorboardX", "tensorboardX.event_file_writer"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r'pip install "convlet\[tensorboard\]"'):
        TensorBoard(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, data):
    pytest.importorskip("tensorboardX")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        train(data, TensorBoard(tmp_path / "file" / "runs"))
    with pytest.raises(FileError, match="file cannot be written: it is a file, name a folder"):
        train(data, TensorBoard(tmp_path / "file"))
    with pytest.raises(InputError, match="folder is 5, expected the name of a folder"):
        TensorBoard(5)


# ------------------------------------------------------------------------------------ command line


@pytest.fixture
def small_data(tmp_path):
    rng = np.random.default_rng(1)
    arrays = {
        "x_train": rng.integers(0, 256, (60, 8, 8), np.uint8),
        "y_train": np.arange(60) % 3,
        "x_test": rng.integers(0, 256, (30, 8, 8), np.uint8),
        "y_test": np.arange(30) % 3,
    }
    np.savez(tmp_path / "small.npz", **arrays)
    return str(tmp_path / "small.npz")


def test_train_writes_what_it_prints(small_data, tmp_path, monkeypatch, capsys):
    pytest.importorskip("tensorboardX")
    monkeypatch.chdir(tmp_path)
    arguments = ["train", small_data, "--epochs", "2", "--json", "--engine", "reference"]
    arguments += ["--history", "run.csv", "--tensorboard", "runs", "--out", "m.safetensors"]
    assert main(arguments) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert read_history("run.csv").as_dicts() == printed[:-1]
    (path,) = (tmp_path / "runs").iterdir()
    assert scalars(read_events(path))["loss/train", 2] == np.float32(printed[1]["train_loss"])
    assert convlet.load("m.safetensors").epochs == 2


@pytest.mark.parametrize(
    ("name", "expected"), [("run.txt", "--history is 'run.txt'"), ("no/run.csv", "--history")]
)
def test_train_refuses_a_bad_history_file_before_work(
    name, expected, small_data, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["train", small_data, "--history", name, "--out", "m.safetensors"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err
    assert not (tmp_path / "m.safetensors").exists()
