"""The live page in other hands: links, files that are dropped, wrong settings, large images."""

import base64
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import chromium
import convlet
from convlet import datasets
from convlet.server import records

pytest.importorskip("playwright.sync_api")
pytest.importorskip("uvicorn")
from live_browser import (
    STATUS,
    Watched,
    by_mouse,
    draw,
    launched,
    number,
    opened,
    picture,
    server,
)

PROGRAM = chromium.find()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no browser")
LARGE = (256, 256, 3)
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
GIVEN = """([kind, name]) => {
    const bytes = Uint8Array.from(atob(window.picture), (letter) => letter.charCodeAt(0));
    const files = new DataTransfer();
    files.items.add(new File([bytes], name, {type: "image/png"}));
    const how = {bubbles: true, cancelable: true};
    const event = kind === "paste"
        ? new ClipboardEvent(kind, {...how, clipboardData: files})
        : new DragEvent(kind, {...how, dataTransfer: files});
    document.body.dispatchEvent(event);
    return event.defaultPrevented;
}"""


@pytest.fixture(scope="module")
def browser():
    with launched(PROGRAM, *CAMERA) as found:
        yield found


@pytest.fixture(scope="module")
def address():
    """Of a page whose run is at its beginning; the tests leave it there."""
    options = ("--recipe", "plain", "--limit", "3200", "--epochs", "500", "--threads", "1")
    with server("mnist", *options, "--patience", "3", "--shards", "2") as (_, found):
        yield found


@pytest.fixture(scope="module")
def large():
    """A page for colour images of 256 x 256, and its network."""
    levels = np.random.default_rng(5).integers(0, 256, (8, *LARGE), dtype=np.uint8)
    labels = np.arange(8) % 2
    layers = "conv 1 9 stride 8, relu, flatten, dense 2, softmax"
    network = convlet.Network(layers, LARGE, 3)
    page = convlet.live(network, (levels, labels), epochs=1, batch_size=4, browser=False)
    yield page, levels, labels
    page.close()


def body_of(request):
    return request.post_data_json


def test_only_a_drawing_that_is_kept_is_stored(browser, address):
    """While a line grows the server is told to keep nothing; 64 images would be full in seconds."""
    with opened(browser, address) as live:
        asked = []
        live.page.on("request", lambda one: "/drawing" in one.url and asked.append(body_of(one)))
        draw(live, 7, by_mouse)
        live.wait("Taken for", "#drawn-words")
        assert asked
        assert not any(one["keep"] for one in asked)
        live.page.locator("#drawn-keep").click()
        live.page.locator("#kept li").wait_for()
        assert [one["keep"] for one in asked].count(True) == 1
        seen = live.page.locator("#prepared").bounding_box()
        assert seen["width"] == seen["height"], "nothing is seen, in the same room"
        draw(live, 3, by_mouse)
        live.wait("Taken for", "#drawn-words")
        live.page.locator("#drawn-look").click()
        live.wait("your drawing", "#seen-words")
        live.page.wait_for_function("() => document.querySelector('#cost:not([hidden])')")
        assert [one["keep"] for one in asked].count(True) == 2


def test_wrong_settings_do_not_end_the_run(browser, address):
    with opened(browser, address) as live:
        live.press("step")
        live.wait("paused", STATUS)
        live.page.locator("#set-batch_size").fill("0")
        live.page.locator("#settings-use").click()
        live.wait("they are marked", "#notice")
        assert live.page.locator("#set-batch_size").get_attribute("aria-invalid") == "true"
        assert live.text(STATUS) == "paused"
        live.page.locator("#settings-undo").click()
        live.press("reset")
        live.wait("not started", STATUS)


def goto(live, address):
    live.page.locator("#goto-address").fill(address)
    live.page.keyboard.press("Enter")


