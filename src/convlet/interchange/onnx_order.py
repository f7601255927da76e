"""In which order the outputs of an ONNX graph have the classes, and what these are called."""

from collections.abc import Sequence

from convlet.interchange import chain
from convlet.interchange.chain import refused
from convlet.interchange.onnx_answers import Answer, Answers, Places

ALL = "all classes, in one order"


def order_of(outputs: Sequence[Answer]) -> chain.Take | None:
    """What puts the classes in the order of the outputs; None where they stay as they are.

    A table of all classes or a label tells the order, and where there are several all must tell the
    same; where all have names, the first one.  Else outputs with some classes each do together.
    One number alone is the probability of the second class, as `Sigmoid` is.  Raises
    `ArchitectureError`.
    """
    telling: list[tuple[Places, str]] = []
    named: list[tuple[Places, str]] = []
    parts: list[Answer] = []
    for answer in outputs:
        places = answer.places
        source = answer.source or "the graph"
        if answer.kind == "greatest":
            continue
        if answer.kind in ("label", "name"):
            if places[0] != 0:
                raise refused(source, "gives a class that is not the most probable one", ALL)
            places = answer.meaning
        if answer.kind == "table" and len(places) < answer.classes:
            parts.append(answer)
            continue
        if len(places) < answer.classes:
            found = f"chooses among {len(places)} of {answer.classes} classes"
            raise refused(source, found, ALL)
        (named if answer.kind in ("named table", "name") else telling).append((places, source))
    for places, source in telling[1:]:
        if places != telling[0][0]:
            raise refused(source, "has the classes in another order than another output", ALL)
    found_order = [*telling, *named, *([] if telling or named else [_together(parts)])]
    places, source = found_order[0]
    return None if places == tuple(range(len(places))) else chain.Take(source, places)


def _together(parts: Sequence[Answer]) -> tuple[Places, str]:
    """The order that outputs tell which have some classes each."""
    if not parts:
        raise refused("the graph", "gives the greatest probability, and not of which class", ALL)
    last = parts[-1]
    source, count = last.source or "the graph", last.classes
    joined = list(dict.fromkeys(place for part in parts for place in part.places))
    if sorted(joined) == list(range(count)):
        return tuple(joined), source
    if count == 2 and joined == [1]:
        return (0, 1), source
    if count == 2 and last.is_sigmoid and joined == [0]:
        return (1, 0), source
    raise refused(source, f"gives {len(joined)} of {count} probabilities", ALL)


def names_of(answers: Answers, count: int, taken: chain.Take | None) -> tuple[str, ...] | None:
    """The names of the classes in their order.  Raises `ArchitectureError` for some without."""
    if answers.misfit is not None:
        return answers.misfit
    if not answers.names:
        return None
    if len(answers.names) < count:
        raise refused("the graph", f"names {len(answers.names)} of {count} classes", "all of them")
    return tuple(answers.names[k] for k in (taken.places if taken else range(count)))
