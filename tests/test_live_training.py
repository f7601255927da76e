"""The live page trains as `fit` and `convlet train` do, to the same bits, however it is paused."""

import itertools
import threading
from queue import Queue
from time import monotonic, sleep

import numpy as np
import pytest

import convlet
from convlet import SGD, Adam, AdamW
from convlet.cli import main
from convlet.engine import Samples
from convlet.run import Run
from convlet.server import gate, learning, telling, trainer
from convlet.server.gate import Gate
from convlet.server.hub import Hub
from convlet.server.proposals import Plan, proposed
from convlet.server.records import MOST_ROWS, Record
from convlet.settings import Settings
from convlet.text import parse_layers
from live_pages import DATA, JUDGES, LAYERS, PATIENCE, SHAPE, Client, network, says_ended, served

DROPPING = (
    "conv 4 3, relu, pool 2, flatten, dropout 0.3, dense 8, relu, dropout 0.5, dense 3, softmax"
)
FLOATS = (DATA[0] / 255).astype(np.float32), DATA[1]
RUNS = {
    "plain": (LAYERS, DATA, {}),
    "Adam, one-cycle, dropout, augmentation": (
        DROPPING,
        DATA,
        {"optimizer": "adam", "schedule": "one-cycle", "augmentation": "shift 1, rotation 10"},
    ),
    "floats, momentum, clipping, smoothing": (
        LAYERS,
        FLOATS,
        {"optimizer": "momentum", "clip_norm": 0.5, "label_smoothing": 0.1, "shards": 2},
    ),
}


def judges(data):
    return ((JUDGES[0] / 255).astype(np.float32), JUDGES[1]) if data is FLOATS else JUDGES


@pytest.mark.parametrize("name", RUNS)
def test_the_bits_are_those_of_fit_with_pauses_steps_and_readers(name):
    layers, data, options = RUNS[name]
    settings = {"epochs": 4, "batch_size": 8, "learning_rate": 0.02, "seed": 5, **options}
    alone = network(layers)
    history = alone.fit(*data, judges(data), **settings)
    with served(network(layers), data, judges(data), **settings) as (page, client):
        done = threading.Event()
        reader = threading.Thread(target=_read, args=(client, done))
        reader.start()
        client.do("step")
        run = client.wait("paused")
        assert (run["epoch"], run["step"]) == (1, 1)
        client.do("step")
        client.until(lambda run: run["status"] == "paused" and run["step"] == 2)
        client.do("epoch")
        run = client.until(lambda run: run["status"] == "paused" and run["trained"] == 1)
        assert len(page.history) == 1
        client.do("start")
        client.ask("POST", "/api/train", {"do": "pause"})
        if client.until(lambda run: run["status"] != "running")["status"] == "paused":
            client.do("start")
        client.wait("ended")
        done.set()
        reader.join()
        assert np.array_equal(page.network.flat, alone.flat)
        assert page.network.epochs == alone.epochs == 4
        rows = [(row.train_loss, row.validation_loss) for row in page.history]
        assert rows == [(row.train_loss, row.validation_loss) for row in history]


def _read(client: Client, done: threading.Event) -> None:
    """A page that asks for numbers all the time."""
    with client.events() as events:
        assert next(events)["type"] == "state"
        while not done.is_set():
            client.post("/api/forward", ref={"part": "train", "index": 0})
            client.get("/api/weights?name=w0")


def test_the_bits_are_those_of_convlet_train(images, in_a_new_folder, monkeypatch):
    how = ["--epochs", "2", "--seed", "3", "--optimizer", "adam", "--hold-out", "10"]
    assert main(["train", str(images), *how, "--layers", LAYERS, "--out", "m.safetensors"]) == 0
    pages = []
    monkeypatch.setattr("convlet.server.serving.Serving.wait", lambda serving: _run(serving, pages))
    arguments = ["live", str(images), *how, "--layers", LAYERS, "--no-browser", "--train"]
    assert main(arguments) == 0
    assert np.array_equal(pages[0].flat, convlet.load("m.safetensors").flat)


def _run(serving, pages):
    """In the place of waiting for Ctrl-C: until training has ended."""
    serving.session.driver.thread.join()
    pages.append(serving.session.network)


