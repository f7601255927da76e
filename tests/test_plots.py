"""Pictures: what they show is what the network says, counted by hand or by another library."""

import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics

import children
import convlet
from convlet import FileError, History, InputError, MissingDependencyError, Network, Row, measures
from convlet.cli import main
from convlet.plots import tiles
from convlet.plots.filters import weights
from convlet.plots.rendering import render
from convlet.wording import file_label, label

plots = pytest.importorskip("convlet.plots")
pytest.importorskip("matplotlib")

HOSTILE = ("<script>alert(1)</script>", "$\\frac{", "a & b\u202e")


def reader(classes=3, names=None, side=4):
    """A network whose prediction a test sets: probability by the first pixels of an image.

    z_k = 10 x_k for the first `classes` pixels x_k, so softmax(10 x) is what it answers.
    """
    network = Network(
        f"flatten, dense {classes}, softmax", (side, side, 1), classes=names, engine="reference"
    )
    network.flat[:] = 0
    network.parameters["w0"][:classes] = 10 * np.eye(classes)
    return network


def images_of(predicted, sure, classes=3, side=4):
    """Images that `reader` takes for these classes; sure in 0..1: the pixel of the class."""
    x = np.zeros((len(predicted), side * side), np.float32)
    x[np.arange(len(predicted)), predicted] = sure
    return x.reshape(-1, side, side, 1)


