"""The report: what it says, that it is safe to open, and how a browser shows it."""

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn import metrics

import chromium
from convlet import (
    AdamW,
    History,
    InputError,
    MissingDependencyError,
    Network,
    Row,
    load,
    load_checkpoint,
    measures,
)
from convlet.cli import main
from convlet.datasets.encoded.pictures import open_picture
from convlet.plots import style
from convlet.report import html, results

report = pytest.importorskip("convlet.report").report
pytest.importorskip("matplotlib")

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a & b\u202e\x00",
    "$\\frac{",
)
LAYERS = "conv 3 3, relu, pool 2, flatten, dense 8, relu, dense 4, softmax"
HISTORY = History([Row(1, 1.5, 1.2, 0.5, 2.0), Row(2, 0.5, 0.7, 0.75, 2.5)])
CHANGES = "shift 1.25, rotation 10.5, scale 0.125, shear 0.0625, flip, elastic 30.5, sigma 3.25"
VOID = {"meta", "link", "img", "br", "col"}
# elements of SVG that matplotlib writes with their own end
CLOSED = {"path", "use", "rect", "image"}


class Page(HTMLParser):
    """Elements with attributes and text, as a browser would find them; checks that tags nest."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.open, self.rows = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def case():
    """A network with hostile names, images and labels."""
    network = Network(LAYERS, (10, 10, 1), 5, classes=HOSTILE, engine="reference")
    network.epochs = 2
    rng = np.random.default_rng(4)
    x = rng.integers(0, 256, (80, 10, 10, 1), np.uint8)
    return network, x, rng.integers(0, 4, 80)


@pytest.fixture(scope="module")
def page(case):
    network, x, y = case
    return report(network, x, y, HISTORY, title="<b>model</b>.safetensors", data_name="a&b")


def rows_after(page, heading):
    """The rows of the table whose header begins so."""
    rows = Page(page).rows
    start = next(k for k, row in enumerate(rows) if row[: len(heading)] == heading)
    width = len(rows[start])
    end = next((k for k in range(start + 1, len(rows)) if len(rows[k]) != width), len(rows))
    return rows[start + 1 : end]


def shown(name):
    return html.label(name, 80)


def percent(share):
    """As the page has it: no line breaks before the sign."""
    return f"{100 * share:.2f}\u00a0%"


def facts(page):
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))


def test_the_table_of_classes_agrees_with_scikit_learn(case, page):
    network, x, y = case
    rows = rows_after(page, ["class", "precision"])[:4]
    p, r, f, n = metrics.precision_recall_fscore_support(
        y, network.predict(x), zero_division=np.nan
    )
    for k, row in enumerate(rows):
        shares = ["–" if np.isnan(v[k]) else percent(v[k]) for v in (p, r)]  # noqa: RUF001
        assert row == [shown(HOSTILE[k]), *shares, percent(f[k]), str(n[k])]


def test_the_confusion_matrix_is_a_table(case, page):
    network, x, y = case
    counts = metrics.confusion_matrix(y, network.predict(x))
    rows = Page(page).rows
    start = rows.index(["truth", "predicted"])
    assert rows[start + 1] == [*map(shown, HOSTILE)]
    rows = rows[start + 2 : start + 6]
    assert rows == [
        [shown(HOSTILE[k]), *(str(n) if n else "" for n in counts[k])] for k in range(4)
    ]
    frequent = rows_after(page, ["truth", "predicted", "images"])
    np.fill_diagonal(counts, 0)
    assert [int(row[2]) for row in frequent] == sorted(counts[counts > 0], reverse=True)


def test_numbers_stand_out_from_their_cells():
    """Contrast (WCAG 2) with the page's ink or with white, on paper and in the dark."""
    counts = np.diag([1000] * 12)
    counts[0] = np.arange(12) * 80  # tints of all kinds
    markup = str(results.confusions(counts, tuple("abcdefghijkl")))
    cells = re.findall(r'<td class="(\w+)" style="--tint:(\d+)%(;color:#fff)?">', markup)
    assert len(cells) == 22
    full = {"right": (0, 114, 178), "wrong": (200, 86, 0)}
    for paper, ink in (((255, 255, 255), (28, 33, 38)), ((20, 24, 28), (228, 232, 235))):
        for kind, tint, white in cells:
            shares = np.array([int(tint), 100 - int(tint)]) / 100
            cell = np.rint(shares @ np.array([full[kind], paper])).astype(int)
            text = (255, 255, 255) if white else ink
            low, high = sorted(luminance(f"rgb{tuple(map(int, c))}") for c in (cell, text))
            assert (high + 0.05) / (low + 0.05) > 3.5


