"""Make the page's copy of docs/equations.md: derivation.html, its formulas as MathML.

    python scripts/live_derivation.py

Only what that document uses of TeX and Markdown is understood; anything else raises `ValueError`.
Links to files of the repository become their text: the page is read where there is none.
"""

import base64
import html
import re
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "docs" / "equations.md"
PAGE = ROOT / "src" / "convlet" / "server" / "page" / "derivation.html"

LETTERS = {"delta": "δ", "sigma": "\u03c3", "eta": "η", "omega": "ω", "Delta": "Δ", "partial": "∂"}
OPERATORS = {
    "le": "≤",
    "ge": "≥",
    "lt": "<",
    "gt": ">",
    "ne": "≠",
    "in": "∈",
    "times": "\u00d7",
    "cdot": "·",
    "leftarrow": "←",
    "ldots": "…",
    "cdots": "⋯",
}
FENCES = {"lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "lbrace": "{", "rbrace": "}"}
FUNCTIONS = ("exp", "log")
LIMITS = {"sum": "∑", "max": "max"}  # what is summed over stands below
PRIME = "<mo>\u2032</mo>"
SPACES = {"thinspace": 0.17, "enspace": 0.5, "quad": 1, "qquad": 2}  # em
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)


class Formula:
    """TeX, read from the left."""

    def __init__(self, text: str) -> None:
        self.tokens = [token for token in TOKEN.findall(text) if not token.isspace()]
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise ValueError(f"{token!r} stands where {expected or 'more'} was expected")
        self.at += 1
        return token

    def row(self, *ends: str) -> str:
        """Up to one of the ends, which is left."""
        parts = []
        while self.peek() not in ("", *ends):
            parts.append(self.scripted())
        return f"<mrow>{''.join(parts)}</mrow>"

    def scripted(self) -> str:
        """An atom and what is lowered and raised at it."""
        limits = self.peek()[1:] in LIMITS
        base = self.atom()
        scripts = {"_": "", "^": ""}
        while self.peek() in ("_", "^", "'"):
            kind = self.take()
            scripts["^" if kind == "'" else kind] += PRIME if kind == "'" else self.group()
        low, high = scripts["_"], scripts["^"]
        if low and high:
            name = "munderover" if limits else "msubsup"
            return f"<{name}>{base}{low}{high}</{name}>"
        if low:
            name = "munder" if limits else "msub"
            return f"<{name}>{base}{low}</{name}>"
        return f"<msup>{base}{high}</msup>" if high else base

    def group(self) -> str:
        """What stands in braces, or one atom."""
        if self.peek() != "{":
            return self.atom()
        self.take("{")
        inside = self.row("}")
        self.take("}")
        return inside

    def words(self) -> str:
        """The letters in braces."""
        self.take("{")
        letters = []
        while self.peek() != "}":
            letters.append(self.take())
        self.take("}")
        return "".join(letters)

    def atom(self) -> str:
        token = self.take()
        if token == "{":
            self.at -= 1
            return self.group()
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{token}</mi>"
        if token in "()[]|":
            return f'<mo stretchy="false">{token}</mo>'
        return f"<mo>{html.escape('−' if token == '-' else token)}</mo>"  # noqa: RUF001  a minus

    def command(self, name: str) -> str:
        if name in LETTERS:
            return f"<mi>{LETTERS[name]}</mi>"
        if name in OPERATORS:
            return f"<mo>{html.escape(OPERATORS[name])}</mo>"
        if name in FENCES:
            return f'<mo stretchy="false">{FENCES[name]}</mo>'
        if name in FUNCTIONS:
            space = '<mspace width="0.17em"></mspace>'
            return f"{space}<mi>{name}</mi>{space}"
        if name in LIMITS:
            return f'<mo movablelimits="true">{LIMITS[name]}</mo>'
        if name in SPACES:
            return f'<mspace width="{SPACES[name]}em"></mspace>'
        match name:
            case "frac":
                return f"<mfrac>{self.group()}{self.group()}</mfrac>"
            case "mathrm":
                return f'<mi mathvariant="normal">{self.words()}</mi>'
            case "text":
                return f"<mtext>{self.words()}</mtext>"
            case "left" | "right":
                return f"<mo>{self.take()}</mo>"
            case "begin":
                return self.environment(self.words())
        raise ValueError(f"\\{name} is not understood")

    def environment(self, name: str) -> str:
        end, rows = "\\end", [[""]]
        while True:
            rows[-1][-1] = self.row("&", "\\cr", end)
            token = self.take()
            if token == end:
                break
            if token == "&":
                rows[-1].append("")
            else:
                rows.append([""])
        if self.words() != name:
            raise ValueError(f"{name} is not ended")
        lines = ("".join(f"<mtd>{cell}</mtd>" for cell in row) for row in rows)
        inside = "".join(f"<mtr>{line}</mtr>" for line in lines)
        large = ' displaystyle="true"' if name == "aligned" else ""
        table = f'<mtable class="{name}"{large}>{inside}</mtable>'
        left, right = {"cases": ("{", ""), "pmatrix": ("(", ")"), "aligned": ("", "")}[name]
        fences = [f"<mo>{fence}</mo>" if fence else "" for fence in (left, right)]
        return f"<mrow>{fences[0]}{table}{fences[1]}</mrow>"