def place(figure):
    """Lay a figure out, so that its artists know where they are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()


def texts(figure):
    """All text in the SVG of a figure."""
    root = ET.fromstring(render(figure, "svg"))
    return [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


# ---------------------------------------------------------------------------------------- measures


def test_confusion_counts_by_hand():
    counts = measures.confusion_counts([0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 0, 2], 4)
    assert_array_equal(counts, [[1, 1, 0, 0], [0, 1, 0, 0], [2, 0, 1, 0], [0, 0, 0, 0]])


def test_measures_of_classes_agree_with_scikit_learn():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 5, 400)
    predicted = np.where(rng.random(400) < 0.6, truth, rng.integers(0, 5, 400))
    counts = measures.confusion_counts(truth, predicted, 5)
    assert_array_equal(counts, metrics.confusion_matrix(truth, predicted))
    scores = measures.class_scores(counts)
    expected = metrics.precision_recall_fscore_support(truth, predicted)
    for field, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert_allclose([getattr(score, field) for score in scores], values, rtol=1e-12)


def test_a_share_of_nothing_is_none():
    never_called, never_there = measures.class_scores(np.array([[0, 3], [0, 0]]))
    assert (never_called.precision, never_called.recall, never_called.f1) == (None, 0, 0)
    assert (never_there.precision, never_there.recall, never_there.f1) == (0, None, 0)
    assert measures.class_scores(np.zeros((1, 1), np.int64))[0].f1 is None


def test_calibration_by_hand():
    p = np.array([[0.95, 0.05], [0.85, 0.15], [0.35, 0.65], [0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])
    truth = [0, 1, 1, 0, 0, 0]
    found = measures.calibration(p, truth, bins=5)
    # (0.4, 0.6]: 0.5 right; (0.6, 0.8]: 0.65 right, 0.75 wrong; (0.8, 1]: 0.95, 1 right, 0.85 wrong
    assert_array_equal(found.count, [0, 0, 1, 2, 3])
    assert_allclose(found.confidence, [np.nan, np.nan, 0.5, 0.7, 2.8 / 3])
    assert_allclose(found.accuracy, [np.nan, np.nan, 1, 0.5, 2 / 3])
    assert_allclose(found.error, (1 * 0.5 + 2 * 0.2 + 3 * (2.8 / 3 - 2 / 3)) / 6)


def test_a_probability_on_an_edge_is_in_the_bin_below():
    found = measures.calibration([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]], [0, 0, 0], bins=4)
    assert_array_equal(found.count, [0, 1, 1, 1])


def test_worst_mistakes_are_the_most_confident_ones_in_order():
    p = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.99, 0.01], [0.9, 0.1]])
    truth = [1, 1, 0, 0, 1]  # all wrong but the fourth
    assert measures.worst_mistakes(p, truth, 10).tolist() == [1, 4, 2, 0]
    assert measures.worst_mistakes(p, truth, 2).tolist() == [1, 4]
    assert measures.worst_mistakes(p, [0, 0, 1, 0, 0], 5).tolist() == []


# ------------------------------------------------------------------------------------------ curves


def rows(count, accuracy=True):
    return History(
        [
            Row(5 + i, 2 / (i + 1), 3 / (i + 1), 0.9 - 0.1 * i if accuracy else None, 1.0)
            for i in range(count)
        ]
    )


@pytest.mark.parametrize("count", [1, 3, 40])
def test_curves_are_the_history(count):
    history = rows(count, accuracy=count < 10)
    figure = plots.training_curves(history)
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    fields = ["train_loss", "validation_loss", "validation_accuracy"][: len(lines)]
    assert len(lines) == (3 if count < 10 else 2)
    for line, field in zip(lines, fields, strict=True):
        scale = 100 if field == "validation_accuracy" else 1
        assert_array_equal(line.get_xdata(), [row.epoch for row in history])
        assert_allclose(line.get_ydata(), [scale * getattr(row, field) for row in history])


def test_curves_leave_out_what_was_not_measured():
    history = History([Row(1, 1.0, None, None, 1.0), Row(2, 0.5, 0.7, 0.8, 1.0)])
    train, test, accuracy = [a for x in plots.training_curves(history).axes for a in x.get_lines()]
    assert train.get_xdata().tolist() == [1, 2]
    assert (test.get_xdata().tolist(), accuracy.get_ydata().tolist()) == ([2], [80.0])
    words = texts(plots.training_curves(history))
    assert {"training, during the epoch", "validation, after the epoch", "80.00"} <= set(words)


@pytest.mark.parametrize("first", [1, 7, 200])
@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_epochs_are_whole_numbers(first, count):
    history = [Row(first + i, 1.0 - 0.01 * i, 1.0, 0.5, 1.0) for i in range(count)]
    figure = plots.training_curves(history)
    for axes in figure.axes:
        ticks = [label for label in tick_labels(figure, axes.xaxis) if label]
        assert ticks
        assert all(label.lstrip("\u2212").isdigit() for label in ticks)


@pytest.mark.parametrize(
    "accuracies", [[0.945], [1.0], [0.0], [0.5, 1.0], [0.986, 0.991, 0.9929], [0.1, 0.6, 0.2]]
)
def test_shares_stay_within_0_and_100_with_their_texts_inside(accuracies):
    history = [Row(1 + i, 1.0, 1.0, share, 1.0) for i, share in enumerate(accuracies)]
    figure = plots.training_curves(history)
    place(figure)
    axes = figure.axes[1]
    assert min(axes.get_ylim()) >= 0
    assert max(axes.get_ylim()) <= 100
    assert axes.texts
    for text in axes.texts:
        box = text.get_window_extent()
        assert axes.bbox.y0 <= box.y0
        assert box.y1 <= axes.bbox.y1
        for point in axes.transData.transform(axes.get_lines()[0].get_xydata()):
            assert not box.contains(*point)


@pytest.mark.parametrize("losses", [(0.22, 0.06), (0.3, 0.29), (2.3, 0.02), (0.1, 0.4)])
@pytest.mark.parametrize("tested", [True, False])
def test_the_legend_hides_no_mark_of_a_single_epoch(losses, tested):
    train, test = losses
    figure = plots.training_curves([Row(1, train, test, 0.9 if tested else None, 1.0)])
    place(figure)
    axes = figure.axes[0]
    legend = axes.get_legend().get_window_extent()
    for line in axes.get_lines():
        (point,) = axes.transData.transform(line.get_xydata())
        assert not legend.padded(5).contains(*point)


def tick_labels(figure, axis):
    """The labels of the ticks within the axis, after all is placed."""
    place(figure)
    low, high = sorted(axis.get_view_interval())
    return [
        label.get_text()
        for tick, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        if low <= tick <= high
    ]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        (History(), "history has no epochs, expected at least one"),
        ([], "history has no epochs, expected at least one"),
        (rows(1).as_dicts(), r"history\[0\] is \{'epoch': 5.*expected a convlet\.Row: .*\*\*row"),
        ([*rows(1), 3], r"history\[1\] is 3, expected a convlet\.Row$"),
        ("run.csv", r"history is 'run\.csv', expected a convlet\.History.*read_history"),
        (None, "history is None, expected a convlet.History"),
    ],
)
def test_what_is_no_history_is_refused(history, message):
    with pytest.raises(InputError, match=message):
        plots.training_curves(history)


# --------------------------------------------------------------------------------------- confusion


def test_the_confusion_matrix_shows_its_counts_and_names():
    truth = np.array([0] * 7 + [1] * 5 + [2] * 3)
    predicted = np.array([0] * 4 + [2] * 3 + [1] * 5 + [0, 1, 2])
    network = reader(names=HOSTILE)
    figure = plots.confusion_matrix(network, images_of(predicted, 1.0), truth)
    words = texts(figure)
    assert all(words.count(label(name, 16)) == 2 for name in HOSTILE)
    assert "10 of 15 right" in words
    cells = {
        text.get_position()[::-1]: text.get_text() for text in figure.axes[0].texts
    }  # (row, column) -> count
    assert cells == {
        (0, 0): "4", (0, 2): "3", (1, 1): "5", (2, 0): "1", (2, 1): "1", (2, 2): "1"
    }  # fmt: skip


@pytest.mark.parametrize(("names", "turn"), [("ab", 0), (("cat", "dog"), 90)])
def test_only_long_names_are_turned(names, turn):
    network = reader(2, names=tuple(names))
    figure = plots.confusion_matrix(network, images_of([0, 1], 1.0, 2), np.array([0, 1]))
    assert {tick.get_rotation() for tick in figure.axes[0].get_xticklabels()} == {turn}


def test_labels_may_be_distributions():
    network = reader()
    y = np.array([[0.9, 0.1, 0.0], [0.0, 0.2, 0.8]])
    figure = plots.confusion_matrix(network, images_of([0, 1], 1.0), y)
    assert {t.get_position()[::-1] for t in figure.axes[0].texts} == {(0, 0), (2, 1)}


@pytest.mark.parametrize("classes", [2, 24, 25, 100])
def test_any_number_of_classes_fits(classes):
    network = reader(classes, side=10)
    truth = np.arange(classes)
    figure = plots.confusion_matrix(network, images_of(truth, 1.0, classes, 10), truth)
    width, height = figure.get_size_inches()
    assert 3 < width <= 12
    assert 3 < height <= 12
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert ticks == [str(k) for k in range(0, classes, 1 if classes <= 50 else 2)]
    assert len(figure.axes[0].texts) == (classes if classes <= 24 else 0)
    assert render(figure, "png").startswith(b"\x89PNG")


def test_right_is_blue_wrong_is_orange_nothing_is_white():
    from convlet.plots.confusion import shades

    colours = shades(np.array([[8, 2, 0], [0, 10, 0], [1, 0, 9]]))
    assert_array_equal(colours[0, 2], [1, 1, 1])
    assert colours[1, 1].argmax() == 2
    assert colours[0, 1].argmax() == 0
    assert_allclose(colours[0, 1], np.array([0xD5, 0x5E, 0x00]) / 255)  # the greatest confusion
    assert colours[2, 0].sum() > colours[0, 1].sum()  # a smaller one is paler


# ----------------------------------------------------------------------------- filters, activations


def test_filters_lie_as_the_convolution_lays_them():
    network = Network("conv 2 2, relu, flatten, dense 2, softmax", (4, 4, 1), engine="reference")
    w = network.parameters["w0"]
    w[...] = 0
    w[0, 0, 0, 0] = 1.0  # tap (0, 0) meets the last pixel of the window, by (1)
    w[0, 1, 0, 1] = -1.0
    found = weights(network).tiles
    assert found.shape == (2, 2, 2, 3)
    white = tiles.signed(np.zeros(1), 1.0)[0]
    orange, purple = tiles.signed(np.array([1.0, -1.0]), 1.0)
    assert_array_equal(found[0], [[white, white], [white, orange]])
    assert_array_equal(found[1], [[white, white], [purple, white]])
    assert orange[0] > orange[2]
    assert purple[2] > purple[1]
    assert min(white) > 240


def test_three_channels_are_colours():
    network = Network("conv 1 1, relu, flatten, dense 2, softmax", (2, 2, 3), engine="reference")
    network.parameters["w0"][0, 0, :, 0] = [1.0, -1.0, 0.0]
    assert_array_equal(weights(network).tiles, [[[[255, 0, 128]]]])
    assert texts(plots.filters(network)) == ["w0 of conv 1 1"]  # and no scale


def test_other_channels_are_tiles_of_their_own():
    network = Network("conv 3 2, relu, flatten, dense 2, softmax", (4, 4, 2), engine="reference")
    found = weights(network)
    w = network.parameters["w0"]
    assert (len(found.tiles), found.filters) == (6, 3)
    assert [len(found.first(most)) for most in (0, 3, 4, 9)] == [2, 2, 4, 6]  # whole ones
    expected = tiles.signed(w[::-1, ::-1, 1, 1], float(np.abs(w).max()))
    assert_array_equal(found.tiles[3], expected)
    assert {"filter", "input channel"} <= set(texts(plots.filters(network)))


def test_filters_of_a_later_stage_are_those_of_its_weights():
    layers = "conv 3 1, relu, conv 2 2, relu, conv 4 2x1, relu, flatten, dense 2, softmax"
    network = Network(layers, (5, 5, 3), engine="reference")
    w = network.parameters["w1"]  # of three channels that are no colours
    w[...] = 0
    w[0, 1, 2, 1] = -2.0  # tap (0, 1) of channel 2 in filter 1 meets pixel (1, 0), by (1)
    found = weights(network, 1)
    white, purple = tiles.signed(np.array([0.0, -1.0]), 1.0)
    assert found.tiles.shape == (6, 2, 2, 3)
    assert np.argwhere((found.tiles != white).any(-1)).tolist() == [[5, 1, 0]]
    assert_array_equal(found.tiles[5, 1, 0], purple)
    assert (found.scale.low, found.scale.high) == (-2.0, 2.0)
    title = plots.filters(network, 1).get_suptitle().replace("\n", " ")
    assert title == "w1 of conv 2 2: a filter a row, an input channel a column"
    assert weights(network, stage=2).tiles.shape == (8, 2, 1, 3)


def test_filters_over_many_channels_are_means():
    layers = "conv 17 1, relu, conv 2 1x2, relu, flatten, dense 2, softmax"
    network = Network(layers, (2, 2, 1), engine="reference")
    w = network.parameters["w1"]
    w[...] = 0
    w[0, 0, :2, 0] = 17.0, -17.0  # a mean of absolute values: 2
    w[0, 1, 5, 1] = 17.0  # 1
    found = weights(network, 1)
    dark, middle, bright = tiles.heat(np.array([0.0, 1.0, 2.0]))
    assert_array_equal(found.tiles, [[[dark, bright]], [[middle, dark]]])
    assert (found.each, found.scale.low, found.scale.high) == (1, 0.0, 2.0)
    figure = plots.filters(network, 1)
    title = figure.get_suptitle().replace("\n", " ")
    assert title == "w1 of conv 2 1x2: mean of |w1| over 17 input channels"
    assert figure.axes[1].get_xlim() == (0.0, 2.0)


@pytest.mark.parametrize(
    ("layers", "shape", "end"),
    [
        ("conv 300 1", (2, 2, 1), "the first 256 of 300 filters"),
        ("conv 300 1", (2, 2, 7), "the first 24 of 300 filters"),
        ("conv 300 1", (2, 2, 15), "the first 17 of 300 filters"),  # 17 * 15 pictures
        ("conv 300 1", (2, 2, 17), "the first 256 of 300 filters"),
        ("conv 300 1", (2, 2, 3), "the first 256 of 300 filters"),
        ("conv 9 5x20", (40, 40, 3), "w0 of conv 9 5x20"),
        ("conv 16 19x1, relu, conv 16 19x1", (40, 40, 1), "an input channel a column"),
    ],
)
def test_filters_of_any_number_and_shape_fit_with_their_title(layers, shape, end):
    network = Network(f"{layers}, relu, flatten, dense 2, softmax", shape, engine="reference")
    figure = plots.filters(network, len(network.stages) - 2)
    title = figure.get_suptitle().replace("\n", " ")
    assert title.endswith(end)
    assert_title_is_whole(figure, title)
    width, height = figure.get_size_inches()
    assert 3 < width < 8
    assert 1 < height < 9
    for axes in figure.axes:
        box = axes.get_window_extent()
        assert box.width > 0.2 * figure.bbox.width


def test_filters_of_a_dense_stage_are_images_where_that_is_possible():
    network = reader(side=3)
    found = weights(network).tiles
    assert found.shape == (3, 3, 3, 3)
    orange = tiles.signed(np.array([10.0]), 10.0)[0]
    assert [np.argwhere((tile == orange).all(-1)).tolist() for tile in found] == [
        [[0, 0]], [[0, 1]], [[0, 2]]
    ]  # fmt: skip
    assert "w0 of dense 3" in texts(plots.filters(network))
    flat = Network("flatten, dense 2, softmax", (1, 16, 1), engine="reference")
    with pytest.raises(InputError, match=r"dense 2 over images of 1x16 pixels, expected 2 rows"):
        plots.filters(flat)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (2, r"stage is 2, dense 5, expected 0 or 1: weights of a convolution, or of a first"),
        (4, r"stage is 4, expected a whole number from 0 to 3"),
        (-1, r"stage is -1, expected a whole number from 0 to 3"),
        ("w0", r"stage is 'w0', expected a whole number from 0 to 3"),
    ],
)
def test_stages_without_filters_are_refused(stage, message):
    layers = "conv 2 1, relu, conv 2 1, relu, flatten, dense 5, relu, dense 2, softmax"
    network = Network(layers, (2, 2, 1), engine="reference")
    with pytest.raises(InputError, match=message):
        plots.filters(network, stage)


def test_a_mosaic_keeps_its_tiles_apart():
    pieces = np.arange(3 * 2 * 2 * 3, dtype=np.uint8).reshape(3, 2, 2, 3)
    found = tiles.mosaic(pieces, 2)
    assert found.shape == (5, 5, 4)
    assert_array_equal(found[3:, :2, :3], pieces[2])
    assert_array_equal(found[..., 3] > 0, [[1, 1, 0, 1, 1]] * 2 + [[0] * 5] + [[1, 1, 0, 0, 0]] * 2)


def test_an_image_is_shown_as_it_is():
    assert_array_equal(tiles.as_rgb(np.array([[[0], [255]]], np.uint8))[0, :, 0], [0, 255])
    assert_array_equal(tiles.as_rgb(np.array([[[0.0, 0.5, 1.0]]]))[0, 0], [0, 128, 255])
    assert_array_equal(tiles.as_rgb(np.array([[[-1.0], [1.0]]]))[0, :, 0], [0, 255])
    assert_array_equal(tiles.as_rgb(np.array([[[0.0, 1.0]]]))[0, 0], [128] * 3)  # the mean of two


def test_activations_are_those_of_the_stages():
    from convlet.plots.activations import maps, trace

    layers = "conv 3 3, relu, pool 2, flatten, dense 5, relu, dense 4, softmax"
    network = Network(layers, (8, 8, 1), seed=2, engine="reference")
    x = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    conv, dense, last = trace(network, x)
    assert conv.values.shape == (3, 3, 3)
    w, b = network.parameters["w0"], network.parameters["b0"]
    z = sum(
        w[2 - p, 2 - q, 0] * x[0, p : p + 6, q : q + 6] for p in range(3) for q in range(3)
    ) + b  # (1)  # fmt: skip
    pooled = np.maximum(z, 0).reshape(3, 2, 3, 2, 3).max(axis=(1, 3))
    assert_allclose(conv.values, pooled, rtol=1e-5, atol=1e-6)
    assert_allclose(last.values, network.predict_proba(x)[0], rtol=1e-5)
    assert dense.title == "stage 1: dense 5, relu → 5"
    brightest = np.unravel_index(conv.values.argmax(), conv.values.shape)
    assert (
        maps(conv).sum(axis=-1).max() == maps(conv)[brightest[2], brightest[0], brightest[1]].sum()
    )


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8, 3)])
def test_activations_show_every_stage_and_the_answers(shape):
    names = ("<zero>", "one", "two", "three", "four", "five")
    layers = "conv 3 3, relu, conv 70 3, relu, pool 2, flatten, dense 6, softmax"
    network = Network(layers, shape, seed=2, classes=names, engine="reference")
    image = np.random.default_rng(0).random(shape, np.float32)
    figure = plots.activations(network, image)
    words = texts(figure)
    p = network.predict_proba(image[None])[0]
    best = np.argsort(-p)[:5]
    assert "stage 0: conv 3 3, relu → 6x6x3" in words
    assert "stage 1: conv 70 3, relu, pool 2, flatten → 2x2x70, the first of them" in words
    assert [tick.get_text() for tick in figure.axes[-1].get_yticklabels()] == [
        names[k] for k in best
    ]
    assert_allclose([bar.get_width() for bar in figure.axes[-1].patches], p[best])
    assert f"{100 * p[best[0]]:.1f} %" in words


@pytest.mark.parametrize(
    "image", [np.zeros((1, 4, 4, 1)), np.zeros((4, 5)), np.zeros(16), [[1], [2, 3]]]
)
def test_activations_want_one_image(image):
    with pytest.raises(InputError, match=r"image (has shape|is no array)"):
        plots.activations(reader(), image)


# --------------------------------------------------------------------------- mistakes, reliability


def test_mistakes_are_in_order_with_their_names():
    sure = [0.2, 0.9, 0.5, 0.7, 0.3]
    x = images_of([0, 1, 2, 0, 1], sure)
    network = reader(names=HOSTILE)
    figure = plots.mistakes(network, x, [1, 2, 0, 0, 0])  # the fourth is right
    p = network.predict_proba(x)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    order = [1, 2, 4, 0]
    said = [1, 2, 1, 0]
    assert titles == [
        f"said {label(HOSTILE[k], 13)}\n{100 * p[n, k]:.1f} %"
        for n, k in zip(order, said, strict=True)
    ]
    truth = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    assert truth == [f"is {label(HOSTILE[k], 16)}" for k in (2, 0, 0, 1)]
    assert tile_names(figure) == [f"image {n}" for n in order]
    assert "4 of 5 images wrong" in texts(figure)
    pictures = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    for shown, n in zip(pictures, order, strict=True):
        assert_array_equal(shown, tiles.as_rgb(x[n]))


def tile_names(figure):
    """What each tile says below all else."""
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_mistakes_have_the_names_of_their_images():
    x = images_of([0, 1, 2], [0.2, 0.9, 0.5])
    names = ["a/" + 30 * "b" + "/c.png", "$\\frac{", "<b>\u202e\ud800"]
    figure = plots.mistakes(reader(), x, [1, 2, 0], names=names)
    shown = ["$\\frac{", "<b>\\u202e\\ud800", "…" + 10 * "b" + "/c.png"]
    assert tile_names(figure) == shown
    assert set(shown) <= set(texts(figure))
    assert tile_names(plots.mistakes(reader(), x, [1, 2, 0], 1, names=np.array(names))) == shown[:1]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("abc", r"names is 'abc', expected a sequence of one name \(str\) for each image"),
        (5, r"names is 5, expected a sequence of one name \(str\) for each image"),
        (np.array("a"), r"names is .*, expected a sequence of one name"),
        (["a", "b"], r"names has 2 names for 3 images, expected one name for each image"),
        ([], r"names has 0 names for 3 images, expected one name for each image"),
        (["a", 3, "c"], r"names\[1\] is 3, expected a str: str\(path\) is the name of a file"),
        (np.array([["a"], ["b"], ["c"]]), r"names\[0\] is \['a'\], expected a str"),
    ],
)
def test_names_of_images_are_checked(names, message):
    x = images_of([0, 1, 2], 0.5)
    with pytest.raises(InputError, match=message):
        plots.mistakes(reader(), x, [1, 2, 0], names=names)


def test_the_words_of_a_mistake_lie_apart_and_inside():
    x = images_of([0, 1, 2, 0], 0.5)
    figure = plots.mistakes(
        reader(names=HOSTILE), x, [1, 2, 0, 2], names=4 * ["IMG_20260312_1.png"]
    )
    place(figure)
    for axes in figure.axes:
        (name,) = axes.texts
        pieces = [axes.title, axes.xaxis.label, name]
        boxes = [piece.get_window_extent() for piece in pieces] + [axes.get_window_extent()]
        assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
        for box in boxes:
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


def test_mistakes_can_be_few_or_none():
    x = images_of([0, 1, 2], 0.5)
    one = plots.mistakes(reader(), x, [1, 2, 2], 1)
    assert " ".join(texts(one)).endswith("2 of 3 images wrong, the 1 surest")
    none = texts(plots.mistakes(reader(), x, [0, 1, 2]))
    assert {"0 of 3 images wrong", "no mistakes"} <= set(none)
    for count in (0, 401, 2.5):
        with pytest.raises(InputError, match="count is"):
            plots.mistakes(reader(), x, [0, 1, 2], count)


def of_shape(shape, classes=3):
    """An untrained network for images of that shape, and six of them."""
    network = Network(f"flatten, dense {classes}, softmax", shape, engine="reference")
    return network, np.random.default_rng(0).random((6, *shape), np.float32)


@pytest.mark.parametrize("shape", [(16, 40, 1), (40, 24, 3), (8, 8, 1)])
def test_images_of_any_shape_fill_their_place(shape):
    network, x = of_shape(shape)
    wrong = (network.predict(x) + 1) % 3
    for figure, columns, words in (
        (plots.mistakes(network, x, wrong), 5, 0.85),
        (plots.augmented(x, "shift 2", 3), 4, 0.15),
    ):
        place(figure)
        first, second = (figure.axes[n].get_window_extent() for n in (0, columns))
        assert first.width > 0.85 * figure.bbox.width / columns
        assert 0 < first.y0 - second.y1 < words * figure.dpi


def test_a_very_long_image_is_drawn_too():
    network, x = of_shape((2, 200, 1))
    figure = plots.mistakes(network, x, (network.predict(x) + 1) % 3)
    assert figure.get_size_inches()[1] < 4
    assert render(figure, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("versions", [1, 2, 20])
@pytest.mark.parametrize("plan", ["flip", "shift 2, rotation 15, scale 0.1, shear 0.1, elastic 8"])
def test_the_title_of_augmented_images_is_whole(versions, plan):
    x = of_shape((8, 8, 1))[1]
    assert_title_is_whole(plots.augmented(x[:2], plan, versions), plan)


def test_the_title_of_few_mistakes_is_whole():
    x = images_of(np.zeros(12_000, int), 1.0)
    figure = plots.mistakes(reader(), x, np.ones(12_000, int), 1)
    assert_title_is_whole(figure, "12,000 of 12,000 images wrong, the 1 surest")


def assert_title_is_whole(figure, words):
    """It says that, and lies inside the figure, above the axes."""
    place(figure)
    title = figure.get_suptitle()
    assert title.replace("\n", " ") == words
    box = figure._suptitle.get_window_extent()
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1
    assert all(axes.get_tightbbox().y1 <= box.y0 for axes in figure.axes)


def test_the_reliability_diagram_shows_the_bins():
    x = images_of([0, 1, 2, 0], [1.0, 1.0, 0.0, 0.1])
    network = reader()
    figure = plots.reliability(network, x, [0, 0, 2, 0])
    found = measures.calibration(network.predict_proba(x), [0, 0, 2, 0])
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert_allclose(heights, found.accuracy[found.count > 0])
    assert f"expected calibration error {100 * found.error:.2f} %" in texts(figure)
    dots = figure.axes[0].lines[-1]
    assert_allclose(dots.get_xydata()[:, 1], heights)
    assert not dots.get_clip_on()  # a dot at 0 or 1 is seen whole


@pytest.mark.parametrize("bins", [1, 3, 10, 11, 20])
def test_no_text_of_the_reliability_diagram_lies_on_another(bins):
    sure = np.repeat(np.linspace(0, 1, 40), 300)  # of twelve classes: from below 0.1 to 1
    x = images_of(np.zeros(len(sure), int), sure, 12, 4)
    figure = plots.reliability(reader(12), x, np.zeros(len(sure), int), bins)
    place(figure)
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    boxes += [
        tick.get_window_extent() for tick in axes.get_yticklabels() if tick.get_position()[1] <= 1
    ]
    boxes.append(axes.yaxis.label.get_window_extent())
    assert len(boxes) > bins / 2
    pairs = [(a, b) for n, a in enumerate(boxes) for b in boxes[:n]]
    assert not any(a.overlaps(b) for a, b in pairs)
    assert all(figure.bbox.y1 >= box.y1 for box in boxes)


@pytest.mark.parametrize("bins", [0, 21, 2.5, "ten", True])
def test_bins_are_a_whole_number(bins):
    with pytest.raises(InputError, match=r"bins is .*, expected a whole number from 1 to 20"):
        plots.reliability(reader(), images_of([0], 1.0), [0], bins)


@pytest.mark.parametrize("weighted", [False, True])
def test_predictions_have_the_loss_and_the_accuracy_of_evaluate(weighted):
    from convlet.measures import predict

    network, x = of_shape((5, 6, 1))
    rng = np.random.default_rng(1)
    y = rng.dirichlet([0.3] * 3, 6) if weighted else rng.integers(0, 3, 6)
    found = predict(network, x, y)
    assert (found.loss, found.accuracy) == network.evaluate(x, y)
    assert_allclose(found.probabilities, network.predict_proba(x), rtol=1e-5)


# --------------------------------------------------------------------------------- files, libraries


@pytest.mark.parametrize(
    "draw",
    [
        plots.filters,
        lambda network: plots.activations(network, np.zeros((4, 4))),
        lambda network: plots.confusion_matrix(network, images_of([0], 1.0), [0]),
        lambda network: plots.mistakes(network, images_of([0], 1.0), [0]),
        lambda network: plots.reliability(network, images_of([0], 1.0), [0]),
    ],
)
def test_what_is_no_network_is_refused(draw):
    with pytest.raises(InputError, match=r"network is 'm\.st', expected a convlet\.Network.*load"):
        draw("m.st")


def test_other_wrong_things_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"result is \[1\], expected convlet\.LearningRates"):
        plots.learning_rates([1])
    with pytest.raises(InputError, match="figure is None, expected a matplotlib figure"):
        plots.save(None, tmp_path / "a.png")
    with pytest.raises(InputError, match="x is no array"):
        plots.augmented([[[1.0]], [[1.0, 2.0]]], "flip")


def test_pictures_do_not_touch_pyplot(tmp_path):
    path = str(tmp_path / "a.png")
    code = f"""
