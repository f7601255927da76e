"""Optimisers: hand values, both engines, PyTorch, the same bits, clipping by the global norm."""

import hashlib
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from convlet import (
    SGD,
    Adam,
    AdamW,
    Augmentation,
    Cosine,
    InputError,
    Network,
    backprop,
)
from convlet.engine import Samples, Steps
from convlet.optimizers import BY_NAME, as_optimizer
from convlet.reference import ReferenceEngine
from convlet.settings import Settings
from convlet.stages import views
from engines import take_steps
from made_data import bright_rows
from targets import TARGETS, chosen

LAYERS = "conv 6 3, relu, pool 2, conv 9 2, relu, flatten, dense 11, relu, dense 4, softmax"
SHAPE = (10, 9, 2)
COUNT = 160
ETA = 0.03125  # exact in float32

OPTIMIZERS = {
    "sgd": SGD(),
    "sgd, decay": SGD(weight_decay=0.1),
    "momentum": SGD(0.9),
    "nesterov": SGD(0.8, nesterov=True, weight_decay=0.05),
    "adam": Adam(),
    "adamw": AdamW(0.8, 0.95, 1e-6, weight_decay=0.2),
}
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


def make(engine: str = "auto", seed: int = 1) -> Network:
    return Network(LAYERS, SHAPE, seed, engine=engine)


def samples(count: int = COUNT) -> Samples:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((count, *SHAPE)).astype(np.float32)
    return Samples(x, rng.integers(0, 4, count).astype(np.int32))


def slots_for(optimizer, flat) -> tuple:
    return tuple(np.zeros_like(flat) for _ in range(optimizer.slots))


def train(net, optimizer, *, steps=20, batch=8, threads=None, eta=ETA, cuts=(), **more):
    """Steps over the samples in order, in calls cut at `cuts` -> weights, slots, costs."""
    data, flat = samples(), net.flat.copy()
    slots, costs = slots_for(optimizer, flat), []
    order = np.arange(steps * batch) % COUNT
    ends = (*cuts, steps)
    for first, last in zip((0, *cuts), ends, strict=True):
        rule = dict(optimizer=optimizer, slots=slots, updates=first, **more)
        part = order[first * batch : last * batch]
        costs += take_steps(net.engine, flat, data, part, batch, eta, threads, **rule).tolist()
    return flat, slots, np.array(costs)


# ------------------------------------------------------------ hand values

W, G1, G2 = [1.0, -2.0], [2.0, 4.0], [-1.0, 2.0]
BY_HAND = {
    # w - 0.1 g
    "sgd": (SGD(), [0.8, -2.4], [0.9, -2.6]),
    # 0.95 w - 0.1 g
    "decay": (SGD(weight_decay=0.5), [0.75, -2.3], [0.8125, -2.385]),
    # m = (2, 4), then (0, 4)
    "momentum": (SGD(0.5), [0.8, -2.4], [0.8, -2.8]),
    # g + m/2 = (3, 6), then (-1, 4)
    "nesterov": (SGD(0.5, nesterov=True), [0.7, -2.6], [0.8, -3.0]),
    # m^ = g, v^ = g^2;  then m = (0, 2), v = (1, 4), m^ = m / (3/4), v^ = v / (7/16)
    "adam": (Adam(0.5, 0.75, 1e-30), [0.9, -2.1], [0.9, -2.1 - 0.1 * 7**0.5 / 3]),
    # the decay of w = 0.95 w is not in m and v
    "adamw": (AdamW(0.5, 0.75, 1e-30, 0.5), [0.85, -2.0], [0.8075, -1.9 - 0.1 * 7**0.5 / 3]),
}


@pytest.mark.equation(21)
@pytest.mark.parametrize(("optimizer", "first", "second"), BY_HAND.values(), ids=BY_HAND)
def test_two_steps_by_hand_in_float64(optimizer, first, second):
    w = np.array(W)
    slots = slots_for(optimizer, w)
    for t, (g, expected) in enumerate(zip((G1, G2), (first, second), strict=True), 1):
        gradient = np.array(g)
        optimizer.update(w, gradient, slots, 0.1, t)
        np.testing.assert_allclose(w, expected, rtol=1e-14)
        assert gradient.tolist() == g