def test_the_network_is_a_table(case, page):
    rows = rows_after(page, ["stage", "layer, equations"])
    assert rows[0] == ["", "input", "10x10x1", "", ""]
    assert rows[1] == ["0", "conv 3 3 (1), (17)", "8x8x3", "30", "1,728"]
    assert rows[5] == ["1", "dense 8 (6), (17)", "8", "392", "384"]
    assert rows[9] == ["all", "", "", f"{case[0].flat.size:,}", "2,144"]


def test_the_facts_and_the_calibration_error(case, page):
    network, x, y = case
    found = measures.calibration(network.predict_proba(x), y)
    assert f"{percent(found.error)} here." in page
    assert facts(page) == {
        "test data": "a&amp;b",
        "test images": "80",
        "test accuracy": percent(network.evaluate(x, y).accuracy),
        "test loss": f"{network.evaluate(x, y).loss:.4f}",
        "parameters": f"{network.flat.size:,}",
        "epochs trained": "2",
        "training time": "4.5\u00a0s",
    }
    assert "2 epochs, 4.5\u00a0s of training." in page


@pytest.mark.parametrize(
    ("epochs", "rows", "words"),
    [
        (1, HISTORY[:1], "1 epoch, 2.0\u00a0s of training."),
        (
            3,
            HISTORY,
            "2 epochs, 4.5\u00a0s of training: the history has epochs 1 to 2, the network was"
            " trained for 3 epochs.",
        ),
        (
            2,
            HISTORY[1:],
            "1 epoch, 2.5\u00a0s of training: the history has epoch 2, the network was trained for"
            " 2 epochs.",
        ),
        (2, [HISTORY[0], Row(2, 0.5, None, None, np.nan)], "2 epochs of training."),
    ],
)
def test_the_training_is_told_as_far_as_it_is_known(epochs, rows, words):
    network = Network(LAYERS, (10, 10, 1), engine="reference")
    network.epochs = epochs
    page = report(network, history=rows)
    assert f'<p class="note">{words}</p>' in page
    known = words.endswith("\u00a0s of training.")
    assert facts(page).get("training time") == (words.split(", ")[1][:5] if known else None)


def test_the_training_says_optimiser_decay_clipping_smoothing_and_dropout(tmp_path):
    """Of a network that was trained, of a checkpoint of it, and of its file."""
    layers = "flatten, dense 8, relu, dropout 0.25, dense 4, softmax"
    network = Network(layers, (10, 10, 1), engine="reference")
    assert 'id="training"' not in report(network)
    optimizer = AdamW(weight_decay=0.125)
    more = {"clip_norm": 2.0, "label_smoothing": 0.1, "augmentation": CHANGES}
    x, y = np.zeros((8, 10, 10, 1), np.uint8), np.arange(8) % 4
    network.fit(
        x, y, None, 1, 4, 0.002, optimizer=optimizer, **more, checkpoint=tmp_path, schedule="cosine"
    )
    said = {
        "batch size": "4",
        "optimizer": "adamw, weight decay 0.125",
        "learning rate": "0.002, cosine",
        "clipping": "gradients to a norm of 2",
        "dropout": "0.25",
        "label smoothing": "0.1",
        "augmentation": CHANGES,  # whole, though it is long
    }
    checkpoint = load_checkpoint(tmp_path / "checkpoint-00001-000000.safetensors")
    network.save(tmp_path / "model.safetensors")
    for known in (network, checkpoint, load(tmp_path / "model.safetensors")):
        page = report(known)
        section = page[page.index('id="training"') : page.index('id="filters"')]
        assert facts(section) == said
        assert "dropout" not in facts(page.replace(section, ""))


