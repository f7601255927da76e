"""Which pixels matter: the pictures, against central differences and by hand."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from convlet import InputError, Network, backprop
from convlet.cli import main
from convlet.explaining.class_activation import (
    behind,
    class_activation,
    last_convolution,
    middles,
)
from convlet.layers import Conv2D, ReLU
from convlet.plots import tiles
from networks import networks, some_levels
from one_example import DX, IMAGE, example

plots = pytest.importorskip("convlet.plots")
pytest.importorskip("matplotlib")

CONV = "conv 3 3, relu, pool 2, flatten, dense 4, softmax"
FLAT = "flatten, dense 4, softmax"


def pictures(figure):
    return [axes.images[0].get_array() for axes in figure.axes]


# ----------------------------------------------------------------------------------------- saliency


def test_saliency_is_the_error_of_the_image():
    figure = plots.saliency(example(), IMAGE, 1)
    image, brightness, size = pictures(figure)
    assert_array_equal(image, tiles.as_rgb(IMAGE))
    assert_array_equal(brightness, tiles.signed(DX[..., 0], 14))
    assert_array_equal(size, tiles.heat(np.abs(DX[..., 0])))
    assert figure.get_suptitle() == "The cost E of class 1 is 0.6931"  # log 2
    assert brightness[1, 1, 0] > brightness[1, 1, 2]  # 14: orange
    assert brightness[0, 2, 2] > brightness[0, 2, 1]  # -4: purple


def test_saliency_of_channels_is_their_sum_and_their_greatest():
    network = Network(CONV, (6, 7, 3), seed=2, classes=["a", "b", "<c>", "$d"])
    image = some_levels(network, 1)[0]
    gradient = network.input_gradient(image[None], [2])[0].astype(float)
    _, brightness, size = pictures(plots.saliency(network, image, 2))
    added = gradient.sum(axis=2)
    assert np.abs(brightness.astype(int) - tiles.signed(added, np.abs(added).max())).max() <= 4
    assert np.abs(size.astype(int) - tiles.heat(np.abs(gradient).max(axis=2))).max() <= 4


@pytest.mark.parametrize("draw", [plots.saliency, plots.class_activation])
def test_without_a_label_it_is_the_most_probable_class(draw):
    network = Network(CONV, (6, 7, 1), seed=2, classes=["a", "$b$", "<c>", "$\\frac{$"])
    images = some_levels(network, 9)
    for image, k in zip(images, network.predict(images), strict=True):
        none, chosen = draw(network, image), draw(network, image[..., 0], int(k))
        assert none.get_suptitle() == chosen.get_suptitle()
        assert f"class {network.classes[k]}" in none.get_suptitle()
        for ours, theirs in zip(pictures(none), pictures(chosen), strict=True):
            assert_array_equal(ours, theirs)
        other = draw(network, image, (int(k) + 1) % 4)
        assert other.get_suptitle() != none.get_suptitle()


# --------------------------------------------------------------------------------- class activation


def test_class_activation_by_hand():
    """Two maps of 2 x 2 pixels; alpha is 3 and -1."""
    network = Network("conv 2 1 bias none, relu, flatten, dense 2 bias none, softmax", (2, 2, 1))
    network.parameters["w0"][0, 0, 0] = [1, 2]
    w = network.parameters["w1"].reshape(2, 2, 2, 2)  # (row, column, map, class)
    w[..., 0, 1] = [[1, 2], [3, 6]]
    w[..., 1, 1] = [[-4, 1], [2, -3]]
    w[..., 0] = 50  # of another class
    image = np.array([[1, 2], [0.5, 0]], np.float32)[..., None]
    coarse, fine = class_activation(network, image[None], 1)
    # the last pixel is on the kink of both ReLUs: half of 6 and of -3
    assert_allclose(coarse, (image * ((1 + 2 + 3 + 3) / 4 + 2 * (-4 + 1 + 2 - 1.5) / 4))[..., 0])
    assert_array_equal(coarse, fine)  # the windows are the pixels


@given(networks(), st.integers(0, 9))
def test_class_activation_is_of_the_mean_derivatives(network, seed):
    """alpha_k from central differences of the softmax's input, each map moved as a whole."""
    assume(any(isinstance(stage.affine, Conv2D) for stage in network.stages))
    stage, label = last_convolution(network), seed % network.class_count
    assume(ReLU() not in stage.sigma[behind(stage) :])  # its kink is where the maps are 0
    images = np.random.default_rng(seed).random((1, *network.input_shape), np.float32)
    parameters = {name: w.astype(float) for name, w in network.parameters.items()}
    traces = backprop.forward(network.stages, parameters, images.astype(float))
    trace, n = traces[stage.index], behind(stage)
    maps = (*trace.inputs, trace.output)[n]

    def entering(values):
        for layer in stage.sigma[n:]:
            before, values = values, backprop.sigma(layer, values)
        if stage is network.stages[-1]:
            return before[0, label]
        above = network.stages[stage.index + 1 :]
        return backprop.logits(backprop.forward(above, parameters, values))[0, label]

    alpha, h = [], 1e-6
    for k in range(maps.shape[-1]):
        one = h * (np.arange(maps.shape[-1]) == k)
        alpha.append((entering(maps + one) - entering(maps - one)) / (2 * h) / maps[0, ..., 0].size)
    expected = np.maximum((maps[0] * alpha).sum(axis=-1), 0)
    coarse, fine = class_activation(network, images, label)
    assert fine.shape == network.input_shape[:2]
    assert_allclose(coarse, expected, rtol=1e-4, atol=1e-5)
    assert fine.max() <= coarse.max() * (1 + 1e-6)
    assert fine.min() >= 0


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("conv 2 5, relu, pool 2, conv 2 5, relu, flatten, dense 2, softmax", (6.5, 2, 8)),
        ("conv 2 3 padding same, relu, flatten, dense 2, softmax", (0, 1, 28)),
        ("conv 2 3 stride 2 padding 1, relu, flatten, dense 2, softmax", (0, 2, 14)),
        ("conv 2 2, pool 3 stride 2, relu, flatten, dense 2, softmax", (1.5, 2, 13)),
    ],
)
def test_a_pixel_of_a_map_lies_in_the_middle_of_its_window(layers, expected):
    """By hand: the first, the distance, how many."""
    network = Network(layers, (28, 28, 1))
    stage = last_convolution(network)
    start, step, count = expected
    found = middles(network, stage, behind(stage), 0, count)
    assert found == [start + step * n for n in range(count)]
    coarse, _ = class_activation(network, np.zeros((1, 28, 28, 1), np.float32), 0)
    assert coarse.shape == (count, count)