def test_nothing_of_the_number_before_stands_under_an_error(browser, large):
    page, *_ = large
    with opened(browser, page.url) as live:
        live.page.locator("#look").scroll_into_view_if_needed()
        picture(live, "z of stage 0")
        body, back = live.page.locator("#number-body"), live.page.locator("#number-back")
        goto(live, "delta/0/1,2,0")
        live.page.locator("#compare").wait_for()
        assert live.page.locator(".mark").count()
        goto(live, "z/9/1")
        live.wait("z/9/1", "#number-error")
        assert body.is_hidden()
        assert live.page.locator(".mark").count() == 0
        with live.page.expect_response("**/api/explain"):  # asked again, as any number
            live.page.locator("#label").select_option("1")
        live.page.wait_for_timeout(100)
        assert body.is_hidden()
        assert "z/9/1" in live.text("#number-error")
        goto(live, "z/0/0,0,0")
        back.wait_for()
        assert live.text("#number-error") == ""
        back.click()
        live.wait_told("delta/0/1,2,0")
        assert back.is_hidden()
        live.wrong = [one for one in live.wrong if "422" not in one]  # Chromium logs the answer


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_a_number_is_reached_by_its_place_from_the_start(browser, large, width):
    page, *_ = large
    size = {"width": width, "height": 844}
    with opened(browser, page.url, viewport=size, has_touch=width == 390) as live:
        live.wait("image 0", "#seen-words")
        sheet, button = live.page.locator("#goto"), live.page.locator("#number-open")
        if width < 1056:
            assert sheet.is_hidden()
            button.focus()
            live.page.keyboard.press("Enter")
        else:
            assert button.is_hidden()
            live.page.locator("#goto-address").focus()
        assert sheet.is_visible()
        live.page.keyboard.type("z/0/1,2,0")
        live.page.keyboard.press("Enter")
        live.wait("The core computed", "#number-sum")
        assert live.page.evaluate("document.documentElement.scrollWidth") <= width
        if width < 1056:
            live.page.keyboard.press("Escape")
            assert sheet.is_hidden()
            assert live.page.evaluate("document.activeElement.id") == "number-open"


def test_a_place_without_an_image_is_not_silent(browser):
    with (
        convlet.live(convlet.Network("flatten, dense 3, softmax", (28, 28, 1)), browser=False) as p,
        opened(browser, p.url) as live,
    ):
        goto(live, "z/0/1")
        live.wait("an image first", "#number-error")
        draw(live, 3, by_mouse)
        live.page.locator("#drawn-look[aria-disabled=false]").click()
        live.wait("The core computed", "#number-sum")
        assert live.text("#number-error") == ""


def test_stages_of_other_layers_are_said_to_be_of_others(browser, address):
    with opened(browser, address) as live:
        table = live.page.get_by_role("region", name="The stages that these layers make")
        others = live.page.get_by_role("region", name="The stages that the last right layers make")
        table.wait_for()
        for layers in ("conv 8 99, relu, flatten, dense 10, softmax", ""):
            live.page.locator("#layers").fill(layers)
            others.wait_for()
            assert table.count() == 0
            assert "last right" in others.locator("caption").text_content()
            live.wait("of the last layers that were right", "#checked")
        live.wait("layers is empty", "#problems")
        live.page.locator("#layers").fill("flatten, dense 10, softmax")
        live.wait("7,850 parameters", "#checked")
        assert table.count() == 1
        assert "last" not in live.text("#checked")
        live.page.locator("#set-batch_size").fill("1e400")
        live.wait("batch_size is not a finite number", "#problems")
        assert table.count() == 1
        live.page.locator("#settings-undo").click()


def test_the_form_gives_every_setting_back(browser, address):
    with opened(browser, address) as live:
        for name, value in {"patience": "3", "shards": "2", "momentum": "0"}.items():
            assert live.page.locator(f"#set-{name}").input_value() == value
        with live.page.expect_response("**/api/check") as found:
            live.page.locator("#set-epochs").fill("7")
        settings = found.value.json()["settings"]
        assert (settings["patience"], settings["shards"], settings["epochs"]) == (3, 2, 7)
        live.page.locator("#set-seed").fill("9007199254740993")  # 2^53 + 1: no number there
        live.wait("9007199254740993", "#problems")


