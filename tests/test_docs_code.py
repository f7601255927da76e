"""The Python of the documentation runs, and prints what stands below it.

A page is run from the top, in an empty folder. Where its blocks go on from a network and images of
the reader, STAND_INS has small ones. A text block right after a Python block is what that prints.
"""

import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import convlet
from convlet.datasets import Dataset
from machine_stand_ins import machines
from test_docs import PAGES, ROOT
from test_pinned_bits import GOLDEN

ANSWERS = ROOT / "docs" / "how-do-i.md"
BY_SECTION = (ANSWERS, ROOT / "docs" / "scikit-learn.md")
PEERS = ("optuna",)  # which the tests do not install
BLOCKS = {"python", "sh", "text", "json", "c"}  # a page's blocks are nothing else


@dataclass(frozen=True)
class Block:
    """A block of Python: where its code begins, the code, what it says that it prints."""

    line: int
    code: str
    output: str | None

    def run(self, page: Path, names: dict[str, Any]) -> None:
        """Errors point at the line of the page."""
        exec(compile("\n" * self.line + self.code, str(page), "exec"), names)


def blocks(text: str, first_line: int = 0) -> list[Block]:
    found = []
    for match in re.finditer(
        r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", text, re.DOTALL | re.MULTILINE
    ):
        line = first_line + text.count("\n", 0, match.start()) + 1
        found.append(Block(line, match[1], match[2]))
    return found


def runs() -> list[Any]:
    """One for each page that has Python, or for each of its sections, after the first lines."""
    found = []
    for page in PAGES:
        name, text = page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8")
        every = blocks(text)
        if page not in BY_SECTION:
            found += [pytest.param(page, every, id=name)] if every else []
            continue
        opening, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
        line = opening.count("\n")
        for section in sections:
            heading = section.splitlines()[0].removeprefix("## ")
            own = blocks(section, line)
            line += section.count("\n")
            if not own and page != ANSWERS:
                continue
            chosen = [*blocks(opening), *own]
            found.append(pytest.param(page, chosen, id=f"{name}: {heading}"))
    return found


def small_mnist() -> Dataset:
    """Of MNIST as many images as a block holds out, and some to train with."""
    whole = convlet.datasets.load("mnist")
    return Dataset(
        "mnist", whole.train.take(slice(11_000)), whole.test.take(slice(200)), whole.classes
    )


def reader_with(data: Dataset) -> dict[str, Any]:
    """What a reader has who comes from the README: a network, and images for it."""
    network = convlet.Network("conv 4 5, relu, pool 4, flatten, dense 10, softmax", seed=0)
    x, y = data.train.images[:300], data.train.labels[:300]
    test = {"x_test": data.test.images, "y_test": data.test.labels}
    return {"convlet": convlet, "network": network, "data": data, "x": x, "y": y, **test}


def reader_with_a_file(data: Dataset) -> dict[str, Any]:
    convlet.Network(seed=0).save("model.safetensors")
    return {}


def reader_with_onnx(data: Dataset) -> dict[str, Any]:
    """An ONNX file as Keras exports it, and images."""
    shutil.copy(ROOT / "tests" / "data" / "onnx" / "keras-mnist.onnx", "mnist.onnx")
    return {"data": data}


STAND_INS: dict[str, Callable[[Dataset], dict[str, Any]]] = {
    "docs/training.md": reader_with,
    "docs/checkpoints.md": reader_with,
    "docs/pictures.md": reader_with,
    "docs/model-file.md": reader_with_a_file,
    "docs/interchange.md": reader_with_onnx,
    "docs/quantisation.md": reader_with,
    "docs/devices.md": reader_with,
    "docs/machines.md": reader_with,
}
SURROUNDINGS = {"docs/machines.md": machines}
"""What is there besides, while the blocks of a page run."""


@pytest.mark.parametrize(("page", "chosen"), runs())
def test_python_of_the_docs_runs(page, chosen, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for peer in PEERS:
        if any(f"import {peer}\n" in block.code for block in chosen):
            pytest.importorskip(peer)
    names: dict[str, Any] = {}
    if stand_in := STAND_INS.get(page.relative_to(ROOT).as_posix()):
        data = small_mnist()
        monkeypatch.setattr(convlet.datasets, "load", {"mnist": data}.__getitem__)
        names = stand_in(data)
    surroundings = SURROUNDINGS.get(page.relative_to(ROOT).as_posix(), nullcontext)
    with surroundings(monkeypatch):
        for block in chosen:
            block.run(page, names)
            printed = capsys.readouterr().out
            assert block.output is None or printed == block.output


def test_every_block_is_of_a_known_kind():
    for page in PAGES:
        fences = re.findall(r"^ *(?:```|~~~)(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(fences[::2]) <= BLOCKS, page.name
        assert set(fences[1::2]) <= {""}, page.name


def test_the_pages_with_python_are_found():
    pages = {param.values[0].name for param in runs()}
    assert pages >= {"README.md", "equations.md", "how-do-i.md"} | {
        Path(name).name for name in STAND_INS
    }


def test_the_ten_costs_are_the_pinned_ones():
    (output,) = [
        block.output
        for block in blocks(ANSWERS.read_text(encoding="utf-8"))
        if block.output and block.output.startswith("1 2.9")
    ]
    assert output == "".join(f"{step} {cost!r}\n" for step, cost in enumerate(GOLDEN, start=1))