def test_facts_name_dropout_and_the_data_of_training_where_there_are_any():
    layers = "flatten, dense 8, relu, dropout 0.25, dense 8, dropout 0.5, dense 2, softmax"
    network = Network(layers, (4, 4, 1), engine="reference")
    network.data = "mnist"
    found = facts(report(network))
    assert (found["dropout"], found["trained on"]) == ("0.25, 0.5", "mnist")


def test_mistakes_are_the_most_confident_ones(case, page):
    network, x, y = case
    p = network.predict_proba(x)
    worst = measures.worst_mistakes(p, y, 24)
    assert cards(page) == [(f"image {n}", f"image {n}", percent(p[n].max())) for n in worst]
    assert "An image is called by its number in the test images, from 0." in page
    assert '<ul class="cards wide">' in page  # the names of the classes are long


def cards(page):
    """Description, name and probability of each mistake."""
    name = r'alt="([^"]*)"[^>]*><figcaption><span class="soft[ a-z]*">(.*?)</span><br>'
    return re.findall(name + r"said <b>.*?</b><br>([\d.]+\u00a0%)<br>is ", page)


def test_images_are_called_by_their_names(case):
    network, x, y = case
    names = [f"<b>{n}</b>&\u202e.png" for n in range(80)]
    worst = measures.worst_mistakes(network.predict_proba(x), y, 24)
    names[worst[0]] = 90 * "a" + "/last.png"
    page = report(network, x, y, names=names)
    escaped = [f"&lt;b&gt;{n}&lt;/b&gt;&amp;\\u202e.png" for n in worst]
    assert [name for _, name, _ in cards(page)] == ["…" + 70 * "a" + "/last.png", *escaped[1:]]
    assert "is called by its number" not in page
    assert not re.search(r"image \d", page)
    examples = re.findall(r'<summary>.*? <span class="soft">(.*?)</span></summary>', page)
    assert len(examples) == 4
    assert all(name.startswith("&lt;b&gt;") for name in examples)


def test_names_are_for_images(case):
    network, x, y = case
    with pytest.raises(InputError, match="names has 2 names for 80 images"):
        report(network, x, y, names=["a", "b"])
    with pytest.raises(InputError, match=r"names is .*, but there are no images: give x and y"):
        report(network, names=["a", "b"])


def test_short_names_have_narrow_cards_and_no_mistake_has_none():
    network = Network("flatten, dense 2, softmax", (2, 2, 1), engine="reference")
    x = np.ones((2, 2, 2, 1), np.float32)
    said = network.predict(x)
    assert '<ul class="cards">' in report(network, x, 1 - said)
    page = report(network, x, said)
    assert "0 of 2 test images are wrong.</p></section>" in page
    assert "No image is wrong." in page


def test_a_network_without_finite_outputs_has_no_results(case):
    _, x, y = case
    broken = Network(LAYERS, (10, 10, 1))
    broken.flat[...] = np.nan
    with pytest.raises(InputError, match="gives numbers that are not finite for 80 of 80 images"):
        report(broken, x, y)


def test_names_from_strangers_stay_text(page):
    found = Page(page)
    assert found.named("script") == []
    assert found.named("b")
    assert [a for _, a in found.elements if any(key.startswith("on") for key in a)] == []
    assert "<script" not in page.lower()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "a &amp; b\\u202e\\x00" in page
    assert "&lt;b&gt;model&lt;/b&gt;.safetensors" in page
    assert "<dd>a&amp;b</dd>" in page


