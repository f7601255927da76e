"""The live page in a browser: it trains, is drawn on, and its numbers are those of NumPy."""

import re
import signal
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import chromium
from convlet import backprop, datasets, load
from convlet import equations as eq

pytest.importorskip("playwright.sync_api")
pytest.importorskip("uvicorn")
import live_browser
from live_browser import (
    STATUS,
    by_mouse,
    by_touch,
    click_number,
    draw,
    number,
    opened,
    server,
)

PROGRAM = chromium.find()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no browser")
KINDS = {
    "z": "z of stage {}",
    "delta": "Error delta of stage {}",
    "dx": "Error of the input of stage {}",
    "w": "Derivative of the cost by each weight of stage {}",
    "b": "Derivative of the cost by each bias of stage {}",
}


@pytest.fixture(scope="module")
def browser():
    with live_browser.launched(PROGRAM) as found:
        yield found


@pytest.fixture(scope="module")
def address():
    """Of a page before it is trained."""
    options = ("--recipe", "plain", "--limit", "12000", "--epochs", "3", "--threads", "1")
    with server("mnist", *options) as (_, found):
        yield found


@pytest.fixture(scope="module")
def trained(browser, address):
    """The same page when it has learned."""
    with opened(browser, address) as live:
        live.press("start")
        live.wait("ended", STATUS)
        accuracy = number(re.match(r"[\d.]+", live.text("#judged-words"))[0])
        assert accuracy > 95
    return address


@pytest.fixture(scope="module")
def reference(browser, trained, tmp_path_factory):
    """What NumPy makes of image 0 of the test images, in float64: traces, errors, gradients."""
    path = tmp_path_factory.mktemp("live") / "model.safetensors"
    with opened(browser, trained, accept_downloads=True) as live:
        with live.page.expect_download() as download:
            live.page.locator("#save-model").click()
        download.value.save_as(path)
    network = load(path)
    test = datasets.load("mnist").test
    x, y = test.images[:1] / np.float64(255), test.labels[:1]
    parameters = {name: values.astype(float) for name, values in network.parameters.items()}
    traces = backprop.forward(network.stages, parameters, x)
    top = eq.cross_entropy_dz(backprop.logits(traces), y)
    deltas = backprop.errors(network.stages, parameters, traces, top)
    _, gradients = backprop.gradients(network.stages, parameters, x, y)
    below = [
        backprop.affine_dx(stage, delta, parameters)
        for stage, delta in zip(network.stages, deltas, strict=True)
    ]
    arrays = {f"z/{index}": trace.z[0] for index, trace in enumerate(traces)}
    arrays |= {f"delta/{index}": delta[0] for index, delta in enumerate(deltas)}
    arrays |= {f"dx/{index}": error[0] for index, error in enumerate(below)}
    arrays |= {f"{name[0]}/{name[1:]}": values for name, values in gradients.items()}
    for index, trace in enumerate(traces):
        for n, values in enumerate((*trace.inputs[1:], trace.output)):
            arrays[f"out/{index}/{n}"] = values[0]
    return network, parameters, arrays


def assert_told(live, address, expected):
    """The panel shows that number, and its terms sum up to it."""
    live.wait_told(address)
    assert number(live.text("#number-value strong")) == pytest.approx(expected, rel=1e-4, abs=2e-6)
    assert number(live.text("#core-value")) == number(live.text("#number-value strong"))
    assert live.text("#number-equation") != ""


def far_from_zero(values):
    """The place of the greatest number: one of which digits can be compared."""
    return tuple(int(n) for n in np.unravel_index(np.abs(values).argmax(), values.shape))


def test_it_is_trained_to_95_percent_from_the_page(trained):
    assert trained


@pytest.mark.parametrize(("how", "touch"), [(by_mouse, False), (by_touch, True)])
def test_three_drawn_digits_are_recognised(browser, trained, how, touch):
    size = {"width": 390, "height": 844} if touch else {"width": 1280, "height": 900}
    with opened(browser, trained, has_touch=touch, viewport=size) as live:
        for digit in live_browser.DIGITS:
            moved = draw(live, digit, how)
            live.wait(f"Taken for {digit}", "#drawn-words")
            assert moved == 0, "drawing scrolled the page"
        seen = live.page.locator("#prepared").evaluate("c => [c.width, c.height]")
        assert seen == [28, 28]


