"""`import convlet` loads nothing, its names NumPy and the core; what is installed with it."""

import ast
import importlib
import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import children
import convlet

HEAVY = ["sklearn", "PIL", "click", "rich", "matplotlib", "pooch", "scipy", "onnx", "hypothesis"]
HEAVY += ["dask", "distributed", "mpi4py"]
NEEDS_AN_EXTRA = {"CNNClassifier"}  # and is no part of "import *"
BASE = {"numpy", "click", "rich", "markdown-it-py", "mdurl", "pygments"}


def test_import_loads_nothing_and_the_network_numpy_and_the_core():
    said = children.output(
        "import sys, convlet; print(*sorted(n for n in sys.modules if n[:5] in ('numpy', 'convl')))"
        f"; convlet.Network; print(*[name for name in {HEAVY} if name in sys.modules])"
        "; print('numpy' in sys.modules, 'convlet._native' in sys.modules)"
    )
    assert said.split("\n") == ["convlet convlet._version", "", "True True", ""]


def test_the_base_install_is_numpy_click_rich_and_what_rich_needs():
    """Followed through the metadata of what is installed."""
    found, rest = set(), ["convlet"]
    while rest:
        for text in requires(rest.pop()) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                name = canonicalize_name(requirement.name)
                rest += [name] if name not in found else []
                found.add(name)
    assert found == BASE


def test_what_type_checkers_see_is_what_is_there():
    """`__init__` says its names twice: to type checkers, and to Python where they are."""
    tree = ast.parse(Path(convlet.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: line.module for line in block.body for alias in line.names}
    assert {*seen, "__version__"} == {*convlet.__all__, *NEEDS_AN_EXTRA} == {*dir(convlet)}
    for name, module in seen.items():
        home = importlib.import_module(module)
        assert getattr(convlet, name) is getattr(home, name)


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="module 'convlet' has no attribute 'Netwrk'"):
        convlet.Netwrk  # noqa: B018
    assert children.output("from convlet import *; print(Network, plots)").startswith(
        "<class 'convlet"
    )


def test_every_public_name_is_there():
    code = "import convlet; print(*[getattr(convlet, n) and n for n in convlet.__all__])"
    names = children.output(code).split()
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))
    assert {"Network", "Conv2D", "History", "InputError", "load", "parse_layers"} <= set(names)
    assert {"SGD", "Adam", "AdamW", "OneCycle", "Augmentation", "Dropout"} <= set(names)


def test_modules_that_training_needs_none_of_come_when_they_are_asked_for():
    code = (
        "import sys, convlet; print(*[f'convlet.{n}' in sys.modules for n in ('plots', 'report')]);"
        " print(convlet.plots.filters.__name__, convlet.report.report.__name__, end=' ');"
        " print(convlet.watch.CSV.__name__, hasattr(convlet, 'plot'), 'matplotlib' in sys.modules)"
    )
    assert children.output(code).splitlines() == ["False False", "filters report CSV False False"]


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


@pytest.mark.parametrize("breaking", ["['sklearn'] = None", "['sklearn.utils.validation'] = sys"])
def test_without_scikit_learn_its_estimator_says_how_to_get_it(breaking):
    """None: it is not there; a module without the names of 1.6: it is older."""
    said = children.output(
        f"import sys; sys.modules{breaking}\nfrom convlet import *\nimport convlet\n"
        "try: convlet.CNNClassifier\n"
        "except convlet.MissingDependencyError as error: print(error)"
    )
    assert said == (
        "CNNClassifier needs scikit-learn 1.6 or later, which is not installed:"
        ' pip install "convlet[sklearn]"\n'
    )


def test_the_estimator_is_there_when_it_is_named():
    code = (
        "import sys; from convlet import *; import convlet; print('sklearn' in sys.modules); "
        "from convlet import CNNClassifier; print(CNNClassifier is convlet.CNNClassifier)"
    )
    assert children.output(code).split() == ["False", "True"]
