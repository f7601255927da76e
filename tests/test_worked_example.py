"""The example with numbers in docs/equations.md, and the picture of it: every number is computed.

Sums are compared with loops over (1), (2), (3) written here, term by term, and with equations.py.
"""

import re
import runpy
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from convlet import equations as eq

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
SECTION = TEXT[TEXT.index("## 5. One example") : TEXT.index("## What is corrected")]
PICTURE = ROOT / "docs" / "images" / "convolution.svg"

Term = tuple[int, int]


def matrices(name: str) -> list[np.ndarray]:
    """Every array that the section gives as `name = (rows)`."""
    found = re.findall(
        rf"(?<![\w)]){re.escape(name)} = \\begin\{{pmatrix\}}(.*?)\\end\{{pmatrix\}}", SECTION
    )
    return [np.array([row.split("&") for row in body.split(r"\cr")], float) for body in found]


def table(heading: str) -> dict[tuple[int, int], list[str]]:
    """The rows of the table whose second column begins so: place -> the other cells."""
    lines = SECTION.splitlines()
    start = next(n for n, line in enumerate(lines) if line.count("|") and f"| {heading}" in line)
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        place, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        i, j = map(int, place.split(","))
        rows[i, j] = cells
    return rows


def terms(text: str) -> list[Term]:
    """The products of a sum as it is written, `1·2 + (-1)·3`."""
    products = [product.split("·") for product in text.split(" + ")]
    return [(int(a.strip("()")), int(b.strip("()"))) for a, b in products]


X, W, E = (matrices(name)[0] for name in "xwe")
Z = eq.conv2d(X[..., None], W[..., None, None])
DELTA = E[..., None] * eq.relu_derivative(Z)
DX = eq.conv2d_dx(DELTA, W[..., None, None], (3, 3, 1))
DW = eq.conv2d_dw(DELTA, X[..., None], (2, 2))[..., 0]


def output_terms(i: int, j: int) -> list[Term]:
    """(1): x_(i+p)(j+q) w_(1-p)(1-q)."""
    return [(int(X[i + p, j + q]), int(W[1 - p, 1 - q])) for p in (0, 1) for q in (0, 1)]


def pixel_terms(t: int, u: int) -> list[Term]:
    """(2): delta_ij w_(1+i-t)(1+j-u), where that tap exists."""
    return [
        (int(DELTA[i, j, 0]), int(W[1 + i - t, 1 + j - u]))
        for i in (0, 1)
        for j in (0, 1)
        if 0 <= 1 + i - t <= 1 and 0 <= 1 + j - u <= 1
    ]


def tap_terms(c: int, d: int) -> list[Term]:
    """(3): delta_ij x_(i+1-c)(j+1-d)."""
    return [(int(DELTA[i, j, 0]), int(X[i + 1 - c, j + 1 - d])) for i in (0, 1) for j in (0, 1)]


@pytest.mark.parametrize(
    ("heading", "by_hand", "program"),
    [("(1):", output_terms, Z), ("(2):", pixel_terms, DX), ("(3):", tap_terms, DW)],
)
def test_the_sums_of_a_table(heading, by_hand, program):
    rows = table(heading)
    assert list(rows) == list(np.ndindex(program.shape[:2]))
    for place, (sum_, total, *_) in rows.items():
        assert terms(sum_) == by_hand(*place)
        assert sum(a * b for a, b in terms(sum_)) == int(total) == program[place][0]


def test_the_way_through_the_relu():
    for place, (_, z, r, e, slope, delta) in table("(1):").items():
        assert int(r) == max(int(z), 0) == eq.relu(Z)[place][0]
        assert Fraction(slope) == eq.relu_derivative(Z)[place][0]
        assert Fraction(slope) * int(e) == int(delta) == DELTA[place][0]
        assert int(e) == E[place]