def test_the_link_as_it_is_copied(browser, address):
    """In an open page; and in a new one, where the settings wait for the server's address."""
    with opened(browser, address) as live:
        live.page.locator("#set-epochs").fill("9")
        live.page.locator("#settings-use").click()
        live.wait("is ready", "#notice")
        live.page.locator("#copy-link").click()
        link = live.page.locator("#link").input_value()
        live.page.locator("#set-epochs").fill("11")
        live.page.evaluate("link => { location.href = link; }", link)
        live.wait("settings of the link", "#notice")
        assert live.page.locator("#set-epochs").input_value() == "9"
        assert live.page.url == live.place
        other = live.page.context.new_page()
        other.goto(link)
        other.locator("#gone", has_text="holds settings, and no key").wait_for()
        assert "#settings=" in other.url
        other.goto(address)
        other.locator("#notice", has_text="settings of the link").wait_for()
        assert other.locator("#set-epochs").input_value() == "9"
        assert other.url == live.place
        other.close()


def test_what_is_said_of_x_and_of_the_saliency(browser, large):
    """The numbers under the pointer are the network's, not those of the colours."""
    page, levels, labels = large
    network = page.network
    x = levels[0] / np.float32(255)
    with opened(browser, page.url) as live:
        live.page.locator("#part").select_option("train")
        live.page.locator("#gallery button").first.click()
        live.wait("image 0 of train", "#seen-words")
        said = _pointed(live, "The image, x^0")
        assert said[0] == "x0"
        assert said[2] == pytest.approx(x[said[1]], rel=1e-5)
        error = network.errors(x[None], labels[:1])[0].x[0]
        live.page.locator("#saliency").scroll_into_view_if_needed()
        said = _pointed(live, "Derivative of the cost by each pixel")
        assert said[2] == pytest.approx(error[said[1]], rel=1e-3, abs=1e-9)
        letter, place, value = _pointed(live, "Saliency")
        channels = np.abs(error[place[:2]])
        assert letter == "|∂E/∂x0|"
        assert place[2] == channels.argmax()
        assert value == pytest.approx(channels.max(), rel=1e-3, abs=1e-9)
        picture(live, "Saliency").press("Enter")
        live.wait_told(f"dx/0/{','.join(map(str, place))}")
        handed = network.errors(x[None], labels[:1])[0].outputs[0][0]
        _, place, value = _pointed(live, "Error of the output of ReLU of stage 0")
        assert value == pytest.approx(handed[place], rel=1e-3, abs=1e-9)
        picture(live, "Error of the output of ReLU of stage 0").press("Enter")
        live.wait_told(f"error/0/0/{','.join(map(str, place))}")
        assert number(live.text("#core-value")) == value


def _pointed(live, words):
    """What a picture says of the number in its middle: (letter, place, value)."""
    field = picture(live, words)
    box = field.bounding_box()
    field.hover(position={"x": box["width"] / 7, "y": box["height"] / 3})
    readout = field.locator("xpath=..").locator(".readout")
    place = readout.locator("sub").inner_text()
    letter, value = readout.inner_text().split(" = ")
    indices = tuple(int(n) for n in place.split(","))
    return letter.replace(place, "").replace("\n", ""), indices, number(value)