def test_a_map_on_the_image_is_linear_between_the_middles():
    network = Network("conv 1 3 stride 2 bias none, flatten, dense 2, softmax", (5, 5, 1))
    network.parameters["w0"][...] = 0
    network.parameters["w0"][1, 1] = 1  # the maps are the pixels (1, 1), (1, 3), (3, 1), (3, 3)
    network.parameters["w1"][...] = 1
    image = np.zeros((5, 5), np.float32)
    image[1, 1], image[1, 3], image[3, 1], image[3, 3] = 0, 4, 2, 2
    coarse, fine = class_activation(network, image[None, ..., None], 0)
    assert_array_equal(coarse, [[0, 4], [2, 2]])
    assert_array_equal(fine[1], [0, 0, 2, 4, 4])
    assert_array_equal(fine[2], [1, 1, 2, 3, 3])
    assert_array_equal(fine[4], [2, 2, 2, 2, 2])


def test_the_picture_of_a_class_activation():
    network = Network(CONV, (9, 8, 1), seed=2)
    image = some_levels(network, 1)[0]
    label = next(k for k in range(4) if class_activation(network, image[None], k)[0].any())
    coarse, fine = class_activation(network, image[None], label)
    figure = plots.class_activation(network, image, label)
    seen, maps, over = pictures(figure)
    assert_array_equal(seen, tiles.as_rgb(image))
    assert_array_equal(maps, tiles.heat(coarse))
    nothing = fine == 0
    assert_array_equal(over[nothing], tiles.as_rgb(image)[nothing])
    p = network.predict_proba(image[None])[0, label]
    assert figure.get_suptitle() == f"What speaks for class {label}, probability {100 * p:.1f} %"
    assert figure.axes[1].get_title(loc="left") == "maps, weighted: 7x6"


def test_a_class_for_which_nothing_speaks():
    network = Network(CONV, (9, 8, 1), seed=2)
    network.parameters["w1"][...] = -1
    image = some_levels(network, 1)[0]
    figure = plots.class_activation(network, image, 1)
    assert figure.get_suptitle().endswith("nothing here")


