"""`convlet evaluate` and `predict` on a folder whose images together have no room in memory.

The images are small files that the preparation of the model makes large: 160 of them, 3 MB each.
A child has RLIMIT_DATA: memory of its own, not that of files that are mapped.
"""

import numpy as np
import pytest

import children
import convlet
from image_files import save

COUNT, SIDE = 160, 1024
ROOM = 220  # MB beside what the program has when it begins; the images are 503 MB

LIMITED = f"""
import resource, sys
from convlet.cli import main
import PIL.Image, numpy, convlet.cli.predict, convlet.cli.evaluate, rich.table
with open("/proc/self/status") as status:
    data = next(int(line.split()[1]) for line in status if line.startswith("VmData")) << 10
limit = data + ({ROOM} << 20)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
sys.exit(main(%r))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    for n in range(COUNT):
        label, level = ("dark", 60) if n % 2 else ("light", 190)
        save(folder / "images" / label / f"{n:03}.png", np.full((8, 8, 3), level + n % 7))
    network = convlet.Network(
        "conv 1 8 stride 64, flatten, dense 2, softmax", (SIDE, SIDE, 3), classes=["dark", "light"]
    )
    network.preparation = convlet.datasets.Preparation(SIDE, SIDE, "rgb")
    network.save(folder / "m.safetensors")
    return folder


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_folder_larger_than_memory(folder, command, tmp_path):
    arguments = [command, str(folder / "m.safetensors"), str(folder / "images"), "--threads", "1"]
    ran = children.python(LIMITED % [*arguments, "--json"], CONVLET_CACHE=str(tmp_path))
    assert (ran.returncode, ran.stderr) == (0, "")
    if command == "predict":
        assert ran.stdout.count('"image"') == COUNT
    else:
        assert f'"images": {COUNT // 2}' in ran.stdout


def test_the_limit_would_refuse_the_images_at_once():
    taken = f"import numpy; sys.exit(len(numpy.ones({COUNT * SIDE**2 * 3}, 'u1')) == 0)"
    ran = children.python((LIMITED % []).replace("sys.exit(main([]))", taken))
    assert "MemoryError" in ran.stderr


def test_a_table_of_many_images_is_printed_in_parts(monkeypatch, capsys):
    from convlet.cli import answers

    monkeypatch.setattr(answers, "MOST_ROWS", 4)
    table = answers.AnswerTable()
    for n in range(5):
        table.write(answers.Answer(f"{n}.png", [("cat", 0.75), ("dog", 0.25)], "resized"))
        assert len(table.rows) < 4
    table.end()
    out = capsys.readouterr().out
    assert [out.count(f"{n}.png  cat") for n in range(5)] == [1] * 5
    assert out.count("probability") == 3
    assert "5 images: resized" in out
