"""What callgrind, perf, objdump and llvm-mca print, read; and what follows of it for a kernel."""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

KERNELS = {
    "(1), (2) direct, with sigma": ("conv", "conv_rows", "conv_strips", "own_biases"),
    "Winograd's products of (1), (2), (3)": ("winograd_product", "winograd_panels"),
    "Winograd's pixels turned": ("winograd_pixels",),
    "Winograd's errors turned": ("winograd_errors",),
    "Winograd's outputs turned, sigma": ("winograd_outputs",),
    "Winograd's kernels turned": ("winograd_taps_of", "winograd_dw_sum_of"),
    "(2), (3) of survivors": (
        "conv_dw",
        "conv_dw_dx",
        "each_survivor",
        "survivors_tile",
        "SurvivorsTile",
    ),
    "survivors listed": ("survivors",),
    "dJ/dz in every place": ("errors", "errors_panel"),
    "(3) direct": ("conv_dw_of_errors", "errors_tile"),
    "(6), (7)": (
        "product",
        "product_panel",
        "product_tile",
        "product_of_row",
        "product_of_row_far",
        "product_of_row_near",
    ),
    "(6), (7): weights copied": ("product_packed",),
    "(6), (7), (8) without zeros": ("sparse_product", "sparse_error", "add_terms"),
    "zeros found": ("terms_of_row", "terms_of_columns"),
    "(8), (21)": ("descent_tile",),
    "(8)": ("product_update", "dense_update", "derivative_tile"),
    "(21)": ("update", "update_rows"),
    "pools layer by layer": ("pool_winners", "pool_winners_of"),
}
"""Functions of native/ by what they compute; which of them are code of their own, and not part of
their caller's, is the compiler's choice for each target."""
_WHAT = {function: what for what, functions in KERNELS.items() for function in functions}

LANES = {"xmm": 4, "ymm": 8, "zmm": 16}
_FUNCTION = re.compile(r"^([0-9a-f]+) <(.*)>:$")
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t(.*)$")
_KERNEL = re.compile(r"convlet::(avx2|avx512)::(\w+)")
_JUMP = re.compile(r"^j\w+\s+([0-9a-f]+)")


@dataclass
class Function:
    """Code of one symbol: where its instructions are, and their text."""

    name: str
    addresses: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def kernel(self) -> str:
        """What it computes, or what it is called."""
        if found := _KERNEL.search(self.name):
            return _WHAT.get(found[2], f"`{found[2]}`")
        return "steps, tasks, memory" if "convlet::" in self.name else "other"

    def innermost(self) -> list[range]:
        """The addresses of each loop without a loop inside: slices of those of the function."""
        loops = []
        for n, text in enumerate(self.texts):
            if (jump := _JUMP.match(text)) and (to := int(jump[1], 16)) <= self.addresses[n]:
                first = bisect_left(self.addresses, to)
                if self.addresses[first] == to:
                    loops.append((first, n + 1))
        return [
            range(a, b)
            for a, b in loops
            if not any((c, d) != (a, b) and a <= c and d <= b for c, d in loops)
        ]


def functions(disassembly: Iterable[str]) -> list[Function]:
    """Of `objdump -d -C --no-show-raw-insn`, in the order of their addresses."""
    found: list[Function] = []
    for line in disassembly:
        if start := _FUNCTION.match(line):
            found.append(Function(start[2]))
        elif found and (one := _INSTRUCTION.match(line)):
            found[-1].addresses.append(int(one[1], 16))
            found[-1].texts.append(one[2].partition("#")[0].strip())
    return sorted((one for one in found if one.addresses), key=lambda one: one.addresses[0])


class Code:
    """Which function an address belongs to, and what it computes."""

    def __init__(self, found: Sequence[Function]) -> None:
        self.found = found
        self.starts = [one.addresses[0] for one in found]
        self.text = {
            at: text for one in found for at, text in zip(one.addresses, one.texts, strict=True)
        }

    def at(self, address: int) -> Function | None:
        if address not in self.text:
            return None
        return self.found[self.index(address)]

    def index(self, address: int) -> int:
        return bisect_right(self.starts, address) - 1


def multiply_adds(text: str) -> int:
    """Of one instruction: its lanes, masked ones too."""
    operation = text.partition(" ")[0].rstrip()
    if not operation.startswith(("vfmadd", "vfmsub", "vfnmadd", "vfnmsub")):
        return 0
    if operation.endswith(("ss", "sd")):
        return 1
    return LANES[re.findall(r"%([xyz]mm)", text)[-1]]


@dataclass
class Count:
    """Of one kernel: instructions, lines that L1 did not have for loads and for stores, lines that
    L2 did not have, and multiply-adds."""

    instructions: int = 0
    l1_reads: int = 0
    l1_writes: int = 0
    l2: int = 0
    multiply_adds: int = 0

    @property
    def l1(self) -> int:
        return self.l1_reads + self.l1_writes


