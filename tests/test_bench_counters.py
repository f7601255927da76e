"""The benchmark's counters: what the tools print is read as it is meant, and reckoned with rightly.

The samples are made by hand; nothing here starts valgrind, perf or llvm-mca.
"""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

DISASSEMBLY = """
core.so:     file format elf64-x86-64


Disassembly of section .text:

0000000000001000 <void convlet::avx2::product_tile<8, 2, true>(convlet::Strided, long)>:
    1000:\tpush   %rbp
    1001:\tvmovups (%rax),%ymm1
    1005:\tvfmadd231ps (%rdx),%ymm1,%ymm2
    100a:\tvfnmadd213ss %xmm3,%xmm1,%xmm2
    100f:\tadd    $0x20,%rax
    1013:\tcmp    %rcx,%rax
    1016:\tjne    1001 <void convlet::avx2::product_tile<8, 2, true>(convlet::Strided, long)+0x1>
    1018:\tinc    %rdi
    101b:\tjne    1000 <void convlet::avx2::product_tile<8, 2, true>(convlet::Strided, long)>
    101d:\tret

0000000000002000 <convlet::avx512::conv_dw(convlet::ConvShape const&)>:
    2000:\tvfmadd231ps 0x10(%rip),%zmm1,%zmm2{%k1}        # 2016 <x>
    2007:\tja     2000 <convlet::avx512::conv_dw(convlet::ConvShape const&)>
    2009:\tvmovups %zmm2,(%rax)
    200f:\tja     2009 <convlet::avx512::conv_dw(convlet::ConvShape const&)+0x9>
    2011:\tret

0000000000003000 <convlet::Engine::train(float*)>:
    3000:\tret
""".splitlines()

CALLGRIND = """# callgrind format
positions: instr
events: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw
summary: 99 9

ob=/usr/lib/libc.so.6
fl=???
fn=memset
0x1005 7 7 7

ob=/somewhere/convlet/_native/_core.so
fl=???
fn=product_tile
0x1001 10 10 0 0 3 0 0 2
0x1005 10 10 0 0 4
0x100a 10
0x1018 2
calls=1 0x3000
0x101b 500 400 300 0 200 100 0 50
0x101d 1 1 1 0 1 1 0 0 1
fn=Engine::train
0x3000 5 1 2 0 0 2
""".splitlines(keepends=True)

MCA = """
Iterations:        200
Instructions:      800
Total Cycles:      811

Resources:
[0]   - SKXDivider
[1]   - SKXPort0
[2]   - SKXPort4
[3]   - SKXPort5

Resource pressure per iteration:
[0]    [1]    [2]    [3]
 -     3.99   0.50   4.00

Resource pressure by instruction:
""".lstrip()


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("counted")


@pytest.fixture
def counters(counted):
    return importlib.import_module("counters")


@pytest.fixture
def tables(counters):
    return importlib.import_module("counters_table")


@pytest.fixture
def code(counted):
    return counted.Code(counted.functions(DISASSEMBLY))


def test_functions_have_the_names_of_their_kernels(code):
    assert [one.kernel for one in code.found] == [
        "(6), (7)",
        "(2), (3) of survivors",
        "steps, tasks, memory",
    ]
    assert code.at(0x1013) is code.found[0]
    assert code.at(0x2011) is code.found[1]
    assert code.at(0x1003) is None  # the middle of an instruction
    assert code.at(0x9000) is None


@pytest.mark.parametrize(
    ("text", "lanes"),
    [
        ("vfmadd231ps (%rdx),%ymm1,%ymm2", 8),
        ("vfmadd231ps (%rdx){1to16},%zmm1,%zmm2", 16),
        ("vfmadd231ps %zmm3,%zmm1,%zmm2{%k1}", 16),
        ("vfnmadd132ps %xmm3,%xmm1,%xmm2", 4),
        ("vfmsub213ss %xmm3,%xmm1,%xmm2", 1),
        ("vmulps %ymm3,%ymm1,%ymm2", 0),
        ("ret", 0),
    ],
)
def test_multiply_adds_are_lanes(counted, text, lanes):
    assert counted.multiply_adds(text) == lanes


def test_callgrind_is_counted_in_the_core_alone_without_what_is_called(counted, code):
    found = counted.counts(CALLGRIND, "_core.so", code)
    assert found == {
        "(6), (7)": counted.Count(33, 8, 1, 3, 10 * 8 + 10 * 1),
        "steps, tasks, memory": counted.Count(5, 0, 2, 0, 0),
    }
    assert found["(6), (7)"].l1 == 9


