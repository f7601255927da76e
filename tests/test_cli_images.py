"""Images as people have them, on the command line: train, evaluate, predict, cache."""

import csv
import html
import io
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import convlet
from command_line import assert_refused
from convlet import datasets
from convlet.cli import main
from convlet.datasets.loading import load_tested
from convlet.held_back import HeldBack
from convlet.preparation import Preparation
from image_files import Image, encoded, picture, save

ALL_TESTED = (
    "no test part: all images are test images (those that training held back: --test-share 0.2"
    " --seed 0)"
)
HOW = ["--layers", "flatten, dense 2, softmax", "--recipe", "plain", "--epochs", "3"]


@pytest.fixture(autouse=True)
def _in_a_new_folder(plain_terminal):
    rng = np.random.default_rng(0)
    for n in range(15):
        for label, level in (("cat", 40), ("dog", 200)):
            pixels = level + rng.integers(-30, 30, (20 + n, 30, 3))
            save(f"pets/{label}/{n:02}.png", pixels)


@pytest.fixture
def model():
    assert main(["train", "pets", *HOW, "--size", "8", "--out", "m.safetensors"]) == 0
    return "m.safetensors"


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_train_says_in_one_line_what_it_did_with_the_images(capsys):
    save("pets/cat/grey.png", np.full((64, 48), 50))
    assert main(["train", "pets/", *HOW, "--out", "m.safetensors"]) == 0
    said = lines(capsys)
    assert said[:3] == [
        "31 images resized from 20x30..64x48 to 27x27 (cropped), 1 grey converted to RGB",
        "pets: 25 training images, 6 test images, 27x27x3, 2 classes",
        "no test part: the test images are drawn by the seed",
    ]
    network = convlet.load("m.safetensors")
    assert network.preparation == Preparation(27, 27, "rgb", "crop")
    assert network.classes == ("cat", "dog")


def test_options_of_images(capsys):
    options = ["--size", "6x9", "--colour", "grey", "--fit", "pad", "--test-share", "0.4"]
    assert main(["train", "pets", *HOW, *options, "--out", "m.safetensors"]) == 0
    assert lines(capsys)[1] == "pets: 18 training images, 12 test images, 6x9x1, 2 classes"
    assert convlet.load("m.safetensors").preparation == Preparation(6, 9, "grey", "pad")
    assert main(["find-lr", "pets", *options, "--layers", HOW[1], "--steps", "5"]) == 0
    assert "6x9 (padded)" in capsys.readouterr().out
    options = ["--group-by", r"(\d)\.png", "--size", "8"]
    assert main(["train", "pets", *HOW, *options, "--out", "m.safetensors"]) == 0
    capsys.readouterr()
    assert_refused(["train", "mnist", "--size", "8"], capsys, "--size is 8, but mnist has arr")