def test_the_cost_is_that_of_the_label(browser, large):
    page, levels, labels = large
    with opened(browser, page.url) as live:
        live.page.locator("#look").scroll_into_view_if_needed()
        chances = page.network.predict_proba(levels[:1] / np.float32(255))[0]
        live.page.locator("#part").select_option("train")
        live.page.locator("#gallery button").first.click()
        for label in (1 - labels[0], labels[0]):
            live.page.locator("#label").select_option(str(label))
            live.wait(f"for {label} (14)", "#cost")
            live.page.locator("#cost").click()
            live.wait_told("cost")
            expected = -math.log(chances[label])
            live.page.wait_for_function(
                "value => Math.abs(Number(document.querySelector('#core-value').textContent)"
                " - value) < 1e-4",
                arg=expected,
            )
            said = re.search(r"E = (\S+)", live.text("#cost"))
            assert number(said[1]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("how", ["drop", "paste", "camera"])
def test_an_image_from_outside(browser, address, tmp_path, how):
    path = tmp_path / "seven.png"
    Image.fromarray(255 - datasets.load("mnist").test.images[0][..., 0]).save(path)
    with opened(browser, address) as live:
        if how == "camera":
            live.page.locator("#open-camera").click()
            live.page.wait_for_function("() => document.querySelector('video').videoWidth > 0")
            live.page.locator("#camera-take").click()
            live.wait("The picture of the camera", "#seen-words")
            assert live.page.locator("#camera").is_hidden()
            return
        data = base64.b64encode(path.read_bytes()).decode()
        live.page.evaluate("data => { window.picture = data; }", data)
        if how == "drop":
            assert live.page.evaluate(GIVEN, ["dragover", "seven.png"])
            assert "dropping" in live.page.locator("html").get_attribute("class")
        live.page.evaluate(GIVEN, [how, "seven.png"])
        name = "seven.png" if how == "drop" else "The pasted image"
        live.wait(f"{name} is shown", "#notice")
        live.wait(name, "#seen-words")
        assert live.page.locator("html").get_attribute("class") in (None, "")


def test_the_report_is_saved(browser, large, tmp_path):
    page, *_ = large
    with opened(browser, page.url, accept_downloads=True) as live:
        with live.page.expect_download() as download:
            live.page.locator("#save-report").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        live.wait("is saved as", "#notice")
    assert path.suffix == ".html"
    assert "<html" in path.read_text(encoding="utf-8")[:200]


def test_only_the_last_epochs_are_in_the_table(browser, address):
    """Epochs come as the server would tell them: more than a table can take in."""
    rows = """async () => {
        const { state, tell } = await import("./store.js");
        const [run] = state.runs.slice(-1);
        const losses = {train_loss: 1, validation_loss: 1, validation_accuracy: 0.5, seconds: 1};
        run.rows = Array.from({length: 1234}, (_, n) => ({epoch: n + 1, ...losses}));
        tell("epoch", run.rows.at(-1));
    }"""
    with opened(browser, address) as live:
        live.page.wait_for_function("() => document.querySelectorAll('#runs li').length")
        live.page.evaluate(rows)
        assert live.page.locator("#epochs tr").count() == 0  # nobody looks
        live.page.locator("#epochs").evaluate("box => { box.parentElement.open = true; }")
        live.wait("1,034 more epochs", "#epochs")
        assert live.page.locator("#epochs tbody tr").count() == 200
        assert live.text("#epochs tbody tr:last-child th") == "1234"
        assert live.page.locator("#accuracy-chart circle").count() < 200


@pytest.mark.parametrize("count", [2001, 2002])
def test_the_page_thins_a_curve_as_the_server_does(browser, address, count):
    points = [(n / 7, n * n % 97 / 3) for n in range(count)]
    script = "async points => (await import('./events.js')).halved(points)"
    with opened(browser, address) as live:
        found = live.page.evaluate(script, [[*point] for point in points])
    assert [(*one,) for one in found] == records.halved(points)
    most = Path(records.__file__).parent / "page" / "events.js"
    assert f"POINTS = {records.MOST_POINTS:_};" in most.read_text(encoding="utf-8")


def test_a_screen_of_3840_pixels(browser, address):
    """Letters and pictures grow, nothing is cut off, and no line is wider than it reads well."""
    size = {"width": 3840, "height": 2160}
    with opened(browser, address, viewport=size) as live:
        page = live.page
        page.locator("#look").scroll_into_view_if_needed()
        picture(live, "z of stage 0")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        letters = page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
        assert letters >= 20
        boxes = page.locator("main section").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().width)"
        )
        assert min(boxes) > size["width"] / 3


