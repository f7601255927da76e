"""What the documentation points at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for folder in (ROOT.glob("*.md"), *((ROOT / name).rglob("*.md") for name in ("docs", "src")))
    for path in folder
)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)


def links(page: Path) -> list[str]:
    """Targets of links and pictures that lead to no other site."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found = (
        re.findall(r"\]\(\s*<?([^)\s>]+)", text)
        + re.findall(r"^\[[^\]]+\]: (\S+)", text, re.MULTILINE)
        + re.findall(r'(?:src|href)="([^"]+)"', text)
    )
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The headings of a page as they are linked to, and what it calls an anchor itself."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    own = set(re.findall(r'<a id="([^"]+)">', text))
    return own | {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_pages_are_found():
    names = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert {"README.md", "docs/equations.md", "src/convlet/datasets/mnist/LICENSE.md"} <= names
    assert "docs/equations.md" in links(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link} in {page.name}"
        if anchor:
            assert anchor in anchors(target), f"{link} in {page.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_references_are_defined_and_used(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    defined = re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE)
    assert sorted(defined) == sorted(set(re.findall(r"\]\[([^\]]+)\]", text)))
