"""The letters of docs/equations.md, in plain text."""

from collections.abc import Sequence
from typing import assert_never

from convlet.layers import Dropout, Flatten, MaxPool2D, ReLU, Sigma, Softmax

RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def of_stage(letter: str, stage: int) -> str:
    """As in x¹."""
    return letter + str(stage).translate(RAISED)


def output(layers: Sequence[Sigma], stage: int) -> str:
    """What layers make of z^l, as in P(R(z⁰))."""
    letter = of_stage("z", stage)
    for layer in layers:
        letter = _applied(layer, letter)
    return letter


def _applied(layer: Sigma, letter: str) -> str:
    match layer:
        case MaxPool2D():
            return f"P({letter})"
        case ReLU():
            return f"R({letter})"
        case Flatten():
            return f"F({letter})"
        case Softmax():
            return f"S({letter})"
        case Dropout():  # outside training it changes nothing
            return letter
        case _:
            assert_never(layer)


def at(letter: str, *indices: object) -> str:
    """As in z⁰[3, 4, 2]."""
    return f"{letter}[{', '.join(map(str, indices))}]"


def moved(start: int, index: str, sign: str = "+") -> str:
    """An index from a start, as in 3+p, 4-q, p."""
    if not start and sign == "+":
        return index
    return f"{start}{sign}{index}"