def test_labelled_drawings_go_with_their_network(browser, tmp_path):
    """The server keeps no images for a network of other sizes, and so does the page."""
    paths = {side: tmp_path / f"{side}.safetensors" for side in (28, 14)}
    for side, path in paths.items():
        convlet.Network("flatten, dense 3, softmax", (side, side, 1), 0).save(path)
    page = convlet.live(convlet.load(paths[28]), browser=False)
    try:
        with opened(browser, page.url) as live:
            draw(live, 3, by_mouse)
            live.wait("Taken for", "#drawn-words")
            live.page.locator("#drawn-keep").click()
            live.page.locator("#kept li").wait_for()
            live.page.locator("#model-file").set_input_files(paths[28])
            live.wait("28.safetensors is loaded", "#notice")
            assert live.page.locator("#kept li").count() == 1
            live.page.locator("#model-file").set_input_files(paths[14])
            live.page.locator("#kept li").wait_for(state="detached")
            assert live.page.locator("#learn-box").is_hidden()
    finally:
        page.close()


def test_labelled_drawings_are_there_when_the_page_is_loaded_again(browser):
    net = convlet.Network("flatten, dense 10, softmax", (28, 28, 1), 0)

    def labels(live):
        return [one.split()[0] for one in live.page.locator("#kept li span").all_inner_texts()]

    with (
        convlet.live(net, browser=False) as page,
        opened(browser, page.url) as live,
    ):
        for digit in (3, 7, 0):
            draw(live, digit, by_mouse)
            live.page.locator("#drawn-keep[aria-disabled=false]").wait_for()
            live.page.locator("#drawn-label").select_option(str(digit))
            live.page.locator("#drawn-keep").click()
            live.wait(f"{digit} ", "#kept li:last-child span")
        live.page.locator("#kept button").nth(1).click()
        seen = "() => [...document.querySelectorAll('#kept canvas')].map(one => one.toDataURL())"
        there = live.page.evaluate(seen)
        assert (labels(live), len(there)) == (["3", "0"], 2)
        live.page.reload()
        live.page.locator("#kept li").first.wait_for()
        assert labels(live) == ["3", "0"]
        assert live.page.evaluate(seen) == there
        with live.page.expect_request("**/api/learn") as asked:
            live.page.locator("#learn").click()
        items = body_of(asked.value)["items"]
        assert [(one["ref"]["index"], one["label"]) for one in items] == [(0, 3), (2, 0)]
        live.wait("Trained on your drawings", "#notice")
        page._serving.session.own.forget()  # as for a network of other sizes
        live.page.reload()
        live.wait("not started", STATUS)
        live.page.wait_for_timeout(200)
        assert live.page.locator("#kept li").count() == 0
        # of another server, whose numbers begin again
        draw(live, 3, by_mouse)
        live.page.locator("#drawn-keep[aria-disabled=false]").wait_for()
        live.page.locator("#drawn-keep").click()
        live.page.locator("#kept li").wait_for()
        live.page.evaluate("""() => {
            const kept = JSON.parse(sessionStorage.getItem("convlet-live-kept"));
            sessionStorage.setItem("convlet-live-kept", JSON.stringify({...kept, server: "x"}));
        }""")
        live.page.reload()
        live.wait("not started", STATUS)
        live.page.wait_for_timeout(200)
        assert live.page.locator("#kept li").count() == 0


