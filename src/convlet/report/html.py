"""Pieces of HTML.  Text is escaped here and nowhere else; what has the type Html is markup."""

import base64
import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NewType

from numpy.typing import NDArray

from convlet import wording
from convlet.datasets.encoded.pictures import pillow
from convlet.plots.rendering import render
from convlet.plots.style import BLUE, GREY, INK
from convlet.wording import file_label, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Html = NewType("Html", str)
LONGEST = 80  # characters of a name


def text(value: object) -> Html:
    """Text as markup that shows it: names come from files, and may hold anything."""
    return Html(html.escape(label(value, LONGEST)))


def own(words: str) -> Html:
    """Words of ours as markup, whatever their length."""
    return Html(html.escape(words))


def file_text(value: object) -> Html:
    """The name of an image as markup that shows it."""
    return Html(html.escape(file_label(value, LONGEST)))


def tag(name: str, *inside: str, **attributes: object) -> Html:
    """An element around markup.  class_ is written class, and_so_on and-so-on."""
    words = [name]
    for key, value in attributes.items():
        words.append(f'{key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"')
    return Html(f"<{' '.join(words)}>{''.join(inside)}</{name}>")


def join(*pieces: Html) -> Html:
    return Html("\n".join(pieces))


def section(name: str, title: str, *inside: Html) -> Html:
    """A section of the page, reached by #name."""
    return tag("section", tag("h2", text(title)), "\n", *inside, id=name)


def note(words: str) -> Html:
    return tag("p", own(words), class_="note")


def pairs(words: Mapping[str, Html], kind: str) -> Html:
    """What is said about things, each with the thing above it."""
    inside = (tag("div", tag("dt", text(name)), tag("dd", said)) for name, said in words.items())
    return tag("dl", *inside, class_=kind)


def percent(share: float | None) -> Html:
    """A share as 98.71 %, between which no line breaks, or a dash where there is none."""
    return Html("–" if share is None else whole(wording.percent(share)))  # noqa: RUF001  a dash


def whole(words: str) -> Html:
    """Words between which no line breaks, as a number and its unit."""
    return Html(own(words).replace(" ", "\u00a0"))


def table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Html]],
    numbers_from: int = 1,
    names_to: int = 0,
) -> Html:
    """A table in a box that scrolls sideways by itself; the first cell of a row names it.

    Columns from numbers_from on are numbers, set to the right.  Columns before names_to are names
    of any length, which wrap.
    """

    def kind(column: int) -> dict[str, str]:
        if column >= numbers_from:
            return {"class_": "number"}
        return {"class_": "name"} if column < names_to else {}

    head = tag("tr", *(tag("th", text(h), scope="col", **kind(j)) for j, h in enumerate(header)))
    body = []
    for first, *rest in rows:
        cells = (tag("td", cell, **kind(j)) for j, cell in enumerate(rest, start=1))
        body.append(tag("tr", tag("th", first, scope="row", **kind(0)), *cells))
    inside = tag("table", tag("thead", head), tag("tbody", "\n".join(body)))
    return tag("div", note(caption), box(inside, caption))  # a <caption> would be cut by the box


def box(inside: Html, name: str, kind: str = "box") -> Html:
    """What may be wider than the page: it scrolls, with the keyboard too.

    kind: "box", or "box sheet" for a picture on white paper.
    """
    return tag("div", inside, class_=kind, role="region", aria_label=name, tabindex=0)


def image(pixels: NDArray[Any], alt: str, width: str) -> Html:
    """Pixels (rows, columns, 3 or 4) uint8 as a PNG in the page.

    alt: words for it, which may have the name of a file.  width: of CSS, at most 100 %.
    """
    stream = io.BytesIO()
    pillow().fromarray(pixels).save(stream, "PNG", optimize=True)
    data = base64.b64encode(stream.getvalue()).decode()
    rows, columns = pixels.shape[:2]
    source = f"data:image/png;base64,{data}"
    return Html(
        f'<img src="{source}" alt="{file_text(alt)}" width="{columns}" height="{rows}"'
        f' style="width:{width}">'
    )


def chart(figure: "Figure", name: str, alt: str) -> Html:
    """A figure without foreign text as SVG in the page, in the page's own colours.

    name: unique in the page, before the ids of the picture.
    """
    svg = render(figure, "svg", transparent=True).decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)  # would be the page's
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    for colour, ours in ((INK, "currentColor"), (BLUE, "var(--blue)"), (GREY, "var(--soft)")):
        svg = svg.replace(colour, ours)
    words = f'<svg role="img" aria-label="{html.escape(alt)}" class="chart"'
    return Html(svg.replace("<svg", words, 1))


def picture_of(figure: "Figure", alt: str) -> Html:
    """A figure with foreign text as an image: what it holds cannot become part of the page."""
    data = base64.b64encode(render(figure, "png")).decode()
    words = html.escape(alt)
    return Html(f'<img class="paper" src="data:image/png;base64,{data}" alt="{words}">')
