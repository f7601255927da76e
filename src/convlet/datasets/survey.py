"""What kinds of images a source holds: sizes, colours, orientations, and which cannot be read."""

import json
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from convlet.datasets.cache import cache_folder, earlier
from convlet.datasets.pictures import Kind, kind_of, opened, pillow, why_not
from convlet.datasets.source import Entry, Progress, Source, in_parallel
from convlet.errors import ConvletError, MissingDependencyError
from convlet.files.atomic import make_folder, write_atomic

VERSION = "survey 4"


@dataclass
class Survey:
    """Counts over the images of a source.

    sizes: (rows, columns) as ROWSxCOLUMNS.  kinds: by name, as "palette".  grey: images without
    colour.  damaged: what is wrong with each that cannot be read, by its path.
    """

    images: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    grey: int = 0
    turned: int = 0
    several: int = 0  # files with more than one image
    deep: int = 0  # with 16 bits a channel
    damaged: dict[str, str] = field(default_factory=dict)

    def shapes(self) -> list[tuple[int, int, int]]:
        """(rows, columns, count), the most frequent first."""
        found = []
        for size, count in self.sizes.items():
            rows, columns = map(int, size.split("x"))
            found.append((rows, columns, count))
        return sorted(found, key=lambda row: (-row[2], row))


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
    found.sizes, found.kinds = dict(sizes), dict(kinds)
    return found
