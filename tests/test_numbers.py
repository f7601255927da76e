"""No equation without code, no code without its check: the sets of numbers are equal."""

import ast
import io
import re
import tokenize
from pathlib import Path

from convlet import backprop, equations

HERE = Path(__file__).parent
ALL = set(range(1, 26))


def in_docs() -> set[int]:
    text = (HERE.parent / "docs" / "equations.md").read_text(encoding="utf-8")
    return {int(number) for number in re.findall(r"\\tag\{(\d+)\}", text)}


def in_comments(path: str) -> set[int]:
    """Numbers in parentheses in the comments of a module."""
    source = Path(path).read_text(encoding="utf-8")
    comments = (
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.string.startswith("# ---")
    )
    return {int(number) for line in comments for number in re.findall(r"\((\d+)\)", line)}


def in_docstrings(path: str) -> set[int]:
    """Numbers in parentheses in the docstrings of the functions of a module."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    docstrings = (
        ast.get_docstring(node) or "" for node in tree.body if isinstance(node, ast.FunctionDef)
    )
    return {int(number) for text in docstrings for number in re.findall(r"\((\d+)\)", text)}


def in_tests() -> set[int]:
    """Numbers given to the marker `equation` above a test function."""
    numbers = set()
    for path in HERE.glob("test_*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for call in node.decorator_list:
                    if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".equation"):
                        numbers |= {ast.literal_eval(argument) for argument in call.args}
    return numbers


def test_docs_have_every_number():
    assert in_docs() == ALL


def test_code_has_every_number_at_its_line():
    assert in_comments(equations.__file__) | in_comments(backprop.__file__) == ALL


def test_docstrings_name_no_other_number():
    assert {1, 4, 5, 6, 9, 11, 13, 14} <= in_docstrings(equations.__file__) <= ALL
    assert {17, 18, 19, 20, 21, 22, 23, 25} <= in_docstrings(backprop.__file__) <= ALL


def test_tests_have_every_number():
    assert in_tests() == ALL