def test_labelled_drawings_of_another_class_are_taken_away_and_told(browser, tmp_path):
    few, many = tmp_path / "few.safetensors", tmp_path / "many.safetensors"
    convlet.Network("flatten, dense 3, softmax", (28, 28, 1), 0, classes=tuple("abc")).save(few)
    net = convlet.Network("flatten, dense 10, softmax", (28, 28, 1), 0)
    net.save(many)
    away = "2 of your labelled drawings are taken away"

    def keep(live):
        for label in (1, 8):
            draw(live, 3, by_mouse)
            live.page.locator("#drawn-keep[aria-disabled=false]").wait_for()
            live.page.locator("#drawn-label").select_option(str(label))
            live.page.locator("#drawn-keep").click()
            live.wait(f"{label} ", "#kept li:last-child span")

    with convlet.live(net, browser=False) as page, opened(browser, page.url) as live:
        keep(live)
        page._serving.session.driver.adopt(convlet.load(few))
        live.wait(away, "#notice")
        assert live.page.locator("#kept li").count() == 0
        page._serving.session.driver.adopt(convlet.load(many))
        live.page.locator("#drawn-label option").nth(9).wait_for(state="attached")
        keep(live)
        # an answer that fails once loses none
        live.page.route("**/api/images?part=own*", lambda route: route.fulfill(status=503), times=1)
        live.page.reload()
        live.wait("not started", STATUS)
        page._serving.session.hub.refresh()
        live.page.locator("#kept li").nth(1).wait_for()
        assert all("503" in words for words in live.wrong)
        live.wrong.clear()


def test_a_run_is_hidden_and_shown(browser, large):
    page, *_ = large
    with opened(browser, page.url) as live:
        live.press("epoch")
        lines = "() => document.querySelectorAll('#loss-chart polyline').length"
        live.page.wait_for_function(
            "() => document.querySelector('#loss-chart .line')?.getAttribute('points')"
        )
        there = live.page.evaluate(lines)
        check = live.page.locator("#runs input").last
        check.uncheck()
        fewer = "n => document.querySelectorAll('#loss-chart polyline').length < n"
        live.page.wait_for_function(fewer, arg=there)
        check.check()
        same = "n => document.querySelectorAll('#loss-chart polyline').length === n"
        live.page.wait_for_function(same, arg=there)


def test_a_pen_that_presses_draws_a_wider_line(browser, address):
    stroke = """pressure => {
        const pad = document.querySelector("#pad");
        document.querySelector("#pad-clear").click();
        const { left, top, width } = pad.getBoundingClientRect();
        pad.setPointerCapture = () => {};
        const how = {pointerId: 7, pointerType: "pen", pressure, button: 0, bubbles: true};
        for (const [kind, share] of [["down", 0.2], ["move", 0.8], ["up", 0.8]]) {
            const [clientX, clientY] = [left + width * share, top + width / 2];
            pad.dispatchEvent(new PointerEvent(`pointer${kind}`, {...how, clientX, clientY}));
        }
        const { data } = pad.getContext("2d").getImageData(0, 0, 280, 280);
        return data.filter((value, n) => n % 4 === 3 && value > 127).length;
    }"""
    with opened(browser, address) as live:
        live.page.locator("#pad").scroll_into_view_if_needed()
        light, firm = (live.page.evaluate(stroke, pressure) for pressure in (0.1, 1.0))
        assert firm > 1.5 * light > 0


def test_a_server_that_was_started_again_asks_for_its_own_address(browser):
    """It has another token; its address in the open page is enough, without losing the page."""
    options = ("mnist", "--limit", "100")
    with server(*options) as (_, found):
        context = browser.new_context()
        live = Watched(context, found)
        live.wait("not started", STATUS)
    live.wait("no server", STATUS)
    port = re.search(r":(\d+)/", found)[1]
    with server(*options, "--port", port) as (_, found):
        live.wait("does not know this page", "#gone")
        live.page.evaluate("address => { location.href = address; }", found)
        live.wait("not started", STATUS)
        assert live.page.locator("#gone").is_hidden()
        assert live.page.url == live.place
    context.close()