def test_a_table_that_needs_a_size_is_evaluated_without_one(capsys):
    rng = np.random.default_rng(1)
    numbers = np.column_stack([np.arange(20) % 2, rng.integers(0, 256, (20, 48))])
    header = ",".join(["label", *(f"p{n}" for n in range(48))])
    np.savetxt("table.csv", numbers, "%d", ",", header=header, comments="")
    assert main(["train", "table.csv", *HOW, "--size", "6x8", "--out", "m.safetensors"]) == 0
    assert convlet.load("m.safetensors").preparation == Preparation(6, 8, "grey")
    capsys.readouterr()
    assert main(["evaluate", "m.safetensors", "table.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["classes"]
    assert [kind["images"] for kind in found] == [10, 10]


def test_damaged_images(capsys):
    Path("pets/cat/bad.png").write_text("no image")
    Path("pets/dog/bad.jpg").write_text("")
    assert_refused(
        ["train", "pets", *HOW, "--size", "8"],
        capsys,
        "DATA: pets: 2 damaged images: cat/bad.png: ",
        "; dog/bad.jpg: ",
        "--skip-damaged",
    )
    assert main(["train", "pets", *HOW, "--size", "8", "--skip-damaged"]) == 0
    assert "2 damaged images left out: cat/bad.png, dog/bad.jpg" in lines(capsys)


def test_a_checkpoint_knows_the_preparation_too():
    assert main(["train", "pets", *HOW, "--size", "8", "--checkpoint", "run"]) == 0
    newest = convlet.checkpoint.newest("run")
    network = convlet.load_checkpoint(newest)
    assert network.preparation == Preparation(8, 8, "rgb", "crop")
    assert network.held_back == HeldBack(0.2)
    how = ["train", "pets", *HOW, "--size", "8", "--checkpoint", "run", "--resume"]
    assert main(how) == 0


# -------------------------------------------------------------------------------------- evaluate


def test_evaluate_takes_all_of_a_folder_or_the_share_of_training(model, capsys):
    assert main(["evaluate", model, "pets"]) == 0
    said = lines(capsys)
    assert said[-1].split()[0] == "dog"
    assert any(line.startswith("pets: 30 test images") for line in said)
    assert ALL_TESTED in said
    assert main(["evaluate", model, "pets", "--test-share", "0.2", "--json"]) == 0
    answer = json.loads(lines(capsys)[-1])
    assert sum(row["images"] for row in answer["classes"]) == 6
    network, data = convlet.load(model), datasets.load("pets", 8)
    found = network.evaluate(data.test.images, data.test.labels)
    assert answer["accuracy"] == found.accuracy
    assert answer["loss"] == pytest.approx(found.loss)


def test_evaluate_says_where_other_images_are_tested_than_training_held_back(capsys):
    how = ["--seed", "5", "--group-by", r"(\d)\.png"]
    assert main(["train", "pets", *HOW, "--size", "8", *how, "--out", "m.safetensors"]) == 0
    held_back = HeldBack(0.2, 5, r"(\d)\.png")
    assert convlet.load("m.safetensors").held_back == held_back
    said = (
        "other images than training held back (--test-share 0.2 --seed 5 --group-by '(\\d)\\.png')"
    )
    for other in ([], how[:2], [*how, "--test-share", "0.3"]):
        capsys.readouterr()
        command = ["evaluate", "m.safetensors", "pets", "--test-share", "0.2", *other, "--json"]
        assert main(command) == 0
        assert json.loads(lines(capsys)[-1])["said"][-2].startswith(said)
    assert main(["evaluate", "m.safetensors", "pets", "--test-share", "0.2", *how]) == 0
    assert said not in capsys.readouterr().out


def test_folders_around_the_classes_change_no_division(tmp_path):
    Path("archive").mkdir()
    shutil.copytree("pets", "archive/photos")
    shutil.copytree("pets", "archive2/train")
    once, again, part = (datasets.load(p, 8) for p in ("pets", "archive", "archive2"))
    for other in (again, part):
        np.testing.assert_array_equal(once.test.images, other.test.images)


def test_evaluate_refuses_what_divides_nothing(model, capsys):
    for option, value in (("--group-by", "x"), ("--seed", "7")):
        said = f"{option} is {value if option == '--seed' else repr(value)}"
        but = "but nothing is divided without --test-share: add the --test-share of the training"
        assert_refused(["evaluate", model, "pets", option, value], capsys, said, but)
    how = ["--seed", "7", "--group-by", r"(\d)\.png", "--test-share", "0.5", "--json"]
    assert main(["evaluate", model, "pets", *how]) == 0
    images = [row["images"] for row in json.loads(lines(capsys)[-1])["classes"]]
    data = datasets.load("pets", 8, seed=7, group_by=r"(\d)\.png", test_share=0.5)
    assert images == np.bincount(data.test.labels).tolist()


def test_subjects_stay_together_in_every_command(capsys):
    """The last digits of the names say whose photo it is: 10 subjects, with 2 or 4 photos."""
    how = ["--size", "8", "--group-by", r"(\d)\.png"]
    command = ["train", "pets", *HOW, *how]
    assert main([*command, "--hold-out", "5", "--out", "m.safetensors"]) == 0
    assert "20 training images, 4 held out, 6 test images" in capsys.readouterr().out
    assert main([*command, "--folds", "10"]) == 0
    assert "30 images in 10 folds, by --seed; all of them" in capsys.readouterr().out
    assert main([*command, "--folds", "2", "--limit", "20"]) == 0
    assert "20 images in 2 folds, by --seed; chosen from all of them" in capsys.readouterr().out
    refused = [*command, "--folds", "11"]
    assert_refused(refused, capsys, "--folds is 11, expected at most 10, the groups of one of")
    assert_refused([*command, "--limit", "1"], capsys, "--limit is 1, expected 2 or more")
    assert_refused([*command, "--hold-out", "24"], capsys, "--hold-out is 24, expected a whole")


def test_evaluate_matches_classes_by_name(model, capsys):
    """Some of them, in another order, in a part or none."""
    shutil.copytree("pets/dog", "some/dog")
    shutil.copytree("pets/dog", "parts/test/dog")
    shutil.copytree("pets/dog", "one/valid/dog")
    answers = []
    for place in ("some", "parts", "one"):
        assert main(["evaluate", model, place, "--json"]) == 0
        answers.append(json.loads(lines(capsys)[-1]))
    said = [answer.pop("said") for answer in answers]
    assert [lines[1:] for lines in said] == [
        [ALL_TESTED],
        [],
        ["no test part: the validation images are the test images"],
    ]
    assert answers[0] == answers[1] == answers[2]
    rows = {row["class"]: row for row in answers[0]["classes"]}
    assert (rows["cat"]["images"], rows["dog"]["images"]) == (0, 15)
    network = convlet.load(model)
    images = [datasets.read_image(p, network.preparation) for p in Path("some/dog").iterdir()]
    assert rows["dog"]["accuracy"] == np.mean(network.predict(np.stack(images)) == 1)
    Path("some/dog").rename("some/wolf")
    assert_refused(
        ["evaluate", model, "some"],
        capsys,
        "DATA: some has the class wolf, but m.safetensors knows cat, dog: rename it, or move",
    )


def test_evaluate_knows_names_in_both_forms_of_unicode(model, capsys):
    network = convlet.load(model)
    for trained, found in (("V\u00f6gel", "Vo\u0308gel"), ("Vo\u0308gel", "V\u00f6gel")):
        network.classes = ("cat", trained)
        network.save("birds.safetensors")
        shutil.copytree("pets/dog", f"{len(found)}/{found}")
        assert main(["evaluate", "birds.safetensors", str(len(found)), "--json"]) == 0
        rows = json.loads(lines(capsys)[-1])["classes"]
        assert [row["images"] for row in rows] == [0, 15]


def test_pictures_and_reports_call_images_by_their_files(model):
    pytest.importorskip("matplotlib")
    shutil.copytree("pets/dog", "wrong/cat")
    assert main(["report", model, "wrong", "--out", "r.html"]) == 0
    assert "cat/0" in Path("r.html").read_text()
    assert main(["plot", "mistakes", model, "wrong", "--out", "m.svg"]) == 0
    assert "cat/0" in Path("m.svg").read_text()


# --------------------------------------------------------------------------------------- predict


def test_predict_equals_the_network_bit_for_bit(model, capsys):
    """Of the files of the training folder, in every form."""
    network = convlet.load(model)
    data = load_tested("pets", network.preparation)
    expected = network.predict_proba(data.test.images)
    paths = [str(path) for path in sorted(Path("pets").rglob("*.png"))]
    assert main(["predict", model, "pets", "--json"]) == 0
    for line, path, row in zip(lines(capsys), paths, expected, strict=True):
        answer = json.loads(line)
        assert answer["image"] == path
        assert answer["done"].startswith("resized from ")
        found = {one["class"]: np.float32(one["probability"]) for one in answer["classes"]}
        assert [found["cat"], found["dog"]] == row.tolist()
    assert main(["predict", model, *paths, "--csv", "--top", "1"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["image", "class", "probability", "done"]
    for (path, name, share, done), given, row in zip(rows[1:], paths, expected, strict=True):
        assert (path, name) == (given, data.classes[row.argmax()])
        assert done.startswith("resized from")
        assert np.float32(share) == row.max()


def test_predict_goes_on_after_a_folder_that_cannot_be_looked_into(model, capsys):
    os.symlink("..", "pets/cat/again")
    assert main(["predict", model, "pets", "--json"]) == 1
    found = capsys.readouterr()
    assert len(found.out.splitlines()) == 30
    assert "a symbolic link to pets" in found.err


def test_predict_says_what_it_leaves_out_of_a_folder(model, capsys):
    for name in ("a.HEIC", "b.mp4", "c"):
        Path("pets/cat", name).write_text("")
    assert main(["predict", model, "pets", "--json"]) == 0
    found = capsys.readouterr()
    assert len(found.out.splitlines()) == 30
    assert "pets: 3 other files left out (a.HEIC, b.mp4, c)" in found.err


def test_predict_warns_of_many_images_on_another_scale(model, capsys):
    rng = np.random.default_rng(0)
    for n in range(40):
        save(f"dark/{n}.png", rng.integers(0, 12, (8, 8, 3)))
    said = "the 40 images are on another scale: root mean square 0.0"
    assert main(["predict", model, "dark", "--json"]) == 0
    assert said in capsys.readouterr().err
    assert main(["predict", model, "dark/3.png", "--json"]) == 0
    assert said not in capsys.readouterr().err


def test_predict_refuses_tables_by_name(model, capsys):
    Path("test.csv").write_text("pixel0,pixel1\n1,2\n")
    command = ["predict", model, "test.csv"]
    assert main(command) == 1
    assert "test.csv: expected image files, .npy files or folders" in capsys.readouterr().err


def test_report_and_plot_test_with_what_training_held_back(model, capsys):
    how = ["--test-share", "0.2", "--seed", "0"]
    command = ["report", model, "pets", "--out", "all.html"]
    assert main(command) == 0
    assert "no test part: all images are test images" in html.unescape(Path("all.html").read_text())
    assert main([*command[:3], *how, "--out", "part.html"]) == 0
    page = html.unescape(Path("part.html").read_text())
    assert "no test part: all" not in page
    assert re.search(r"test images</dt>\s*<dd>6<", page)
    assert main(["plot", "confusion", model, "pets", *how, "--out", "c.svg"]) == 0
    capsys.readouterr()
    assert_refused(["plot", "filters", model, *how, "--out", "f.svg"], capsys, "needs no data")


def test_predict_takes_patterns_folders_and_stdin(model, capsys, monkeypatch):
    assert main(["predict", model, "pets/*/0[01].png", "--csv", "--top", "1"]) == 0
    assert [line.split(",")[0] for line in lines(capsys)[1:]] == [
        "pets/cat/00.png",
        "pets/cat/01.png",
        "pets/dog/00.png",
        "pets/dog/01.png",
    ]
    # a folder that a pattern finds is looked through, what is in it once
    Path("nothing").mkdir()
    for pattern, code, count in (("p*s", 0, 30), ("pets/**", 0, 30), ("[np]*[gs]", 1, 30)):
        assert main(["predict", model, pattern, "--csv", "--top", "1"]) == code
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == 1 + count
        assert ("nothing: expected images, found none" in err) == bool(code)
    answers = []
    np.save("x.npy", datasets.read_image("pets/dog/03.png", convlet.load(model).preparation))
    for name in ("pets/dog/03.png", "x.npy"):
        stream = io.TextIOWrapper(io.BytesIO(Path(name).read_bytes()))
        monkeypatch.setattr(sys, "stdin", stream)
        assert main(["predict", model, "-", "--json"]) == 0
        answers.append(json.loads(lines(capsys)[0]))
        assert answers[-1].pop("image") == "-"
    assert answers[0].pop("done") == "resized from 23x30"
    assert answers[0] == answers[1]


def test_predict_goes_on_after_bad_files_and_tells_each(model, capsys):
    Path("text.png").write_text("no image")
    Path("empty").mkdir()
    given = ["text.png", "pets/cat/00.png", "nosuch.png", "empty", "no*such", "pets/dog/00.png"]
    assert main(["predict", model, *given, "--csv", "--top", "1"]) == 1
    out, err = capsys.readouterr()
    assert [line.split(",")[0] for line in out.splitlines()[1:]] == [given[1], given[-1]]
    assert [line.removeprefix("convlet: error: IMAGE: ")[:20] for line in err.splitlines()] == [
        "text.png: expected a",
        "nosuch.png cannot be",
        "empty: expected imag",
        "no*such cannot be re",
    ]


def test_predict_tells_a_file_on_another_scale_and_goes_on(model, capsys):
    np.save("levels.npy", np.full((8, 8, 3), 200.0))
    save("dark.png", np.ones((8, 8, 3)))  # an image whose levels mean what they say
    assert main(["predict", model, "levels.npy", "dark.png", "--csv", "--top", "1"]) == 1
    out, err = capsys.readouterr()
    assert [line.split(",")[0] for line in out.splitlines()[1:]] == ["dark.png"]
    assert err.startswith("convlet: error: levels.npy holds floats from 200 to 200, expected")


def test_predict_takes_arrays_from_stdin_for_a_network_without_preparation(capsys, monkeypatch):
    network = convlet.Network("flatten, dense 2, softmax", (3, 4, 2), seed=1)
    network.save("two.safetensors")
    x = np.random.default_rng(0).random((3, 4, 2), np.float32)
    np.save("x.npy", x)
    stream = io.TextIOWrapper(io.BytesIO(Path("x.npy").read_bytes()))
    monkeypatch.setattr(sys, "stdin", stream)
    assert main(["predict", "two.safetensors", "-", "--json"]) == 0
    answer = json.loads(lines(capsys)[0])
    shares = {one["class"]: np.float32(one["probability"]) for one in answer["classes"]}
    assert [shares["0"], shares["1"]] == network.predict_proba(x[None])[0].tolist()


def test_predict_prints_a_table_and_what_it_did(model, capsys):
    assert main(["predict", model, "pets/cat/00.png", "pets/cat/01.png"]) == 0
    said = lines(capsys)
    assert said[0].split() == ["image", "class", "probability"]
    assert said[2].split()[0] == "pets/cat/00.png"
    assert said[-2:] == [
        "pets/cat/00.png: resized from 20x30",
        "pets/cat/01.png: resized from 21x30",
    ]


def test_flags_of_predict_that_would_do_nothing_are_refused(model, capsys):
    given = ["predict", model, "pets/cat/00.png"]
    assert_refused([*given, "--as-is"], capsys, "--as-is is given, but the model is not one of")
    assert_refused([*given, "--json", "--csv"], capsys, "--json is given, but --csv is given")


@pytest.fixture
def digits():
    """A model of MNIST from before models said how images are prepared."""
    network = convlet.Network("flatten, dense 10, softmax", seed=3)
    network.classes, network.data = [*"0123456789"], "mnist"
    network.save("digits.safetensors")
    return "digits.safetensors"


def test_predict_recognises_a_digit_on_paper(digits, capsys):
    network = convlet.load(digits)
    digit = datasets.load("mnist").test.images[0, ..., 0]
    save("as mnist.png", digit)
    save("dark.png", 255 - digit)
    page = np.full((300, 400), 250)
    large = np.asarray(picture(digit).resize((112, 112), Image.Resampling.BICUBIC))
    page[100:212, 50:162] -= (large * (240 / 255)).astype(int)
    save("page.png", page)
    expected = network.predict_proba(digit[None])[0]
    assert main(["predict", digits, "as mnist.png", "dark.png", "page.png", "--json"]) == 0
    same, dark, placed = map(json.loads, lines(capsys))
    assert "done" not in same
    assert dark["done"] == "dark on light, inverted"
    for answer in (same, dark):
        best = answer["classes"][0]
        assert np.float32(best["probability"]) == expected[int(best["class"])]
    assert placed["done"].startswith("dark on light, prepared as a digit of MNIST (box, 20 pix")
    assert placed["classes"][0]["class"] == same["classes"][0]["class"]
    assert main(["predict", digits, "dark.png", "page.png", "--as-is", "--json"]) == 0
    dark, page = map(json.loads, lines(capsys))
    best = dark["classes"][0]
    inverse = network.predict_proba(255 - digit[None])[0]
    assert np.float32(best["probability"]) == inverse[int(best["class"])]
    assert page["done"] == "resized from 300x400"
    assert_refused(
        ["predict", digits, "dark.png", "--invert"],
        capsys,
        "--invert is given, but dark digits are made bright anyway: leave it out, or add --as-is",
    )
    assert main(["predict", digits, "dark.png", "--invert", "--as-is", "--json"]) == 0
    best = json.loads(lines(capsys)[0])["classes"][0]
    assert np.float32(best["probability"]) == expected[int(best["class"])]


# ----------------------------------------------------------------------------------------- cache


def test_cache_shows_and_clears(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CONVLET_CACHE", str(tmp_path / "kept"))
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["cache"]) == 0
    assert lines(capsys) == [f"0 caches, 0.0 MB, in {tmp_path / 'kept'}"]
    datasets.load("pets", 8)
    assert main(["cache", "--json"]) == 0
    (found,) = map(json.loads, lines(capsys))
    assert (found["images"], found["size"], found["whole"]) == (30, "8x8x3", True)
    assert found["source"] == str(Path("pets").resolve())
    assert main(["cache"]) == 0
    said = lines(capsys)
    assert said[0].split() == ["source", "images", "size", "MB"]
    assert said[-1].startswith("1 cache, 0.0 MB, in ")
    assert main(["cache", "--clear"]) == 0
    assert "1 cache, 0.0 MB deleted, in " in capsys.readouterr().out
    assert not list((tmp_path / "kept").iterdir())


# ----------------------------------------------------------------------------------------- paths


def test_a_path_means_the_same_everywhere(monkeypatch, tmp_path, capsys):
    """~ is the home, a folder may end in /, a file may not; $HOME is a name as any other."""
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    shutil.copytree("pets", home / "pets")
    (home / "out").mkdir()
    made = [
        "--out",
        "~/out/m.safetensors",
        "--history",
        "~/out/h.csv",
        "--checkpoint",
        "~/out/run/",
    ]
    assert main(["train", "~/pets/", *HOW, "--size", "8", *made]) == 0
    assert {path.name for path in (home / "out").iterdir()} == {"m.safetensors", "h.csv", "run"}
    assert main(["evaluate", "~/out/m.safetensors", "~/pets"]) == 0
    assert main(["predict", "~/out/m.safetensors", "~/pets/cat/00.png", "~/pets/dog/"]) == 0
    assert main(["report", "~/out/m.safetensors", "~/pets", "--out", "~/out/r.html"]) == 0
    network = convlet.load("~/out/m.safetensors")
    network.save("~/out/again.safetensors")
    assert (home / "out" / "again.safetensors").is_file()
    assert datasets.load("~/pets", 8).name == "pets"
    assert datasets.read_image("~/pets/cat/00.png", network.preparation).shape == (8, 8, 3)
    assert convlet.checkpoint.newest("~/out/run/").startswith(str(home))
    assert convlet.watch.read_history("~/out/h.csv")
    assert not Path("~").exists()
    capsys.readouterr()
    assert_refused(["train", "$HOME/pets", *HOW], capsys, "DATA: $HOME/pets cannot be read")
    for given, said in (
        (["train", "~nobody-at-all/x"], "DATA is '~nobody-at-all/x', but there is no user"),
        (["train", "pets", "--out", "~/out/"], "--out is "),
        (["train", "pets", "--out", "pets"], "--out is 'pets', but DATA is the same place"),
        (["train", "pets", "--out", "pets/cat/00.png"], "which is there and not a convlet model"),
        (["augment", "pets", "--augment", "flip", "--preview", "pets/a.png"], "DATA would take it"),
        (["find-lr", "pets", "--out", "pets/cat/a.png"], "--out is 'pets/cat/a.png', but DATA"),
        (
            ["predict", "m.safetensors/", "pets"],
            "MODEL is 'm.safetensors/', expected the",
        ),
    ):
        assert_refused(given, capsys, said)


def test_a_name_that_begins_with_a_tilde_can_be_written():
    shutil.copytree("pets", "~pets")
    assert main(["train", "./~pets", *HOW, "--size", "8", "--out", "./~m.safetensors"]) == 0
    assert Path("./~m.safetensors").is_file()
    assert main(["evaluate", "./~m.safetensors", "./~pets"]) == 0


def test_a_folder_called_like_a_data_set(capsys):
    shutil.copytree("pets", "mnist")
    for name in ("./mnist", "mnist/"):
        assert main(["train", name, *HOW, "--size", "8"]) == 0
        assert lines(capsys)[1].startswith("mnist: 24 training images, 6 test images, 8x8x3")


@pytest.mark.parametrize("width", [40, 80])
def test_tables_fit_narrow_terminals(width, model, monkeypatch, capsys):
    capsys.readouterr()
    monkeypatch.setenv("COLUMNS", str(width))
    for command in (["cache"], ["data", "pets"], ["predict", model, "pets"]):
        assert main(command) == 0
        every = lines(capsys)
        rule = next(n for n, line in enumerate(every) if line.startswith("──"))
        end = next((n for n in range(rule, len(every)) if not every[n].strip()), len(every))
        assert all(len(line) <= width for line in every[rule - 1 : end])
        assert end > rule + 1


def test_stdin_of_a_stranger(model, capsys, monkeypatch):
    for data in (
        b"",
        b"no image",
        b"\x93NUMPY",
        encoded(picture(np.zeros((9, 9), np.uint8)), "PPM"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert main(["predict", model, "-", "--json"]) == 1
        out, err = capsys.readouterr()
        assert out.count("image") == 0
        assert err.startswith("convlet: error: IMAGE: -: expected ")


def test_data_says_sizes_and_kinds(capsys):
    save("pets/cat/grey.png", np.full((64, 48), 50))
    assert main(["data", "pets"]) == 0
    said = lines(capsys)
    assert said[1].startswith("sizes: 20x30 (2), 21x30 (2), 22x30 (2), ")
    assert said[2] == "kinds: RGB (30), grey (1)"
    assert main(["data", "pets", "--json"]) == 0
    survey = json.loads(lines(capsys)[0])["survey"]
    assert survey["kinds"] == {"grey": 1, "RGB": 30}
    assert survey["sizes"]["64x48"] == 1