def test_epsilon_stands_beside_the_root():
    w = np.array(W)
    Adam(epsilon=0.5).update(w, np.array(G1), slots_for(Adam(), w), 0.1, 1)
    np.testing.assert_allclose(w, [1 - 0.1 * 2 / 2.5, -2 - 0.1 * 4 / 4.5], rtol=1e-14)


def test_the_first_step_of_adam_is_the_rate_in_every_direction():
    w, g = np.zeros(5), np.array([1e-5, -3.0, 700.0, -1e6, 0.25])
    Adam().update(w, g, slots_for(Adam(), w), 0.01, 1)
    np.testing.assert_allclose(w, -0.01 * np.sign(g), rtol=2e-3)


def test_decay_is_decoupled_from_gradient_and_momentum():
    """Without a gradient, weights shrink by 1 - eta lambda a step and nothing is remembered."""
    for optimizer in (SGD(0.9, weight_decay=0.5), AdamW(weight_decay=0.5)):
        w = np.array(W)
        slots = slots_for(optimizer, w)
        for t in (1, 2, 3):
            optimizer.update(w, np.zeros(2), slots, 0.1, t)
        np.testing.assert_allclose(w, np.array(W) * 0.95**3, rtol=1e-14)
        assert not any(slot.any() for slot in slots)


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("optimizer", [SGD(weight_decay=0.002), AdamW(weight_decay=0.002)])
def test_a_small_decay_is_not_rounded_away(engine, optimizer):
    """float32 has no number near 1 - 2e-7: on average weights must shrink by 2e-7 all the same."""
    net = Network("flatten, dense 4, softmax", (100, 100, 1), seed=3, engine=engine)
    images = np.zeros((8, 100, 100, 1), np.float32)  # so that w has no gradient
    data = Samples(images, np.arange(8, dtype=np.int32) % 4)
    before = net.parameters["w0"].astype(np.float64)
    rule = dict(optimizer=optimizer, slots=slots_for(optimizer, net.flat))
    take_steps(net.engine, net.flat, data, np.arange(8), 8, 1e-4, **rule)
    shrunk = 1 - net.parameters["w0"] / before
    assert shrunk.mean() == pytest.approx(2e-7, rel=0.02)


# ------------------------------------------------------------ plain SGD: (21)


def nearest32(x: Fraction) -> np.float32:
    """The float32 number closest to x."""
    near = np.float32(float(x))
    around = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, -np.float32(np.inf))]
    return min(around, key=lambda number: abs(Fraction(float(number)) - x))


@pytest.mark.equation(21)
def test_plain_descent_is_21_in_one_rounding_natively_and_in_two_in_the_reference(target):
    """w - eta g: native rounds once (a fused multiply-add), NumPy product and difference."""
    data, eta = samples(8), np.float32(0.1)
    for name in ("native", "reference"):
        net = make(name)
        _, g = net.engine.gradients(net.flat, data)
        w = net.flat.copy()
        take_steps(net.engine, net.flat, data, np.arange(8), 8, eta)
        if name == "reference":
            expected = w - eta * g
        else:
            rate = Fraction(float(eta))
            pairs = zip(w.tolist(), g.tolist(), strict=True)
            expected = np.array([nearest32(Fraction(a) - rate * Fraction(b)) for a, b in pairs])
        assert (net.flat != w).mean() > 0.5
        np.testing.assert_array_equal(net.flat, expected)


# ------------------------------------------------------------ both engines