def test_the_derivatives_are_differences():
    """sum delta z is linear in x, w and b: a step of 1 gives the derivative itself."""

    def cost(x: np.ndarray, w: np.ndarray, b: float) -> float:
        return float((DELTA * (eq.conv2d(x[..., None], w[..., None, None]) + b)).sum())

    here = cost(X, W, 0)
    for (t, u), (_, derivative) in table("(2):").items():
        moved = X.copy()
        moved[t, u] += 1
        assert cost(moved, W, 0) - here == int(derivative)
    for (c, d), (_, derivative) in table("(3):").items():
        moved = W.copy()
        moved[c, d] += 1
        assert cost(X, moved, 0) - here == int(derivative)
    bias = re.search(r"\(18\): the errors added up, (.*) = (\d+)\.", SECTION)
    errors = [int(error.strip("()")) for error in bias[1].split(" + ")]
    assert errors == DELTA.ravel().tolist()
    assert sum(errors) == int(bias[2]) == cost(X, W, 1) - here


def test_the_pixel_that_is_checked_in_words():
    *taps, total = map(int, re.search(
        r"rise by \$h\$, \$(\d)h\$,\s\$(-\d)h\$ and \$(\d)h\$, .* that is \$(\d+) h\$", SECTION
    ).groups())  # fmt: skip
    assert [1, *taps] == [tap for _, tap in pixel_terms(1, 1)]
    assert total == DX[1, 1, 0]


def test_the_pool_behind_the_relu():
    (rectified,) = matrices(r"\mathrm{R}(z)")
    maximum = int(re.search(r"\\mathrm\{P\}\(\\mathrm\{R\}\(z\)\) = (\d+)", SECTION)[1])
    i, j, error = map(
        int, re.search(r"that of \((\d), (\d)\), so an\serror of (\d+)", SECTION).groups()
    )
    assert f"P}}^{{-1}}({error})" in SECTION
    (unpooled,) = matrices(rf"\mathrm{{P}}^{{-1}}({error})")
    (delta,) = matrices(r"\delta")
    r = eq.relu(Z)
    np.testing.assert_array_equal(rectified, r[..., 0])
    assert maximum == eq.max_pool(r).item() == r.max()
    back = eq.unpool(np.full((1, 1, 1), float(error)), r)
    np.testing.assert_array_equal(unpooled, back[..., 0])
    np.testing.assert_array_equal(delta, (back * eq.relu_derivative(Z))[..., 0])
    assert unpooled[i, j] == error == unpooled.sum()
    assert rectified[i, j] == maximum


def test_the_picture_is_what_the_script_draws():
    script = runpy.run_path(str(ROOT / "scripts" / "equations_picture.py"))
    assert script["draw"]() == PICTURE.read_text(encoding="utf-8"), "scripts/equations_picture.py"


def test_the_picture_has_the_numbers_of_the_example():
    panels = re.findall(r"<g .*?</g>", PICTURE.read_text(encoding="utf-8"), re.DOTALL)
    arrays = ([W, X, Z], [W, DELTA, DX], [DELTA, X, DW])
    sums = (output_terms(0, 0), pixel_terms(1, 1), [(x, e) for e, x in tap_terms(1, 1)])
    totals = (Z[0, 0, 0], DX[1, 1, 0], DW[1, 1, 0])
    for panel, shown, products, total in zip(panels, arrays, sums, totals, strict=True):
        panel = panel.replace("\N{MINUS SIGN}", "-")
        numbers = re.findall(r'class="number"[^>]*>(-?\d+)<', panel)
        assert [int(n) for n in numbers] == np.concatenate([a.ravel() for a in shown]).tolist()
        factors = re.findall(r'class="factor"[^>]*>· \(?(-?\d+)', panel)
        assert [int(n) for n in factors] == [b for _, b in products]
        line = re.search(r"> *\w+ = (.*?) = (-?\d+)<", panel)
        assert terms(line[1]) == products
        assert int(line[2]) == total
