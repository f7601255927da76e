"""Draw the picture of docs/equations.md: (1), (2) and (3) for the image and kernel of its example.

    python scripts/equations_picture.py

Writes docs/images/convolution.svg: three panels one above the other, as wide as a phone, in the
reader's choice of light or dark.  The same version gives the same bytes.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlet import equations as eq

OUT = Path(__file__).parent.parent / "docs" / "images" / "convolution.svg"

X = np.array([[1, 2, 3], [0, 1, 2], [1, 0, 2]])
W = np.array([[1, 3], [-2, 2]])
DELTA = np.array([[0, 2], [-1, 3]])
SQUARE = list(np.ndindex(2, 2))

WIDTH, PANEL, MARGIN = 420, 284, 14  # in the units of the picture; at 390 pixels 1 is 0.93
MIDDLE = 170  # of the arrays in a panel
SMALL, LARGE = 40, 48  # cells without and with a factor in them
LEFT, CENTRE = MARGIN, MARGIN + 2 * SMALL + 44  # edges of the first and the second array
STYLE = """
    text { font-family: system-ui, "DejaVu Sans", sans-serif; fill: #1a1a1b; text-anchor: middle }
    .card { fill: #ffffff } .cell { fill: #ffffff; stroke: #6b7681 }
    .used { fill: #d6e8f7 } .result { fill: #fbe0cc }
    .factor { fill: #9a3d00; font-size: 14px } .number { font-size: 18px }
    .title { font-size: 16px; font-weight: bold; text-anchor: start }
    .words { font-size: 14px; text-anchor: start } .name { font-size: 16px; font-style: italic }
    .above { font-size: 13px }
    .line { stroke: #6b7681; stroke-width: 1.5; fill: none } .head { fill: #6b7681 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .card { fill: #0d1117 } .cell { fill: #0d1117; stroke: #8b949e }
      .used { fill: #12395b } .result { fill: #5b2d10 } .factor { fill: #ffb27d }
      .line { stroke: #8b949e } .head { fill: #8b949e }
    }"""

Numbers = NDArray[np.int64]
Factors = dict[tuple[int, int], int]  # of the numbers in these cells


def derivatives() -> tuple[Numbers, Numbers, Numbers]:
    """z by (1), dx by (2), dw by (3), with one channel."""
    x, w, delta = X[..., None], W[..., None, None], DELTA[..., None]
    z, dx = eq.conv2d(x, w), eq.conv2d_dx(delta, w, x.shape)
    return z[..., 0], dx[..., 0], eq.conv2d_dw(delta, x, (2, 2))[..., 0, 0]


def number(value: int) -> str:
    """With the minus sign of typography."""
    return str(value).replace("-", "\N{MINUS SIGN}")


def factor(value: int) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def formula(name: str, terms: list[tuple[int, int]], total: int) -> str:
    """The sum of products as it is written: z = 1·2 + ..."""
    products = " + ".join(f"{factor(a)}·{factor(b)}" for a, b in terms)
    return f"{name} = {products} = {number(total)}"


def text(kind: str, x: float, y: float, words: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{words}</text>'


def grid(
    name: str,
    values: Numbers,
    left: float,
    cell: int,
    used: Factors | None = None,
    result: tuple[int, int] | None = None,
) -> list[str]:
    """An array of numbers with its name above; cells that are used show their factor, too."""
    rows, columns = values.shape
    top, used = MIDDLE - rows * cell / 2, used or {}
    parts = [text("name", left + columns * cell / 2, top - 8, name)]
    for at in np.ndindex(rows, columns):
        x, y = left + at[1] * cell, top + at[0] * cell
        kind = "cell used" if at in used else "cell result" if at == result else "cell"
        parts.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{cell}" height="{cell}"/>')
        below = cell / 2 + (-2 if at in used else 6)
        parts.append(text("number", x + cell / 2, y + below, number(values[at])))
        if at in used:
            parts.append(text("factor", x + cell / 2, y + cell - 7, f"· {factor(used[at])}"))
    return parts


def arrow(left: float, right: float, words: str = "") -> list[str]:
    return [
        f'<path class="line" d="M{left:g} {MIDDLE}H{right - 6:g}"/>',
        f'<path class="head" d="M{right:g} {MIDDLE}l-9 -5v10z"/>',
        *([text("above", (left + right) / 2, MIDDLE - 9, words)] if words else []),
    ]


def panel(place: int, title: str, words: tuple[str, str], parts: list[str], total: str) -> str:
    """One third of the picture, from the top down: title, two lines, arrays, the sum."""
    lines = [
        f'<g transform="translate(0 {(place - 1) * PANEL})">',
        text("title", MARGIN, 26, f"({place}) {title}"),
        *(text("words", MARGIN, 46 + 18 * n, line) for n, line in enumerate(words)),
        *parts,
        text("words", MARGIN, 268, total),
        "</g>",
    ]
    return "\n".join(lines)


def output(z: Numbers) -> str:
    """(1) for z_00: pixel (p, q) meets tap (1 - p, 1 - q)."""
    met = {(p, q): int(W[1 - p, 1 - q]) for p, q in SQUARE}
    right = WIDTH - MARGIN - 2 * SMALL
    return panel(
        1,
        "an output, z₀₀",
        ("Each pixel of its window times the tap on it:", "w lies on x turned by half a turn."),
        [
            *grid("w", W, LEFT, SMALL),
            *arrow(LEFT + 2 * SMALL + 6, CENTRE - 6, "180°"),
            *grid("x", X, CENTRE, LARGE, used=met),
            *arrow(CENTRE + 3 * LARGE + 6, right - 6),
            *grid("z", z, right, SMALL, result=(0, 0)),
        ],
        formula("z₀₀", [(int(X[at]), tap) for at, tap in met.items()], int(z[0, 0])),
    )


def pixel(dx: Numbers) -> str:
    """(2) for the pixel in the middle: output (i, j) met it with tap (i, j)."""
    met = {(i, j): int(W[i, j]) for i, j in SQUARE}
    right = WIDTH - MARGIN - 3 * LARGE
    return panel(
        2,
        "the error of a pixel, dx₁₁",
        ("The error of each output that saw it,", "times the tap that it met there."),
        [
            *grid("w", W, LEFT, SMALL),
            *arrow(LEFT + 2 * SMALL + 6, CENTRE - 6),
            *grid("δ", DELTA, CENTRE, LARGE, used=met),
            *arrow(CENTRE + 2 * LARGE + 6, right - 6),
            *grid("dx", dx, right, LARGE, result=(1, 1)),
        ],
        formula("dx₁₁", [(int(DELTA[at]), tap) for at, tap in met.items()], int(dx[1, 1])),
    )


def tap(dw: Numbers) -> str:
    """(3) for the last tap: in window (i, j) it met pixel (i, j)."""
    met = {(i, j): int(DELTA[i, j]) for i, j in SQUARE}
    right = WIDTH - MARGIN - 2 * SMALL
    return panel(
        3,
        "the derivative by a tap, dw₁₁",
        ("Each pixel that it met, times the error", "of the output of that window."),
        [
            *grid("δ", DELTA, LEFT, SMALL),
            *arrow(LEFT + 2 * SMALL + 6, CENTRE - 6),
            *grid("x", X, CENTRE, LARGE, used=met),
            *arrow(CENTRE + 3 * LARGE + 6, right - 6),
            *grid("dw", dw, right, SMALL, result=(1, 1)),
        ],
        formula("dw₁₁", [(int(X[at]), error) for at, error in met.items()], int(dw[1, 1])),
    )


def draw() -> str:
    """The picture as the text of an SVG file."""
    z, dx, dw = derivatives()
    height = 3 * PANEL + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' width="{WIDTH}" height="{height}">',
        "<title>The convolution and its two derivatives, in numbers</title>",
        f"<style>{STYLE}\n</style>",
        f'<rect class="card" width="{WIDTH}" height="{height}" rx="8"/>',
        output(z),
        pixel(dx),
        tap(dw),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    OUT.write_text(draw(), encoding="utf-8")