@each_optimizer
def test_native_follows_the_reference_for_20_steps(target, optimizer):
    flat, slots, costs = train(make("native"), optimizer)
    right, right_slots, right_costs = train(make("reference"), optimizer)
    start = make().flat
    assert np.abs(right - start).max() > 0.01
    np.testing.assert_allclose(costs, right_costs, rtol=1e-5)
    np.testing.assert_allclose(flat, right, rtol=0, atol=1e-5)
    for slot, expected in zip(slots, right_slots, strict=True):
        assert expected.any()
        np.testing.assert_allclose(slot, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


@each_optimizer
def test_the_same_bits_on_every_target_and_number_of_threads(optimizer):
    seen = set()
    for target, threads in product(TARGETS, (1, 2, 3)):
        options = {"batch": 32, "threads": threads, "clip_norm": 0.7}
        with chosen(target):
            net = make("native")
        flat, slots, costs = train(net, optimizer, steps=12, **options)
        everything = b"".join([flat.tobytes(), costs.tobytes(), *(s.tobytes() for s in slots)])
        seen.add(hashlib.sha256(everything).hexdigest())
    assert len(seen) == 1


@pytest.mark.parametrize("engine", ["native", "reference"])
@each_optimizer
def test_the_same_bits_however_steps_are_cut_into_calls(optimizer, engine):
    whole = train(make(engine), optimizer)
    cut = train(make(engine), optimizer, cuts=(1, 2, 9))
    assert whole[0].tobytes() == cut[0].tobytes()
    assert [slot.tobytes() for slot in whole[1]] == [slot.tobytes() for slot in cut[1]]


# ------------------------------------------------------------ clipping


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_norm_below_the_limit_changes_no_bit(engine):
    plain = train(make(engine), SGD(0.9))[0]
    assert train(make(engine), SGD(0.9), clip_norm=1e6)[0].tobytes() == plain.tobytes()
    assert train(make(engine), SGD(0.9), clip_norm=1e-3)[0].tobytes() != plain.tobytes()


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("share", [0.99, 0.51, 0.01])
def test_clipping_scales_the_whole_gradient_to_the_norm(engine, share):
    net, data = make(engine), samples(8)
    _, g = net.engine.gradients(net.flat, data)
    norm = float(np.linalg.norm(g.astype(np.float64)))
    before = net.flat.astype(np.float64)
    take_steps(net.engine, net.flat, data, np.arange(8), 8, 1.0, **dict(clip_norm=share * norm))
    step = before - net.flat
    np.testing.assert_allclose(step, share * g.astype(np.float64), rtol=0, atol=3e-7)
    assert np.linalg.norm(step) == pytest.approx(share * norm, rel=1e-5)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_momentum_remembers_the_clipped_gradient(engine):
    net, data = make(engine), samples(8)
    slots = slots_for(SGD(0.9), net.flat)
    rule = dict(optimizer=SGD(0.9), slots=slots, clip_norm=0.25)
    take_steps(net.engine, net.flat, data, np.arange(8), 8, ETA, **rule)
    assert np.linalg.norm(slots[0].astype(np.float64)) == pytest.approx(0.25, rel=1e-5)


# ------------------------------------------------------------ fit, and wrong values


def test_fit_hands_everything_to_the_engine():
    data = samples()
    net, twin = make(), make()
    options = {"optimizer": "adamw", "clip_norm": 0.5, "schedule": "cosine", "seed": 4}
    net.fit(data.images, data.targets, epochs=2, batch_size=16, learning_rate=0.01, **options)
    slots, rates = slots_for(AdamW(), twin.flat), 0.01 * half_cosine(20)
    for epoch in (0, 1):
        order = np.argsort(
            np.random.Philox(key=np.array([4, 1], np.uint64), counter=[0, 0, 0, epoch]).random_raw(
                COUNT
            )
        )
        rule = dict(optimizer=AdamW(), slots=slots, updates=10 * epoch, clip_norm=0.5)
        part = rates[10 * epoch : 10 * epoch + 10].astype(np.float32)
        take_steps(twin.engine, twin.flat, data, order, 16, part, **rule)
    np.testing.assert_allclose(net.flat, twin.flat, rtol=0, atol=1e-6)
    assert np.abs(net.flat - make().flat).max() > 0.01


def half_cosine(steps: int) -> np.ndarray:
    return (1 + np.cos(np.pi * np.arange(steps) / steps)) / 2


@each_optimizer
def test_every_optimizer_learns(optimizer):
    x, y = bright_rows(240, shape=(8, 8))
    net = Network("conv 4 3, relu, pool 2, flatten, dense 3, softmax", (8, 8, 1))
    eta = 0.005 if isinstance(optimizer, Adam) else 0.02
    history = net.fit(x, y, epochs=6, batch_size=8, learning_rate=eta, optimizer=optimizer)
    assert history[-1].train_loss < 0.6 * history[0].train_loss


def test_a_gradient_that_is_not_finite_is_not_applied():
    for engine in ("native", "reference"):
        net, data = make(engine), samples(16)
        net.flat[0] = np.nan
        before, slots = net.flat.copy(), slots_for(Adam(), net.flat)
        steps = Steps(np.arange(16), np.full(2, ETA, np.float32))
        settings = Settings(batch_size=8, optimizer=Adam())
        result = net.engine.train(net.flat, slots, data, steps, settings)
        assert (result.done, result.diverged) == (0, True)
        assert net.flat.tobytes() == before.tobytes()
        assert not any(slot.any() for slot in slots)


def test_names():
    expected = [SGD(), SGD(0.9), SGD(0.9, nesterov=True), Adam(), AdamW()]
    assert [as_optimizer(name) for name in BY_NAME] == expected
    assert AdamW().weight_decay == 0.01
    assert isinstance(AdamW(), Adam)
    assert not isinstance(Adam(), AdamW)
    assert [optimizer.slots for optimizer in expected] == [0, 1, 1, 2, 2]


def test_without_a_learning_rate_it_is_the_usual_one():
    rates = {"sgd": 0.1, "momentum": 0.01, "nesterov": 0.01, "adam": 0.001, "adamw": 0.001}
    data = samples(32)
    for name, rate in rates.items():
        assert as_optimizer(name).usual_rate == rate
        given, usual = make(), make()
        given.fit(data.images, data.targets, epochs=1, optimizer=name, learning_rate=rate)
        usual.fit(data.images, data.targets, epochs=1, optimizer=name)
        assert given.flat.tobytes() == usual.flat.tobytes()
    assert SGD(0.99).usual_rate == 0.001


@pytest.mark.parametrize(
    ("make_wrong", "message"),
    [
        (lambda: SGD(1.0), r"SGD: momentum is 1.0, expected a number from 0, below 1"),
        (lambda: SGD(-0.1), r"SGD: momentum is -0.1"),
        (lambda: SGD("0.9"), r"SGD: momentum is '0.9'"),
        (lambda: SGD(True), r"SGD: momentum is True"),
        (lambda: SGD(float("nan")), r"SGD: momentum is nan"),
        (lambda: SGD(weight_decay=-1), r"SGD: weight_decay is -1"),
        (
            lambda: SGD(nesterov=True),
            r"SGD: momentum is 0.0, expected a number above 0 for",
        ),
        (lambda: Adam(beta1=1), r"Adam: beta1 is 1"),
        (lambda: Adam(beta2=-0.5), r"Adam: beta2 is -0.5"),
        (lambda: Adam(epsilon=float("inf")), r"Adam: epsilon is inf"),
        (lambda: Adam(epsilon=0), r"Adam: epsilon is 0, expected a number from 1e-30, below 1"),
        (lambda: SGD(0.9, nesterov="no"), r"SGD: nesterov is 'no', expected True or False"),
        (lambda: SGD(0.9, nesterov=1), r"SGD: nesterov is 1"),
        (lambda: AdamW(weight_decay="x"), r"AdamW: weight_decay is 'x'"),
        (lambda: as_optimizer("rmsprop"), r"optimizer is 'rmsprop', expected one of: sgd, .*adamw"),
        (lambda: as_optimizer(None), r"optimizer is None, expected"),
    ],
)
def test_wrong_numbers_are_refused(make_wrong, message):
    with pytest.raises(InputError, match=message):
        make_wrong()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "sgdm"}, "optimizer is 'sgdm'"),
        ({"clip_norm": 0}, "clip_norm is 0, expected a number above 0"),
        ({"clip_norm": float("inf")}, "clip_norm is inf"),
        ({"clip_norm": "1"}, "clip_norm is '1'"),
    ],
)
def test_fit_refuses_before_any_work(options, message):
    net, data = make(), samples()
    with pytest.raises(InputError, match=message):
        net.fit(data.images, data.targets, **options)
    assert net.flat.tobytes() == make().flat.tobytes()
    assert net.epochs == 0


