"""`import convlet` loads NumPy and the core, nothing else."""

import subprocess
import sys

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
