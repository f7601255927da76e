"""A look at every image of a source before they are decoded."""

import json
from collections import Counter
from contextlib import suppress
from dataclasses import asdict

from convlet.datasets.cache import cache_folder, earlier
from convlet.datasets.encoded.kind import Kind, kind_of
from convlet.datasets.encoded.pictures import opened, pillow, why_not
from convlet.datasets.encoded.source import Entry, Progress, Source, in_parallel
from convlet.datasets.survey import Survey
from convlet.errors import ConvletError, MissingDependencyError
from convlet.files.atomic import make_folder, write_atomic

VERSION = "survey 6"


def survey(source: Source, progress: Progress) -> Survey:
    """Look at the header of every image, or remember what was seen of the same images.

    What was seen of an earlier state of the source is forgotten.  Raises `MissingDependencyError`.
    """
    mark = source.mark("survey", VERSION, pillow().__version__)
    place = cache_folder() / "surveys" / f"{mark}.json"
    with suppress(OSError, ValueError, TypeError):
        return Survey(**json.loads(place.read_text()))
    found = _look(source, progress)
    if not found.damaged:  # they may be mended, or become readable, without another date
        with suppress(ConvletError):  # a cache that cannot be written is slower, no more
            make_folder(str(place.parent))
            write_atomic(place, json.dumps(asdict(found)).encode())
            for other in earlier(place):
                with suppress(OSError):
                    other.unlink()
    return found


def _look(source: Source, progress: Progress) -> Survey:
    found = Survey(len(source.entries))
    sizes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()

    def kind(entry: Entry) -> Kind | ConvletError:
        try:
            with source.open(entry) as file, opened(file, source.where(entry)) as picture:
                return kind_of(picture, source.where(entry))
        except MissingDependencyError:
            raise
        except ConvletError as error:
            return error

    total = len(source.entries)
    seen = in_parallel(kind, source.entries, lambda done: progress("looking", done, total))
    for entry, one in zip(source.entries, seen, strict=True):
        if isinstance(one, ConvletError):
            found.damaged[entry.path] = why_not(one)
            continue
        sizes[f"{one.rows}x{one.columns}"] += 1
        kinds[one.name] += 1
        found.grey += one.grey
        found.turned += one.turned
        found.several += one.several
        found.deep += one.deep
        found.recoloured += one.recoloured
    found.sizes, found.kinds = dict(sizes), dict(kinds)
    return found