import sys
import matplotlib
from convlet import History, Row, plots

names = [name for name in matplotlib.rcParams if name != "backend"]  # reading that loads pyplot
before = [matplotlib.rcParams[name] for name in names]
plots.save(plots.training_curves(History([Row(1, 1.0, 1.0, 0.5, 1.0)])), {path!r})
assert [matplotlib.rcParams[name] for name in names] == before
assert "matplotlib.pyplot" not in sys.modules
"""
    assert children.output(code) == ""


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_files_are_what_their_names_say_and_repeatable(suffix, magic, tmp_path):
    for name in "ab":
        plots.save(plots.training_curves(rows(3)), tmp_path / f"{name}.{suffix}")
    first = (tmp_path / f"a.{suffix}").read_bytes()
    assert first.startswith(magic)
    assert first == (tmp_path / f"b.{suffix}").read_bytes()


def test_other_files_are_refused(tmp_path):
    figure = plots.training_curves(rows(2))
    with pytest.raises(InputError, match=r"expected a name that ends in \.png, \.svg or \.pdf"):
        plots.save(figure, tmp_path / "a.gif")
    with pytest.raises(FileError, match="cannot be written"):
        plots.save(figure, tmp_path / "no" / "a.png")


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    network, x = reader(), images_of([0], 1.0)
    for draw in (
        lambda: plots.training_curves(rows(1)),
        lambda: plots.confusion_matrix(network, x, [0]),
        lambda: plots.filters(network),
        lambda: plots.activations(network, x[0]),
        lambda: plots.saliency(network, x[0]),
        lambda: plots.class_activation(network, x[0]),
        lambda: plots.mistakes(network, x, [0]),
        lambda: plots.reliability(network, x, [0]),
    ):
        with pytest.raises(MissingDependencyError, match=r'pip install "convlet\[plots\]"'):
            draw()


@pytest.mark.parametrize(
    "draw",
    [
        plots.confusion_matrix,
        plots.mistakes,
        plots.reliability,
        lambda network, x, y: plots.activations(network, x[0]),
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_without_finite_outputs_is_refused(draw, value):
    network = reader()
    network.parameters["b0"][1] = value
    message = r"network gives numbers that are not finite for (\d) of \1 images: train it anew"
    with pytest.raises(InputError, match=message):
        draw(network, images_of([0, 1], 0.5), [0, 1])


def test_the_callers_choice_for_floating_point_errors_is_not_ours():
    network, x = reader(), images_of([0, 1], 1.0)
    network.parameters["w0"][...] *= 1e3  # probabilities underflow
    expected = measures.predict(network, x, [0, 0])
    with np.errstate(all="raise"):
        found = measures.predict(network, x, [0, 0])
        plots.mistakes(network, x, [0, 0])
        plots.activations(network, x[0])
        plots.saliency(network, x[0])
    assert found.loss == expected.loss
    assert_array_equal(found.probabilities, expected.probabilities)


def test_names_are_cut_and_made_printable():
    assert label("short") == "short"
    assert label("x" * 30, 10) == "x" * 9 + "…"
    assert label("a\nb\x00\u202e\ud800", 40) == "a\\nb\\x00\\u202e\\ud800"
    assert label("é猫") == "é猫"
    assert file_label("a\n.png") == "a\\n.png"
    assert file_label("x" * 30 + "/7.png", 10) == "…xxx/7.png"


# ------------------------------------------------------------------------------------ command line


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model and its data in a folder."""
    folder = tmp_path_factory.mktemp("model")
    predicted = np.array([0, 1, 2, 2, 1, 0])
    x = np.uint8(255 * images_of(predicted, 1.0)[..., 0])
    y = np.array([0, 1, 2, 0, 1, 2])
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    reader(names=("0", "1", "2")).save(folder / "m.safetensors")
    (folder / "run.jsonl").write_text(
        '{"epoch": 1, "train_loss": 1.5, "validation_loss": 1.0, "validation_accuracy": 0.5,'
        ' "seconds": 1}\n'
    )
    return folder


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("curves", ["cross-entropy", "50.00"]),
        ("confusion", ["4 of 6 right"]),
        ("filters", ["w0 of dense 3"]),
        ("activations", ["stage 0: dense 3, softmax → 3"]),
        ("saliency", ["image", "|∂E/∂x⁰|: brighter is more"]),
        ("mistakes", ["2 of 6 images wrong", "is 0"]),
        ("reliability", ["share that is right"]),
    ],
)
def test_plot_draws_each_kind(kind, words, saved, tmp_path, capsys):
    model = saved / ("run.jsonl" if kind == "curves" else "m.safetensors")
    out = tmp_path / f"{kind}.svg"
    data = [] if kind in ("curves", "filters") else [str(saved / "data.npz")]
    assert main(["plot", kind, str(model), *data, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"picture saved in {out}\n"
    found = [text.text for text in ET.parse(out).iter("{http://www.w3.org/2000/svg}text")]
    assert set(words) <= set(found)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["filters", "m.safetensors", "data.npz"], "DATA is 'data.npz', but filters needs none"),
        (["curves", "run.jsonl", "--count", "3"], "--count is 3, but curves shows no mistakes"),
        (
            ["filters", "m.safetensors", "--image", "3"],
            "--image is 3, but filters is of all images",
        ),
        (["pie", "m.safetensors"], "KIND is 'pie', expected one of: curves, confusion"),
        (["filters", "m.safetensors", "--out", "a.gif"], "--out is 'a.gif'"),
        (["filters", "none.safetensors", "--out", "a.png"], "none.safetensors"),
        (["curves", "m.safetensors"], "MODEL is 'm.safetensors', expected a name that ends in"),
        (
            ["activations", "m.safetensors", "data.npz", "--image", "6"],
            "--image is 6, expected 0 to 5",
        ),
        (["mistakes", "m.safetensors", "data.npz", "--count", "0"], "--count is 0"),
        (["confusion", "m.safetensors", "mnist"], "choose the data that it was trained on"),
    ],
)
def test_plot_refuses(arguments, expected, saved, monkeypatch, capsys):
    monkeypatch.chdir(saved)
    before = sorted(saved.iterdir())
    assert main(["plot", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert expected in err
    assert sorted(saved.iterdir()) == before


def test_plots_of_mnist_run_on_the_default_network():
    data = convlet.datasets.load("mnist")
    x, y = data.test.images[:200], data.test.labels[:200]
    network = Network(classes=data.classes)
    figure = plots.confusion_matrix(network, x, y)
    counts = metrics.confusion_matrix(y, network.predict(x), labels=range(10))
    cells = {t.get_position()[::-1]: int(t.get_text()) for t in figure.axes[0].texts}
    assert cells == {(i, j): n for (i, j), n in np.ndenumerate(counts) if n}