def test_early_stopping_restores_the_best_weights_as_fit_does():
    wrong = JUDGES[0], (JUDGES[1] + 1) % 3  # which a better network judges worse
    settings = {"epochs": 12, "batch_size": 8, "learning_rate": 0.1, "seed": 2}
    alone = network()
    alone.fit(*DATA, wrong, callbacks=[convlet.EarlyStopping(2)], **settings)
    with served(network(), DATA, wrong, patience=2, **settings) as (page, client):
        client.do("start")
        client.wait("ended")
        assert len(page.history) < 12
        assert np.array_equal(page.network.flat, alone.flat)
        found = client.post("/api/forward", ref={"part": "train", "index": 0})
        expected = page.network.predict_proba(DATA[0][:1])[0]
        assert np.allclose(found["probabilities"], expected, atol=1e-6)


def test_a_callback_shows_any_fit_and_changes_no_bit():
    alone, shown = network(), network()
    alone.fit(*DATA, JUDGES, epochs=3, batch_size=8)
    live = convlet.Live(DATA, JUDGES, browser=False)
    seen = {}

    class Asks(convlet.Callback):
        """Another callback: it asks the page from inside of training."""

        def on_epoch(self, run, row):
            client = Client(live.page)
            seen[row.epoch] = client.get("/api/state")
            if row.epoch == 2:
                seen["refused"] = [
                    client.ask("POST", path, given)[0]
                    for path, given in (
                        ("/api/train", {"do": "reset"}),
                        ("/api/settings", {"epochs": 2}),
                        ("/api/learn", {"items": [{"ref": {"part": "train", "index": 0}}]}),
                    )
                ]

    try:
        shown.fit(*DATA, JUDGES, epochs=3, batch_size=8, callbacks=[live, Asks()])
        assert np.array_equal(alone.flat, shown.flat)
        assert [len(seen[epoch]["runs"][0]["rows"]) for epoch in (1, 2, 3)] == [1, 2, 3]
        assert seen["refused"] == [409, 409, 409]
        state = Client(live.page).get("/api/state")
        assert state["run"]["status"] == "ended"
        found = Client(live.page).post("/api/forward", ref={"part": "validation", "index": 0})
        assert np.allclose(found["probabilities"], shown.predict_proba(JUDGES[0][:1])[0], atol=1e-6)
        assert state["evaluation"]["accuracy"] == shown.evaluate(*JUDGES).accuracy
        shown.fit(*DATA, epochs=1)  # goes on in the same page
        network(seed=1).fit(*DATA, epochs=1, callbacks=[live])
        assert len(Client(live.page).get("/api/state")["runs"]) == 2
    finally:
        live.close()


def test_a_page_may_pause_and_end_what_a_program_trains():
    live = convlet.Live(DATA, browser=False)
    ready = threading.Event()

    class Begun(convlet.Callback):
        def on_begin(self, run):
            ready.set()

    of = network()
    fit = threading.Thread(
        target=lambda: of.fit(*DATA, epochs=100_000, callbacks=[live, Begun()]), daemon=True
    )
    fit.start()
    try:
        assert ready.wait(60)
        client = Client(live.page)
        client.do("pause")
        first = client.wait("paused")
        assert client.wait("paused") == first
        client.do("epoch")
        client.until(lambda run: run["status"] == "paused" and run["trained"] > first["trained"])
        client.do("stop")
        fit.join(60)
        assert not fit.is_alive()
        assert client.wait("ended")["trained"] < 100_000
    finally:
        live.close()


def test_what_makes_no_sense_is_a_conflict():
    with served(epochs=100_000) as (_, client):
        for what in ("pause", "stop"):
            assert client.ask("POST", "/api/train", {"do": what})[0] == 409
        client.do("start")
        for path, given in (
            ("/api/train", {"do": "start"}),
            ("/api/train", {"do": "step"}),
            ("/api/settings", {"epochs": 1}),
            ("/api/learn", {"items": [{"ref": {"part": "train", "index": 0}, "label": 0}]}),
        ):
            status, found, _ = client.ask("POST", path, given)
            assert status == 409, path
            assert found["error"]["message"]
        client.do("stop")
        assert client.wait("ended")["trained"] < 100_000


