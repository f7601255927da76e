"""`import convlet` loads NumPy and the core, nothing else."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import convlet

HEAVY = ["sklearn", "PIL", "typer", "rich", "matplotlib", "pooch", "scipy", "onnx", "hypothesis"]


def test_import_does_not_load_optional_libraries():
    code = (
        "import sys, convlet; "
        f"print(*[name for name in {HEAVY} if name in sys.modules], sep=','); "
        "print('numpy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split("\n") == ["", "True", ""]
    assert run.stderr == ""


def test_every_public_name_is_there():
    code = "import convlet; print(*[getattr(convlet, n) and n for n in convlet.__all__])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = run.stdout.split()
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))
    assert {"Network", "Conv2D", "History", "InputError", "load", "parse_layers"} <= set(names)
    assert {"SGD", "Adam", "AdamW", "OneCycle", "Augmentation", "Dropout"} <= set(names)


def test_modules_that_training_needs_none_of_come_when_they_are_asked_for():
    code = (
        "import sys, convlet; print(*[f'convlet.{n}' in sys.modules for n in ('plots', 'report')]);"
        " print(convlet.plots.filters.__name__, convlet.report.report.__name__, end=' ');"
        " print(convlet.watch.CSV.__name__, hasattr(convlet, 'plot'), 'matplotlib' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["False False", "filters report CSV False False"]


def test_every_dependency_is_imported():
    """What nothing imports need not be installed."""
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = tomllib.loads(text)["project"]["dependencies"]
    needed = {re.match(r"[\w-]+", one)[0] for one in dependencies}
    imported = set()
    for path in Path(convlet.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    assert needed <= imported