# ------------------------------------------------------------ PyTorch

TORCH = {
    "sgd": (SGD(), lambda torch, p: torch.optim.SGD(p, ETA)),
    "momentum": (SGD(0.9), lambda torch, p: torch.optim.SGD(p, ETA, momentum=0.9)),
    "nesterov": (
        SGD(0.9, nesterov=True),
        lambda torch, p: torch.optim.SGD(p, ETA, momentum=0.9, nesterov=True),
    ),
    "adam": (Adam(), lambda torch, p: torch.optim.Adam(p, ETA)),
    "adam, other numbers": (
        Adam(0.7, 0.95, 1e-4),
        lambda torch, p: torch.optim.Adam(p, ETA, betas=(0.7, 0.95), eps=1e-4),
    ),
    "adamw": (AdamW(), lambda torch, p: torch.optim.AdamW(p, ETA)),
    "adamw, other numbers": (
        AdamW(0.7, 0.95, 1e-4, 0.3),
        lambda torch, p: torch.optim.AdamW(
            p, ETA, betas=(0.7, 0.95), eps=1e-4, weight_decay=0.3
        ),
    ),
}  # fmt: skip
TORCH_LAYERS = "conv 4 3, relu, pool 2, flatten, dense 7, relu, dense 3, softmax"


def torch_trajectory(torch, net: Network, data: Samples, make_optimizer, steps: int):
    """The flat vector, as convlet lays it out, after each step of PyTorch in float64."""
    w0, b0, w1, b1, w2, b2 = (
        torch.tensor(a.astype(np.float64), requires_grad=True) for a in net.parameters.values()
    )
    parameters = [w0, b0, w1, b1, w2, b2]
    optimizer = make_optimizer(torch, parameters)
    for step in range(steps):
        rows = slice(8 * step % 80, 8 * step % 80 + 8)
        x = torch.tensor(data.images[rows].astype(np.float64)).permute(0, 3, 1, 2)
        kernel = w0.flip(0, 1).permute(3, 2, 0, 1)  # (1) turns it by half a turn
        x = torch.relu(torch.nn.functional.conv2d(x, kernel, b0))
        x = torch.nn.functional.max_pool2d(x, 2).permute(0, 2, 3, 1).flatten(1)
        z = torch.relu(x @ w1 + b1) @ w2 + b2
        y = torch.tensor(data.targets[rows].astype(np.int64))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(z, y).backward()
        optimizer.step()
        yield np.concatenate([p.detach().numpy().ravel() for p in parameters])