def test_stopping_epochs_of_no_time_with_a_listener_holds_nothing_up():
    with served(epochs=10**6, batch_size=60) as (_, client), client.events() as events:
        next(events)
        for _ in range(5):
            client.do("start")
            client.until(lambda run: run["trained"] > 5)
            client.do("stop")
            client.do("reset")
        assert next(event for event in events if event["type"] == "state")


def test_reset_brings_the_first_weights_back_and_keeps_the_curve():
    of = network()
    first = of.flat.copy()
    with served(of, epochs=2, batch_size=8) as (page, client):
        client.do("start")
        client.wait("ended")
        trained = page.network.flat.copy()
        client.do("reset")
        assert np.array_equal(page.network.flat, first)
        state = client.get("/api/state")
        assert [run["current"] for run in state["runs"]] == [False, True]
        assert len(state["runs"][0]["rows"]) == 2
        assert state["runs"][0]["points"][-1][0] == 2.0
        assert state["run"]["trained"] == 0
        client.do("start")
        client.wait("ended")
        assert np.array_equal(page.network.flat, trained)


def test_a_run_that_diverges_says_so_and_can_be_reset():
    of = network("flatten, dense 16, dense 16, dense 3, softmax")
    first = of.flat.copy()
    with served(of, learning_rate=1e6, epochs=50) as (page, client):
        client.do("start")
        run = client.wait("failed")
        assert "not finite" in run["error"]
        state = client.get("/api/state")
        assert state["can"] == ["reset"]
        assert state["health"]["words"][0] == {
            "level": "error",
            "stage": None,
            "text": run["error"],
        }
        client.do("reset")
        assert client.get("/api/state")["run"]["error"] is None
        assert np.array_equal(page.network.flat, first)


FAILURES = {
    "divergence": (None, "not finite"),
    "memory": (MemoryError(), "out of memory"),
    "Ctrl-C": (KeyboardInterrupt(), "KeyboardInterrupt"),
}


def raising(monkeypatch, of, gate, error):
    """The engine waits until somebody wants to read; then it raises, or goes on and diverges."""
    kind = type(of.engine)
    train = kind.train

    def waits(engine, *arguments):
        end = monotonic() + PATIENCE
        while not gate().readers:
            assert monotonic() < end, "nobody reads"
            sleep(0.001)
        if error is not None:
            raise error
        return train(engine, *arguments)

    monkeypatch.setattr(kind, "train", waits)


@pytest.mark.parametrize("name", FAILURES)
def test_training_that_raises_while_somebody_reads_lets_both_go_on(name, monkeypatch):
    error, words = FAILURES[name]
    of = network("flatten, dense 16, dense 16, dense 3, softmax")
    with served(of, learning_rate=1e6, epochs=50) as (page, client):
        raising(monkeypatch, of, lambda: page._serving.session.gate, error)
        done = threading.Event()
        reader = threading.Thread(target=_read, args=(client, done))
        reader.start()
        client.do("start")
        assert words in client.wait("failed")["error"]
        client.do("reset")
        done.set()
        reader.join(60)
        assert not reader.is_alive()


@pytest.mark.parametrize("name", FAILURES)
def test_a_program_that_raises_while_somebody_reads_ends(name, monkeypatch):
    error, words = FAILURES[name]
    of = network("flatten, dense 16, dense 16, dense 3, softmax")
    live, done, readers, caught = convlet.Live(DATA, browser=False), threading.Event(), [], []
    raising(monkeypatch, of, lambda: live.session.gate, error)

    class Reads(convlet.Callback):
        def on_begin(self, run):
            readers.append(threading.Thread(target=_read, args=(Client(live.page), done)))
            readers[0].start()

    def fit():
        try:
            of.fit(*DATA, epochs=50, learning_rate=1e6, callbacks=[live, Reads()])
        except BaseException as raised:
            caught.append(raised)

    program = threading.Thread(target=fit, daemon=True)
    try:
        program.start()
        program.join(60)
        assert not program.is_alive()
        assert isinstance(caught[0], type(error) if error else convlet.DivergedError)
        run = Client(live.page).get("/api/state")["run"]
        if name == "Ctrl-C":
            assert (run["status"], run["error"]) == ("ended", None)
        else:
            assert run["status"] == "failed"
            assert words in run["error"]
    finally:
        done.set()
        readers[0].join(60)
        live.close()


