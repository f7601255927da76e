"""`explain`: one number of a network, by its address."""

from dataclasses import replace
from typing import Any

from convlet import arrays
from convlet.errors import InputError
from convlet.explaining import affine, backward, forward, softmax
from convlet.explaining.address import DERIVATIVES, LABELLED, Address, located
from convlet.explaining.checked import compared
from convlet.explaining.records import Explanation
from convlet.explaining.seen import Seen
from convlet.inputs import as_bool, as_rate
from convlet.measures import as_network
from convlet.network import Network
from convlet.optimizers import SGD
from convlet.reference import quiet
from convlet.values import check_scale


def explain(
    network: Network,
    x: Any,
    y: Any,
    what: Address | str,
    differences: bool = False,
    *,
    learning_rate: float | None = None,
) -> Explanation:
    """One number that a network computes for one image: its equation and what it was made of.

    x: (rows, columns, channels) or (rows, columns), as in `Network.predict` but without the first
    axis.  y: its class or a distribution (classes,); None where no derivative and no cost is asked.
    what: an `Address` or its text, as in "z/0/3,4,2".  differences: compare a derivative with
    central differences, too.  learning_rate: eta of the step that is shown with a derivative by a
    parameter; None is that of the last `fit`, or 0.1.

    The cost is that of this image, E^n (14).  Raises `InputError`.
    """
    network = as_network(network)
    address = located(Address.of(what), network.stages, network.input_shape)
    differences = as_bool(differences, "differences")
    rate = usual_rate(network) if learning_rate is None else as_rate(learning_rate)
    images = arrays.as_image(x, network.input_shape, "x")
    check_scale(images, network.scale, "x")
    if y is None:
        if address.kind in LABELLED:
            hint = f"{str(address)!r} is of the cost (14), which needs it"
            raise InputError("y", None, "the label of the image", hint)
        seen = Seen(network, images, None)
    else:
        label = arrays.as_label(y, network.class_count, "y", network.classes)
        seen = Seen(network, images, label)
    return explained(seen, address, rate, differences)


@quiet
def explained(seen: Seen, address: Address, rate: float, differences: bool) -> Explanation:
    """The same of what is already checked."""
    told = _told(seen, address, rate)
    if differences and address.kind in DERIVATIVES:
        told = replace(told, difference=compared(seen, address))
    return told


def _told(seen: Seen, address: Address, rate: float) -> Explanation:
    match address.kind:
        case "x" if address.stage == 0:
            return forward.pixel(seen, address)
        case "x":
            below = seen.x_address(address.stage or 0, address.place)
            return replace(_told(seen, below, rate), what=address)
        case "z":
            return forward.weighted(seen, address)
        case "out":
            return forward.passed(seen, address)
        case "cost":
            return softmax.cost(seen, address)
        case "error" if address.layer is None:
            return softmax.entering(seen, address)
        case "error" | "delta":
            return backward.through(seen, address)
        case "dx":
            return affine.by_input(seen, address)
        case "w":
            return affine.by_weight(seen, address, rate)
        case _:
            return affine.by_bias(seen, address, rate)


def usual_rate(network: Network) -> float:
    """eta of the last `fit`, or the usual one of plain gradient descent."""
    return SGD().usual_rate if network.settings is None else network.settings.learning_rate
