"""What was folded into a layer, in sentences for people."""

from collections.abc import Iterator, Sequence

from convlet.interchange import chain
from convlet.interchange.chain import AffineStep
from convlet.interchange.emitting import Emitted
from convlet.wording import listed


def sentences(steps: Sequence[AffineStep], made: Emitted) -> Iterator[str]:
    """What is not as it was in the library.  steps: that the layer is made of."""
    hosts = [step for step in steps if isinstance(step, chain.Conv | chain.Dense)]
    rest = [step for step in steps if step not in hosts]
    what = f"layer {made.layer}"
    if not steps:
        yield f"{what} changes nothing: it stands first, as a network begins with an affine map"
    elif not hosts:
        yield f"{_sources(rest)} became {what}"
    else:
        if rest:
            yield f"{_sources(rest)} was folded into {what} of {_sources(hosts)}"
        if len(hosts) > 1:
            yield f"{_sources(hosts)}, with no activation between, became one {what}"
    for host in hosts:
        if isinstance(host, chain.Conv):
            yield from _zeros(host)
    yield from (f"{what} {remark}" for remark in made.remarks)


def _zeros(host: chain.Conv) -> Iterator[str]:
    """Where a dense kernel holds zeros that the library does not have."""
    if host.groups > 1:
        yield f"the {host.groups} groups of {host.source} are zeros between channels"
    if host.dilation != (1, 1):
        rows, columns = host.dilation
        yield f"the dilation {rows}x{columns} of {host.source} is zeros between taps"


def _sources(steps: Sequence[AffineStep]) -> str:
    return listed(list(dict.fromkeys(step.source for step in steps)))