@pytest.mark.parametrize("ends", ["the last epoch", "stopped inside an epoch"])
def test_what_other_callbacks_do_at_the_end_of_a_program_is_not_read_half(ends):
    """As `EarlyStopping`, which puts the best weights back."""
    free = []

    class Restores(convlet.Callback):
        def on_progress(self, run):
            run.stop = ends != "the last epoch"

        def on_end(self, run):
            free.append(not live.session.gate.working)

    live = convlet.Live(DATA, browser=False)
    try:
        network().fit(*DATA, JUDGES, epochs=1, batch_size=8, callbacks=[Restores(), live])
        assert free == [False]
        assert not live.session.gate.working
    finally:
        live.close()


@pytest.mark.parametrize("last", [True, False])
def test_the_best_weights_are_not_read_half_where_another_callback_raises(last):
    """After the last step of an epoch others read; then `EarlyStopping` writes."""
    free = []
    stopping = convlet.EarlyStopping(2)

    class Weights:
        def __init__(self, values):
            self.values = values

        def __array__(self, *how, **more):  # asked for where they are written
            free.append(not live.session.gate.working)
            return self.values

    class Raises(convlet.Callback):
        def on_epoch(self, run, row):
            stopping.weights = Weights(stopping.weights)
            raise OSError("the disk is full")

    live = convlet.Live(DATA, JUDGES, browser=False)
    others = [stopping, Raises()]
    told = [*others, live] if last else [live, *others]
    try:
        of = network()
        with pytest.raises(OSError, match="full"):
            of.fit(*DATA, JUDGES, epochs=2, batch_size=8, callbacks=told)
        assert free == [False]
        assert not live.session.gate.working
        assert np.array_equal(of.flat, stopping.weights.values)
        assert Client(live.page).get("/api/state")["run"]["status"] == "failed"
    finally:
        live.close()


def test_events_tell_progress_epochs_and_evaluations_of_a_whole_run():
    data = [np.concatenate([part] * 100) for part in DATA]  # epochs that take a moment
    with served(network(), data, epochs=3, batch_size=4) as (page, client):
        with client.events() as events:
            state = next(events)
            assert (state["type"], state["run"]["status"]) == ("state", "idle")
            client.do("start")
            found = []
            for event in events:
                found.append(event)
                if says_ended(event):
                    break
        kinds = {event["type"] for event in found}
        assert kinds >= {"status", "progress", "epoch", "evaluation", "health"}
        told = [event for event in found if event["type"] == "epoch"]
        rows = {row.epoch: row.validation_loss for row in page.history}
        assert all(rows[one["epoch"]] == one["validation_loss"] for one in told)
        state = client.get("/api/state")
        assert [row["epoch"] for row in state["runs"][0]["rows"]] == [1, 2, 3]
        expected = np.zeros((3, 3), int)
        np.add.at(expected, (JUDGES[1], page.network.predict(JUDGES[0])), 1)
        assert state["evaluation"]["confusion"] == expected.tolist()
        x = [point[0] for point in state["runs"][0]["points"]]
        assert x == sorted(x)
        assert x[-1] == 3.0


def test_new_settings_are_a_new_network_and_the_same_as_one_made_by_hand():
    with served(epochs=1) as (page, client):
        status, found, _ = client.ask("POST", "/api/settings", {"layers": "dense 3, softmax"})
        assert status == 422
        assert found["problems"][0]["field"] == "layers"
        layers = "flatten, dense 3, softmax"
        given = {"layers": layers, "optimizer": "adamw", "epochs": 2, "seed": 9}
        state = client.post("/api/settings", **given)
        assert state["settings"] | given == state["settings"]
        assert state["settings"]["weight_decay"] == 0.01
        assert state["settings"]["learning_rate"] == 0.001  # the usual one of another optimiser
        client.do("start")
        client.wait("ended")
        alone = convlet.Network(layers, SHAPE, 9)
        alone.fit(*DATA, optimizer="adamw", epochs=2, seed=9)
        assert np.array_equal(page.network.flat, alone.flat)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"layers": "conv 8"}, "layers"),
        ({"layers": "flatten, dense 4, softmax"}, "layers"),
        ({"layers": 3}, "layers"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": None}, "epochs"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"batch_size": True}, "batch_size"),
        ({"optimizer": "newton"}, "optimizer"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum"),
        ({"schedule": "now and then"}, "schedule"),
        ({"augmentation": "shift x"}, "augmentation"),
        ({"augmentation": "shift 900"}, "augmentation"),
        ({"recipe": "cake"}, "recipe"),
        ({"seed": 2**64}, "seed"),
        ({"seed": 2**53}, "seed"),
        ({"shards": 1000}, "shards"),
        ({"__class__": 1}, "__class__"),
    ],
)
def test_a_wrong_field_is_named_and_changes_nothing(given, field):
    with served() as (page, client):
        before = page.network
        found = client.post("/api/check", **given)
        assert [problem["field"] for problem in found["problems"]] == [field]
        assert found["settings"] is None
        assert client.ask("POST", "/api/settings", given)[0] == 422
        assert page.network is before


