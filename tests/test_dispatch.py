"""Closed dispatch: a kind of layer, optimiser or bias that nobody knows is refused everywhere."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest

from convlet import (
    Address,
    ArchitectureError,
    Network,
    ReLU,
    backprop,
    differences,
    gradcheck,
    native,
    reference,
)
from convlet.explaining import affine, forward, words
from convlet.forms import Form
from convlet.layerbase import LayerBase
from convlet.layers import KINDS, Conv2D, Layer, Softmax
from convlet.optimizers import SGD
from convlet.quantised import equations as quantised
from convlet.stages import Stage, group
from convlet.text import FORMS, parse_layers


@dataclass(frozen=True)
class Doubling(LayerBase):
    """A layer of sigma that nobody knows."""

    form = Form("double", "double")
    equations = "(99)"
    derivatives = (("(99)", "d2x/dx"),)

    def output_shape(self, shape):
        return shape


@dataclass(frozen=True)
class Bent(LayerBase):
    """One with a kink."""

    smooth = False
    form = Form("bend", "bend")


@dataclass(frozen=True)
class Mixing(LayerBase):
    """An affine map that nobody knows."""

    bias: bool = True
    form = Form("mix", "mix")
    equations = "(98)"
    derivatives = (("(98)", "dM/dx"), ("(97)", "dM/dw"))

    def output_shape(self, shape):
        return shape


X = np.ones((2, 3))
BYTES = np.ones((2, 3), np.int8)
STAGE = Stage(0, Mixing(), (), (3,), (3,), (3,))
UNKNOWN = SimpleNamespace(stages=[Stage(0, Mixing(), (Doubling(),), (3,), (3,), (3,))])

REFUSALS = {
    "the network": lambda: Network([Conv2D(2, 3), Doubling(), Softmax()], (3, 3, 1)),
    "sigma": lambda: backprop.sigma(Doubling(), X),
    "its way back": lambda: backprop.through_sigma([Doubling()], [X], X),
    "the check": lambda: list(gradcheck._sigma_rows(Doubling(), "it", (3,), gradcheck.Draws(0))),
    "the native engine": lambda: native.stage_specs(
        [Stage(0, parse_layers("dense 3")[0], (Doubling(),), (3,), (3,), (3,))]
    ),
    "the shape of w": lambda: STAGE.w_shape,
    "z": lambda: backprop.affine(STAGE, X, {"w0": X}),
    "the derivative by x": lambda: backprop.affine_dx(STAGE, X, {"w0": X}),
    "the derivative by w": lambda: backprop.affine_dw(STAGE, X, X),
    "z in whole numbers": lambda: quantised.sums(STAGE, BYTES, 0, BYTES, BYTES),
    "sigma in whole numbers": lambda: quantised.handed_on(
        Stage(0, parse_layers("dense 3")[0], (Doubling(),), (3,), (3,), (3,)), BYTES
    ),
    "an explanation of z": lambda: forward.weighted(UNKNOWN, Address("z", 0, None, (0,))),
    "of its way back": lambda: affine.by_input(UNKNOWN, Address("dx", 0, None, (0,))),
    "of its weights": lambda: affine.by_weight(UNKNOWN, Address("w", 0, None, (0,)), 0.1),
    "of sigma": lambda: forward.passed(UNKNOWN, Address("out", 0, 0, (0,))),
    "its letter": lambda: words.output([Doubling()], 0),
    "its sides": lambda: differences.stays([(Bent(), X)], [(Bent(), X)]),
    "the stages of the native engine": lambda: native.stage_specs([STAGE]),
}


@pytest.mark.parametrize("who", REFUSALS)
def test_a_kind_of_layer_that_nobody_knows_is_refused(who):
    with pytest.raises((ArchitectureError, AssertionError), match=r"Doubling|Mixing|bend"):
        REFUSALS[who]()


def test_the_text_form_of_a_layer_that_nobody_knows_is_refused():
    with pytest.raises(ArchitectureError, match=r"layers\[1\] is 'double', expected one of: conv"):
        parse_layers("conv 2 3, double")


def test_every_kind_of_layer_is_in_the_one_table():
    affine, sigma = get_args(Layer)[:2], get_args(Layer)[2:]
    assert (
        set(KINDS)
        == {*affine, *sigma}
        == set(LayerBase.__subclasses__()) - {Doubling, Bent, Mixing}
    )
    assert set(FORMS) == {kind.form.name for kind in KINDS}


def test_a_kind_of_layer_is_final():
    """Whoever computes would take it for the kind that it is derived from."""
    with pytest.raises(TypeError, match="ReLU is final"):
        type("Leaky", (ReLU,), {})


def test_an_optimiser_that_nobody_knows_is_refused():
    class Other:
        weight_decay = 0.0

    with pytest.raises(AssertionError, match="Other"):
        native._optimizer(Other())


def test_a_bias_that_nobody_knows_is_refused():
    conv = Conv2D(2, 3)
    object.__setattr__(conv, "bias", "row")
    stage = Stage(0, conv, (), (5, 5, 1), (3, 3, 2), (3, 3, 2))
    with pytest.raises(AssertionError, match="row"):
        native.stage_specs([stage])


def test_a_stage_of_known_layers_is_taken_by_all_of_them():
    """The refusals above are not for another reason."""
    stages = group(parse_layers("dense 3, relu, dropout 0.5, softmax"), (1, 1, 3)[2:])
    assert backprop.sigma(stages[0].sigma[0], X).shape == X.shape
    assert len(native.stage_specs(stages)) == 1
    rows = list(gradcheck._sigma_rows(stages[0].sigma[1], "it", (3,), gradcheck.Draws(0)))
    assert [(row.equation, row.passed) for row in rows] == [("", True)]
    assert reference.ReferenceEngine(stages).name == "reference"
    assert native._optimizer(SGD()) is not None