@pytest.mark.parametrize("stage", range(4))
def test_a_number_of_each_layer_is_that_of_the_equations(browser, trained, reference, stage):
    network, _, arrays = reference
    with opened(browser, trained) as live:
        live.page.locator("#look").scroll_into_view_if_needed()
        place = far_from_zero(arrays[f"z/{stage}"])
        click_number(live, KINDS["z"].format(stage), arrays[f"z/{stage}"].shape, place)
        name = ",".join(map(str, place))
        assert_told(live, f"z/{stage}/{name}", arrays[f"z/{stage}"][place])
        for n, layer in enumerate(network.stages[stage].sigma):
            values = arrays[f"out/{stage}/{n}"]
            place = far_from_zero(values)
            fields = live.page.locator(
                f"#stages .stage:nth-of-type({stage + 2}) [role=application]"
            )
            words = fields.nth(n + 1).get_attribute("aria-label").split(".")[0]
            click_number(live, words, values.shape, place)
            address = f"out/{stage}/{n}/{','.join(map(str, place))}"
            assert_told(live, address, values[place])
            assert layer.form.name in live.text("#number-title").lower().replace("max ", "")


@pytest.mark.parametrize("stage", range(4))
def test_an_error_and_a_weight_of_each_stage(browser, trained, reference, stage):
    _, parameters, arrays = reference
    with opened(browser, trained) as live:
        live.page.locator("#back").scroll_into_view_if_needed()
        live.page.locator("details.parameters").nth(3 - stage).locator("summary").click()
        for kind, words in KINDS.items():
            if kind == "z" or (kind == "dx" and not stage):
                continue
            if kind == "delta" and stage == 3:
                kind, words = "error", "x^L minus y"
            values = arrays[f"{'delta' if kind == 'error' else kind}/{stage}"]
            place = far_from_zero(values)
            click_number(live, words.format(stage), values.shape, place)
            name = f"{stage}/{','.join(map(str, place))}"
            assert_told(live, f"{kind}/{name}", values[place])
            if kind in "wb":
                before = parameters[f"{kind}{stage}"][place]
                after = re.search(r"goes from (\S+) to (\S+)\.$", live.text("#number-step"))
                assert number(after[1]) == pytest.approx(before, rel=1e-6)
                step = before - 0.1 * values[place]
                assert number(after[2]) == pytest.approx(step, rel=1e-5, abs=1e-7)
        live.page.locator("#compare").click()
        live.wait("Central differences", "#number-difference")
        difference = number(live.text("#number-difference strong"))
        assert difference == pytest.approx(values[place], rel=1e-3, abs=1e-6)


def test_the_saliency_and_a_number_behind_a_number(browser, trained, reference):
    *_, arrays = reference
    with opened(browser, trained) as live:
        live.page.locator("#saliency").scroll_into_view_if_needed()
        place = far_from_zero(arrays["dx/0"])
        click_number(live, "Derivative of the cost by each pixel", (28, 28, 1), place)
        assert_told(live, f"dx/0/{','.join(map(str, place))}", arrays["dx/0"][place])
        link = live.page.locator("#number-terms button").first
        link.click()
        live.page.wait_for_function(
            "() => document.querySelector('#goto-address').value.startsWith('delta/0/')"
        )
        live.page.locator("#number-back").click()
        live.page.wait_for_function(
            "() => document.querySelector('#goto-address').value.startsWith('dx/0/')"
        )


def test_with_the_keyboard_alone(browser, trained, reference):
    *_, arrays = reference
    with opened(browser, trained) as live:
        page = live.page
        live_browser.picture(live, "z of stage 1").focus()
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "PageDown", "Enter"):
            page.keyboard.press(key)
        assert_told(live, "z/1/2,1,1", arrays["z/1"][2, 1, 1])
        page.locator("#goto-address").fill("w/2/17,4")
        page.keyboard.press("Enter")
        live.wait("17,4", "#number-value")
        assert_told(live, "w/2/17,4", arrays["w/2"][17, 4])
        page.locator("#pad").focus()
        for key in (*["ArrowUp"] * 8, " ", *["ArrowDown"] * 16, " "):
            page.keyboard.press(key)
        live.wait("Taken for 1", "#drawn-words")


def test_labelled_drawings_are_learned(browser):
    options = ("--recipe", "plain", "--limit", "500")
    with server("mnist", *options) as (_, found), opened(browser, found) as live:
        draw(live, 7, by_mouse)
        live.wait("Taken for", "#drawn-words")
        live.page.locator("#drawn-label").select_option("7")
        live.page.locator("#drawn-keep").click()
        live.page.locator("#learn-steps").fill("40")
        live.page.locator("#learn").click()
        live.wait("no longer those of convlet train", "#notice")
        draw(live, 7, by_mouse)
        live.wait("Taken for 7", "#drawn-words")