WHOLE = "expected a whole number from"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"layers": None}, "layers is empty, expected a text"),
        ({"layers": ""}, "layers is empty, expected a text"),
        ({"layers": 3}, "layers is 3, expected a text"),
        ({"layers": "nan"}, "layers[0] is 'nan', expected one of: conv"),
        ({"optimizer": "inf"}, "optimizer is 'inf', expected one of: sgd"),
        ({"batch_size": ""}, f"batch_size is empty, {WHOLE} 1"),
        ({"epochs": None}, f"epochs is empty, {WHOLE} 1"),
        ({"seed": None}, f"seed is empty, {WHOLE} 0"),
        ({"batch_size": "1e400"}, f"batch_size is not a finite number, {WHOLE} 1"),
        ({"batch_size": float("inf")}, f"batch_size is not a finite number, {WHOLE} 1"),
        ({"shards": "1e400"}, f"shards is not a finite number, {WHOLE} 1"),
        ({"learning_rate": "-1e400"}, "learning_rate is not a finite number, expected a number"),
        ({"momentum": "1e400"}, "momentum is not a finite number"),
        ({"label_smoothing": float("nan")}, "label_smoothing is not a finite number"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast', expected a number"),
        ({"seed": "9007199254740993"}, "seed is 9007199254740993, expected at most"),
        ({"batch_size": "99999999999999999999"}, "batch_size is 99999999999999999999, expected"),
        ({"epochs": 10**400}, "epochs is 1000"),
    ],
)
def test_what_stands_in_a_field_is_said_as_a_person_sees_it(given, said):
    plan = Plan(parse_layers(LAYERS), Settings(), None)
    found = proposed(given, plan, network(), None)
    ((_, message),) = found.problems
    assert said in message
    assert found.stages == () or "layers" not in given, "the stages of other layers"


def test_patience_without_images_that_judge_is_named():
    with served(network(), DATA, None) as (_, client):
        (problem,) = client.post("/api/check", patience=3)["problems"]
        assert (problem["field"], "no images judge" in problem["message"]) == ("patience", True)


def test_an_empty_field_is_off_and_a_recipe_fills_what_is_not_given():
    with served(clip_norm=2.0, augmentation="flip", learning_rate=0.3) as (_, client):
        found = client.post("/api/check", clip_norm=None, augmentation="", learning_rate=None)
        settings = found["settings"]
        assert (settings["clip_norm"], settings["augmentation"]) == (None, "none")
        assert settings["learning_rate"] == 0.1
        found = client.post("/api/check")["settings"]
        assert (found["clip_norm"], found["augmentation"]) == (2.0, "flip")
        settings = client.post("/api/check", recipe="default", layers=LAYERS)["settings"]
        assert (settings["optimizer"], settings["schedule"]) == ("adam", "one-cycle")
        assert settings["learning_rate"] == convlet.recipes.recipe("default").learning_rate


