"""No equation without code, no code without its check: the sets of numbers are equal.

docs/equations.md leads from each equation to its NumPy and to the native core, by file and name;
whatever it names must be there, with the number beside it.  docs/quantisation.md goes on with the
numbers, and leads to NumPy.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from convlet import backprop, equations
from convlet.quantised import equations as quantised

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "equations.md"
QUANTISED_PAGE = PAGE.parent / "quantisation.md"
NATIVE = sorted(
    path for path in (HERE.parent / "native").iterdir() if path.suffix in {".h", ".cpp"}
)
ALL = set(range(1, 26))
QUANTISED = set(range(26, 37))
NUMBERS_OF = {PAGE: ALL, QUANTISED_PAGE: QUANTISED}
NOT_NATIVE = {12, 22}  # merged into (15); and any number of stages will do
NO_LINE = {5, 23, 24, 25}  # nothing is computed; and one case of (16)-(21)


def numbers(text: str) -> set[int]:
    """Numbers in parentheses, ranges too, as in (4), (1)-(3); R'(0) is a value."""
    found = set()
    for first, last in re.findall(r"(?<![\w'])\((\d+)\)(?:-\((\d+)\))?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def in_docs(page: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\\tag\{(\d+)\}", page.read_text("utf-8"))]


def in_comments(path: str) -> set[int]:
    """Numbers in parentheses in the comments of a module."""
    source = Path(path).read_text(encoding="utf-8")
    comments = (
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.string.startswith("# ---")
    )
    return set().union(*map(numbers, comments))


def in_docstrings(path: str) -> set[int]:
    """Numbers in parentheses in the docstrings of the functions of a module."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    docstrings = (
        ast.get_docstring(node) or "" for node in tree.body if isinstance(node, ast.FunctionDef)
    )
    return set().union(*map(numbers, docstrings))


def in_tests() -> set[int]:
    """Numbers given to the marker `equation` above a test function."""
    marked = set()
    for path in HERE.glob("test_*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for call in node.decorator_list:
                    if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".equation"):
                        marked |= {ast.literal_eval(argument) for argument in call.args}
    return marked


def beside_lines(path: Path) -> set[int]:
    """Numbers in parentheses in the comments of a C++ file."""
    return numbers("\n".join(re.findall(r"//(.*)", path.read_text(encoding="utf-8"))))


def named_places(page: Path) -> Iterator[tuple[int, str, str, str]]:
    """Each link of a "Code:" under an equation: its number, file, name, path from the page."""
    text = page.read_text(encoding="utf-8")
    paths = dict(re.findall(r"^\[([\w.]+)\]: (\S+)$", text, re.MULTILINE))
    number = 0
    for paragraph in text.split("\n\n"):
        if tag := re.search(r"\\tag\{(\d+)\}", paragraph):
            number = int(tag[1])
        for shown, file in re.findall(r"\[`([\w.:]+)`\]\[([\w.]+)\]", paragraph):
            module, name = re.split(r"\.(?!h:)|:", shown, maxsplit=1)
            assert module in (file, file.removesuffix(".py")), f"`{shown}` leads to {file}"
            yield number, file, name, paths[file]


def python_source(path: Path, name: str) -> str | None:
    """The text of a function or class of a module, None where there is none of that name."""
    source = path.read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])
    return None


def is_defined(source: str, name: str) -> bool:
    """Whether C++ source defines a function, a type or a member of that name: a call is none."""
    code = re.sub(r"//.*", "", source)
    kind = rf"^\s*(?:struct|class|enum class|using)\s+{name}\b(?!;)"
    function = rf"^\s*(?!return|else|case)(?:[\w:<>&*,\s]+[\s&*])?{name}\([^;{{}}]*\)[^;{{}}]*\{{"
    return any(re.search(pattern, code, re.MULTILINE) for pattern in (kind, function))


PLACES = [place for page in NUMBERS_OF for place in named_places(page)]


@pytest.mark.parametrize("page", NUMBERS_OF, ids=lambda page: page.name)
def test_docs_have_every_number_in_order(page):
    assert in_docs(page) == sorted(NUMBERS_OF[page])


@pytest.mark.parametrize("page", NUMBERS_OF, ids=lambda page: page.name)
def test_docs_have_an_anchor_for_every_number(page):
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r'<a id="eq-(\d+)"></a>\n\n\$\$\n(.*?)\$\$\n', text, re.DOTALL)
    tags = [re.findall(r"\\tag\{(\d+)\}", block) for _, block in blocks]
    assert tags == [[number] for number, _ in blocks]
    assert [int(number) for number, _ in blocks] == sorted(NUMBERS_OF[page])


def test_code_has_every_number_at_its_line():
    assert in_comments(equations.__file__) | in_comments(backprop.__file__) == ALL
    assert in_comments(quantised.__file__) == QUANTISED


def test_docstrings_name_no_other_number():
    assert {1, 4, 5, 6, 9, 11, 13, 14} <= in_docstrings(equations.__file__) <= ALL
    assert {17, 18, 19, 20, 21, 22, 23, 25} <= in_docstrings(backprop.__file__) <= ALL
    assert QUANTISED <= in_docstrings(quantised.__file__) <= ALL | QUANTISED


def test_tests_have_every_number():
    assert in_tests() == ALL | QUANTISED


@pytest.mark.parametrize("path", NATIVE, ids=lambda path: path.name)
def test_native_code_names_no_other_number(path):
    assert beside_lines(path) <= ALL


@pytest.mark.parametrize("number", sorted(ALL | QUANTISED))
def test_an_equation_leads_to_numpy_that_bears_its_number(number):
    sources = [
        python_source(PAGE.parent / path, name)
        for at, file, name, path in PLACES
        if at == number and file in ("equations.py", "backprop.py")
    ]
    assert any(source and number in numbers(source) for source in sources)


@pytest.mark.parametrize("number", sorted(ALL - NOT_NATIVE))
def test_an_equation_leads_to_native_code_that_bears_its_number(number):
    paths = {path for at, file, _, path in PLACES if at == number and not file.endswith(".py")}
    assert paths
    assert number in NO_LINE or any(number in beside_lines(PAGE.parent / path) for path in paths)


@pytest.mark.parametrize(
    ("file", "name", "path"), sorted({place[1:] for place in PLACES}), ids=lambda value: str(value)
)
def test_what_the_page_names_is_there(file, name, path):
    target = PAGE.parent / path
    assert target.name == file
    if target.suffix == ".py":
        assert python_source(target, name) is not None, f"no {name} in {file}"
    else:
        assert is_defined(target.read_text(encoding="utf-8"), name), f"no {name} in {file}"


def test_a_call_is_no_definition():
    called = (
        "void f() {\n    survivors(a, b);\n    return pooled(z);\n    k_.conv(x);\n}\n// turn() {\n"
    )
    assert is_defined(called, "f")
    assert not any(is_defined(called, name) for name in ("survivors", "pooled", "conv", "turn"))
    assert is_defined("struct Plan {", "Plan")
    assert not is_defined("struct Plan;", "Plan")
    assert is_defined("    Index rows(int a,\n               int b) const {", "rows")
