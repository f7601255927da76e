"""Where commands write: nothing is replaced by mistake, an interrupted run loses nothing."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

import convlet
from convlet.cli import main
from convlet.cli.places import write_new

LAYERS = "flatten, dense 3, softmax"
HOW = ["--layers", LAYERS, "--epochs", "1"]


@pytest.fixture(autouse=True)
def _in_a_new_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(images):
    """A model of 6 x 6 pixels and three classes."""
    convlet.Network(LAYERS, (6, 6, 1), classes=[*"abc"]).save("m.safetensors")
    return "m.safetensors"


def contents():
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def assert_refused(arguments, said, capsys, monkeypatch):
    """Status 2, one line, before the data are read, and every file as it was."""
    before = contents()
    with monkeypatch.context() as patch:
        patch.setattr(convlet.datasets, "load", lambda name, **how: pytest.fail("read the data"))
        assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"convlet: error: {said}\n")
    assert contents() == before


# ------------------------------------------------------------------------------- default names


def test_a_default_name_replaces_nothing_and_says_so(images, capsys):
    saved = []
    for taken in ("", " (convlet-rows.safetensors is there already)"):
        assert main(["train", str(images), *HOW, "--seed", str(len(saved))]) == 0
        saved.append(max(Path().iterdir(), key=lambda path: path.stat().st_mtime_ns).name)
        assert capsys.readouterr().out.endswith(f"model saved in {saved[-1]}{taken}\n")
    assert saved == ["convlet-rows.safetensors", "convlet-rows-2.safetensors"]
    first, second = (convlet.load(name).flat for name in saved)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(["plot", "filters"], "convlet-filters.png"), (["report"], "report.html")],
)
def test_other_default_names_replace_nothing_either(arguments, name, model, capsys):
    Path(name).write_text("mine")
    Path(name).with_stem(f"{Path(name).stem}-2").symlink_to("nowhere")
    assert main([*arguments, model]) == 0
    third = Path(name).with_stem(f"{Path(name).stem}-3")
    assert f" saved in {third} ({name} is there already)" in capsys.readouterr().out
    assert Path(name).read_text() == "mine"
    assert third.stat().st_size > 1000


def test_two_that_want_one_name_get_two(tmp_path):
    """At the same moment, and many of them."""
    start = threading.Barrier(8)

    def write(number):
        start.wait()
        write_new(Path("m.bin"), lambda path: path.write_text(str(number)))

    threads = [threading.Thread(target=write, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_text() for path in Path().iterdir()) == sorted(map(str, range(8)))


def test_a_name_that_was_taken_is_given_back_where_writing_fails():
    def fail(path):
        assert path.read_bytes() == b""
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_new(Path("m.bin"), fail)
    assert os.listdir() == []
    with pytest.raises(convlet.FileError, match=r"no/m.bin cannot be written: No such file"):
        write_new(Path("no/m.bin"), fail)


# ------------------------------------------------------------------------------- chosen names


def test_a_model_is_replaced_and_that_is_said(images, model, capsys):
    before = Path(model).read_bytes()
    assert main(["train", str(images), *HOW, "--out", model]) == 0
    assert capsys.readouterr().out.endswith("model saved in m.safetensors (replaced)\n")
    assert Path(model).read_bytes() != before
    for out in ("a.png", "b.html"):
        command = ["plot", "filters"] if out == "a.png" else ["report"]
        for replaced in ("", " (replaced)"):
            assert main([*command, model, "--out", out]) == 0
            assert f" saved in {out}{replaced}" in capsys.readouterr().out


def test_an_empty_file_is_no_loss(images, capsys):
    Path("m.safetensors").touch()  # as mktemp makes one
    assert main(["train", str(images), *HOW, "--out", "m.safetensors"]) == 0
    assert convlet.load("m.safetensors").epochs == 1


@pytest.mark.parametrize(
    "other", ["data.npz", "rows.csv", "run/lock", "run/checkpoint-00001-000000.safetensors", "old"]
)
def test_what_is_no_model_is_not_replaced(other, images, model, capsys, monkeypatch):
    Path("data.npz").write_bytes(images.read_bytes())
    Path("old").write_bytes(Path(model).read_bytes()[:-1])  # a damaged model
    records = ["--checkpoint", "run", "--history", "rows.csv"]
    assert main(["train", "data.npz", *HOW, *records, "--out", model]) == 0
    capsys.readouterr()
    said = f"--out is {other!r}, which is there and not a convlet model: choose another name"
    assert_refused(["train", "mnist", *HOW, "--out", other], said, capsys, monkeypatch)
    for command in (["plot", "filters"], ["report"]):
        out = other if command == ["report"] else "m.png"
        Path("m.png").write_bytes(b"GIF89a")
        what = "an HTML page" if command == ["report"] else "a png picture"
        said = f"--out is {out!r}, which is there and not {what}: choose another name"
        assert_refused([*command, model, "--out", out], said, capsys, monkeypatch)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--out", "x.csv", "--history", "./x.csv"],
            "--history is 'x.csv', but --out is the same place",
        ),
        (["--out", "x", "--checkpoint", "x"], "--out is 'x', but --checkpoint is the same place"),
        (
            ["--tensorboard", "x", "--checkpoint", "y/../x"],
            "--checkpoint is 'y/../x', but --tensorboard is the same place",
        ),
        (["--out", "link"], "--out is 'link', but DATA is the same place"),
        (["--out", "hard"], "--out is 'hard', but DATA is the same place"),
        (["--checkpoint", "data.npz"], "--checkpoint is 'data.npz', but DATA is the same place"),
    ],
)
def test_two_options_are_two_places(options, said, images, capsys, monkeypatch):
    Path("data.npz").write_bytes(images.read_bytes())
    Path("link").symlink_to("data.npz")
    os.link("data.npz", "hard")
    said = f"{said}: choose another one"
    assert_refused(["train", "./data.npz", *HOW, *options], said, capsys, monkeypatch)
    assert not Path("x").exists()


@pytest.mark.parametrize("name", ["lock", "checkpoint-00007-000000.safetensors"])
def test_names_of_checkpoints_are_for_them(name, capsys, monkeypatch):
    options = ["--checkpoint", "run", "--out", f"run/{name}"]
    but = "the folder of --checkpoint has files of such names of its own"
    said = f"--out is 'run/{name}', but {but}: choose another name"
    assert_refused(["train", *HOW, *options], said, capsys, monkeypatch)


@pytest.mark.parametrize("place", ["model", "data", "history"])
def test_a_report_replaces_nothing_that_it_reads(place, images, model, capsys, monkeypatch):
    history = "epoch,train_loss,validation_loss,validation_accuracy,seconds\n1,1.5,,,2.0\n"
    Path("rows.csv").write_text(history)
    Path("data.npz").write_bytes(images.read_bytes())
    names = {"model": model, "data": "data.npz", "history": "rows.csv"}
    arguments = ["report", model, "./data.npz", "--history", "rows.csv", "--out", names[place]]
    called = {"model": "MODEL", "data": "DATA", "history": "--history"}[place]
    said = f"--out is {names[place]!r}, but {called} is the same place: choose another one"
    assert_refused(arguments, said, capsys, monkeypatch)


# ------------------------------------------------------------------------------- interruptions


class Stop(convlet.Callback):
    """Ctrl-C after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_begin(self, run):
        if self.steps == 0:
            raise KeyboardInterrupt

    def on_progress(self, run):
        if run.updates >= self.steps:
            raise KeyboardInterrupt