# settings that are there, each other than the usual one, and a recipe that they differ from
OTHERS = {
    "layers": LAYERS,
    "learning_rate": 0.03,
    "batch_size": 16,
    "epochs": 7,
    "seed": 11,
    "augmentation": "shift 1",
    "schedule": "one-cycle",
    "label_smoothing": 0.1,
    "clip_norm": 2.0,
    "shards": 2,
    "patience": 3,
}
OPTIMISERS = {
    "sgd": SGD(weight_decay=0.001),
    "momentum": SGD(0.7, weight_decay=0.001),
    "nesterov": SGD(0.7, nesterov=True),
    "adam": Adam(beta1=0.8),
    "adamw": AdamW(weight_decay=0.2),
}


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("recipe", ["default", None])
def test_settings_that_come_back_in_whole_or_in_part_are_the_same(name, recipe):
    settings = {key: value for key, value in OTHERS.items() if key != "layers"}
    now = Settings(optimizer=OPTIMISERS[name], **settings)
    plan = Plan(parse_layers(LAYERS), now, recipe)
    net = network()
    whole = plan.as_json()
    assert {one: whole[one] for one in OTHERS} == OTHERS
    assert proposed(whole, plan, net, None).plan == plan
    for left_out in whole:
        if left_out != "recipe":
            part = {key: value for key, value in whole.items() if key != left_out}
            assert proposed(part, plan, net, None).plan == plan, left_out
    changed = proposed({"recipe": recipe, "epochs": 9}, plan, net, None).plan
    assert changed == Plan(plan.layers, now.but(epochs=9), recipe)


def test_another_recipe_brings_its_own_values_and_an_empty_rate_is_that_of_the_recipe():
    now = Settings(optimizer="adam", learning_rate=0.5, patience=3)
    plan = Plan(parse_layers(LAYERS), now, "default")
    found = proposed({"recipe": "plain", "layers": LAYERS}, plan, network(), None).plan
    assert found.settings == convlet.recipes.recipe("plain").settings_but()
    found = proposed({"recipe": "default", "learning_rate": None}, plan, network(), None).plan
    assert found.settings.learning_rate == convlet.recipes.recipe("default").learning_rate
    assert found.settings.patience == 3


def test_many_epochs_are_told_thinned_and_kept_whole_for_the_history():
    record = Record(1, "run 1", {})
    rows = [convlet.Row(n, 1.0, None, None, 0.1) for n in range(1, 10 * MOST_ROWS + 8)]
    record.rows += rows
    told = record.as_json(True)["rows"]
    assert MOST_ROWS / 2 <= len(told) <= MOST_ROWS
    assert [row["epoch"] for row in told[-200:]] == [row.epoch for row in rows[-200:]]
    assert record.rows == rows
    record.close()
    assert [row.epoch for row in record.rows] == [row["epoch"] for row in told]


