"""Networks to PyTorch and from it.  PyTorch is not installed with the tests: these run where it is.

scripts/interchange_peers runs them in an environment that has it.
"""

import numpy as np
import pytest
from hypothesis import given, settings

import convlet
from convlet import ArchitectureError, InputError, Network
from made_data import bright_rows
from networks import networks, some_levels, with_biases

torch = pytest.importorskip("torch", reason="PyTorch is not among the test requirements")
nn, functional = torch.nn, torch.nn.functional
pytestmark = pytest.mark.pytorch

LAYERS = (
    "conv 4 3x2 padding same stride 2x1 bias position, relu, pool 2 stride 1, dropout 0.3,"
    " conv 3 2 padding 1 bias none, relu, flatten, dropout 0.5, dense 8, relu, dense 3, softmax"
)


def probabilities(module, images: np.ndarray) -> np.ndarray:
    """Of a module that gives what enters the softmax; images: uint8 or float, channels last."""
    floats = images / np.float32(255) if images.dtype == np.uint8 else images
    with torch.no_grad():
        x = torch.from_numpy(np.ascontiguousarray(floats.transpose(0, 3, 1, 2)))
        return module.eval()(x).softmax(1).numpy()


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def random_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random((6, *shape)).astype(np.float32)


@given(networks())
@settings(max_examples=25)
def test_any_network_goes_there_and_comes_back(network):
    images = some_levels(network)
    expected = network.predict_proba(images)
    for relu_at_zero in (0, 0.5):
        module = network.to_torch(relu_at_zero=relu_at_zero)
        assert isinstance(module, nn.Sequential)
        assert_close(probabilities(module, images), expected)
    found = convlet.from_torch(module, network.input_shape)
    assert_close(found.predict_proba(images), expected)


def test_modules_are_pytorchs_own_where_it_has_them():
    network = Network(LAYERS, (9, 8, 1), seed=0)
    kinds = [type(one).__name__ for one in network.to_torch()]
    assert kinds == [
        *("ZeroPad2d", "Conv2d", "PositionBias", "ReLU", "MaxPool2d", "Dropout", "Conv2d", "ReLU"),
        *("Flatten", "Dropout", "Linear", "ReLU", "Linear"),
    ]
    with pytest.raises(InputError, match=r"relu_at_zero is 1, expected 0, as PyTorch has it, or"):
        network.to_torch(relu_at_zero=1)


def test_the_derivative_at_zero_is_the_one_that_was_chosen():
    """A blank image and biases of 0: every z of the first stage is 0 exactly."""
    network = Network("conv 2 3, relu, flatten, dense 3, softmax", (5, 5), seed=1)
    x, y = np.zeros((2, 5, 5, 1), np.float32), np.array([0, 2])
    expected = network.gradients(x, y)["b0"]
    found = {}
    for relu_at_zero in (0, 0.5):
        module = network.to_torch(relu_at_zero=relu_at_zero)
        functional.cross_entropy(module(torch.zeros(2, 1, 5, 5)), torch.from_numpy(y)).backward()
        found[relu_at_zero] = module[0].bias.grad.numpy()
    np.testing.assert_allclose(found[0.5], expected, rtol=1e-5)
    assert np.abs(expected).min() > 0.01
    assert not found[0].any()


def train_there(module, x: np.ndarray, y: np.ndarray, epochs: int = 3) -> None:
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    images = torch.from_numpy(x / np.float32(255)).permute(0, 3, 1, 2)
    torch.manual_seed(0)
    module.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(16):
            optimizer.zero_grad()
            functional.cross_entropy(module(images[rows]), torch.from_numpy(y)[rows]).backward()
            optimizer.step()


@pytest.mark.parametrize("relu_at_zero", [0, 0.5])
def test_trained_on_either_side_and_brought_over(relu_at_zero):
    x, y = bright_rows(80, seed=0)
    network = Network(LAYERS, x.shape[1:], seed=0)
    network.fit(x, y, epochs=2, batch_size=16)
    module = network.to_torch(relu_at_zero=relu_at_zero)
    assert_close(probabilities(module, x), network.predict_proba(x))
    before = network.predict_proba(x)
    train_there(module, x, y.astype(np.int64))
    found = convlet.from_torch(module, x.shape[1:])
    assert_close(found.predict_proba(x), probabilities(module, x))
    assert np.abs(found.predict_proba(x) - before).max() > 0.01
    assert {*found.layers} == {*network.layers}  # flatten may stand elsewhere


