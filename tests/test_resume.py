"""A resumed run ends bit for bit as the uninterrupted one, wherever it was cut."""

import os
import shutil
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from convlet import Callback, EarlyStopping, InputError, Network, training
from convlet.inference import Evaluation
from convlet.randomness import Purpose, permutation
from convlet.reference import ReferenceEngine
from convlet.watch import CSV, JSONLines, read_history
from small_runs import RUNS, SHAPE, SMALL, Cut, CutAfter, images, measured, name, names, train

STEPS = 5  # an epoch
ENGINES = ("native", "reference")


@pytest.fixture(scope="module")
def whole():
    """Each uninterrupted run, trained once: weights, rows."""
    done = {}

    def get(run, engine):
        if (run, engine) not in done:
            network, history = train(run, engine)
            done[run, engine] = network.flat.tobytes(), measured(history)
        return done[run, engine]

    return get


def assert_resumed(expected, network, history):
    weights, rows = expected
    assert network.flat.tobytes() == weights
    assert measured(history) == rows
    assert network.epochs == len(rows)


@pytest.mark.parametrize("every", [None, 1, 2])
@pytest.mark.parametrize("cut", [1, 4, 5, 8, 14])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("run", RUNS)
def test_a_run_that_an_exception_ended(tmp_path, whole, run, engine, cut, every):
    options = {"checkpoint": tmp_path / "run", "every": every}
    with pytest.raises(Cut):
        train(run, engine, callbacks=[CutAfter(cut)], **options)
    # the weights are those of the file, not those of the seed
    assert_resumed(whole(run, engine), *train(run, engine, start=5, resume=True, **options))


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("run", RUNS)
def test_another_number_of_threads_afterwards(tmp_path, whole, run, before):
    options = {"checkpoint": tmp_path, "every": 2}
    for n, threads in enumerate((before, 3 - before % 3, 1)):
        cut = [CutAfter(4 * n + 3)]
        with pytest.raises(Cut):
            train(run, "native", callbacks=cut, threads=threads, resume=n > 0, **options)
    network, history = train(run, "native", threads=2, resume=True, **options)
    assert_resumed(whole(run, "native"), network, history)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_cut_while_an_epoch_is_closed(tmp_path, whole, engine, cut):
    """Its row is there, but the checkpoint stands before it, and the epoch is closed again."""
    options = {"checkpoint": tmp_path / "run"}
    run = "adam, one-cycle, smoothing"
    file = CSV(tmp_path / "rows.csv")
    closing = CutAfter(cut * STEPS, closing=True)
    with pytest.raises(Cut):
        train(run, engine, callbacks=[file, closing], **options)
    assert names(tmp_path / "run")[-1] == name(cut - 1, STEPS)
    network, history = train(run, engine, callbacks=[file], resume=True, **options)
    assert_resumed(whole(run, engine), network, history)
    assert measured(read_history(tmp_path / "rows.csv")) == measured(history)


@pytest.mark.parametrize("where", ["_train", "engine"])
@pytest.mark.parametrize("cut", range(2, 8))
def test_a_signal_inside_a_step(tmp_path, whole, monkeypatch, cut, where):
    """The steps of that call are done, or half done, when it strikes: they do not count."""
    run, calls = "adam, one-cycle, smoothing", []
    owner, method = (training, "_train") if where == "_train" else (ReferenceEngine, "train")
    real = getattr(owner, method)

    def struck(*args, **options):
        result = real(*args, **options)
        calls.append(args)
        if len(calls) == cut:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, struck)
        with pytest.raises(KeyboardInterrupt):
            train(run, checkpoint=tmp_path, every=2)
    assert_resumed(whole(run, "reference"), *train(run, checkpoint=tmp_path, resume=True))


class Snapshots(Callback):
    """Copies the folder after every step, as a kill at that moment would leave it."""

    def __init__(self, folder, copies):
        self.folder, self.copies = folder, copies

    def on_progress(self, run):
        shutil.copytree(self.folder, self.copies / f"step {run.updates}")


