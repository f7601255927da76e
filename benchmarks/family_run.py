"""Times the families: training on all threads; prediction, by one thread too.

The contenders of all thread counts take turns in the same rounds, so that two threads can be
compared with one as well as convlet with its peers.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import verify
from families import Family, prepare
from measure import Case, Note, Pace, Row, say, timed
from team import Worker

DTYPES = ("uint8", "float32")
MOST_VERIFIED, LEAST_STEPS = 1280, 3
"""Training is verified by `verify.STEPS` steps, or as few as these where they have more images."""


def timed_family(
    family: Family,
    batches: Sequence[int],
    images: Sequence[int],
    workers: Sequence[Worker],
    folder: Path,
    pace: Pace,
    note: Note,
) -> Iterator[list[Row]]:
    """The rows of each case.  workers: convlet on all threads first; folder: does not exist yet."""
    net, threads = family.net, workers[0].threads
    weights = prepare(family, folder, images, say)
    for worker in workers:
        worker.load(folder)
    flat = family.kind == "dense only"  # where PyTorch has no order of channels to choose
    able = [one for one in workers if not (flat and one.name == "torch-channels-last")]
    everybody = [one for one in able if one.threads == threads or one.name == "convlet"]
    for size in batches:
        steps = min(verify.STEPS, max(LEAST_STEPS, MOST_VERIFIED // size))
        chosen = verify.minibatches(size, family.count, steps)
        yield timed(Case("training", net, size), everybody, weights, chosen, pace, note)
    predictors = [one for one in workers if not one.name.startswith("torch")]
    for size in images:
        for dtype in DTYPES:
            case = Case("latency" if size == 1 else "prediction", net, size, dtype)
            yield timed(case, predictors, weights, [], pace, note)