def interrupted(images, steps, monkeypatch, *options):
    """A training that ends by Ctrl-C after some steps -> its status."""
    fit = convlet.Network.fit

    def stopped(self, *arguments, callbacks, **more):
        return fit(self, *arguments, callbacks=[*callbacks, Stop(steps)], **more)

    with monkeypatch.context() as patch:
        patch.setattr(convlet.Network, "fit", stopped)
        return main(["train", str(images), "--layers", LAYERS, "--batch-size", "8", *options])


@pytest.mark.parametrize("out", [None, "m.safetensors"])
def test_what_an_interrupted_run_learned_is_saved_beside_where_it_would_go(
    out, images, capsys, monkeypatch
):
    options = [] if out is None else ["--out", out]
    assert interrupted(images, 3, monkeypatch, *options) == 130
    saved = f"{'convlet-rows' if out is None else 'm'}-interrupted.safetensors"
    said = f"convlet: interrupted: what was learned is saved in {saved}\n"
    assert capsys.readouterr().err == said
    assert os.listdir() == [saved]
    network = convlet.load(saved)
    assert not np.array_equal(network.flat, convlet.Network(LAYERS, (6, 6, 1)).flat)


def test_nothing_is_saved_where_no_step_was_taken(images, capsys, monkeypatch):
    assert interrupted(images, 0, monkeypatch) == 130
    assert capsys.readouterr().err == "convlet: interrupted\n"
    assert os.listdir() == []


def test_a_run_with_checkpoints_has_those(images, capsys, monkeypatch):
    assert interrupted(images, 3, monkeypatch, "--checkpoint", "run") == 130
    assert "go on with --resume from run/checkpoint-" in capsys.readouterr().err
    assert os.listdir() == ["run"]


def test_what_cannot_be_saved_is_said_and_the_status_stays(images, capsys, monkeypatch):
    def save(self, path):
        raise convlet.FileError(f"{path} cannot be written: No space left on device")

    monkeypatch.setattr(convlet.Network, "save", save)
    assert interrupted(images, 3, monkeypatch) == 130
    why = "convlet-rows-interrupted.safetensors cannot be written: No space left on device"
    said = f"convlet: interrupted: what was learned could not be saved: {why}\n"
    assert capsys.readouterr().err == said
    assert os.listdir() == []
