"""Where the network ends: a probability (11), the cost (14), and the error that begins (15)."""

import numpy as np

from convlet import equations as eq
from convlet.explaining.address import Address
from convlet.explaining.records import Explanation, Term
from convlet.explaining.seen import Seen, input_address
from convlet.explaining.words import at, of_stage, output
from convlet.stages import Stage


def probability(seen: Seen, address: Address, stage: Stage, n: int) -> Explanation:
    """A class probability (11)."""
    (i,) = address.place
    letter = output(stage.sigma[:n], stage.index)
    z = seen.forward[stage.index].inputs[n][0]
    exponentials = np.exp(eq.below_maximum(z.astype(np.float64)))
    shares = exponentials / exponentials.sum()
    terms = (
        Term("inputs", letter, "what enters", z, lambda k: input_address(stage, n, (k,))),
        Term(
            "exponentials",
            f"exp({letter} - max)",
            "their exponentials, the greatest as 1",
            exponentials,
        ),
        Term(
            "probabilities",
            f"S({letter})",
            "their shares of the sum",
            shares,
            lambda k: address.moved(k),
        ),
    )
    formula = f"{at(f'S({letter})', i)} = exp {at(letter, i)} / Σ over k of exp {at(letter, 'k')}"
    title = f"softmax: the probability of class {i}"
    return Explanation(address, 11, title, formula, terms, seen.value(address), float(shares[i]))


def cost(seen: Seen, address: Address) -> Explanation:
    """E^n (14), by log-sum-exp."""
    stage = seen.stages[-1]
    index, n = stage.index, len(stage.sigma) - 1
    z, y = seen.forward[index].inputs[n][0].astype(np.float64), seen.y
    below = eq.below_maximum(z)
    exponentials = np.exp(below)
    logarithms = below - np.log(exponentials.sum())
    products = np.zeros_like(z)
    np.multiply(-y.astype(np.float64), logarithms, out=products, where=y != 0)
    letter, xs = output(stage.sigma[:n], index), of_stage("x", index + 1)
    terms = (
        Term("labels", "y", "the label", y),
        Term("inputs", letter, "what enters softmax", z, lambda k: input_address(stage, n, (k,))),
        Term(
            "exponentials",
            f"exp({letter} - max)",
            "their exponentials, the greatest as 1",
            exponentials,
        ),
        Term(
            "logarithms",
            f"log {xs}",
            "logarithm of each probability, z less log-sum-exp",
            logarithms,
            lambda k: Address("out", index, n, (k,)),
        ),
        Term("products", f"-y · log {xs}", "label times logarithm", products),
    )
    formula = (
        f"E = -Σ over i of y[i] · log {at(xs, 'i')}"
        f" = Σ over i of y[i] · (log Σ over k of exp {at(letter, 'k')} - {at(letter, 'i')})"
    )
    return Explanation(
        address,
        14,
        "cross-entropy: the cost of this image",
        formula,
        terms,
        seen.value(address),
        float(products.sum()),
    )


def entering(seen: Seen, address: Address) -> Explanation:
    """dE by what enters the softmax (15)."""
    stage, (j,) = seen.stages[-1], address.place
    index, n = stage.index, len(stage.sigma) - 1
    probability, y = seen.forward[index].output[0][j], seen.y[j]
    xs = of_stage("x", index + 1)
    terms = (
        Term(
            "probabilities",
            xs,
            "the probability",
            probability,
            lambda: Address("out", index, n, (j,)),
        ),
        Term("labels", "y", "the label", y),
    )
    formula = f"∂E/∂{at(output(stage.sigma[:n], index), j)} = {at(xs, j)} - y[{j}]"
    summed = float(probability) - float(y)
    title = f"softmax and cost: the error of class {j}"
    return Explanation(address, 15, title, formula, terms, seen.value(address), summed)
