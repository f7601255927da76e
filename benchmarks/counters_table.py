"""The table of a family: what its kernels did, how long they took, and what bounds them."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from counted import Bound, Count, Ports, Sampled, for_mca, multiply_adds, ports
from streams import LINE, Rates
from tables import digits

ITERATIONS = 200
LEAST = 0.02  # of the time or of the instructions: kernels below are one row
COLUMNS = (
    *("kernel", "ms", "of the time", "instructions", "L1 misses", "L2 misses"),
    *("multiply-adds, of dense", "of the peak", "ports allow", "busiest", "in its loops"),
    *("lines take", "bound"),
)
WIDEST = 16  # floats of a register of AVX-512


@dataclass(frozen=True)
class Machine:
    """multiply_adds: a second, of one thread; rates: of cache lines, by level."""

    multiply_adds: float
    rates: Mapping[str, Rates]

    def seconds(self, one: Count) -> float:
        """What its lines take as streams: those that L1 lacks from L2, those that L2 lacks too."""
        near, far = self.rates["L2"], self.rates["memory"]
        lines = one.l1_reads / near.load + one.l1_writes / near.update
        return LINE * (lines + max(0.0, one.l2 * (1 / far.load - 1 / near.load)))


def loop_ports(loop: Sequence[str], mcpu: str) -> Ports | None:
    done = subprocess.run(
        ["llvm-mca", f"-mcpu={mcpu}", f"-iterations={ITERATIONS}"],
        input=for_mca(loop),
        capture_output=True,
        text=True,
    )
    return None if done.returncode else ports(done.stdout, ITERATIONS)


def table(
    work: int,
    counted: Mapping[str, Count],
    met: Mapping[str, Sampled],
    step: float,
    machine: Machine,
    mcpu: str,
) -> Iterator[str]:
    """Of one family.  work: dense multiply-adds of the step; step: its seconds."""
    left = ("kernel", "busiest", "bound")
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"| {' | '.join('---' if name in left else '---:' for name in COLUMNS)} |"
    samples = sum(one.samples for one in met.values())
    time = {kernel: step * one.samples / samples for kernel, one in met.items()}
    instructions = sum(one.instructions for one in counted.values())
    shown = [
        kernel
        for kernel in sorted(time | counted, key=lambda name: -time.get(name, 0.0))
        if time.get(kernel, 0) >= LEAST * step
        or counted.get(kernel, Count()).instructions >= LEAST * instructions
    ]
    rest = [kernel for kernel in time | counted if kernel not in shown]
    for kernel in shown:
        one = met.get(kernel), mcpu
        yield _row(kernel, time.get(kernel, 0), step, [kernel], counted, work, machine, one)
    yield _row("the rest", sum(time.get(k, 0) for k in rest), step, rest, counted, work, machine)
    yield _row("all", step, step, list(counted), counted, work, machine)


def _row(
    title: str,
    seconds: float,
    total: float,
    kernels: Sequence[str],
    counted: Mapping[str, Count],
    work: int,
    machine: Machine,
    seen: tuple[Sampled | None, str] = (None, ""),
) -> str:
    found = [counted[kernel] for kernel in kernels if kernel in counted]
    done = sum(one.multiply_adds for one in found)
    each = [
        f"{1000 * sum(getattr(one, name) for one in found) / work:.{places}f}"
        for name, places in (("instructions", 0), ("l1", 2), ("l2", 3))
    ]
    allowed = reached = lines = 0.0
    busiest = inside = ""
    if seconds:
        reached = done / machine.multiply_adds / seconds
        lines = sum(map(machine.seconds, found)) / seconds
    one, mcpu = seen
    if one and one.loop and done and (of := loop_ports(one.loop, mcpu)):
        allowed = sum(map(multiply_adds, one.loop)) / (2 * WIDEST * of.cycles)
        busiest, inside = of.busiest, f"{one.inside / one.samples:.0%}"
    bound = Bound(reached, reached / allowed if allowed else 0.0, lines)
    cells = (
        title,
        digits(1e3 * seconds),
        f"{seconds / total:.0%}",
        *each,
        f"{done / work:.1%}",
        f"{reached:.0%}" if done else "",
        f"{allowed:.0%}" if allowed else "",
        busiest,
        inside,
        f"{lines:.0%}",
        str(bound) if title not in ("all", "the rest") else "",
    )
    return f"| {' | '.join(cells)} |"