@pytest.mark.pytorch
@pytest.mark.parametrize(("optimizer", "make_optimizer"), TORCH.values(), ids=TORCH)
def test_trajectories_are_those_of_pytorch(optimizer, make_optimizer):
    """20 steps: the reference functions in float64 in every step, the native engine at the end."""
    torch = pytest.importorskip("torch", reason="PyTorch is not among the test requirements")
    net = Network(TORCH_LAYERS, (8, 7, 2), seed=3)  # of 2, Adam magnifies each rounding five times
    rng = np.random.default_rng(5)
    x = rng.standard_normal((80, 8, 7, 2)).astype(np.float32)
    data = Samples(x, rng.integers(0, 3, 80).astype(np.int32))

    flat = net.flat.astype(np.float64)
    slots = slots_for(optimizer, flat)
    engine = ReferenceEngine(net.stages)
    trajectory = torch_trajectory(torch, net, data, make_optimizer, 20)
    for step, right in enumerate(trajectory):
        rows = slice(8 * step % 80, 8 * step % 80 + 8)
        arrays = views(flat, net.shapes)
        images = x[rows].astype(np.float64)
        _, g = backprop.gradients(engine.stages, arrays, images, data.targets[rows])
        gradient = np.concatenate([g[name].ravel() for name in net.shapes])
        optimizer.update(flat, gradient, slots, ETA, step + 1)
        np.testing.assert_allclose(flat, right, rtol=1e-6, atol=1e-12)
    assert np.abs(right - net.flat).max() > 0.01

    slots = slots_for(optimizer, net.flat)
    rule = dict(optimizer=optimizer, slots=slots)
    take_steps(net.engine, net.flat, data, np.arange(160) % 80, 8, ETA, **rule)
    assert np.linalg.norm(net.flat - right) < 1e-6 * np.linalg.norm(right)


def test_numbers_of_numpy_are_taken():
    half = np.float32(0.5)
    assert SGD(half, weight_decay=np.int64(0)) == SGD(0.5)
    assert Adam(beta1=half) == Adam(beta1=0.5)
    assert Cosine(warm_up=half) == Cosine(warm_up=0.5)
    assert Augmentation(shift=np.uint8(2), rotation=half) == Augmentation(shift=2, rotation=0.5)
    with pytest.raises(InputError, match=r"momentum is True, expected a number"):
        SGD(np.True_)