# ----------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("draw", [plots.saliency, plots.class_activation])
def test_what_does_not_fit_is_refused(draw):
    network = Network(CONV, (6, 6, 1))
    image = np.zeros((6, 6, 1), np.float32)
    for label in (4, -1, 1.5, "cat", True, [1]):
        with pytest.raises(InputError, match=r"label is .*, expected a whole number from 0 to 3"):
            draw(network, image, label)
    for shape in ((1, 6, 6, 1), (6, 5), (36,)):
        with pytest.raises(InputError, match=r"image has shape .*one image, as in x\[0\]"):
            draw(network, np.zeros(shape, np.float32))
    with pytest.raises(InputError, match="network is None"):
        draw(None, image)
    network.parameters["b1"][...] = np.nan
    with pytest.raises(InputError, match="network gives numbers that are not finite"):
        draw(network, image)


def test_only_a_convolution_has_maps():
    network, image = Network(FLAT, (5, 5, 1)), np.zeros((5, 5, 1), np.float32)
    with pytest.raises(InputError, match="network has no convolution, expected one with maps"):
        plots.class_activation(network, image)
    assert len(plots.saliency(network, image).axes) == 3


# ---------------------------------------------------------------------- the report and the command


@pytest.mark.parametrize(("layers", "tiles_of"), [(CONV, 3), (FLAT, 2)])
def test_the_report_has_the_pixels_that_matter(layers, tiles_of):
    from convlet.report import report

    names = ["<a>", "b", "c", "d"]
    network = Network(layers, (10, 10, 1), seed=4, classes=names)
    x, y = some_levels(network, 12), np.arange(12) % 3
    page = report(network, x, y)
    (part,) = re.findall(r'<section id="saliency">(.*?)</section>', page, re.DOTALL)
    assert part.count("<img ") == 3  # of the classes that are there
    widths = {int(width) for width in re.findall(r'width="(\d+)"', part)}
    assert widths == {tiles_of * 10 + (tiles_of - 1) * 2}
    assert "&lt;a&gt;" in part
    assert ("Third" in part) == (tiles_of == 3)
    assert '<a href="#saliency">Pixels that matter</a>' in page
    assert 'id="saliency"' not in report(network)


def test_the_report_says_which_image_whatever_it_is_called():
    from convlet.report import report

    network = Network(CONV, (8, 8, 1), seed=4)
    names = ['"><b>\u202e\ud800.png'] * 4  # a lone surrogate stands for a byte that is no UTF-8
    page = report(network, some_levels(network, 4), [0, 1, 2, 3], names=names)
    assert page.encode()
    shown = "&quot;&gt;&lt;b&gt;\\u202e\\ud800.png"
    assert page.count(f'alt="Which pixels matter in {shown}"') == 4
    assert f'alt="{shown}"' in page


@pytest.mark.parametrize("kind", ["saliency", "class-activation"])
def test_the_command_draws_it(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    network = Network(CONV, (8, 8, 1), seed=2)
    network.save("m.safetensors")
    x = some_levels(network, 6)
    np.savez("rows.npz", x_train=x, y_train=[0, 1, 2, 3, 0, 1], x_test=x, y_test=[0, 1, 2, 3, 0, 1])
    for more in ([], ["--image", "2"], ["--image", "2", "--label", "3"]):
        assert main(["plot", kind, "m.safetensors", "rows.npz", "--out", "a.svg", *more]) == 0
        assert "picture saved in a.svg" in capsys.readouterr().out
        picture = Path("a.svg").read_text()
        label = 3 if "--label" in more else network.predict(x[2:3] if more else x[:1])[0]
        assert f"class {label}" in picture
    assert main(["plot", kind, "m.safetensors", "rows.npz"]) == 0
    assert f"convlet-{kind}.png" in capsys.readouterr().out
    assert main(["plot", kind, "m.safetensors", "rows.npz", "--image", "6"]) == 2
    assert "--image is 6, expected 0 to 5" in capsys.readouterr().err
    assert main(["plot", kind, "m.safetensors", "rows.npz", "--label", "4"]) == 2
    assert "--label is 4, expected a whole number from 0 to 3" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["activations", "mistakes"])
def test_a_label_is_for_the_pictures_of_a_class(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Network(CONV, (8, 8, 1)).save("m.safetensors")
    assert main(["plot", kind, "m.safetensors", "mnist", "--label", "1"]) == 2
    assert f"--label is 1, but {kind} is of all classes" in capsys.readouterr().err
