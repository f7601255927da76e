"""What stands behind the softmax of an ONNX graph: labels, tables of probabilities, their names.

Nothing of it changes the probabilities, but it may move them, leave some out, or name the classes.
So that it is known at the end what each number is about, an answer is an array that says so for
some images, and nodes that move numbers move those.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod
from typing import Literal

import numpy as np

from convlet.equations import Array
from convlet.interchange.chain import refused
from convlet.interchange.onnx_attributes import axes_of, ints, whole, wholes
from convlet.interchange.onnx_axes import Axes
from convlet.interchange.onnx_constants import BATCH, Constants
from convlet.interchange.onnx_file import Node

Kind = Literal["table", "named table", "label", "name", "greatest"]
Places = tuple[int, ...]

IMAGES = 7  # where their number is open: no size that a graph is likely to ask for
LARGEST = 1 << 20  # classes, or numbers for all images of a file that fixes how many
FLOATS = (1, 10, 11, 16)  # codes of types; others cut probabilities
BOOL = 9
_MOVES = ("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Gather")
_SORTS = ("Slice", "Gather", "Concat", "Split", "Sub", "ArrayFeatureExtractor", "Transpose")
"""Nodes that may put classes in another order."""


@dataclass(frozen=True)
class Answer:
    """What a graph says in the end.

    kind: probabilities, with names or without; the number or the name of a class; the greatest
    probability.  about: as the graph has them, image * count + k for each number, where k is the
    class of a probability, or the rank of a label.  images, classes: how many.  meaning: the class
    that each number of a label stands for.  is_log, is_sigmoid: of the probabilities.  source: the
    node that last put classes in an order.
    """

    kind: Kind
    about: Array
    images: int
    classes: int
    count: int
    meaning: Places = ()
    is_log: bool = False
    is_sigmoid: bool = False
    source: str = ""

    @property
    def places(self) -> Places:
        """Which k there are for each image, in this order.

        Raises `ArchitectureError` if images are left out or mixed, or some k is there twice.
        """
        if self.about.size and self.about.size % self.images == 0:
            table = self.about.reshape(self.images, -1)
            found = table - self.count * np.arange(self.images)[:, None]
            places = tuple(found[0].tolist())
            if (found == found[0]).all() and len({*places}) == len(places):
                return places
        found_words = "gives answers in another form than a row for each image"
        raise refused(self.source or "the graph", found_words, "each class once, for every image")


class Answers:
    """The way from a softmax to the outputs.

    batch: the number of images that the file fixes, 0 where it is open.  names: of classes.
    """

    def __init__(self, constants: Constants, batch: int) -> None:
        self.constants, self.batch = constants, batch
        self.names: dict[int, str] = {}
        self.misfit: tuple[str, ...] | None = None  # more or fewer names than classes

    def table(self, x: Axes, is_log: bool = False, is_sigmoid: bool = False) -> Answer:
        """The probabilities of each of x, or by a sigmoid that of the second of two classes."""
        sizes = [n for letter, n in zip(x.letters, x.sizes, strict=True) if letter != "n"]
        units = prod(sizes)
        is_sigmoid = is_sigmoid and units == 1  # of more it is refused later
        if units > LARGEST:
            raise refused("the graph", f"has {units} probabilities or logits", f"up to {LARGEST}")
        images = self.batch if 0 < self.batch * units <= LARGEST else IMAGES
        count = 2 if is_sigmoid else units
        rows = np.arange(images)[:, None] * count + (1 if is_sigmoid else np.arange(units))
        about = np.moveaxis(rows.reshape(images, *sizes), 0, x.letters.index("n"))
        return Answer("table", about, images, count, count, (), is_log, is_sigmoid)

    def of(self, node: Node, inputs: Sequence[Array | Answer | None]) -> list[Answer]:
        """What a node makes of answers, for each output.  Raises `ArchitectureError`."""
        answers = [given for given in inputs if isinstance(given, Answer)]
        others = [given for given in inputs if not isinstance(given, Answer)]
        first = answers[0]
        if node.kind in _SORTS:
            first = replace(first, source=node.source)
        is_first, is_alone = inputs[0] is answers[0], len(answers) == 1
        is_table, is_label = first.kind == "table", first.kind == "label"
        match node.domain, node.kind:
            case ("ai.onnx.ml", "ZipMap") if is_table:
                names = node.attributes.get("classlabels_strings") or node.attributes.get(
                    "classlabels_int64s"
                )
                self._name(node, first.places, names if isinstance(names, tuple) else ())
                return [replace(first, kind="named table")]
            case ("ai.onnx.ml", "ArrayFeatureExtractor") if is_table and is_first and is_alone:
                gathered = replace(node, kind="Gather", domain="", attributes={"axis": -1})
                places = None if others[0] is None else others[0].ravel()
                about = self.constants.value(gathered, [first.about, places])
                return [replace(first, about=about)]
            case ("ai.onnx.ml", "ArrayFeatureExtractor") | ("", "Gather") if (
                is_label and not is_first and others[0] is not None
            ):
                if others[0].shape[-1:] == (others[0].size,) or others[0].ndim == 1:
                    self._name(node, first.meaning, tuple(others[0].ravel()))
                    return [replace(first, kind="name")]
            case ("", "Cast"):
                code, is_number = whole(node, "to", 0), first.kind in ("table", "greatest")
                if code in FLOATS or (not is_number and code != BOOL):
                    return [first]
                raise refused(node.source, "cuts what stands behind a softmax", "floats or labels")
            case ("", kind) if kind in _MOVES and is_first and is_alone:
                return [replace(first, about=self._moved(node, first, others))]
            case ("", "Split") if is_first and is_alone:
                return self._split(node, first, others)
            case ("", "Concat") if is_table and len(answers) == len(inputs):
                if all((one.kind, one.is_log) == ("table", first.is_log) for one in answers):
                    about = self.constants.value(node, [one.about for one in answers])
                    return [replace(first, about=about)]
            case ("", "Log") if is_table and not first.is_log:
                return [replace(first, is_log=True)]
            case ("", "Sub") if is_table and not first.is_log and first.classes == 2:
                if is_alone and not is_first and _is_one(inputs[0]):
                    return [replace(first, about=first.about ^ 1)]  # that of the other class
            case ("", "ArgMax") if is_table:
                axis, keeps = whole(node, "axis", 0), whole(node, "keepdims", 1)
                return self._best(node, first, axis, 1, bool(keeps))[1:]
            case ("", "ReduceMax") if is_table:
                axes = axes_of(node, inputs_of_constants(inputs)) or []
                axis = axes[0] if len(axes) == 1 else first.about.ndim
                return self._best(node, first, axis, 1, bool(whole(node, "keepdims", 1)))[:1]
            case ("", "TopK") if is_table and whole(node, "largest", 1) == 1:
                k = wholes(node, others[0]) if others and others[0] is not None else [0]
                is_sorted = whole(node, "sorted", 1) == 1
                if is_sorted or k == [1]:
                    axis = whole(node, "axis", -1)
                    return self._best(node, first, axis, whole(node, "k", k[0]), True)
        hint = "a network that ends with it, and inside of it ReLU"
        raise refused(node.source, "stands behind a softmax or sigmoid", hint)

    def _moved(self, node: Node, of: Answer, others: Sequence[Array | None]) -> Array:
        """Where the numbers are behind a node that moves them, or leaves some out."""
        if node.kind == "Flatten":
            axis = whole(node, "axis", 1)
            return of.about.reshape(prod(of.about.shape[:axis]), -1)
        known = [
            np.where(part == BATCH, of.images, part)
            if part is not None and part.dtype.kind == "i"
            else part
            for part in others
        ]
        return self.constants.value(node, [of.about, *known])

    def _split(self, node: Node, of: Answer, others: Sequence[Array | None]) -> list[Answer]:
        axis, parts = whole(node, "axis", 0), len(node.outputs)
        side = of.about.shape[axis] if -of.about.ndim <= axis < of.about.ndim else 0
        each = -(-side // parts)
        sizes = list(ints(node, "split", (*[each] * (parts - 1), side - each * (parts - 1))))
        if others and others[0] is not None:
            sizes = wholes(node, others[0])
        if sum(sizes) != side or len(sizes) != parts or min(sizes) < 1:
            raise refused(node.source, f"has parts {sizes:.80} of {side}", "parts that fit")
        ends = list(accumulate(sizes))[:-1]
        return [replace(of, about=part) for part in np.split(of.about, ends, axis)]

    def _best(self, node: Node, of: Answer, axis: int, k: int, keeps: bool) -> list[Answer]:
        """The greatest k probabilities and their labels."""
        rank = of.about.ndim
        table = np.moveaxis(of.about, axis, -1) if -rank <= axis < rank else of.about[..., None]
        rows = replace(of, about=table.reshape(-1, table.shape[-1]), source=node.source)
        units = table.shape[-1]
        if len(rows.about) != of.images or not 1 <= k <= units or units == 1:
            raise refused(node.source, "takes the greatest of others than the classes", "its axis")
        meaning = rows.places
        about = (np.arange(of.images * k)).reshape(*table.shape[:-1], k)
        about = np.moveaxis(about, -1, axis) if keeps else about.reshape(table.shape[:-1])
        greatest = replace(of, kind="greatest", about=about, count=k)
        return [greatest, replace(greatest, kind="label", meaning=meaning, source=of.source)]

    def _name(self, node: Node, classes: Places, names: Sequence[object]) -> None:
        texts = tuple(str(name) for name in names)
        if len(texts) != len(classes):
            self.misfit = texts or self.misfit
            return
        if len({*texts}) < len(texts):
            raise refused(node.source, "names two classes alike", "a name for each")
        self.names.update(zip(classes, texts, strict=True))


def inputs_of_constants(inputs: Sequence[Array | Answer | None]) -> list[Array | None]:
    """The constants at their places."""
    return [None if isinstance(given, Answer) else given for given in inputs]


def _is_one(value: Array | Answer | None) -> bool:
    return isinstance(value, np.ndarray) and value.size == 1 and bool((value == 1).all())
