"""The bar's rate: a mean over a quarter of a second of training, whatever an epoch takes."""

from types import SimpleNamespace

import pytest
from rich.progress import Progress

from convlet.cli import progress
from convlet.cli.progress import Bar
from convlet.run import Row, Settings

RATE = 10_000  # images a second
STEP = 50  # images
WARM_UP = 0.03  # seconds that the very first step takes longer


class Clock:
    """A `perf_counter` that only the test moves."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(progress, "perf_counter", lambda: self.now)


def rates_of(monkeypatch, epoch_seconds, epochs=4, test_seconds=0.5, first=1):
    """The rates that a bar shows while images come at RATE, without those not known yet."""
    clock, shown = Clock(monkeypatch), []
    samples = round(epoch_seconds * RATE)
    run = SimpleNamespace(epochs=epochs, samples=samples, epoch=first, seen=0, train_loss=0.5)
    run.settings, run.steps, run.step = Settings(), samples // STEP, 0
    bar = Bar(Progress(disable=True), "test")
    bar.on_begin(run)
    clock.now += WARM_UP
    for run.epoch in range(first, epochs + 1):
        for step in range(1, samples // STEP + 1):
            run.step = step
            run.seen = step * STEP
            clock.now += STEP / RATE
            bar.on_step(run)
            text, _ = bar.progress.tasks[0].fields["state"].split(" images/s")
            shown.append(text)
        clock.now += test_seconds
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
    run = SimpleNamespace(epochs=1, samples=10**6, epoch=1, seen=0, train_loss=0.5, step=0, steps=9)
    bar = Bar(Progress(disable=True), "test")
    bar.on_begin(run)
    for pace in (1000, 4000):
        for _ in range(50):
            clock.now += 0.01
            run.seen += pace // 100
            bar.on_step(run)
        assert bar.progress.tasks[0].fields["state"].startswith(f"{pace:,} images/s")


def test_a_run_that_is_resumed_at_the_end_of_an_epoch_begins_with_its_test(monkeypatch):
    """A run that was interrupted in a test has no step left in that epoch."""
    Clock(monkeypatch)
    run = SimpleNamespace(epochs=3, samples=100, epoch=2, seen=100, train_loss=0.5, step=9, steps=9)
    bar = Bar(Progress(disable=True), "test")
    bar.on_begin(run)
    assert bar.progress.tasks[0].description == "epoch 2/3"
    bar.on_epoch(run, Row(2, 0.5, 0.4, 0.9, 1.0))
    run.epoch, run.step, run.seen = 3, 1, 11
    bar.on_step(run)
    assert "test 90.00 %" in bar.progress.tasks[0].fields["state"]
