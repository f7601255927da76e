"""What a terminal and a notebook show of the things of the API: short, and escaped."""

import copy
import pickle
import re
import sys

import numpy as np
import pytest

from convlet import History, Network, Row, datasets, plots
from convlet.datasets import Dataset, Split
from convlet.tables import Table

LAYERS = "conv 2 3, relu, flatten, dense 2, softmax"
HOSTILE = "<script>alert(1)</script>\n\x1b[31m"


def network(classes=("a", HOSTILE)) -> Network:
    return Network(LAYERS, (5, 5, 1), classes=classes)


def small_data(classes=("a", HOSTILE)) -> Dataset:
    part = Split(np.zeros((3, 5, 5, 1), np.uint8), np.array([0, 1, 1]))
    return Dataset("mine", part, part, tuple(classes))


def history(epochs: int) -> History:
    return History([Row(n + 1, 0.5, None, None, 1.0) for n in range(epochs)])


THINGS = {
    "network": network,
    "parameters": lambda: network().parameters,
    "summary": lambda: network().summary(),
    "data": small_data,
    "history": lambda: history(3),
    "long history": lambda: history(1000),
}


@pytest.mark.parametrize("name", THINGS)
def test_a_terminal_shows_few_short_lines(name):
    lines = repr(THINGS[name]()).splitlines()
    assert 1 <= len(lines) <= 23
    assert max(map(len, lines)) <= 160
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("name", THINGS)
def test_a_notebook_shows_a_table_in_which_every_name_is_escaped(name):
    html = THINGS[name]()._repr_html_()
    assert "<script" not in html
    assert html.count("<table>") == html.count("</table>") == 1
    assert html.count("<tr>") == html.count("</tr>") <= 25


def test_arrays_do_not_flood_the_terminal():
    data = datasets.load("mnist")
    assert repr(data) == (
        "Dataset('mnist': 60,000 training and 10,000 test images, 28x28x1 uint8, 10 classes:"
        " 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)"
    )
    assert repr(data.test) == "Split(10,000 images 28x28x1 uint8)"
    assert len(data.test) == 10_000


def test_parameters_say_names_shapes_and_values():
    net = network()
    net.parameters["w1"][...] = 0.25
    lines = repr(net.parameters).splitlines()
    assert lines[0].split() == ["parameter", "shape", "numbers", "values"]
    assert re.fullmatch(r"w1 +18x2 +36  0.25 to 0.25, mean 0.25, sd 0", lines[3])
    assert dict(net.parameters).keys() == {"w0", "b0", "w1", "b1"}


def test_a_summary_is_text_that_shows_itself():
    summary = network().summary()
    assert isinstance(summary, str)
    assert repr(summary) == str(summary)
    assert "conv 2 3, relu, flatten" in summary.html


def test_a_history_of_many_epochs_shows_the_first_and_the_last_ones():
    shown = [line.split()[0] for line in repr(history(50)).splitlines()]
    assert shown == ["epoch", *map(str, range(1, 11)), "...", *map(str, range(41, 51))]
    assert len(repr(history(20)).splitlines()) == 21


def test_a_table_is_aligned_and_escaped():
    table = Table(("name", "n"), [("<b>", "7"), ("long name", "12")], "<>", "a & b")
    assert str(table) == "a & b\nname        n\n<b>         7\nlong name  12"
    assert "<caption>a &amp; b</caption>" in table._repr_html_()
    assert '<td style="text-align: left">&lt;b&gt;</td>' in table.html


def test_a_figure_shows_itself_in_a_notebook():
    figure = plots.training_curves(history(3))
    png, shown = figure._repr_png_()
    assert png.startswith(b"\x89PNG")
    # as wide as its inches, so that 9 points are 9 points; the pixels are more, for fine screens
    assert shown == {"width": round(96 * figure.get_figwidth())}
    assert int.from_bytes(png[16:20], "big") == int(160 * figure.get_figwidth())


def test_a_figure_can_go_to_another_process():
    figure = pickle.loads(pickle.dumps(plots.training_curves(history(3))))
    assert figure._repr_png_() == plots.training_curves(history(3))._repr_png_()


def test_the_callers_choice_for_floating_point_errors_is_not_ours():
    x, y = np.ones((4, 5, 5, 1), np.float32), [0, 1, 0, 1]
    for engine in ("native", "reference"):
        net = Network(LAYERS, (5, 5, 1), engine=engine)
        net.parameters["w1"][...] *= 1e3  # probabilities underflow
        expected = net.evaluate(x, y)
        with np.errstate(all="raise"):
            assert net.evaluate(x, y) == expected
            net.predict_proba(x)
            net.fit(x, y, epochs=1, learning_rate=1e-3)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_what_is_not_finite_is_never_counted_as_right(engine):
    x, y = np.ones((4, 5, 5, 1), np.float32), [0, 0, 0, 0]
    net = Network(LAYERS, (5, 5, 1), engine=engine)
    net.parameters["w0"][...] = np.nan
    loss, accuracy = net.evaluate(x, y)
    assert np.isnan(loss)
    assert accuracy == 0


def test_a_life_longer_than_its_file_has_room_for_is_refused(tmp_path):
    x, y = np.ones((4, 5, 5, 1), np.float32), [0, 1, 0, 1]
    net = network()
    net.epochs = 10**15 - 2
    net.fit(x, y, epochs=1)
    net.save(tmp_path / "old.safetensors")
    with pytest.raises(ValueError, match="epochs is 1, but 999999999999999 are trained"):
        net.fit(x, y, epochs=1)


def test_every_fit_decides_anew_what_data_a_model_says():
    x, y = np.ones((4, 5, 5, 1), np.float32), [0, 1, 0, 1]
    net = network()
    net.fit(x, y, epochs=1, data_name="mnist")
    assert net.data == "mnist"
    net.fit(x, y, epochs=1)
    assert net.data is None


def fit_quietly(**options) -> None:
    network().fit(np.ones((4, 5, 5, 1), np.float32), [0, 1, 0, 1], epochs=2, **options)


def test_fit_shows_its_progress_where_it_is_asked_to(capsys):
    fit_quietly()
    assert capsys.readouterr().out == ""
    fit_quietly(progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]


def test_fit_shows_its_progress_at_a_prompt(capsys, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    fit_quietly(progress=False)
    assert capsys.readouterr().out == ""
    fit_quietly()
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_progress_is_a_truth_value():
    with pytest.raises(ValueError, match="progress is 'yes', expected True or False"):
        fit_quietly(progress="yes")


def test_a_table_comes_whole_out_of_a_copy_and_another_process():
    table = Network().summary()
    for other in (copy.copy(table), copy.deepcopy(table), pickle.loads(pickle.dumps(table))):
        assert (other, type(other), other.html) == (table, type(table), table.html)