EVENTS = ["Ir", "Dr", "Dw", "I1mr", "D1mr", "D1mw", "ILmr", "DLmr", "DLmw"]


def counts(callgrind: Iterable[str], library: str, code: Code) -> dict[str, Count]:
    """By kernel, what happened in the library, of callgrind's file by instructions."""
    found: dict[str, Count] = {}
    inside = inclusive = False
    for line in callgrind:
        if line.startswith("events:") and line.split()[1:] != EVENTS:
            raise ValueError(f"callgrind counted {line.strip()}, expected {' '.join(EVENTS)}")
        if line.startswith("ob="):
            inside = line.strip().endswith(library)
        elif line.startswith("calls="):
            inclusive = True  # the next line is what the called function took
        elif line.startswith("0x"):
            if inside and not inclusive:
                at, *numbers = line.split()
                _add(found, int(at, 16), [int(n) for n in numbers], code)
            inclusive = False
    return found


def _add(found: dict[str, Count], at: int, numbers: list[int], code: Code) -> None:
    function = code.at(at)
    one = found.setdefault(function.kernel if function else "other", Count())
    ir, _, _, _, d1r, d1w, _, dlr, dlw = numbers + [0] * (len(EVENTS) - len(numbers))
    one.instructions += ir
    one.l1_reads += d1r
    one.l1_writes += d1w
    one.l2 += dlr + dlw
    if ir:
        one.multiply_adds += ir * multiply_adds(code.text.get(at, ""))


@dataclass(frozen=True)
class Sampled:
    """Of one kernel: how often it was met, how often of these in innermost loops that multiply, and
    the one of them in which it was met most, or none."""

    samples: int
    inside: int
    loop: list[str]


def sampled(addresses: Iterable[int], code: Code) -> dict[str, Sampled]:
    """Addresses within the library -> what was met of each kernel."""
    met = Counter(at for at in addresses if at in code.text)
    of_kernel: dict[str, set[int]] = {}
    for at in met:
        index = code.index(at)
        of_kernel.setdefault(code.found[index].kernel, set()).add(index)
    found = {}
    for kernel, indices in of_kernel.items():
        times = inside = most = 0
        hottest: list[str] = []
        for one in (code.found[index] for index in sorted(indices)):
            times += sum(met[at] for at in one.addresses)
            for places in one.innermost():
                loop = [one.texts[n] for n in places]
                here = sum(met[one.addresses[n]] for n in places)
                if any(map(multiply_adds, loop)):
                    inside += here
                    if here > most:
                        most, hottest = here, loop
        found[kernel] = Sampled(times, inside, hottest)
    return found


def for_mca(loop: Sequence[str]) -> str:
    """A loop as llvm-mca reads it: targets of jumps are a label."""
    lines = (re.sub(r"^(j\w+)\s+.*$", r"\1 .Lloop", text) for text in loop)
    return "\n".join([".Lloop:", *lines]) + "\n"


@dataclass(frozen=True)
class Ports:
    """cycles: of one iteration; busiest: the ports that are taken most, and in how many of them."""

    cycles: float
    busiest: str
    pressure: float


def ports(mca: str, iterations: int) -> Ports:
    """Of llvm-mca's report of so many iterations."""
    cycles = int(re.search(r"^Total Cycles:\s+(\d+)", mca, re.MULTILINE)[1]) / iterations
    names = dict(re.findall(r"^(\[\d+(?:\.\d+)?\])\s+- (\S+)", mca, re.MULTILINE))
    table = mca.partition("Resource pressure per iteration:\n")[2].splitlines()
    columns, cells = re.findall(r"\[[\d.]+\]", table[0]), table[1].split()
    pressure = {
        names[column]: float(cell)
        for column, cell in zip(columns, cells, strict=True)
        if cell != "-"
    }
    most = max(pressure.values())
    busy = [name.partition("Port")[2] or name for name, n in pressure.items() if n > 0.97 * most]
    return Ports(cycles, ", ".join(busy), most)


@dataclass(frozen=True)
class Bound:
    """Shares of a kernel's time that are accounted for, each as if all else took none.

    peak: its multiply-adds at the peak.  ports: at what llvm-mca gives its inner loop, 0 where it
    multiplies nothing.  memory: the lines that came from L2 and from beyond, as streams.
    """

    peak: float
    ports: float
    memory: float

    def __str__(self) -> str:
        """The largest, by name."""
        shares = {
            "multiply-adds": self.peak,
            "ports": self.ports,
            "memory": self.memory,
        }
        most = max(shares, key=shares.__getitem__)
        if most == "ports" and self.ports <= 1.05 * self.peak:
            most = "multiply-adds"
        return f"{most}, {shares[most]:.0%}" if shares[most] else ""
