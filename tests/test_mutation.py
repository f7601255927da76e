"""The checks can fail: every equation is made wrong on purpose, and a check of it must notice.

A mutant is one function with a piece of its source replaced.  It takes the place of the function
in its module while the checks of its equation run; they are the same functions that the tests of
the equations call.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import pytest

import test_backprop as chain
import test_equations as layer
import test_quantised as whole
from convlet import backprop, equations
from convlet.quantised import equations as quantised_equations
from test_gradcheck import assert_check_passes

EQUATIONS = "equations"
BACKPROP = "backprop"
QUANTISED = "quantised.equations"
MODULES: dict[str, ModuleType] = {
    EQUATIONS: equations,
    BACKPROP: backprop,
    QUANTISED: quantised_equations,
}

THE_CHAIN = [
    chain.assert_stage_forward_by_hand,
    chain.assert_gradients_are_differences,
    chain.assert_kinks_by_hand,
]
THIS_CASE = [chain.assert_four_stages_are_differences, chain.assert_four_stages_are_the_recursion]
CHECKS: dict[int, list[Callable[[], None]]] = {
    1: [layer.assert_convolution_is_its_sum],
    2: [layer.assert_convolution_dx_is_equation_2],
    3: [layer.assert_convolution_dw_is_equation_3],
    4: [
        layer.assert_max_pool_is_its_maximum,
        layer.assert_unpool_takes_the_first_of_equal_maxima,
        layer.assert_unpool_is_the_derivative,
    ],
    5: [layer.assert_flatten_is_its_index],
    6: [layer.assert_dense_is_its_sum],
    7: [layer.assert_dense_dx_is_equation_7],
    8: [layer.assert_dense_dw_is_equation_8],
    9: [layer.assert_relu_values],
    10: [layer.assert_relu_derivative_values],
    11: [layer.assert_softmax_values, layer.assert_softmax_is_finite],
    12: [layer.assert_softmax_jacobian_is_equation_12],
    13: [
        layer.assert_mean_cost_values,
        layer.assert_mean_cost_derivative_values,
        layer.assert_large_weights_are_shares,
    ],
    14: [
        layer.assert_cross_entropy_values,
        layer.assert_cross_entropy_does_not_underflow,
        layer.assert_cross_entropy_has_no_term_where_y_is_0,
    ],
    15: [layer.assert_cross_entropy_dz_is_equation_15],
    **dict.fromkeys(range(16, 22), THE_CHAIN),
    **dict.fromkeys(range(22, 26), THIS_CASE),
    26: [whole.assert_nearest_rounds_halves_upward, whole.assert_bytes_stand_for_numbers],
    27: [whole.assert_pixels_are_exact],
    28: [whole.assert_weights_by_hand, whole.assert_a_bias_without_weights_fits],
    29: [whole.assert_biases_by_hand],
    30: [
        whole.assert_sums_by_hand,
        whole.assert_frames_are_the_zero_point,
        whole.assert_large_sums_are_exact,
    ],
    31: [whole.assert_the_bound_holds],
    32: [whole.assert_grids_by_hand],
    33: [whole.assert_multipliers_by_hand],
    34: [whole.assert_rounding_at_ties, whole.assert_bytes_end_at_the_ends],
    35: [whole.assert_handed_on_by_hand],
    36: [whole.assert_the_first_of_equal_classes],
}


@dataclass(frozen=True)
class Mutant:
    """`old` becomes `new` in one function; the checks of `equation` must fail."""

    equation: int
    module: str
    function: str
    old: str
    new: str


MUTANTS = [
    Mutant(1, EQUATIONS, "conv2d", "w[::-1, ::-1]", "w"),
    Mutant(1, EQUATIONS, "conv2d", "w[::-1, ::-1]", "w[::-1]"),
    Mutant(
        1,
        EQUATIONS,
        "patches",
        "[..., :: stride[0], :: stride[1],",
        "[..., :: stride[1], :: stride[0],",
    ),
    Mutant(1, EQUATIONS, "patches", ":: stride[1]", "(stride[1] > 1) :: stride[1]"),
    Mutant(2, EQUATIONS, "conv2d_dx", "w[-1 - p, -1 - q]", "w[p, q]"),
    Mutant(2, EQUATIONS, "conv2d_dx", "w[-1 - p, -1 - q]", "w[-1 - p, q]"),
    Mutant(2, EQUATIONS, "conv2d_dx", "pixels +=", "pixels -="),
    Mutant(2, EQUATIONS, "conv2d_dx", "pixels += ", "pixels[...] = "),
    Mutant(2, EQUATIONS, "_reached", "slice(p, p + stride[0]", "slice(p, stride[0]"),
    Mutant(3, EQUATIONS, "conv2d_dw", "[::-1, ::-1]", ""),
    Mutant(3, EQUATIONS, "conv2d_dw", "[::-1, ::-1]", "[::-1]"),
    Mutant(3, EQUATIONS, "conv2d_dw", "taps_shape, stride)", "taps_shape, stride)[::-1] * 2"),
    Mutant(4, EQUATIONS, "max_pool", ".max(", ".min("),
    Mutant(4, EQUATIONS, "max_pool", ".max(", ".mean("),
    Mutant(
        4,
        EQUATIONS,
        "unpool",
        "places.argmax(axis=-2)",
        "places.shape[-2] - 1 - places[..., ::-1, :].argmax(axis=-2)",
    ),
    Mutant(
        4,
        EQUATIONS,
        "unpool",
        "winner == place",
        "_reached(x, p, q, error.shape[-3:-1], stride) == places.max(axis=-2)",
    ),
    Mutant(4, EQUATIONS, "unpool", "pixels += ", "pixels[...] = "),
    Mutant(4, EQUATIONS, "unpool", ", error, 0)", ", error, error)"),
    Mutant(5, EQUATIONS, "flatten", "x.reshape(", "x.swapaxes(-1, -2).reshape("),
    Mutant(5, EQUATIONS, "unflatten", "return ", "return -"),
    Mutant(5, EQUATIONS, "unflatten", "[:-1], *shape)", "[:-1], *shape[::-1]).swapaxes(-1, -3)"),
    Mutant(6, EQUATIONS, "dense", "x @ w", "-x @ w"),
    Mutant(6, EQUATIONS, "dense", "x @ w", "x[..., ::-1] @ w"),
    Mutant(7, EQUATIONS, "dense_dx", "delta @ w.T", "(delta @ w.T)[..., ::-1]"),
    Mutant(8, EQUATIONS, "dense_dw", "np.tensordot(x, delta", "np.tensordot(x[::-1], delta"),
    Mutant(8, EQUATIONS, "dense_dw", "return ", "return 2 * "),
    Mutant(9, EQUATIONS, "relu", "np.maximum(z, 0)", "abs(z)"),
    Mutant(9, EQUATIONS, "relu", "np.maximum(z, 0)", "np.maximum(z, 0.01 * z)"),
    Mutant(10, EQUATIONS, "relu_derivative", "0.5", "0"),
    Mutant(10, EQUATIONS, "relu_derivative", "0.5", "1"),
    Mutant(10, EQUATIONS, "relu_derivative", "heaviside(z,", "heaviside(-z,"),
    Mutant(11, EQUATIONS, "below_maximum", " - z.max(axis=-1, keepdims=True)", ""),
    Mutant(11, EQUATIONS, "below_maximum", "z.max(axis=-1, keepdims=True)", "0.5 * z"),
    Mutant(11, EQUATIONS, "softmax", "exp.sum(axis=-1, ", "exp.sum(axis=0, "),
    Mutant(12, EQUATIONS, "softmax_jacobian", "- s[", "+ s["),
    Mutant(12, EQUATIONS, "softmax_jacobian", "np.eye(z.shape[-1], dtype=z.dtype)", "1"),
    Mutant(13, EQUATIONS, "mean_cost", ".sum()", ".mean()"),
    Mutant(
        13, EQUATIONS, "mean_cost", "sample_weights(costs, weight)", "sample_weights(costs, None)"
    ),
    Mutant(13, EQUATIONS, "sample_weights", "1 / len(like)", "1"),
    Mutant(13, EQUATIONS, "sample_weights", "1 / len(like)", "1 / (len(like) + 1)"),
    Mutant(13, EQUATIONS, "sample_weights", "weight / weight.sum()", "weight / len(weight)"),
    Mutant(13, EQUATIONS, "sample_weights", "np.result_type(weight, np.float64)", "np.float32"),
    Mutant(13, EQUATIONS, "mean_cost_derivative", "costs, weight)", "costs, None)"),
    Mutant(14, EQUATIONS, "cross_entropy", "return -", "return "),
    Mutant(14, EQUATIONS, "cross_entropy", "shifted - np.log", "z - np.log"),
    Mutant(14, EQUATIONS, "cross_entropy", "below_maximum(z)", "z"),
    Mutant(14, EQUATIONS, "cross_entropy", ", where=y != 0", ""),
    Mutant(14, EQUATIONS, "distribution", "np.arange(z.shape[-1])", "np.arange(z.shape[-1])[::-1]"),
    Mutant(15, EQUATIONS, "cross_entropy_dz", " - distribution", " + distribution"),
    Mutant(15, EQUATIONS, "cross_entropy_dz", "softmax(z)", "z"),
    Mutant(16, BACKPROP, "forward", "(layer, values[-1],", "(layer, 1.01 * values[-1],"),
    Mutant(16, BACKPROP, "forward", "        x = values[-1]", "        x = values[-1] * 0.5"),
    Mutant(17, BACKPROP, "affine", "z + parameters[stage.b_name]", "z"),
    Mutant(17, BACKPROP, "affine", "z + parameters", "z - parameters"),
    Mutant(
        18, BACKPROP, "affine_db", "return delta.sum(axis=axes)", "return -delta.sum(axis=axes)"
    ),
    Mutant(18, BACKPROP, "affine_db", "delta.sum(", "delta.mean("),
    Mutant(19, BACKPROP, "gradients", " * factor[:, None]", ""),
    Mutant(
        19, BACKPROP, "gradients", "error = eq.cross_entropy_dz", "error = -eq.cross_entropy_dz"
    ),
    Mutant(
        20,
        BACKPROP,
        "errors",
        "error = affine_dx(stage, delta,",
        "error = affine_dx(stage, -delta,",
    ),
    Mutant(20, BACKPROP, "through_sigma", "error * eq.relu_derivative(x)", "error"),
    Mutant(20, BACKPROP, "through_sigma", "error * eq.relu_derivative(x)", "error * (x > 0)"),
    Mutant(20, BACKPROP, "affine_dx", "eq.dense_dx(delta, w)", "eq.dense_dx(delta, abs(w))"),
    Mutant(
        21,
        BACKPROP,
        "gradients",
        "affine_dw(stage, delta, trace.x)",
        "affine_dw(stage, delta, abs(trace.x))",
    ),
    Mutant(21, BACKPROP, "affine_dw", "eq.dense_dw(delta, x)", "eq.dense_dw(delta, x[::-1])"),
    Mutant(22, BACKPROP, "four_stages", "in range(4) for", "in (0, 1, 3, 2) for"),
    Mutant(23, BACKPROP, "four_stages", "x1 = eq.max_pool(eq.relu(z0))", "x1 = eq.max_pool(z0)"),
    Mutant(23, BACKPROP, "four_stages", "x3 = eq.relu(z2)", "x3 = z2"),
    Mutant(23, BACKPROP, "four_stages", "eq.dense(x3, w3) + b3", "eq.dense(x3, w3)"),
    Mutant(24, BACKPROP, "four_stages", "error2 = eq.unflatten(", "error2 = -eq.unflatten("),
    Mutant(24, BACKPROP, "four_stages", "eq.unpool(error2, eq.relu(z1))", "eq.unpool(error2, -z1)"),
    Mutant(
        25,
        BACKPROP,
        "four_stages",
        "eq.cross_entropy_dz(z3, y) / len(x)",
        "eq.cross_entropy_dz(z3, y)",
    ),
    Mutant(25, BACKPROP, "four_stages", " * eq.relu_derivative(z2)", ""),
    Mutant(25, BACKPROP, "four_stages", " * eq.relu_derivative(z1)", ""),
    Mutant(25, BACKPROP, "four_stages", " * eq.relu_derivative(z0)", ""),
    Mutant(25, BACKPROP, "four_stages", "conv2d_dx(delta1, w1", "conv2d_dx(delta1, w1[::-1]"),
    Mutant(26, QUANTISED, "nearest", "v - below >= 0.5", "v - below > 0.5"),
    Mutant(26, QUANTISED, "nearest", "below + (v - below >= 0.5)", "np.floor(v + 0.5)"),
    Mutant(26, QUANTISED, "real", " - grid.zero", " + grid.zero"),
    Mutant(26, QUANTISED, "rounded", "nearest(", "np.trunc("),
    Mutant(27, QUANTISED, "pixels", " + LEAST", " - MOST"),
    Mutant(28, QUANTISED, "weight_scales", "/ MOST", "/ -LEAST"),
    Mutant(28, QUANTISED, "weight_scales", ".max(axis=0) / MOST", ".max() / MOST + np.zeros(k)"),
    Mutant(28, QUANTISED, "weight_scales", "(x_scale * MOST_BIAS)", "MOST_BIAS"),
    Mutant(28, QUANTISED, "whole_weights", "nearest(", "np.floor("),
    Mutant(29, QUANTISED, "whole_biases", "(x_scale * scales)", "scales"),
    Mutant(29, QUANTISED, "whole_biases", "nearest(", "np.trunc("),
    Mutant(30, QUANTISED, "sums", " - np.int16(zero)", ""),
    Mutant(30, QUANTISED, "sums", "1 << 24", "1 << 62"),
    Mutant(30, QUANTISED, "sums", "z.astype(np.int64) + b_hat", "z.astype(np.int64)"),
    Mutant(31, QUANTISED, "largest_sum", "np.abs(w_hat.reshape", "(w_hat.reshape"),
    Mutant(31, QUANTISED, "largest_sum", "256 * taps", "128 * taps"),
    Mutant(31, QUANTISED, "largest_sum", " + biases", ""),
    Mutant(32, QUANTISED, "grid_of", "(high - low) / (MOST - LEAST)", "high / (MOST - LEAST)"),
    Mutant(32, QUANTISED, "grid_of", "scales.max()", "scales.min()"),
    Mutant(32, QUANTISED, "grid_of", "min(low, 0.0)", "low"),
    Mutant(33, QUANTISED, "multipliers", "np.where(carried, 1 << 30, m)", "m"),
    Mutant(33, QUANTISED, "multipliers", "np.minimum(31 - exponent, MOST_SHIFT)", "31 - exponent"),
    Mutant(34, QUANTISED, "requantised", "(product + half)", "product"),
    Mutant(34, QUANTISED, "requantised", "zero + steps", "steps"),
    Mutant(34, QUANTISED, "requantised", "np.clip(zero + steps, LEAST, MOST)", "(zero + steps)"),
    Mutant(34, QUANTISED, "requantised", "z_hat.astype(np.int64) * m", "(z_hat * m).astype('i4')"),
    Mutant(35, QUANTISED, "handed_on", "eq.max_pool(y_hat", "-eq.max_pool(-y_hat"),
    Mutant(36, QUANTISED, "decided", "x_hat.argmax(axis=-1)", "2 - x_hat[..., ::-1].argmax(-1)"),
]


def mutated(mutant: Mutant) -> Callable:
    """The function of the mutant, compiled from its changed source."""
    module = MODULES[mutant.module]
    source = inspect.getsource(getattr(module, mutant.function))
    assert source.count(mutant.old) == 1, f"{mutant.old!r} is not once in {mutant.function}"
    namespace = dict(vars(module))
    exec(compile(source.replace(mutant.old, mutant.new), str(mutant), "exec"), namespace)
    return namespace[mutant.function]


def run_checks(equation: int) -> None:
    for check in CHECKS[equation]:
        check()


@pytest.mark.parametrize("equation", CHECKS)
def test_the_checks_of_an_equation_pass_and_it_has_mutants(equation):
    run_checks(equation)
    assert equation in {mutant.equation for mutant in MUTANTS}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.equation}-{m.function}-{m.new}")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a wrong softmax overflows
def test_a_wrong_equation_is_noticed(mutant, monkeypatch):
    monkeypatch.setattr(MODULES[mutant.module], mutant.function, mutated(mutant))
    with pytest.raises((AssertionError, ValueError)):
        run_checks(mutant.equation)


# wrong derivatives away from kinks: what happens at z = 0 no difference can tell
DERIVATIVES = [
    mutant
    for mutant in MUTANTS
    if mutant.equation in (2, 3, 7, 8, 12, 15, 18, 19, 20, 21, 24, 25) and "x > 0" not in mutant.new
]


@pytest.mark.parametrize("mutant", DERIVATIVES, ids=lambda m: f"{m.equation}-{m.function}-{m.new}")
def test_convlet_check_notices_a_wrong_derivative(mutant, monkeypatch):
    assert_check_passes()
    monkeypatch.setattr(MODULES[mutant.module], mutant.function, mutated(mutant))
    with pytest.raises((AssertionError, ValueError)):
        assert_check_passes()
