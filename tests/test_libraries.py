"""Libraries that convlet does without until they are used."""

import sys

import pytest

from convlet import MissingDependencyError
from convlet.libraries import library


def test_a_library_that_is_not_there_is_one_line_with_the_command():
    with pytest.raises(
        MissingDependencyError,
        match=r"^this needs notthere, which is not installed: pip install not-there$",
    ):
        library("notthere.inner", "this needs", "not-there")


def test_a_library_that_lacks_another_one_names_it(tmp_path, monkeypatch):
    """As Keras does without the backend that it takes if nothing is said."""
    (tmp_path / "keras.py").write_text("import notthere\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    sentence = (
        "this needs keras, which is installed and needs notthere, which is not: pip install"
        " notthere, or set KERAS_BACKEND to torch or jax, if that is installed"
    )
    with pytest.raises(MissingDependencyError, match=f"^{sentence}$"):
        library("keras", "this needs", "keras")
