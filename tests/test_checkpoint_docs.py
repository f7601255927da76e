"""docs/checkpoints.md shows files and callbacks as they are."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import convlet
from convlet import Network
from small_runs import Cut, CutAfter, newest, train

DOCS = Path(__file__).parents[1] / "docs" / "checkpoints.md"


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", DOCS.read_text(), re.DOTALL)


def test_the_docs_show_the_header_as_it_is(folder):
    (block,) = blocks("json")
    shown = json.loads(block.replace("\n", ""))
    network = Network("flatten, dense 2, softmax", (1, 2, 1))
    x = np.zeros((5, 1, 2), np.uint8)
    stop = CutAfter(8)
    options = {"optimizer": "momentum", "checkpoint": folder, "every": 1}
    with pytest.raises(Cut):
        network.fit(x, [0, 1, 0, 1, 0], None, 2, 1, callbacks=[stop], **options)
    content = newest(folder).read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    fields, other = header.pop("__metadata__"), shown.pop("__metadata__")
    assert list(header.items()) == list(shown.items())
    assert list(fields) == list(other)
    assert fields["position"] == other["position"]
    assert fields["identity"].startswith(other["identity"].split("...")[0])


def test_the_callback_of_the_docs(folder):
    (code,) = [block for block in blocks("python") if "class" in block]
    names = {"convlet": convlet}
    exec(code, names)
    slowest, again = names["Slowest"](), names["Slowest"]()
    with pytest.raises(Cut):
        train(checkpoint=folder, callbacks=[slowest, CutAfter(7)])
    _, history = train(checkpoint=folder, callbacks=[again], resume=True)
    assert again.seconds == max(row.seconds for row in history) >= slowest.seconds
