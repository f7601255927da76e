"""The bar: its rate, what it shows in how many columns, where it is drawn, how it goes."""

import io
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

import convlet
from convlet import progress
from convlet.progress import Bar, Lines, Part, fitting, progress_callback
from convlet.run import Row

RATE = 10_000  # images a second
STEP = 50  # images
WARM_UP = 0.03  # seconds that the very first step takes longer


class Clock:
    """A `perf_counter` that only the test moves."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(progress, "perf_counter", lambda: self.now)


def make_bar(width=100):
    """A bar on a terminal that nobody sees."""
    screen = Console(file=io.StringIO(), width=width, force_terminal=True, highlight=False)
    return Bar(screen)


def make_run(**values):
    usual = {"epochs": 1, "epoch": 1, "seen": 0, "step": 0, "steps": 9, "train_loss": 0.5}
    return SimpleNamespace(**{**usual, "validated": True, **values})


def state(bar):
    return bar.progress.tasks[0].fields["state"]


def rates_of(monkeypatch, epoch_seconds, epochs=4, validation_seconds=0.5, first=1):
    """The rates that a bar shows while images come at RATE, without those not known yet."""
    clock, shown = Clock(monkeypatch), []
    samples = round(epoch_seconds * RATE)
    run = make_run(epochs=epochs, samples=samples, epoch=first, steps=samples // STEP)
    bar = make_bar()
    bar.on_begin(run)
    clock.now += WARM_UP
    for run.epoch in range(first, epochs + 1):
        for step in range(1, samples // STEP + 1):
            run.step = step
            run.seen = step * STEP
            clock.now += STEP / RATE
            bar.on_progress(run)
            shown.append(state(bar).split(" images/s")[0].split()[-1])
        clock.now += validation_seconds
        bar.on_epoch(run, Row(run.epoch, 0.5, 0.4, 0.9, epoch_seconds))
        run.seen = 0
    return [float(text.replace(",", "")) for text in shown if text != "-"]


@pytest.mark.parametrize("epoch_seconds", [0.02, 0.1, 0.8, 1.5])
@pytest.mark.parametrize("first", [1, 3])
def test_rate_is_that_of_training_however_long_an_epoch_is(monkeypatch, epoch_seconds, first):
    rates = rates_of(monkeypatch, epoch_seconds, epochs=80 if epoch_seconds < 0.5 else 4)
    window = progress.WINDOW
    assert rates[0] == pytest.approx(RATE * (1 - WARM_UP / window), rel=0.05)
    assert rates[-1] == pytest.approx(RATE, rel=0.01)
    settled = [rate for rate in rates if rate != rates[0]]
    assert settled == pytest.approx([RATE] * len(settled), rel=0.03)


def test_rate_follows_a_change_within_half_a_second(monkeypatch):
    clock = Clock(monkeypatch)
    run = make_run(samples=10**6)
    bar = make_bar()
    bar.on_begin(run)
    for pace in (1000, 4000):
        for _ in range(50):
            clock.now += 0.01
            run.seen += pace // 100
            bar.on_progress(run)
        assert f" {pace:,} images/s  loss 0.5000  " in state(bar)


def test_a_run_that_is_resumed_at_the_end_of_an_epoch_begins_with_its_validation(monkeypatch):
    """A run that was interrupted there has no step left in that epoch."""
    Clock(monkeypatch)
    run = make_run(epochs=3, samples=100, epoch=2, seen=100, step=9)
    bar = make_bar()
    bar.on_begin(run)
    assert bar.progress.tasks[0].description == "epoch 2/3"
    bar.on_epoch(run, Row(2, 0.5, 0.4, 0.9, 1.0))
    run.epoch, run.step, run.seen = 3, 1, 11
    bar.on_progress(run)
    assert "accuracy 90.00 %" in state(bar)
    assert bar.progress.tasks[0].completed == 211


@pytest.mark.parametrize(("validated", "name"), [(True, "validating"), (False, "epoch 1/10")])
def test_the_end_of_an_epoch_is_validation_where_there_is_any(monkeypatch, validated, name):
    clock = Clock(monkeypatch)
    run = make_run(epochs=10, samples=90, seen=90, step=9, validated=validated)
    bar = make_bar()
    bar.on_begin(make_run(epochs=10, samples=90))
    clock.now += 1
    bar.on_progress(run)
    assert bar.progress.tasks[0].description == name
    assert "\x1b[2K" + name in bar.console.file.getvalue()  # drawn before it begins
    bar.on_epoch(run, Row(1, 0.5, 0.4, 0.9, 1.0))
    assert bar.progress.tasks[0].description == "epoch 2/10"


@pytest.mark.parametrize("validated", [True, False])
def test_short_epochs_are_drawn_but_not_thousands_of_times(monkeypatch, validated):
    clock = Clock(monkeypatch)
    bar = make_bar()
    bar.on_begin(make_run(epochs=2000, samples=90))
    run = make_run(epochs=2000, samples=90, seen=90, step=9, validated=validated)
    monkeypatch.setattr(bar, "say_epoch", lambda line: None)  # which draws the bar again
    before = bar.console.file.getvalue().count("\x1b[2K")
    for run.epoch in range(1, 2000):
        clock.now += 0.001
        bar.on_progress(run)
        bar.on_epoch(run, Row(run.epoch, 0.5, 0.4, 0.9, 0.001))
    drawn = bar.console.file.getvalue().count("\x1b[2K") - before
    often = 2000 * 0.001 / progress.REDRAW
    assert 0.9 * often - 1 <= drawn <= often
    last = bar.console.file.getvalue().rsplit("\x1b[2K", 1)[1]
    assert int(re.search(r"epoch (\d+)/2000", last)[1]) > 2000 - 100


@pytest.mark.parametrize(
    ("room", "text"),
    [
        (41, "12 %  9,999 images/s  loss 0.1  0:01 left"),
        (40, "12 %  loss 0.1  0:01 left"),
        (25, "12 %  loss 0.1  0:01 left"),
        (24, "12 %  0:01 left"),
        (14, "0:01 left"),
        (3, "0:01 left"),
    ],
)
def test_where_there_is_no_room_the_least_goes_first_and_the_time_left_stays(room, text):
    texts = ("12 %", "9,999 images/s", "loss 0.1", "", "0:01 left")
    parts = [Part(weight, part) for weight, part in zip((3, 1, 2, 0, 4), texts, strict=True)]
    assert fitting(parts, room) == text


@pytest.mark.parametrize("width", [30, 40, 60, 79, 80, 200])
def test_the_time_left_is_seen_whole_on_any_terminal(monkeypatch, width):
    clock = Clock(monkeypatch)
    run = make_run(epochs=40, samples=60_000, epoch=12)
    bar = make_bar(width)
    bar.on_begin(run)
    clock.now += 1
    run.seen, run.step = 9_000, 1
    bar.on_epoch(run, Row(11, 0.5, 0.4, 0.9, 1.0))
    clock.now += 1
    bar.on_progress(run)
    drawn = bar.console.file.getvalue().rsplit("epoch 12/40", 1)[1]
    assert " left" in drawn
    assert "…" not in drawn
    assert ("images/s" in drawn) == (width >= 79)
    assert ("accuracy" in drawn) == (width >= 90)
    bar.on_end(run)


def test_the_bar_goes_when_training_ends_in_whatever_way():
    x, y = np.zeros((20, 4, 4), np.uint8), np.arange(20) % 2

    class Stop(convlet.Callback):
        def on_epoch(self, run, row):
            raise KeyboardInterrupt

    for callbacks in ([], [Stop()]):
        bar = make_bar()
        network = convlet.Network("flatten, dense 2, softmax", (4, 4))
        try:
            network.fit(x, y, (x, y), epochs=2, callbacks=[*callbacks, bar])
        except KeyboardInterrupt:
            assert callbacks
        text = bar.console.file.getvalue()
        assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0  # the cursor is seen again
        assert text.endswith("\x1b[2K")  # and the line is wiped out
        assert bar.progress is None
        assert ("epoch 2/2, training loss" in text) == (not callbacks)


def test_a_bar_that_cannot_begin_leaves_nothing(monkeypatch):
    from rich.progress import Progress

    def start(self):
        self.live.start()
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "start", start)
    bar = make_bar()
    with pytest.raises(KeyboardInterrupt):
        bar.on_begin(make_run(samples=10))
    assert bar.progress is None
    text = bar.console.file.getvalue()
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0


def test_lines_where_no_line_can_be_drawn_again(capsys, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    said = progress_callback()
    assert isinstance(said, Lines)
    run = make_run(epochs=3, samples=10)
    said.on_epoch(run, Row(1, 0.25, 0.5, 0.75, 1.26))
    said.on_epoch(run, Row(1, 25000.0, None, None, 0.0))
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1/3, training loss 0.2500, validation 0.5000, accuracy 75.00 %, 1.3 s",
        "epoch 1/3, training loss 2.5e+04, 0.0 s",
    ]


def test_a_bar_on_a_terminal_and_in_a_notebook_that_can_draw_one(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress_callback(Console(force_terminal=True)), Bar)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_callback(Console(force_terminal=True)), Lines)
    notebook = Console(force_jupyter=True)
    for spec, kind in ((object(), Bar), (None, Lines)):
        monkeypatch.setattr(progress, "find_spec", lambda name, spec=spec: spec)
        assert isinstance(progress_callback(notebook), kind)