def test_the_page_refers_to_nothing_outside(page):
    found = Page(page)
    for _, attributes in found.elements:
        for key, value in attributes.items():
            if key in ("src", "href", "xlink:href", "data", "action", "srcset"):
                assert value.startswith(("data:", "#"))
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []
    policy = [a["content"] for a in found.named("meta") if "http-equiv" in a]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_pictures_have_words_and_ids_are_unique(page):
    found = Page(page)
    assert found.named("img")
    assert all(a.get("alt") for a in found.named("img"))
    charts = found.named("svg")
    assert len(charts) == 3
    assert all(a["role"] == "img" and a["aria-label"] for a in charts)
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r"url\(#([^)]+)\)", page)) | set(
        re.findall(r'href="#([^"]+)"', page)
    )
    assert references <= set(ids)


def test_the_same_arguments_give_the_same_page(case, page):
    network, x, y = case
    again = report(network, x, y, HISTORY, title="<b>model</b>.safetensors", data_name="a&b")
    assert again == page


def test_without_history_there_is_no_training(case):
    network, x, y = case
    page = report(network, x, y)
    assert 'id="training"' not in page
    assert "#training" not in page
    with pytest.raises(InputError, match="history has no epochs"):
        report(network, x, y, History())


def test_without_data_there_are_the_network_its_training_and_its_filters(case):
    network, x, y = case
    page = report(network, history=HISTORY)
    sections = [a["id"] for a in Page(page).named("section")]
    assert sections == ["network", "training", "filters"]
    links = [a["href"] for a in Page(page).named("a")]
    assert links == [f"#{name}" for name in sections]
    assert "accuracy</dt>" not in page
    assert f"<dd>{network.flat.size:,}</dd>" in page
    assert "test" not in "".join(facts(page))
    sections = [a["id"] for a in Page(report(network)).named("section")]
    assert sections == ["network", "filters"]
    with pytest.raises(InputError, match="y is None, expected both x and y or neither"):
        report(network, x)
    with pytest.raises(InputError, match="x is None, expected both x and y or neither"):
        report(network, y=y)


def test_soft_labels_have_the_loss_of_evaluate_from_one_prediction(case, monkeypatch):
    network, x, _ = case
    soft = np.random.default_rng(2).dirichlet([0.5] * 4, len(x))
    loss, accuracy = network.evaluate(x, soft)
    assert f"{loss:.4f}" != f"{network.evaluate(x, soft.argmax(axis=1)).loss:.4f}"
    calls = []
    for name in ("logits", "predict"):
        whole = getattr(network.engine, name)

        def counted(*arguments, whole=whole):
            calls.append(len(arguments[1]))
            return whole(*arguments)

        monkeypatch.setattr(network.engine, name, counted)
    page = report(network, x, soft)
    assert f"<dd>{loss:.4f}</dd>" in page
    assert facts(page)["test accuracy"] == percent(accuracy)
    assert "test data" not in facts(page)
    monkeypatch.undo()
    assert calls.count(len(x)) == 1


def test_what_is_no_network_or_history_is_refused(case):
    with pytest.raises(InputError, match=r"network is 'm\.safetensors', expected a convlet"):
        report("m.safetensors")
    with pytest.raises(InputError, match=r"history\[0\] is \{'epoch': 1.*expected a convlet\.Row"):
        report(*case, HISTORY.as_dicts())


def test_charts_are_in_the_colours_of_the_page(page):
    charts = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert "var(--soft)" in charts
    assert not {colour for colour in (style.INK, style.BLUE, style.GREY) if colour in charts}


def test_many_classes_and_large_images_stay_small():
    names = tuple(f"class {k}" for k in range(30))
    layers = "conv 40 5, relu, pool 2, conv 20 3, relu, flatten, dense 30, softmax"
    network = Network(layers, (64, 64, 3), classes=names)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 64, 64, 3), np.uint8)  # noise does not compress
    page = report(network, x, np.arange(60) % 30)
    assert len(page) < 3_000_000
    assert '<div class="box sheet" role="region"' in page  # the matrix is a picture
    assert page.count("<details") == 10
    assert "The first 16 of 40 maps." in page