def test_pause_step_reload_and_two_pages_at_once(browser):
    options = ("--recipe", "plain", "--limit", "3200", "--epochs", "50000", "--threads", "1")
    with (
        server("mnist", *options) as (_, found),
        opened(browser, found) as first,
        opened(browser, found) as second,
    ):
        first.press("start")
        first.wait("training", STATUS)
        second.wait("training", STATUS)
        second.press("pause")
        first.wait("paused", STATUS)
        facts = "#facts div:nth-child(2) dd"
        stood = re.match(r"(\d+) of 100", first.text(facts))
        first.press("step")
        first.wait(f"{int(stood[1]) % 100 + 1} of 100", facts)
        second.wait(f"{int(stood[1]) % 100 + 1} of 100", facts)
        first.page.reload()
        first.wait("paused", STATUS)
        assert first.page.url == first.place, "the token has left the address"
        assert first.page.locator("#runs li").count() == 1
        first.press("stop")
        second.wait("ended", STATUS)
        second.page.locator("#layers").fill("flatten, dense 10, softmax")
        second.wait("7,850 parameters", "#checked")
        second.page.locator("#settings-use").click()
        first.wait("7,850 parameters", "#what")
        assert first.page.locator("#runs li").count() == 2


def test_wrong_settings_are_said_while_they_are_typed(browser, trained):
    with opened(browser, trained) as live:
        live.page.locator("#layers").fill("conv 8 99, relu, flatten, dense 10, softmax")
        live.page.locator("#problems li").wait_for()
        assert "99" in live.text("#problems")
        assert live.page.locator("#layers").get_attribute("aria-invalid") == "true"
        live.page.locator("#settings-undo").click()
        live.page.locator("#problems li").wait_for(state="detached")
        live.page.locator("#set-augmentation").fill("shift 3")
        live.page.locator("#augmented canvas").first.wait_for()


def test_the_server_gone_and_back(browser):
    with server("mnist", "--limit", "500") as (child, found):
        context = browser.new_context()
        live = live_browser.Watched(context, found)
        context.set_offline(True)
        live.wait("no server", STATUS)
        assert live.page.locator("#gone").is_visible()
        context.set_offline(False)
        live.wait("not started", STATUS)
        assert live.page.locator("#gone").is_hidden()
        child.send_signal(signal.SIGINT)
        live.wait("has ended", "#gone")
        context.close()


def test_files_in_and_out(browser, trained, tmp_path):
    picture, test = tmp_path / "seven.png", datasets.load("mnist").test
    Image.fromarray(255 - test.images[0][..., 0]).save(picture)  # dark on light
    with opened(browser, trained, accept_downloads=True) as live:
        live.page.locator("#file").set_input_files(picture)
        live.wait("seven.png is shown", "#notice")
        live.wait("seven.png", "#seen-words")
        live.wait("Taken for 7.", "#taken-for")
        saved = {}
        for name in ("history", "model"):
            with live.page.expect_download() as download:
                live.page.locator(f"#save-{name}").click()
            saved[name] = tmp_path / download.value.suggested_filename
            download.value.save_as(saved[name])
    rows = saved["history"].read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 3
    with server("mnist", "--limit", "100") as (_, found), opened(browser, found) as live:
        live.page.locator("#model-file").set_input_files(saved["model"])
        live.wait("is loaded", "#notice")
        live.page.locator("#evaluate").click()
        live.wait("test images are right", "#judged-words")
        assert number(live.text("#judged-words").split()[0].rstrip("%")) > 95


def test_a_link_with_settings_fills_the_form(browser, trained):
    with opened(browser, trained) as live:
        live.page.locator("#copy-link").click()
        link = live.page.locator("#link").input_value()
        assert "token" not in link
        words = link.split("#")[1]
    with opened(browser, f"{trained}&{words}") as live:
        live.wait("settings of the link", "#notice")
        assert live.page.locator("#set-epochs").input_value() == "3"


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_axe_finds_nothing_and_nothing_is_cut_off(browser, trained, width, dark):
    axe = Path(find_spec("axe_playwright_python").submodule_search_locations[0]) / "axe.min.js"
    size = {"width": width, "height": 900}
    scheme = "dark" if dark else "light"
    with opened(browser, trained, viewport=size, color_scheme=scheme) as live:
        page = live.page
        for section in ("look", "back", "draw", "away", "train"):
            page.locator(f"#{section}").scroll_into_view_if_needed()
            page.wait_for_timeout(100)
        for details in page.locator("details").all():
            details.evaluate("details => { details.open = true; }")
        page.locator("#goto-address").evaluate("field => { field.value = 'w/1/1,2,0,5'; }")
        page.evaluate("document.querySelector('#goto').requestSubmit()")
        live.wait("goes from", "#number-step")
        page.evaluate(axe.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