@pytest.mark.parametrize("run", ["momentum, floats, weights", "adamw, dropout, augmentation"])
def test_from_every_state_of_the_folder(tmp_path, whole, run):
    engine = "native"
    options = {"checkpoint": tmp_path / "run", "every": 1}
    train(run, engine, callbacks=[Snapshots(tmp_path / "run", tmp_path / "copies")], **options)
    copies = sorted((tmp_path / "copies").iterdir())
    assert len(copies) == 3 * STEPS
    for copy in copies:
        network, history = train(run, engine, checkpoint=copy, resume=True)
        assert_resumed(whole(run, engine), network, history)


class Dead(BaseException):
    """The process does nothing any more."""


class Killed:
    """os as it is for a process that is killed at its n-th call of these, from 1.

    Half of the bytes of a write may be there, and of the other calls all or nothing.
    """

    CALLS = ("open", "write", "fsync", "replace", "unlink")

    def __init__(self, monkeypatch, n, after):
        self.left, self.after = n, after
        for call in self.CALLS:
            monkeypatch.setattr(os, call, self.make(call, getattr(os, call)))

    def make(self, call, real):
        def calling(*args, **options):
            self.left -= 1
            if self.left > 0:
                return real(*args, **options)
            if self.left == 0 and call == "write":
                real(args[0], args[1][: len(args[1]) // 2])
            elif self.left == 0 and self.after:
                real(*args, **options)
            raise Dead

        return calling


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_call_of_the_system(tmp_path, whole, monkeypatch, after):
    run, engine = "adam, one-cycle, smoothing", "reference"
    n = 0
    while True:
        n += 1
        options = {"checkpoint": tmp_path / str(n), "every": 3}
        try:
            with monkeypatch.context() as patch:
                Killed(patch, n, after)
                train(run, engine, **options)
            break
        except Dead:
            network, history = train(run, engine, resume=True, **options)
        assert_resumed(whole(run, engine), network, history)
        left = [path.name for path in (tmp_path / str(n)).iterdir() if path.suffix == ".tmp"]
        assert left == []
    assert n > 40  # calls in eight saves


def test_a_finished_run_is_given_again(tmp_path, whole):
    train("plain", checkpoint=tmp_path)
    steps = CutAfter(0)  # raises at any step
    network, history = train("plain", start=3, checkpoint=tmp_path, resume=True, callbacks=[steps])
    assert_resumed(whole("plain", "reference"), network, history)


def test_an_empty_folder_is_where_a_run_begins(tmp_path, whole):
    folder = tmp_path / "not" / "yet"
    assert_resumed(whole("plain", "reference"), *train(checkpoint=folder, resume=True))
    assert names(folder)[-1] == name(3)


@pytest.mark.parametrize("cut", [3, 10])
def test_more_epochs_than_were_asked_for_at_first(tmp_path, cut):
    with pytest.raises(Cut):
        train(checkpoint=tmp_path, callbacks=[CutAfter(cut)])
    network, history = train(epochs=5, checkpoint=tmp_path, resume=True)
    expected, rows = train(epochs=5)
    assert_resumed((expected.flat.tobytes(), measured(rows)), network, history)


def test_epochs_before_the_run_count(tmp_path):
    """The run begins in the third epoch of the network's life; its file is to continue, too."""
    path = tmp_path / "rows.jsonl"

    def fit(network, **options):
        return network.fit(*images(), epochs=3, batch_size=8, optimizer="momentum", **options)

    straight, other = (Network(SMALL, SHAPE, engine="reference") for _ in range(2))
    for network in (straight, other):
        network.fit(*images(), epochs=2, callbacks=[JSONLines(path)])
    rows = fit(straight)
    with pytest.raises(Cut):
        fit(other, checkpoint=tmp_path / "run", callbacks=[JSONLines(path), CutAfter(8)])
    fresh = Network(SMALL, SHAPE, engine="reference")
    resumed = fit(fresh, checkpoint=tmp_path / "run", callbacks=[JSONLines(path)], resume=True)
    assert fresh.flat.tobytes() == straight.flat.tobytes()
    assert measured(resumed) == measured(rows)
    assert [row.epoch for row in read_history(path)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("kind", [CSV, JSONLines])
def test_a_history_file_gets_the_rows_of_the_checkpoint(tmp_path, kind, there):
    path = tmp_path / f"rows.{'csv' if kind is CSV else 'jsonl'}"
    callbacks = [kind(path)] if there else []
    with pytest.raises(Cut):
        train(checkpoint=tmp_path / "run", callbacks=[*callbacks, CutAfter(12)])
    _, history = train(checkpoint=tmp_path / "run", callbacks=[kind(path)], resume=True)
    assert list(read_history(path)) == list(history)


# -------------------------------------------------------------------------------- early stopping


def noise(count, seed):
    """What is learned of it soon makes the test loss rise."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, *SHAPE)).astype(np.float32), rng.integers(0, 3, count)


def stopped(restore_best, cut=None, **options):
    """A run that ends early -> network, rows, its callback."""
    stopping = EarlyStopping(2, restore_best=restore_best)
    network = Network(SMALL, SHAPE, engine="reference")
    options |= {"validation": noise(30, 1), "epochs": 40, "batch_size": 8, "learning_rate": 0.01}
    callbacks = [stopping] if cut is None else [stopping, cut]
    history = network.fit(*noise(60, 0), callbacks=callbacks, optimizer="momentum", **options)
    return network, history, stopping


@pytest.mark.parametrize("restore_best", [True, False])
def test_early_stopping_remembers_how_long_it_waited(tmp_path, restore_best):
    expected, rows, stopping = stopped(restore_best)
    assert 3 < len(rows) < 40
    steps = 8 * len(rows)  # eight minibatches an epoch
    cuts = [CutAfter(n) for n in (3, steps - 20, steps - 9, steps - 1)]
    cuts += [CutAfter(n, closing=True) for n in (steps - 16, steps)]
    for n, cut in enumerate(cuts):
        options = {"checkpoint": tmp_path / str(n)}
        with pytest.raises(Cut):
            stopped(restore_best, cut, **options)
        for _ in range(2):  # the second time it is finished
            network, again, other = stopped(restore_best, resume=True, **options)
            assert network.flat.tobytes() == expected.flat.tobytes()
            assert measured(again) == measured(rows)
            assert (other.best_epoch, other.best_loss) == (
                stopping.best_epoch,
                stopping.best_loss,
            )


LOSSES = [5, 4, 6, 3, 7, 8, 2, 9, 9, 9, 9, 9]  # of the tests; waits: 0 0 1 0 1 2 0 1 2 3 4 5
PLACES = [None, (1, 0), (3, 0), (6, 0), (8, 0), (2, 1), (5, 5), (8, 3)]


def patient(patience, restore_best, epochs=12, cut=(), **options):
    """A run whose tests give LOSSES -> its weights, its number of epochs, its callback."""
    stopping = EarlyStopping(patience, restore_best=restore_best)
    network, history = train(epochs=epochs, callbacks=[stopping, *cut], **options)
    return network.flat.tobytes(), len(history), stopping.best_epoch


@pytest.fixture
def given_losses(monkeypatch):
    def seen(network, *rest):
        return SimpleNamespace(judged=lambda weight: Evaluation(LOSSES[network.epochs], 0.5))

    monkeypatch.setattr(Network, "seen", seen)


@pytest.mark.usefixtures("given_losses")
@pytest.mark.filterwarnings("ignore:.*more epochs do nothing")
@pytest.mark.parametrize("restore_best", [True, False])
@pytest.mark.parametrize("patience", [1, 3])
def test_another_patience_is_that_of_the_whole_run_or_refused(tmp_path, patience, restore_best):
    """From every place of a run with `patience`, among them its end; refused only where a run with
    the other patience never came to that place."""
    whole = {other: patient(other, restore_best) for other in range(1, 6)}
    assert [epochs for _, epochs, _ in whole.values()] == [3, 6, 10, 11, 12]
    refused = taken = 0
    for n, place in enumerate(PLACES):
        epochs, step = place or (whole[patience][1], 0)
        if epochs > whole[patience][1] or (step and epochs == whole[patience][1]):
            continue
        folder, options = tmp_path / str(n), {"every": 1}
        if place is None or not step:
            patient(patience, restore_best, epochs, checkpoint=folder, **options)
        else:
            cut = [CutAfter(epochs * STEPS + step)]
            with pytest.raises(Cut):
                patient(patience, restore_best, cut=cut, checkpoint=folder, **options)
        assert names(folder)[-1] == name(epochs, step)
        for other, expected in whole.items():
            copy = tmp_path / f"{n} {other}"
            shutil.copytree(folder, copy)
            if epochs < expected[1] or (epochs == expected[1] and not step):
                taken += 1
                assert patient(other, restore_best, checkpoint=copy, resume=True) == expected
                assert patient(other, restore_best, checkpoint=copy, resume=True) == expected
                continue
            refused += 1
            least = next(q for q in whole if epochs < whole[q][1] + (not step))
            match = (
                f"patience is {other}, but with that the run would have ended before the place"
                f" where its checkpoint stands: ask for {least} or more"
            )
            with pytest.raises(InputError, match=match):
                patient(other, restore_best, checkpoint=copy, resume=True)
    assert taken > 10
    assert refused or patience == 1


@pytest.mark.usefixtures("given_losses")
def test_what_another_callback_ended_stays_ended(tmp_path):
    class Stop(Callback):
        def on_epoch(self, run, row):
            run.stop = run.stop or row.epoch == 3

    for n, order in enumerate([(0, 1, 2), (1, 0, 2), (1, 2, 0)]):
        folder = tmp_path / str(n)

        def callbacks(patience, order=order):
            all_three = Stop(), EarlyStopping(1), EarlyStopping(patience, min_delta=0.1)
            return [all_three[i] for i in order]

        _, history = train(epochs=12, checkpoint=folder, callbacks=callbacks(1))
        assert len(history) == 3
        _, history = train(epochs=12, checkpoint=folder, callbacks=callbacks(9), resume=True)
        assert len(history) == 3  # by the one that was not given more


@pytest.mark.usefixtures("given_losses")
def test_more_epochs_of_a_run_that_was_stopped_are_told_to_do_nothing(tmp_path):
    expected = patient(1, True, epochs=5, checkpoint=tmp_path)
    assert patient(1, True, epochs=5, checkpoint=tmp_path, resume=True) == expected
    assert patient(1, True, epochs=4, checkpoint=tmp_path, resume=True) == expected
    match = r"checkpoint-00003-000000.safetensors is where the run ends early, after epoch 3: more"
    with pytest.warns(RuntimeWarning, match=match) as caught:
        assert patient(1, True, epochs=6, checkpoint=tmp_path, resume=True) == expected
    assert caught[0].filename.endswith("small_runs.py")  # where fit is called
    assert patient(2, True, epochs=6, checkpoint=tmp_path, resume=True)[1] == 6


def test_a_stop_inside_an_epoch_is_an_interruption(tmp_path, whole):
    class Stop(Callback):
        def on_progress(self, run):
            run.stop = run.updates >= 7

    _, history = train(checkpoint=tmp_path, every=1, callbacks=[Stop()])
    assert len(history) == 1
    network, history = train(checkpoint=tmp_path, resume=True)
    assert_resumed(whole("plain", "reference"), network, history)


def test_runs_of_these_tests_can_tell_a_difference(whole):
    """Every element of a run's state matters to its result: a test of the tests."""
    results = [whole(run, engine)[0] for run, engine in product(RUNS, ENGINES)]
    assert len(set(results)) == len(results)
    assert permutation(7, Purpose.SHUFFLE, 0, 37).tolist() != list(range(37))
    for run in ("momentum, floats, weights", "adam, one-cycle, smoothing"):
        network, _ = train(run, epochs=1)
        _, data, options = RUNS[run]
        network.fit(
            *data(), epochs=2, batch_size=8, learning_rate=0.05, seed=7,
            **{k: v for k, v in options.items() if k != "schedule"},
        )  # fmt: skip
        assert network.flat.tobytes() != whole(run, "reference")[0]  # the slots began at 0 again