def test_state_dicts_both_ways(tmp_path):
    from safetensors.torch import load_file, save_file

    network = with_biases(Network(LAYERS, (9, 8, 3), seed=0))
    network.save_state_dict(tmp_path / "ours.safetensors")
    module = Network(LAYERS, (9, 8, 3), seed=5).to_torch()
    module.load_state_dict(load_file(tmp_path / "ours.safetensors"))
    images = some_levels(network)
    assert_close(probabilities(module, images), network.predict_proba(images))
    save_file(module.state_dict(), tmp_path / "theirs.safetensors")
    found = Network(LAYERS, (9, 8, 3), seed=7)
    found.load_state_dict(tmp_path / "theirs.safetensors")
    np.testing.assert_array_equal(found.flat, network.flat)


# -------------------------------------------------------------------- modules that others write


class Digits(nn.Module):
    """Two convolutions, a pool and two linear maps with dropout, by functions and methods."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.drop1, self.drop2 = nn.Dropout2d(0.25), nn.Dropout(0.5)
        self.fc1, self.fc2 = nn.Linear(8 * 6 * 5, 16), nn.Linear(16, 4)

    def forward(self, x):
        x = functional.relu(self.conv1(x))
        x = self.conv2(x).relu()
        x = self.drop1(functional.max_pool2d(x, 2))
        x = torch.flatten(x, 1)
        x = self.drop2(torch.relu(self.fc1(x)))
        return functional.log_softmax(self.fc2(x), dim=1)


class Normalised(nn.Module):
    """Images by their mean and deviation, a batch norm, a view, a layer twice in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]))
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.deep = nn.Conv2d(4, 8, 3, padding="same", groups=4, dilation=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = (x - self.mean.view(1, 3, 1, 1)) / 0.25
        x = torch.clamp(self.norm(self.conv(x)), min=0)
        x = functional.pad(x, (1, 0, 0, 1))
        x = self.pool(self.deep(x).relu_())
        return self.fc(x.view(x.size(0), -1))


class InPlace(nn.Module):
    """What changes a tensor, without a word about it or with one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True)
        self.fc = torch.nn.utils.parametrizations.weight_norm(nn.Linear(18, 3))

    def forward(self, x):
        x = self.conv(x).mul_(2)
        x += 0.5
        self.relu(x)
        x = functional.dropout(x, 0.2, self.training, inplace=True)
        return {"logits": self.fc(x.flatten(1))}


class Own(nn.Module):
    """Some modules, and a forward as people write it."""

    def __init__(self, forward, *modules) -> None:
        super().__init__()
        self.of, self.parts = forward, nn.ModuleList(modules)

    def forward(self, x):
        return self.of(x, *self.parts)


def seen(x, conv, fc):
    return fc(torch.relu(conv(x)).flatten(1))


def normalised_by_constants(x, conv, fc):
    mean = torch.tensor([0.4, 0.5]).view(1, 2, 1, 1)
    return seen(
        (x - mean) / torch.tensor([0.2, 0.3]).view(1, 2, 1, 1) * torch.tensor(0.5), conv, fc
    )


def with_places(x, conv, fc):
    values, _ = functional.max_pool2d(torch.relu(conv(x)), 3, return_indices=True)
    return fc(values.flatten(1))


def head(units: int):
    """A convolution of images (5, 5, 2) and what follows it."""
    return nn.Conv2d(2, 4, 3), nn.Linear(36, units)


# images (5, 5, 2) -> probabilities, logits, or the probability of the second class
FORWARDS = {
    "levels": Own(lambda x, *parts: seen(x.float() / 4, *parts), *head(3)),
    "types": Own(lambda x, *parts: seen(x.to(torch.float32), *parts).to(torch.float64), *head(3)),
    "there and back": Own(lambda x, *parts: seen(x.double().float(), *parts), *head(3)),
    "constants": Own(normalised_by_constants, *head(3)),
    "the greatest": Own(
        lambda x, conv, fc: fc(torch.relu(conv(x)).amax((-2, -1))),
        nn.Conv2d(2, 4, 3),
        nn.Linear(4, 3),
    ),
    "the sum": Own(
        lambda x, conv, fc: fc(torch.relu(conv(x)).sum((2, 3)) / 9),
        *(nn.Conv2d(2, 4, 3), nn.Linear(4, 3)),
    ),
    "a matrix": Own(
        lambda x, fc: functional.threshold(x, 0, 0).flatten(1) @ fc.weight.T, nn.Linear(50, 3)
    ),
    "adaptive": nn.Sequential(
        *(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    ),
    "with places": Own(with_places, nn.Conv2d(2, 4, 3), nn.Linear(4, 3)),
    "squeezed": Own(
        lambda x, conv, last: last(torch.relu(conv(x))).squeeze(-1).squeeze(-1),
        *(nn.Conv2d(2, 8, 5), nn.Conv2d(8, 3, 1)),
    ),
    "softmax of pixels": Own(
        lambda x, conv: conv(x).squeeze(3).softmax(1).squeeze(2), nn.Conv2d(2, 3, 5)
    ),
    "p": Own(lambda x, *parts: torch.sigmoid(seen(x, *parts)).squeeze(1), *head(1)),
    "1 - p": Own(lambda x, *parts: 1 - torch.sigmoid(seen(x, *parts)), *head(1)),
    "1 - p of two": Own(lambda x, *parts: 1 - torch.softmax(seen(x, *parts), 1), *head(2)),
    "turned": Own(lambda x, *parts: torch.softmax(seen(x, *parts), 1).flip(1), *head(3)),
    "chosen": Own(
        lambda x, *parts: torch.softmax(
            seen(x, *parts).index_select(1, torch.tensor([2, 0, 1, 1])), 1
        ),
        *head(3),
    ),
    "turned twice": Own(lambda x, *parts: seen(x, *parts).flip(-1).softmax(1).flip(1), *head(3)),
}


@pytest.mark.parametrize("name", FORWARDS)
def test_forwards_as_people_write_them_give_the_same(name):
    module = FORWARDS[name].eval()
    images = random_images(5, 5, 2)
    with torch.no_grad():
        expected = module(nchw(images)).numpy().reshape(len(images), -1)
    if expected.shape[1] == 1:
        expected = np.concatenate([1 - expected, expected], axis=1)
    elif not np.allclose(expected.sum(axis=1), 1, atol=1e-4):
        expected = torch.from_numpy(expected).softmax(1).numpy()
    network = convlet.from_torch(module, (5, 5, 2), white=1)
    assert np.ptp(expected, axis=0).max() > 1e-3
    assert_close(network.predict_proba(images), expected)


def nchw(images: np.ndarray):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def sequential(*modules):
    return nn.Sequential(*modules, nn.Flatten(), nn.LazyLinear(3))


OTHERS = {
    "digits": (Digits(), (16, 14, 1)),
    "normalised": (Normalised(), (9, 8, 3)),
    "nested": (
        nn.Sequential(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU()), sequential()),
        (5, 6, 2),
    ),
    "mean": (sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2, padding=1)), (7, 7, 1)),
    "edges": (
        sequential(nn.Conv2d(1, 2, 2), nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
        (9, 9, 1),
    ),
    "frame": (sequential(nn.ConstantPad2d((0, 1, 2, 0), 0.5), nn.Conv2d(1, 2, 3)), (6, 6, 1)),
    "lenet": (
        nn.Sequential(
            *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
            nn.Softmax(1),
        ),
        (28, 28, 1),
    ),
    "cifar": (
        nn.Sequential(
            *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2, 2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Flatten()),
            *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
        ),
        (32, 32, 3),
    ),
    "in place": (InPlace(), (5, 5, 1)),
    "double": (sequential(nn.Conv2d(1, 2, 3)).double(), (5, 5, 1)),
    "last": (nn.Sequential(nn.Conv2d(1, 3, (5, 4)), nn.Flatten()), (5, 4, 1)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_modules_of_others_give_the_same(name):
    module, shape = OTHERS[name]
    torch.manual_seed(0)
    images = random_images(*shape)
    dtype = torch.float64 if name == "double" else torch.float32
    module(nchw(images).to(dtype))  # lazy ones, and the statistics of a batch norm
    expected = module.eval()(nchw(images).to(dtype))
    expected = expected["logits"] if name == "in place" else expected
    expected = expected.detach()
    if name == "digits":
        expected = expected.exp()
    elif name != "lenet":
        expected = expected.softmax(1)
    module.train()
    network = convlet.from_torch(module, shape)
    assert module.training
    assert_close(network.predict_proba(images), expected.numpy())
    assert any("softmax was added" in one for one in network.said) == (
        name not in ("digits", "lenet")
    )


def test_what_was_folded_is_said():
    said = "\n".join(convlet.from_torch(OTHERS["digits"][0], (16, 14, 1)).said)
    assert "node 'feature_dropout' (feature_dropout of module 'drop1') drops whole channels" in said
    assert "node 'log_softmax' (log_softmax) gives logarithms, the network the prob" in said
    said = "\n".join(convlet.from_torch(OTHERS["normalised"][0], (9, 8, 3)).said)
    for part in ("sub", "div", "batch_norm of module 'norm'", "groups", "dilation 2x2"):
        assert part in said


def test_a_module_that_takes_levels():
    class Levels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = sequential(nn.Conv2d(1, 2, 3))

        def forward(self, x):
            return self.inner(x / 255)

    module = Levels()
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 1)).astype(np.uint8)
    with torch.no_grad():
        expected = module.eval()(nchw(images).float()).softmax(1).numpy()
    network = convlet.from_torch(module, (6, 6))
    assert "the module takes 255 for white, the network 1: give it uint8" in network.said[0]
    assert_close(network.predict_proba(images), expected)
    assert_close(convlet.from_torch(module.inner, (6, 6)).predict_proba(images), expected)
    other = convlet.from_torch(module.inner, (6, 6), white=2)
    floats = images / np.float32(255)
    with torch.no_grad():
        expected = module.inner(nchw(floats * 2)).softmax(1).numpy()
    assert_close(other.predict_proba(floats), expected)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(25, 3)

    def forward(self, x):
        y = self.conv(x)
        return self.fc((x + y).flatten(1))


class Choosing(nn.Module):
    def forward(self, x):
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


class Doubled(nn.Module):
    def forward(self, x):
        return (x + x).flatten(1)


class Stacked(nn.Module):
    def forward(self, x):
        return torch.cat([x, x], 1).flatten(1)


class AsKernel(nn.Module):
    def forward(self, x):
        return functional.conv2d(torch.ones(1, 1, 9, 9), x).reshape(2, 25)


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        self.count.add_(1)
        return x.flatten(1)


class Aliased(nn.Module):
    """The flat numbers change with the image."""

    def forward(self, x):
        y = x.clone()
        z = y.view(-1, 25)
        y.neg_()
        return z


class Two(nn.Module):
    def forward(self, x):
        x = x.flatten(1)
        return x, x.relu()


class Joining(nn.Module):
    def forward(self, x):
        return x.reshape(1, -1)


def flat(*modules):
    return nn.Sequential(nn.Flatten(), nn.Linear(25, 3), *modules)


REFUSED = {
    "branch": (Residual(), r"node 'add' \(add\) reads 'x' and 'conv2d': a chain, .*: no branches"),
    "doubled": (Doubled(), r"node 'add' \(add\) takes them as self and other: constants there"),
    "stacked": (Stacked(), r"node 'cat' \(cat\) is no layer of convlet"),
    "as kernel": (AsKernel(), r"node 'conv2d' \(conv2d\) "),
    "counting": (Counting(), r"changes a parameter or buffer: a forward that reads them"),
    "aliased": (
        Aliased(),
        r"node 'neg_' \(neg_\) reads 'clone': a chain, in which it reads 'view'",
    ),
    "choice": (Choosing(), r"the module cannot be followed with images \(2, 1, 5, 5\) \("),
    "two": (Two(), r"the module gives 2 values: what becomes of the images, and that only"),
    "joined": (Joining(), r"node 'reshape' \(reshape\) joins the images of a minibatch"),
    "gelu": (flat(nn.GELU()), r"node 'gelu' \(gelu of module '2'\) is no layer of convlet: conv"),
    "relu6": (flat(nn.ReLU6()), r"\(hardtanh of module '2'\) is no layer of convlet"),
    "tanh": (flat(nn.Tanh()), r"\(tanh of module '2'\) is no layer of convlet"),
    "transposed": (sequential(nn.ConvTranspose2d(1, 2, 2)), r"\(conv_transpose2d of module '0'\)"),
    "reflection": (sequential(nn.ReflectionPad2d(1)), r"pads by reflect: by zeros"),
    "ceil": (
        sequential(nn.MaxPool2d(2, ceil_mode=True)),
        r"windows that end outside .*: ceil_mode",
    ),
    "dilated": (
        sequential(nn.MaxPool2d(2, 1, dilation=2)),
        r"has dilation \(2, 2\): a pool without",
    ),
    "divisor": (sequential(nn.AvgPool2d(2, divisor_override=3)), r"divides by 3: a mean"),
    "adaptive": (sequential(nn.AdaptiveAvgPool2d(2)), r"windows of different sizes, 5x5 to 2x2"),
    "last axis": (nn.Sequential(nn.Linear(5, 3), nn.Flatten()), r"the last of 3 axes: flatten"),
    "batch": (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)),
        r"normalises by the statistics of each minibatch: running statistics",
    ),
    "softmax": (flat(nn.Softmax(0)), r"is along axis 0: the axis of the classes, 1"),
    "sigmoid": (flat(nn.Sigmoid()), r"\(sigmoid of module '2'\) is a sigmoid of 3 numbers"),
    "padded pool": (sequential(nn.MaxPool2d(2, padding=1)), r"has margins .*: a pool without"),
    "whole numbers": (
        Own(lambda x, fc: fc(x.flatten(1).long().float()), nn.Linear(25, 3)),
        r"node 'to' \(to\) cuts numbers to whole ones: floats from input to output",
    ),
    "dropout that never ends": (
        Own(lambda x, fc: fc(functional.dropout(x.flatten(1), 0.3)), nn.Linear(25, 3)),
        r"\(dropout\) drops units when it predicts, too: F\.dropout\(x, p, self\.training\)",
    ),
    "no numbers": (
        nn.Sequential(nn.Flatten(), nn.Linear(25, 3, device="meta")),
        r"\(linear of module '1'\) has parameters without numbers, on the device meta: load them",
    ),
    "a label": (
        Own(lambda x, fc: fc(x.flatten(1)).argmax(1), nn.Linear(25, 3)),
        r"\(argmax\) is no layer of convlet",
    ),
    "places of the greatest": (
        Own(lambda x: functional.max_pool2d(x, 2, return_indices=True)[1].flatten(1).float()),
        r"takes value 1 of 'max_pool2d_with_indices': a chain, that goes on with the first one",
    ),
    "some classes": (
        Own(
            lambda x, fc: fc(x.flatten(1)).softmax(1).index_select(1, torch.tensor([0, 1])),
            nn.Linear(25, 3),
        ),
        r"\(index_select\) leaves out probabilities, 2 of 3 stay: those of all classes, each once",
    ),
    "1 - p of three": (
        Own(lambda x, fc: 1 - fc(x.flatten(1)).softmax(1), nn.Linear(25, 3)),
        r"\(rsub\) stands behind the softmax",
    ),
    "minus p": (
        Own(lambda x, fc: -torch.sigmoid(fc(x.flatten(1))), nn.Linear(25, 1)),
        r"\(neg\) stands behind the softmax",
    ),
    "images turned round": (
        Own(lambda x, fc: fc(x.flip(3).flatten(1)), nn.Linear(25, 3)),
        r"\(flip\) takes numbers along \[3\] of \(1, 5, 5\): flat numbers, axis 1",
    ),
    "minibatch turned round": (
        Own(lambda x, fc: fc(x.flatten(1)).flip(0), nn.Linear(25, 3)),
        r"\(flip\) takes numbers along \[0\] of \(3,\): flat numbers, axis 1",
    ),
    "grown": (
        Own(lambda x, fc: fc(x.flatten(1)) + torch.ones(3), nn.Linear(25, 1)),
        r"\(add\) makes \(3,\) of \(1,\): constants that fit into the images",
    ),
    "softmax of one": (
        Own(lambda x, fc: fc(x.flatten(1)).unsqueeze(1).softmax(1).squeeze(1), nn.Linear(25, 3)),
        r"\(softmax\) is along axis 1: the axis of the classes, 1",
    ),
    "wrong size": (nn.Sequential(nn.Flatten(), nn.Linear(9, 3)), r"the module cannot be followed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_chain_of_layers_is_refused_by_its_node(name):
    module, sentence = REFUSED[name]
    with torch.no_grad():
        if name not in ("wrong size", "choice", "no numbers"):
            module(torch.zeros(2, 1, 5, 5))  # lazy ones
    with pytest.raises(ArchitectureError, match=sentence) as caught:
        convlet.from_torch(module, (5, 5))
    assert caught.value.parameter == "module"


def test_what_is_no_module_is_refused():
    with pytest.raises(InputError, match=r"module is 3, expected a torch\.nn\.Module"):
        convlet.from_torch(3, (5, 5))
    with pytest.raises(InputError, match="input_shape is 5, expected"):
        convlet.from_torch(nn.Flatten(), 5)
    with pytest.raises(InputError, match="white is 0, expected a number above 0"):
        convlet.from_torch(nn.Flatten(), (5, 5), white=0)