def mathml(text: str, display: bool = False) -> str:
    """TeX as MathML; a tag stands beside it."""
    tag = re.search(r"\\tag\{(\d+)\}", text)
    formula = Formula(text.replace(tag[0], "") if tag else text)
    inside = formula.row()
    if not display:
        return f"<math>{inside}</math>"
    number = f'<span class="tag">({tag[1]})</span>' if tag else ""
    return f'<div class="formula"><math display="block">{inside}</math>{number}</div>'


def derivation(source: str) -> str:
    """The document as a page."""
    formulas: list[str] = []

    def put(display: bool):
        def replaced(found: re.Match[str]) -> str:
            formulas.append(mathml(found[1], display))
            return (
                f"\n\nFORMULA{len(formulas) - 1}X\n\n"
                if display
                else f"FORMULA{len(formulas) - 1}X"
            )

        return replaced

    text = re.sub(r"\$\$(.+?)\$\$", put(True), source, flags=re.DOTALL)
    text = re.sub(r"\$([^$]+?)\$", put(False), text)
    text = re.sub(r'<a id="(eq-\d+)"></a>', r'<div id="\1" class="anchor"></div>', text)
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    page = re.sub(r"<h(\d)>(.*?)</h\1>", _with_id, page)
    page = re.sub(r'<a href="(?!#)[^"]*">(.*?)</a>', r"\1", page, flags=re.DOTALL)
    page = re.sub(r'<img src="([^"]*)"', _inside, page)
    page = re.sub(r"<p>FORMULA(\d+)X</p>", r"FORMULA\1X", page)
    page = re.sub(r"FORMULA(\d+)X", lambda found: formulas[int(found[1])], page)
    page = page.replace(' style="text-align:right"', ' class="number"')
    page = page.replace("<table>", f"{BOX}<table>")
    page = page.replace("</table>", "</table></div>")
    return HEAD + page + FOOT


def _with_id(found: re.Match[str]) -> str:
    level, words = found.groups()
    plain = re.sub(r"<[^>]+>", "", html.unescape(words))
    name = re.sub(r"[^\w -]", "", plain.lower()).replace(" ", "-")
    return f'<h{level} id="{name}">{words}</h{level}>'


def _inside(found: re.Match[str]) -> str:
    data = base64.b64encode((SOURCE.parent / found[1]).read_bytes()).decode()
    return f'<img class="paper" src="data:image/svg+xml;base64,{data}"'


BOX = '<div class="box" role="region" aria-label="Table" tabindex="0">'
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>convlet: the equations</title>
<link rel="icon" href="icon.svg">
<link rel="stylesheet" href="page.css">
<link rel="stylesheet" href="derivation.css">
</head>
<body>
<main>
<p><a href="./">convlet live</a></p>
"""
FOOT = """</main>
</body>
</html>
"""


if __name__ == "__main__":
    PAGE.write_text(derivation(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