def test_other_events_are_refused(counted, code):
    with pytest.raises(ValueError, match="callgrind counted events: Ir, expected Ir Dr Dw"):
        counted.counts(["events: Ir\n"], "_core.so", code)


def test_samples_find_the_hottest_inner_loop(counted, code):
    met = [0x1005] * 3 + [0x1018] * 9 + [0x2000] + [0x2009] * 2 + [0x77777]
    found = counted.sampled(met, code)
    assert {kernel: one.samples for kernel, one in found.items()} == {
        "(6), (7)": 12,
        "(2), (3) of survivors": 3,
    }
    # not the outer loop of the first, though it was met more often
    assert found["(6), (7)"].inside == 3
    assert found["(6), (7)"].loop == [
        "vmovups (%rax),%ymm1",
        "vfmadd231ps (%rdx),%ymm1,%ymm2",
        "vfnmadd213ss %xmm3,%xmm1,%xmm2",
        "add    $0x20,%rax",
        "cmp    %rcx,%rax",
        "jne    1001 <void convlet::avx2::product_tile<8, 2, true>(convlet::Strided, long)+0x1>",
    ]
    # nor the loop that multiplies nothing
    assert found["(2), (3) of survivors"].inside == 1
    assert found["(2), (3) of survivors"].loop[0] == "vfmadd231ps 0x10(%rip),%zmm1,%zmm2{%k1}"
    assert counted.for_mca(["inc %rax", "jne    1001 <f+0x1>"]) == ".Lloop:\ninc %rax\njne .Lloop\n"


def test_mca_gives_cycles_and_the_busiest_ports(counted):
    assert counted.ports(MCA, 200) == counted.Ports(811 / 200, "0, 5", 4.0)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.9, 0.92, 0.1), "multiply-adds, 90%"),
        ((0.4, 0.8, 0.7), "ports, 80%"),
        ((0.4, 0.5, 0.7), "memory, 70%"),
        ((0.0, 0.0, 0.7), "memory, 70%"),
        ((0.0, 0.0, 0.0), ""),
    ],
)
def test_the_bound_is_what_accounts_for_most(counted, shares, said):
    assert str(counted.Bound(*shares)) == said


def test_lines_take_the_time_of_streams(tables, counted):
    rates = {"L2": tables.Rates(64e9, 32e9), "memory": tables.Rates(16e9, 8e9)}
    machine = tables.Machine(100e9, rates)
    one = counted.Count(l1_reads=5, l1_writes=3, l2=2)
    # 5 ns of loads and 6 of updates from L2; two of the lines came from beyond, in 4 ns each, not 1
    assert machine.seconds(one) == pytest.approx((5 + 6 + 2 * 3) * 1e-9)


def test_dense_multiply_adds_leave_out_the_error_of_the_image(counters):
    family = counters.FAMILIES["dense-256-128"]
    first, others = 784 * 256, 256 * 128 + 128 * 10
    assert counters.dense(family, 32) == 32 * (2 * first + 3 * others)


def test_a_row_of_the_table(tables, counted, monkeypatch):
    monkeypatch.setattr(tables, "loop_ports", lambda loop, mcpu: counted.Ports(2.0, "4", 2.0))
    rates = {level: tables.Rates(64e9, 64e9) for level in ("L2", "memory")}
    machine = tables.Machine(1e9, rates)
    counts = {"(2), (3) of survivors": counted.Count(2000, 4000, 0, 500, 5000)}
    loop = ["vfmadd231ps %zmm3,%zmm1,%zmm2", "vmovups %zmm2,(%rax)"]
    met = {"(2), (3) of survivors": counted.Sampled(samples=2, inside=1, loop=loop)}
    lines = list(tables.table(10_000, counts, met, 1e-5, machine, "any"))
    # in 10 us the peak makes 10,000; the loop may make 16 in 2 cycles, a quarter of it
    assert lines[2] == (
        "| (2), (3) of survivors | 0.0100 | 100% | 200 | 400.00 | 50.000 | 50.0% |"
        " 50% | 25% | 4 | 50% | 40% | ports, 200% |"
    )
    assert lines[-1].startswith("| all | 0.0100 | 100% | 200 | 400.00 | 50.000 | 50.0% | 50% |")


def test_a_missing_tool_is_named_with_its_package(counters, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["counters.py"])
    monkeypatch.setattr(counters.shutil, "which", lambda tool: None if tool == "perf" else tool)
    with pytest.raises(SystemExit):
        counters.options()
    assert "perf is not installed: apt-get install linux-perf" in capsys.readouterr().err
