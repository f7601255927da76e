"""The report: what it says, that it is safe to open, and how a browser shows it."""

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn import metrics

import chromium
from convlet import History, InputError, MissingDependencyError, Network, Row, measures
from convlet.cli import main
from convlet.datasets.pictures import open_picture
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
        if {"td", "th"} & set(self.open[-2:]):  # a name may have an element of its own
            self.rows[-1][-1] += data

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def case():
    """A network with hostile names, images and labels."""
    network = Network(LAYERS, (10, 10, 1), 5, classes=HOSTILE, engine="reference")
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


def test_the_table_of_classes_agrees_with_scikit_learn(case, page):
    network, x, y = case
    rows = rows_after(page, ["class", "precision"])[:4]
    p, r, f, n = metrics.precision_recall_fscore_support(
        y, network.predict(x), zero_division=np.nan
    )
    for k, row in enumerate(rows):
        shares = ["–" if np.isnan(v[k]) else f"{100 * v[k]:.2f} %" for v in (p, r)]  # noqa: RUF001
        assert row == [shown(HOSTILE[k]), *shares, f"{100 * f[k]:.2f} %", str(n[k])]


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
    rows = rows_after(page, ["stage", "layer"])
    assert rows[0] == ["", "input", "", "10 x 10 x 1", "", ""]
    assert rows[1] == ["0", "conv 3 3", "(1), (17)", "8 x 8 x 3", "30", "1,728"]
    assert rows[5] == ["1", "dense 8", "(6), (17)", "8", "392", "384"]
    assert rows[-1][-2:] == [f"{case[0].flat.size:,}", "2,144"]


def test_the_facts_and_the_calibration_error(case, page):
    network, x, y = case
    found = measures.calibration(network.predict_proba(x), y)
    assert f"{100 * found.error:.2f} % here." in page
    assert f"<dd>{100 * network.evaluate(x, y).accuracy:.2f} %</dd>" in page
    assert f"<dd>{network.evaluate(x, y).loss:.4f}</dd>" in page
    assert "2 epochs, 4.5 s of training." in page


def test_mistakes_are_the_most_confident_ones(case, page):
    network, x, y = case
    p = network.predict_proba(x)
    worst = measures.worst_mistakes(p, y, 24)
    card = r'alt="test image (\d+)"[^>]*><figcaption>said <b>.*?</b><br>([\d.]+) %<br>is '
    cards = re.findall(card, page)
    assert cards == [(str(n), f"{100 * p[n].max():.2f}") for n in worst]


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
    assert "test data" not in page
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
    assert f"<dd>{100 * accuracy:.2f} %</dd>" in page
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
        "epoch,train_loss,test_loss,test_accuracy,seconds\n1,1.5,1.25,0.5,2.0\n"
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
    assert "1 epoch, 2.0 s of training." in page


def test_a_model_of_unnamed_data_has_a_page_without_results(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(saved)
    out = tmp_path / "page.html"
    assert main(["report", "m.safetensors", "--history", "run.csv", "--out", str(out)]) == 0
    said = f"report saved in {out} without results, as no DATA is given\n"
    assert capsys.readouterr().out == said
    page = out.read_text(encoding="utf-8")
    assert "1 epoch, 2.0 s of training." in page
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
    """Reports of ten classes with short and with long names, and of thirty, as files."""
    folder = tmp_path_factory.mktemp("pages")
    long = "Rhododendron_ferrugineum_alpine_rose"
    cases = {
        "ten": tuple("0123456789"),
        "words": (*(f"class {k}" for k in range(8)), "a word or more of it", long),
        "thirty": tuple(f"number {k}" for k in range(30)),
    }
    for name, classes in cases.items():
        count = len(classes)
        layers = f"flatten, dense {count}, softmax"
        network = Network(layers, (6, 6, 1), classes=classes, engine="reference")
        rng = np.random.default_rng(1)
        x = rng.integers(0, 256, (3000, 6, 6, 1), np.uint8)
        page = report(network, x, rng.integers(0, count, 3000), HISTORY)
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


def test_a_box_that_scrolls_has_a_shadow_at_its_side(browser, pages, tmp_path):
    browser.show(pages / "thirty.html", 390)
    for selector in ("#network .box", ".sheet"):
        script = f"document.querySelector({selector!r})"
        browser.value(f"{script}.scrollIntoView()")
        edge = []
        for left in (0, 10_000):
            browser.value(f"{script}.scrollLeft = {left}")
            browser.screenshot(tmp_path / "a.png")
            x, y = browser.value(
                f"(r => [r.right - 1 + scrollX, r.bottom - 3 + scrollY])"
                f"({script}.getBoundingClientRect())"
            )
            with open_picture(tmp_path / "a.png") as picture:
                edge.append(sum(picture.convert("RGB").getpixel((int(x), int(y)))))
        assert edge[0] < edge[1] - 60  # dark where there is more, and not at the end


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