def test_a_first_stage_without_a_picture_says_so():
    network = Network("flatten, dense 2, softmax", (1, 9, 1), engine="reference")
    page = report(network, np.zeros((4, 1, 9, 1), np.float32), [0, 0, 0, 0])
    assert "over images of 1x9 pixels" in page


def test_an_image_of_the_page_is_its_pixels(tmp_path):
    import base64

    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4), np.uint8)
    found = html.image(pixels, 'a "b" <c>', "5rem")
    (attributes,) = Page(found).named("img")
    assert attributes["alt"] == 'a "b" <c>'
    (tmp_path / "a.png").write_bytes(base64.b64decode(attributes["src"].split(",")[1]))
    with open_picture(tmp_path / "a.png") as picture:
        assert np.array_equal(np.asarray(picture), pixels)


def test_without_matplotlib_the_message_says_what_to_install(case, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "convlet\[plots\]"'):
        report(*case)


# ------------------------------------------------------------------------------------ command line


@pytest.fixture(scope="module")
def saved(case, tmp_path_factory):
    network, x, y = case
    folder = tmp_path_factory.mktemp("model")
    arrays = {"x_train": x, "y_train": y, "x_test": x, "y_test": y}
    np.savez(folder / "data.npz", **arrays)
    network.classes = ("0", "1", "2", "3")
    network.save(folder / "m.safetensors")
    network.classes = HOSTILE
    (folder / "run.csv").write_text(
        "epoch,train_loss,validation_loss,validation_accuracy,seconds\n1,1.5,1.25,0.5,2.0\n"
    )
    return folder


def test_the_command_writes_a_page(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(saved)
    out = tmp_path / "page.html"
    arguments = ["report", "m.safetensors", "data.npz", "--history", "run.csv", "--out", str(out)]
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"report saved in {out}\n"
    page = out.read_text(encoding="utf-8")
    assert "<h1>m.safetensors</h1>" in page
    assert "1 epoch, 2.0\u00a0s of training" in page


def test_a_model_of_unnamed_data_has_a_page_without_results(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(saved)
    out = tmp_path / "page.html"
    assert main(["report", "m.safetensors", "--history", "run.csv", "--out", str(out)]) == 0
    said = f"report saved in {out} without results, as no DATA is given\n"
    assert capsys.readouterr().out == said
    page = out.read_text(encoding="utf-8")
    assert "1 epoch, 2.0\u00a0s of training" in page
    assert "Confusion" not in page


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["none.safetensors", "data.npz"], "none.safetensors"),
        (["m.safetensors", "mnist"], "choose the data that it was trained on"),
        (["m.safetensors", "data.npz", "--history", "none.csv"], "none.csv"),
        (["m.safetensors", "data.npz", "--history", "run.txt"], "--history is 'run.txt'"),
        (["m.safetensors", "data.npz", "--out", "no/page.html"], "--out is 'no/page.html'"),
    ],
)
def test_the_command_refuses(arguments, expected, saved, monkeypatch, capsys):
    monkeypatch.chdir(saved)
    assert main(["report", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert expected in err
    assert not (saved / "report.html").exists()


# ----------------------------------------------------------------------------------------- browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = chromium.find()
    if program is None:
        pytest.skip(f"no browser here: none of {', '.join(chromium.NAMES)} is installed")
    with chromium.browser(program, tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_shows_it(browser, page, width, dark, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    browser.show(path, width, dark)
    requests = [event["request"]["url"] for event in browser.named("Network.requestWillBeSent")]
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert browser.named("Log.entryAdded") == []
    assert browser.named("Runtime.consoleAPICalled") == []
    assert browser.named("Runtime.exceptionThrown") == []
    assert browser.value("innerWidth") == width
    root = "document.documentElement"
    assert browser.value(f"{root}.scrollWidth") <= browser.value(f"{root}.clientWidth")
    everything = "[...document.querySelectorAll('body *')]"
    assert browser.value(f"{everything}.length") > 300
    # every image is whole, and as wide as it should be
    assert browser.value("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert browser.value("[...document.images].every(i => i.clientWidth <= innerWidth)")
    # text on the page's background: 7:1 or better, and the right one of the two schemes
    colours = browser.value(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    ink, paper = (luminance(colour) for colour in colours)
    assert (ink > paper) == dark
    assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 7


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Reports of ten classes with short and with long names, and of thirty, as files.

    The first is of the default network, as sure as can be, over thousands of images a class.
    """
    folder = tmp_path_factory.mktemp("pages")
    long = "Rhododendron_ferrugineum_alpine_rose"
    cases = {
        "ten": tuple("0123456789"),
        "words": (*(f"class {k}" for k in range(8)), "a word or more of it", long),
        "thirty": tuple(f"number {k}" for k in range(30)),
    }
    wide = "conv 2 5x3 stride 2x1 padding same bias position, flatten, dense 30, softmax"
    layers = {"ten": None, "words": "flatten, dense 10, softmax", "thirty": wide}
    for name, classes in cases.items():
        count, shape = (12_000, (28, 28, 1)) if name == "ten" else (3_000, (6, 6, 1))
        network = Network(layers[name], shape, classes=classes)
        if name == "ten":
            network.parameters["w3"][...] *= 1e4  # probabilities of 100.00 %
        rng = np.random.default_rng(1)
        x = rng.integers(0, 256, (count, *shape), np.uint8)
        y = rng.integers(0, len(classes), count)
        if name == "ten":
            y[:1500] = network.predict(x[:1500])
        page = report(network, x, y, HISTORY)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return folder


def sizes(browser, selector):
    """[left, right, clientWidth, scrollWidth] of the elements, in pixels."""
    return browser.value(
        f"[...document.querySelectorAll({selector!r})].map(e => {{ const r = "
        "e.getBoundingClientRect(); return [r.left, r.right, e.clientWidth, e.scrollWidth] })"
    )


@pytest.mark.parametrize(("name", "width"), [("ten", 390), ("words", 390), ("words", 1280)])
def test_ten_classes_fit_with_equal_columns(browser, pages, name, width):
    browser.show(pages / f"{name}.html", width)
    ((_, _, seen, whole),) = sizes(browser, "#confusion .box:has(.confusion)")
    assert whole <= seen
    widths = [right - left for left, right, *_ in sizes(browser, ".confusion td")]
    assert len(widths) == 100
    assert max(widths) - min(widths) < 1.01
    assert all(whole <= seen for *_, seen, whole in sizes(browser, ".confusion td"))


@pytest.mark.parametrize("dark", [False, True])
def test_no_element_of_ten_classes_is_wider_than_a_phone(browser, pages, dark):
    browser.show(pages / "ten.html", 390, dark)
    assert (
        browser.value(
            "Math.max(...[...document.querySelectorAll('.confusion td')]"
            ".map(e => e.textContent.length))"
        )
        == 4
    )  # digits
    sides = sizes(browser, "body, body :not(svg *)")
    assert len(sides) > 500
    assert min(left for left, *_ in sides) >= 0
    assert max(right for _, right, *_ in sides) <= 390
    boxes = sizes(browser, ".box")
    assert len(boxes) == 4
    assert all(whole <= seen for *_, seen, whole in boxes)


LINES = """(() => {
  const found = [], words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const node = words.currentNode;
    if (node.parentElement.closest("svg")) continue;
    for (const match of node.data.matchAll(/\\d+( x \\d+)+|\\d[\\d.,]*(\\u00a0[%s])?/g)) {
      const range = document.createRange();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      const tops = new Set([...range.getClientRects()].map(r => Math.round(r.top)));
      if (tops.size) found.push([match[0], tops.size]);
    }
  }
  return found;
})()"""


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["ten", "words", "thirty"])
def test_no_number_has_more_than_one_line_on_a_phone(browser, pages, name, dark):
    browser.show(pages / f"{name}.html", 390, dark)
    found = browser.value(LINES)
    assert len(found) > 100
    assert [number for number, lines in found if lines > 1] == []
    assert ("100.00\u00a0%" in dict(found)) == (name == "ten")


@pytest.mark.parametrize("name", ["ten", "words", "thirty"])
def test_names_are_whole_on_a_phone(browser, pages, name):
    browser.show(pages / f"{name}.html", 390)
    names = sizes(browser, "#classes tbody th, #confusion tbody th, #activations .bars span")
    assert len(names) > 30
    assert all(whole <= seen for *_, seen, whole in names if seen)  # 0 in a closed <details>
    cut = "[...document.querySelectorAll('th, td, li, span')].filter(e => getComputedStyle(e)"
    assert browser.value(f"{cut}.textOverflow == 'ellipsis').length") == 0


def test_a_picture_of_many_classes_keeps_its_size_and_scrolls(browser, pages):
    browser.show(pages / "thirty.html", 390)
    ((_, _, seen, whole),) = sizes(browser, ".sheet")
    assert (seen <= 358, whole) == (True, 960)
    browser.show(pages / "thirty.html", 1280)
    ((_, _, seen, whole),) = sizes(browser, ".sheet")
    assert seen == whole == 960


@pytest.mark.parametrize("dark", [False, True])
def test_a_box_that_scrolls_has_a_shadow_at_its_side(browser, pages, dark, tmp_path):
    browser.show(pages / "thirty.html", 390, dark)
    for selector in ("#network .box", ".sheet"):
        for _ in range(10):  # on a busy machine a screenshot may be of the frame before
            more, end = (edge(browser, selector, left, tmp_path) for left in (0, 10_000))
            contrast = more - end if dark else end - more  # ink, which is light on dark
            if contrast > 60:
                break
        assert contrast > 60  # where there is more, and not at the end


def edge(browser, selector, left, folder):
    """Red, green and blue, added up, at the right side of an element that is scrolled so far."""
    script = f"document.querySelector({selector!r})"
    browser.value(f"{script}.scrollIntoView()")
    browser.value(f"{script}.scrollLeft = {left}")
    browser.screenshot(folder / "a.png")
    x, y = browser.value(
        f"(r => [r.right - 1 + scrollX, r.bottom - 3 + scrollY])({script}.getBoundingClientRect())"
    )
    with open_picture(folder / "a.png") as picture:
        return sum(picture.convert("RGB").getpixel((int(x), int(y))))


@pytest.mark.parametrize("dark", [False, True])
def test_text_in_charts_stands_out(browser, pages, dark):
    browser.show(pages / "ten.html", 1280, dark)
    paper = luminance(browser.value("getComputedStyle(document.body).backgroundColor"))
    fills = browser.value(
        "[...document.querySelectorAll('svg.chart text')].map(e => getComputedStyle(e).fill)"
    )
    assert len(set(fills)) == 2
    for ink in map(luminance, fills):
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 4.5


def luminance(colour):
    """Relative luminance (WCAG 2) of "rgb(r, g, b)"."""
    levels = [int(n) / 255 for n in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in levels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_the_browser_test_would_see_trouble(browser, tmp_path):
    """A page that is too wide, loads something and complains: each is noticed."""
    path = tmp_path / "bad.html"
    path.write_text(
        '<!DOCTYPE html><meta name="viewport" content="width=device-width">'
        '<div style="width:2000px">wide</div><img src="http://127.0.0.1:9/a.png">'
        "<script>console.error('no')</script>"
    )
    browser.show(path, 360)
    root = "document.documentElement"
    assert browser.value(f"{root}.scrollWidth") > browser.value(f"{root}.clientWidth")
    assert len(browser.named("Network.requestWillBeSent")) > 1
    assert browser.named("Runtime.consoleAPICalled")
