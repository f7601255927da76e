"""What was folded into a layer, in sentences for people."""

from collections.abc import Iterator, Sequence

from convlet.interchange import chain
from convlet.interchange.chain import AffineStep
from convlet.interchange.emitting import Emitted
from convlet.wording import listed


def sentences(steps: Sequence[AffineStep], made: Emitted) -> Iterator[str]:
    """What is not as it was in the library.  steps: that the layer is made of."""
    hosts = [step for step in steps if isinstance(step, chain.Conv | chain.Dense)]
    what = f"layer {made.layer}"
    if not steps:
        yield f"{what} changes nothing: it stands first, as a network begins with an affine map"
    elif len(steps) > 1 + _has_bias_behind(steps) or not hosts:
        sources = list(dict.fromkeys(step.source for step in steps))
        yield f"{what} does the work of {listed(sources, 8)}"
    if hosts and hosts[0] is not steps[0] and getattr(made.layer, "bias", None) == "position":
        yield f"{what} has a bias for each position: a shift before it does not reach its margins"
    for host in hosts:
        if isinstance(host, chain.Conv):
            yield from _zeros(host)
    yield from (f"{what} {remark}" for remark in made.remarks)


def _has_bias_behind(steps: Sequence[AffineStep]) -> bool:
    """Whether an addition gives a convolution or a dense map the bias that it has not."""
    match list(steps[:2]):
        case [chain.Conv(bias=None) | chain.Dense(bias=None), chain.Affine(scale=None)]:
            return True
    return False


def _zeros(host: chain.Conv) -> Iterator[str]:
    """Where a dense kernel holds zeros that the library does not have."""
    if host.groups > 1:
        yield f"the {host.groups} groups of {host.source} are zeros between channels"
    if host.dilation != (1, 1):
        rows, columns = host.dilation
        yield f"the dilation {rows}x{columns} of {host.source} is zeros between taps"
