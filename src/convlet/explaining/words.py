"""The letters of docs/equations.md, in plain text."""

from collections.abc import Sequence

from convlet.layers import Dropout, Flatten, MaxPool2D, ReLU, Sigma, Softmax

RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
MAPS: dict[type[Sigma], str] = {MaxPool2D: "P", ReLU: "R", Flatten: "F", Softmax: "S"}


def of_stage(letter: str, stage: int) -> str:
    """As in x¹."""
    return letter + str(stage).translate(RAISED)


def output(layers: Sequence[Sigma], stage: int) -> str:
    """What layers make of z^l, as in P(R(z⁰)).  Dropout changes nothing outside training."""
    letter = of_stage("z", stage)
    for layer in layers:
        if not isinstance(layer, Dropout):
            letter = f"{MAPS[type(layer)]}({letter})"
    return letter


def at(letter: str, *indices: object) -> str:
    """As in z⁰[3, 4, 2]."""
    return f"{letter}[{', '.join(map(str, indices))}]"


def moved(start: int, index: str, sign: str = "+") -> str:
    """An index from a start, as in 3+p, 4-q, p."""
    if not start and sign == "+":
        return index
    return f"{start}{sign}{index}"