def test_a_pause_and_single_steps_are_no_part_of_the_rate(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(telling, "perf_counter", lambda: clock[0])
    of = network()
    run = Run(of, Settings(batch_size=10), 1000, 0, ())
    ignore = lambda run: None  # noqa: E731
    teller = telling.Teller(Hub(), Record(1, "run 1", {}), ignore, ignore)
    teller.on_begin(run)
    for step in range(1, 21):  # one by one, with a pause after each
        clock[0] += 0.1
        run.step = step
        teller.on_progress(run)
        clock[0] += 100.0
        teller.resumed()
    for step in range(21, 31):
        clock[0] += 0.1
        run.step = step
        teller.on_progress(run)
    assert teller.progress["images_per_second"] == pytest.approx(100)


def test_who_has_the_turn_writes_though_readers_wait():
    """As EarlyStopping does at the end of a run, while a page asks."""
    turns, read, wrote = gate.Gate(lambda waits: None), threading.Event(), threading.Event()

    def reader():
        with turns.reading():
            read.set()

    def writer():
        turns.hold()
        asks.start()
        while not turns.readers:
            sleep(0.001)
        with turns.writing():
            assert not read.is_set()
            wrote.set()
        turns.finish(None, (), None)
        assert not read.is_set()
        turns.open()

    asks = threading.Thread(target=reader, daemon=True)
    threading.Thread(target=writer, daemon=True).start()
    assert wrote.wait(PATIENCE)
    assert read.wait(PATIENCE)


def test_the_state_is_told_while_a_command_takes_its_time():
    with served() as (page, client), page._serving.session.commands:
        assert client.get("/api/state")["run"]["status"] == "idle"


def test_a_long_step_keeps_no_page_waiting_and_a_second_command_is_told(monkeypatch):
    """All that answer wait for the step, and one for the end of training; pages are told still."""
    monkeypatch.setattr(trainer, "PATIENCE", 0.05)
    of, begun, done = network(), threading.Event(), threading.Event()
    kind = type(of.engine)
    train = kind.train

    def long(*arguments):
        begun.set()
        assert done.wait(PATIENCE)
        return train(*arguments)

    with served(of, epochs=10**6) as (_, client):
        monkeypatch.setattr(kind, "train", long)
        client.do("start")
        assert begun.wait(PATIENCE)
        first = {"ref": {"part": "train", "index": 0}}
        found, stopped = [], Queue()

        def look():
            found.append(client.ask("POST", "/api/forward", first)[0])

        def stop():
            stopped.put(client.ask("POST", "/api/train", {"do": "stop"}))

        waiting = [threading.Thread(target=one) for one in (stop, stop, look, look)]
        for one in waiting:
            one.start()
        try:
            answer = stopped.get(timeout=PATIENCE)  # whichever came second
            assert answer[0] == 409
            assert "long step" in answer[1]["error"]["message"]
            more = [threading.Thread(target=look) for _ in range(4)]
            waiting += more
            for one in more:
                one.start()
            sleep(0.1)  # until no thread is left that answers
            for _ in range(5):
                assert client.get("/api/state")["run"]["status"] == "running"
            assert client.get("/api/images?part=train")["images"]
            assert client.ask("POST", "/api/train", {"do": "pause"})[0] == 409
            with client.events() as events:
                assert next(events)["type"] == "state"
            assert found == []
            assert stopped.empty()
        finally:
            done.set()
            for one in waiting:
                one.join(PATIENCE)
        assert found == [200] * 6
        assert stopped.get_nowait()[0] == 200
        assert client.wait("ended")


# ------------------------------------------------------------------- images that somebody labelled


@pytest.mark.parametrize("count", [1, 32, 64])
def test_images_are_learned_beside_as_many_of_training(count, monkeypatch):
    of, calls = network(), []
    kind = type(of.engine)
    train = kind.train

    def seen(engine, flat, slots, samples, *more):
        calls.append(samples)
        return train(engine, flat, slots, samples, *more)

    with served(of) as (_, client):
        monkeypatch.setattr(kind, "train", seen)
        items = [{"ref": {"part": "train", "index": n}} for n in range(count)]
        found = client.post("/api/learn", items=items, steps=7)
    assert len(found["costs"]) == 7
    assert {len(samples) for samples in calls} == {count + 64}
    assert calls[0].weight[:count].sum() == pytest.approx(0.5)
    assert calls[0].weight[count:].sum() == pytest.approx(0.5)


def test_steps_on_labelled_images_do_not_depend_on_the_calls_that_they_are_cut_into():
    samples = Samples(FLOATS[0][:20], FLOATS[1][:20].astype(np.int32))
    flats = []
    for seconds in (0.0, 1e9):
        of = network(DROPPING)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(learning, "SECONDS_PER_CALL", seconds)
            gate = Gate(lambda waits: None)
            costs = list(learning.learned(of, samples, 40, gate, None, lambda: True))
        assert len(costs) == 40
        flats.append(of.flat)
        calls = gate.version
        assert calls == 40 if seconds == 0.0 else calls < 10
    assert np.array_equal(*flats)


def test_learning_can_be_ended_and_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr(learning, "SECONDS_PER_CALL", 0.0)
    with served() as (_, client):
        found = []
        given = {"items": [{"ref": {"part": "train", "index": 0}}], "steps": 1000}
        monkeypatch.setattr(learning, "perf_counter", slow_clock(client))
        learns = threading.Thread(target=lambda: found.append(client.post("/api/learn", **given)))
        learns.start()
        learns.join(60)
        assert not learns.is_alive()
        assert 0 < len(found[0]["costs"]) < 1000
        assert client.get("/api/state")["can"] == ["start", "step", "epoch", "reset"]


def slow_clock(client):
    """In the place of the clock of `learning`: at its third step others ask, and one has enough."""
    count = itertools.count()

    def clock():
        if next(count) == 4:
            assert client.get("/api/state")["can"] == ["stop"]
            client.post("/api/forward", ref={"part": "train", "index": 0})
            assert client.ask("POST", "/api/train", {"do": "reset"})[0] == 409
            assert client.ask("POST", "/api/settings", {"epochs": 1})[0] == 409
            client.do("stop")
        return 0.0

    return clock


def test_options_of_one_training_are_those_of_train(images, capsys):
    assert main(["live", str(images), "--epochs", "0", "--no-browser"]) == 2
    assert "--epochs is 0" in capsys.readouterr().err
