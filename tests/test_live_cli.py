"""`convlet live`: what it takes, what it says, how it ends."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import children
import convlet
from command_line import assert_refused
from convlet import InputError, MissingDependencyError
from convlet.cli import main
from live_pages import DATA, LAYERS, SHAPE, Client, network
from made_data import bright_rows


@pytest.fixture
def run(monkeypatch, capsys):
    """A function: `convlet live` with arguments, until it would wait -> its client, what it said.

    The page ends with the test.
    """
    pages = []
    monkeypatch.setattr(
        "convlet.server.serving.Serving.wait", lambda serving: pages.append(serving)
    )
    monkeypatch.setattr("convlet.server.serving.Serving.close", lambda serving: None)

    def started(*arguments):
        assert main(["live", *map(str, arguments), "--no-browser"]) == 0
        return pages[-1], Client(pages[-1]), capsys.readouterr().out

    yield started
    monkeypatch.undo()
    for page in pages:
        page.close()


@pytest.fixture
def model(images, in_a_new_folder):
    """A trained model of `images`."""
    net = convlet.Network(LAYERS, SHAPE, classes=["0", "1", "2"])
    net.fit(*bright_rows(60), epochs=1, optimizer="adam", seed=5)
    net.save("m.safetensors")
    return net


def test_it_says_what_train_says_and_the_address(run, images):
    _, client, said = run(images, "--layers", LAYERS, "--epochs", 2)
    assert "60 training images, 30 test images" in said
    assert f"network: {LAYERS}" in said
    assert re.search(r"^live page: http://127\.0\.0\.1:\d+/#token=[\w-]{32}$", said, re.M)
    state = client.get("/api/state")
    assert state["settings"]["recipe"] == "default"
    assert (state["settings"]["epochs"], state["run"]["status"]) == (2, "idle")


def test_a_model_goes_on_with_data(run, images, model):
    page, client, said = run(images, "--model", "m.safetensors")
    assert "60 training images" in said
    state = client.get("/api/state")
    assert state["settings"]["optimizer"] == "adam"
    assert state["run"]["trained"] == 1
    client.do("start")
    client.wait("ended")
    model.fit(*bright_rows(60), epochs=1, optimizer="adam", seed=5)
    assert client.get("/api/state")["run"]["trained"] == 2
    assert np.array_equal(page.session.network.flat, model.flat)


def test_a_model_alone_is_shown(run, model):
    page, client, _ = run("m.safetensors")
    assert np.array_equal(page.session.network.flat, model.flat)
    state = client.get("/api/state")
    assert (state["data"], state["can"]) == (None, [])


def test_data_of_a_model_are_put_in_its_order_of_classes(run, in_a_new_folder):
    image = pytest.importorskip("PIL.Image")
    net = convlet.Network(LAYERS, SHAPE, classes=["dog", "cat", "cow"])
    net.save("m.safetensors")
    for name, level in (("cat", 100), ("cow", 200), ("dog", 30)):
        for part, count in (("train", 3), ("test", 2)):
            os.makedirs(f"photos/{part}/{name}")
            for n in range(count):
                shown = np.full((6, 6), level + n, np.uint8)
                image.fromarray(shown).save(f"photos/{part}/{name}/{n}.png")
    page, _, _ = run("photos", "--model", "m.safetensors")
    for part in page.session.data.parts.values():
        levels = part.images[:, 0, 0, 0].astype(int)
        assert np.abs(levels - np.array([30, 100, 200])[part.labels]).max() < 10


def test_what_a_model_has_itself_is_refused(model, capsys):
    assert_refused(["live", "m.safetensors", "--layers", LAYERS], capsys, "--layers")
    assert_refused(["live", "--model", "m.safetensors", "--size", "6"], capsys, "--size")
    assert_refused(["live", "--model", "m.safetensors"], capsys, "28x28x1")
    assert_refused(["live", "nothing.safetensors"], capsys, "nothing.safetensors")
    assert_refused(["live", "--model", "nothing"], capsys, "--model: nothing cannot be read")


def test_a_model_keeps_its_settings_but_for_what_is_given(run, images, model):
    data = [images, "--model", "m.safetensors"]
    _, client, _ = run(*data, "--epochs", 7, "--batch-size", 5)
    settings = client.get("/api/state")["settings"]
    assert (settings["optimizer"], settings["seed"]) == ("adam", 5)
    assert (settings["epochs"], settings["batch_size"]) == (7, 5)
    _, client, _ = run(*data, "--optimizer", "sgd")
    assert client.get("/api/state")["settings"]["learning_rate"] == 0.1
    _, client, _ = run(*data, "--recipe", "default")
    assert client.get("/api/state")["settings"]["schedule"] == "one-cycle"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "--host is '0.0.0.0', but others could reach the page there"),
        (["--port", "70000"], "--port is 70000"),
        (["--port", "x"], "--port is 'x'"),
        (["--epochs", "0"], "--epochs is 0"),
        (["--hold-out", "0"], "--hold-out is 0"),
        (["--optimizer", "adam", "--momentum", "0.5"], "--momentum"),
    ],
)
def test_wrong_options_are_refused_before_data_are_read(options, said, images, capsys, monkeypatch):
    monkeypatch.setattr(convlet.datasets, "load", lambda *a, **how: pytest.fail("read the data"))
    assert_refused(["live", str(images), *options], capsys, said)


@pytest.mark.parametrize(
    "options",
    [
        ["--train"],
        ["--epochs", "3"],
        ["--batch-size", "8"],
        ["--recipe", "plain"],
        ["--hold-out", "5"],
        ["--seed", "4"],
        ["--skip-damaged"],
        ["--optimizer", "adam"],
    ],
)
def test_what_only_training_needs_is_refused_without_data(options, model, capsys, monkeypatch):
    monkeypatch.setattr("convlet.cli.live.serve", lambda *a: pytest.fail("it is served"))
    said = f"{options[0]} is ", "but there are no data to train with: give DATA, too"
    assert_refused(["live", "m.safetensors", *options, "--no-browser"], capsys, *said)


def test_the_rate_and_the_engine_count_for_a_model_alone(run, model):
    options = ["--learning-rate", "0.5", "--engine", "reference"]
    page, client, _ = run("m.safetensors", *options)
    assert client.get("/api/state")["model"]["engine"] == "reference"
    assert page.session.plan.settings.learning_rate == 0.5


def test_a_model_is_exposed_at_another_host_only(model, capsys, monkeypatch):
    monkeypatch.setattr("convlet.cli.live.serve", lambda *a: pytest.fail("it is served"))
    assert_refused(
        ["live", "m.safetensors", "--expose"], capsys, "--expose is given, but", "--host"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"validation": DATA}, "validation is given, but there are no data"),
        ({"train": True}, "train is True, but there are no data to train with: give data, too"),
        ({"batch_size": 8}, "batch_size is 8, but there are no data"),
        ({"optimizer": "adam"}, "optimizer is 'adam', but there are no data"),
        ({"recipe": "plain"}, "recipe is 'plain', but there are no data"),
        ({"expose": True}, "expose is True, but only this machine reaches 127.0.0.1"),
        ({"expose": 1, "host": "0.0.0.0"}, "expose is 1, expected True or False"),
        ({"data": DATA, "patience": 2}, "patience is 2, but no images judge the epochs"),
    ],
)
def test_no_argument_of_a_program_is_ignored(given, said, monkeypatch):
    monkeypatch.setattr("convlet.server.start.Serving", lambda *a: pytest.fail("it is served"))
    with pytest.raises(InputError, match=re.escape(said)):
        convlet.live(network(), browser=False, **given)


def test_no_argument_of_the_callback_is_ignored():
    with pytest.raises(InputError, match="validation is given, but there are no data"):
        convlet.Live(validation=DATA)
    with pytest.raises(InputError, match="browser is 'no'"):
        convlet.Live(browser="no")


@pytest.mark.parametrize("name", ["starlette", "uvicorn"])
def test_without_a_library_one_line_names_the_command(name, monkeypatch, capsys, images):
    monkeypatch.setitem(sys.modules, name, None)
    assert_refused(["live", str(images)], capsys, 'pip install "convlet[live]"')
    with pytest.raises(MissingDependencyError, match=r"convlet\[live\]"):
        convlet.live()
    with pytest.raises(MissingDependencyError, match=r"convlet\[live\]"):
        convlet.Live()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_with_an_open_stream(number, images):
    arguments = ["live", str(images), "--no-browser", "--train", "--epochs", "1000000"]
    child = children.start(
        [*children.CONVLET, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = next(
            found.group()
            for line in child.stdout
            if (found := re.search(r"http://\S+", line)) is not None
        )
        page = type("Page", (), {"url": url})
        client = Client(page)
        with client.events() as events:
            assert next(events)["type"] == "state"
            assert next(events)["type"]
            child.send_signal(number)
            last = [event["type"] for event in events][-1]
        _, err = child.communicate(timeout=children.PATIENCE)
    finally:
        child.kill()
        child.wait()
    assert last == "closed"
    assert child.returncode == 128 + number
    word = "interrupted" if number == signal.SIGINT else "terminated"
    assert err == f"convlet: {word}\n"


def test_idle_it_does_not_wake_up():
    """CPU time of a second in which nobody asks: a timer of a tenth would show."""
    said = children.output(
        "import resource, time, convlet; from live_pages import *\n"
        "with served() as (page, client), client.events() as events:\n"
        "    next(events); time.sleep(0.3)\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    time.sleep(1)\n"
        "    after = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print(after.ru_nvcsw - before.ru_nvcsw)"
    )
    assert int(said) <= 5
