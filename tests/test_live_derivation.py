"""The page's copy of the derivation is that of docs/equations.md, its formulas as MathML."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def made():
    """scripts/live_derivation.py"""
    path = ROOT / "scripts" / "live_derivation.py"
    spec = importlib.util.spec_from_file_location("live_derivation", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_that_of_the_docs(made):
    source = made.SOURCE.read_text(encoding="utf-8")
    assert made.PAGE.read_text(encoding="utf-8") == made.derivation(source)


def test_every_equation_can_be_linked_to(made):
    page = made.PAGE.read_text(encoding="utf-8")
    assert re.findall(r'id="eq-(\d+)"', page) == [str(n) for n in range(1, 26)]
    assert re.findall(r'class="tag">\((\d+)\)', page) == [str(n) for n in range(1, 26)]
    ids = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids


def test_it_asks_for_nothing_and_has_no_style_of_its_own(made):
    page = made.PAGE.read_text(encoding="utf-8")
    targets = re.findall(r'(?:src|href)="([^"#][^"]*)"', page)
    assert {target for target in targets if not target.startswith("data:")} == {
        "./",
        "derivation.css",
        "icon.svg",
        "page.css",
    }
    assert " style=" not in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        ("x_i^L", "<msubsup><mi>x</mi><mi>i</mi><mi>L</mi></msubsup>"),
        (r"\mathrm{R}'", '<msup><mi mathvariant="normal">R</mi><mo>\u2032</mo></msup>'),
        (r"\frac{1}{B}", "<mfrac><mrow><mn>1</mn></mrow><mrow><mi>B</mi></mrow></mfrac>"),
        (r"\sum_k", '<munder><mo movablelimits="true">∑</mo><mi>k</mi></munder>'),
        (r"i \lt 2", "<mi>i</mi><mo>&lt;</mo><mn>2</mn>"),
    ],
)
def test_tex_as_mathml(made, tex, expected):
    assert made.mathml(tex) == f"<math><mrow>{expected}</mrow></math>"


@pytest.mark.parametrize("tex", [r"\unknown", r"\frac{1}", "{x", r"\begin{cases} x", "x_"])
def test_what_is_not_understood_is_refused(made, tex):
    with pytest.raises(ValueError, match=r"not understood|expected"):
        made.mathml(tex)
