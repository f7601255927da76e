"""`convlet sweep`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import click

from convlet import plots
from convlet.callbacks import Callback
from convlet.cli import choices as chosen
from convlet.cli import grid as grids
from convlet.cli import machines, options, places, reading, sweep_options
from convlet.cli.choices import Choices
from convlet.cli.console import say, say_json
from convlet.cli.help import Command
from convlet.cli.machines import Machines
from convlet.cli.models import load_data
from convlet.cli.names import call
from convlet.cli.pictures import PictureFile
from convlet.cli.placed_trials import trials_there
from convlet.cli.reading import Reading
from convlet.cli.sweep_options import SweepOptions
from convlet.cli.sweep_screen import Screen, say_results, screen
from convlet.cli.train import WITHOUT_RECIPE
from convlet.cli.trials import Plan, marks
from convlet.cluster import USUAL_SILENCE, client_of
from convlet.datasets import Dataset
from convlet.errors import InputError
from convlet.run import Run
from convlet.sweeps.folder import SweepFolder
from convlet.sweeps.outcomes import Grid, Outcome, Result, Trial, best, described
from convlet.wording import count, decimals, percent

EXAMPLE = f"Example: convlet sweep mnist --grid {grids.EXAMPLE} --folds 5"


@click.command(cls=Command, epilog=EXAMPLE)
@click.option(
    "--grid",
    "grid",
    multiple=True,
    required=True,
    metavar="GRID",
    help=f"Parameters of train with values, as in {grids.EXAMPLE}. Values with commas of their own"
    " (layers, augment, class_weight) have | between them. May be given several times.",
)
@chosen.shared(chosen.recipe_option(WITHOUT_RECIPE))
@sweep_options.OPTIONS
@reading.OPTIONS
@options.folder(
    "--out",
    help="Where the trials are kept; the same command goes on there.",
    show_default="convlet-sweep-DATA",
)
@options.file("--picture", help="Draw the accuracies: a .png, .svg or .pdf file.")
@machines.OPTIONS
@options.JSON
def sweep(
    grid: Sequence[str],
    choices: Choices,
    sweep: SweepOptions,
    reading: Reading,
    out: Path | None,
    picture: Path | None,
    machines: Machines,
    json: bool,
) -> int:
    """Try settings, and say which is best on images that are held out.

    Every combination of the grid is trained as train does it, and judged by training images that
    it was not trained on: the mean accuracy decides, and of equal ones the loss. The test images
    have no part in it, also where they were drawn from the data: they judge what is trained in the
    end, with the command that the last line says.

    With --cluster or --workers a worker trains one network at a time, with all its threads.
    """
    tried = grids.parse(grid)
    sweep.check()
    reading.check()
    _check_threads(choices, machines)
    machines.check(choices.threads)
    made = grids.chosen(tried, choices, sweep.training)
    out = Path(f"convlet-sweep-{places.stem_of(choices.data)}") if out is None else out
    places.refuse_unwritable_folder(out, "out")
    places.refuse_inside(picture, choices.data, "picture")
    drawing = None if picture is None else PictureFile(picture, name="picture")
    with ExitStack() as stack:
        client = stack.enter_context(_client(machines))
        data = load_data(choices.data, json, seed=choices.seed, **reading.arguments())
        seeds = tuple(range(choices.seed, choices.seed + sweep.seeds))
        plan = Plan(dict(enumerate(made)), seeds, sweep.folds, sweep.hold_out, sweep.limit)
        _check_trials(plan, data)
        folder = stack.enter_context(
            closing(SweepFolder(out, _identity(tried, choices, sweep, data)))
        )
        if not json:
            for line in _lines(data, plan, tried):
                say(line)
        _try(plan, folder, data, _runner(plan, choices, reading, data, client), json)
        drawn = any(one.accuracy is not None for one in folder.results)
        saved = drawing.save(plots.sweep(out)) if drawing is not None and drawn else None
    _say(tried, folder.results, choices.data, saved, out, json)
    return int(best(folder.results) is None)


Runner = Callable[[Sequence[Trial], Screen], Iterator[Outcome]]


def _check_threads(choices: Choices, machines: Machines) -> None:
    """Refuse threads beside workers that have theirs."""
    if choices.threads is not None and machines.elsewhere:
        but = "a trial has all threads of its worker"
        raise InputError("threads", choices.threads, but=but, hint="leave it out")


@contextmanager
def _client(machines: Machines) -> Iterator[Any]:
    """Inside, a client of who trains; None for this process.

    Raises `ClusterError` for a cluster that does not answer, `InputError` for one without workers,
    or with one that has another version of convlet, or none; `MissingDependencyError`.
    """
    with machines.opened() as cluster, client_of(cluster) as client:
        if client is not None:
            from convlet.cluster.probing import check_workers

            check_workers(client, USUAL_SILENCE)
        yield client


def _check_trials(plan: Plan, data: Dataset) -> None:
    """Refuse folds that cannot be dealt, and layers and weights that do not fit the data."""
    call(count="--hold-out" if plan.folds is None else "--folds")
    first = plan.trials()[0]
    for combination in plan.combinations:
        plan.job(data, Trial(combination, first.seed, first.fold))


def _identity(
    tried: Mapping[str, Sequence[str]], choices: Choices, sweep: SweepOptions, data: Dataset
) -> dict[str, Any]:
    """What decides the outcomes; the data come last, as options choose them."""
    given = {**vars(choices), **vars(sweep)}
    left = {name: v for name, v in given.items() if name not in ("data", "threads", *tried)}
    trials = sweep.seeds * (sweep.folds or 1)
    return {"grid": tried, **left, **marks(data), "trials": trials}


def _lines(data: Dataset, plan: Plan, tried: dict[str, list[str]]) -> Iterator[str]:
    """What will be done, in words."""
    yield from data.said
    yield grids.words(tried)
    _, train, judging = plan.parts(data, plan.trials()[0])
    if plan.folds is not None:
        images = len(train) + len(judging)
        judges = f"{images:,} training images in {plan.folds} folds, by --seed"
    elif plan.hold_out is None and data.validation is not None:
        judges = f"{len(train):,} images, judged by the {len(judging):,} validation images"
    else:
        judges = f"{len(train):,} images, judged by {len(judging):,} held out, by --seed"
    yield f"{data.name}: {judges}; the test images are not used"


def _runner(plan: Plan, choices: Choices, reading: Reading, data: Dataset, client: Any) -> Runner:
    """Who trains: this process, or a cluster."""
    if client is None:
        return lambda trials, screen: _here(plan, data, trials, screen)
    named = choices.data, {"seed": choices.seed, **reading.arguments()}
    return lambda trials, screen: trials_there(client, plan, data, named, trials, screen)


def _here(plan: Plan, data: Dataset, trials: Sequence[Trial], screen: Screen) -> Iterator[Outcome]:
    """One after the other."""
    for trial in trials:
        yield plan.run(data, trial, [_Told(screen, trial)])


class _Told(Callback):
    """Shows where the trial stands that is trained here."""

    def __init__(self, screen: Screen, trial: Trial) -> None:
        self.screen = screen
        self.what = screen.said(trial)

    def on_progress(self, run: Run) -> None:
        self.screen.progress(f"{self.what}: epoch {min(run.epoch, run.epochs)}/{run.epochs}")


def _try(plan: Plan, folder: SweepFolder, data: Dataset, run: Runner, json: bool) -> None:
    """Run the trials that are not in the folder yet; each is kept when it ends."""
    everything = plan.trials()
    kept = {one.trial for one in folder.outcomes if not one.again}
    waiting = [trial for trial in everything if trial not in kept]
    if kept and not json:
        say(f"{len(kept)} of {count(len(everything), 'trial')} are in {folder.path} already")
    done = len(kept)
    try:
        with screen(json, folder.identity["grid"], len(everything), len(plan.seeds)) as shown:
            shown.begin(done, lambda: folder.results)
            for outcome in run(waiting, shown):
                folder.add(outcome)
                done += 1
                shown.ended(outcome)
    except KeyboardInterrupt as stop:
        where = f"{done} of {count(len(everything), 'trial')} are kept in {folder.path}"
        raise type(stop)(f"{where}: the same command goes on") from None


def _say(
    grid: Grid, results: Sequence[Result], data: str, saved: str | None, out: Path, json: bool
) -> None:
    """What was found, and the command that trains the best."""
    first = best(results)
    command = None if first is None else grids.train_command(data, first.values)
    if json:
        rows = [
            {**one.values, "accuracy": one.accuracy, "spread": one.spread, "loss": one.loss}
            | {"trials": len(one.outcomes), "seconds": one.seconds, "error": one.error or None}
            for one in results
        ]
        found = None if first is None else dict(first.values)
        say_json({"best": found, "command": command, "results": rows, "out": str(out)})
        return
    say()
    say_results(grid, results)
    say()
    if first is not None and first.accuracy is not None and first.loss is not None:
        spread = "" if first.spread is None else f" ({100 * first.spread:.2f})"
        accuracy = f"accuracy {percent(first.accuracy)}{spread}, loss {decimals(first.loss)}"
        say(f"best: {described(grid, first.values)}: {accuracy}")
    else:
        say("no combination ended well")
    say(f"results saved in {out}")
    if saved is not None:
        say(saved)
    if command is not None:
        say(f"to train it: {command}")
