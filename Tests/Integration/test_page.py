"""The page to type a text, in a real browser."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import pytest
import requests
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser import AA_LARGE_TEXT, AA_TEXT, COLOURS, LIGHT_AND_DARK, driver, luminance, page, predicted  # noqa: F401



def test_a_typed_text_gets_its_label_and_bars_that_add_up_to_100_percent(page, server):
    page.open(server.url + "/").find("#text").send_keys("I love MLOps")
    expected = predicted(server, "I love MLOps")
    assert page.answer() == expected["label"] == "positive"
    percents = page.percents()
    assert list(percents) == list(expected["scores"])
    assert round(sum(percents.values()), 6) == 100
    for label, score in expected["scores"].items():
        assert abs(percents[label] - 100 * score) < 0.1
    widths = page.run("return [...document.querySelectorAll('#bars i')].map((bar) => parseFloat(bar.style.width))")
    assert all(abs(width - 100 * score) < 0.01 for width, score in zip(widths, expected["scores"].values()))
    assert page.find("#verdict .score").text == page.find("#bars li:nth-child(3) .number").text


def test_the_bars_are_as_long_as_the_probabilities_once_they_stand_still(page, server):
    page.open(server.url + "/", motion="reduce").set_text("I love MLOps")
    page.answer()
    for label, row in zip(page.percents(), page.all("#bars li")):
        track, bar = (row.find_element(By.CSS_SELECTOR, selector).rect["width"] for selector in (".track", ".track i"))
        assert abs(100 * bar / track - page.percents()[label]) < 1, label


def test_every_example_gets_its_answer_on_a_click(page, server):
    page.open(server.url + "/")
    examples = page.all("#example-list button")
    assert len(examples) >= 5
    labels = set()
    for example in examples:
        example.click()
        assert page.find("#text").get_attribute("value") == example.text
        labels.add(page.answer())
        assert page.answer() == predicted(server, example.text)["label"]
    assert labels == {"negative", "neutral", "positive"}


def test_the_page_can_be_used_by_the_keyboard_alone(page, server):
    page.open(server.url + "/")
    keys = ActionChains(page.driver)
    keys.send_keys(Keys.TAB, "I hate this").key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()
    assert page.answer() == "negative"
    keys.send_keys(Keys.TAB, Keys.TAB, Keys.ENTER).perform()  # past the button to the first example
    first = page.find("#example-list button")
    assert page.driver.switch_to.active_element == first
    page.until(lambda: page.find("#text").get_attribute("value") == first.text, "the example's text")
    assert page.answer() == predicted(server, first.text)["label"]
    assert float(first.value_of_css_property("outline-width").removesuffix("px")) >= 2


@pytest.mark.parametrize("way", ["the button", "Ctrl and Enter"])
def test_a_text_is_asked_for_without_a_pause_by(way, page, server):
    page.open(server.url + "/")
    page.run("window.setTimeout = () => 0")  # nothing happens by itself now
    page.set_text("I love it")
    if way == "the button":
        page.find("#run").click()
    else:
        page.find("#text").send_keys(Keys.CONTROL, Keys.ENTER)
    assert page.answer() == "positive"


def test_a_text_that_is_taken_away_takes_its_answer_with_it(page, server):
    page.open(server.url + "/").set_text("I love it")
    page.answer()
    page.set_text("")
    page.until(lambda: not page.all("#verdict .label"), "no answer")
    assert not page.find("#timing").is_displayed()


def test_the_latency_split_is_shown_and_adds_up_to_the_whole_round_trip(page, server):
    page.open(server.url + "/").set_text("The meeting moves to Thursday, 3 pm, same room.")
    page.answer()
    rows = dict(zip(page.texts("#times dt"), page.all("#times dd")))
    assert list(rows) == ["tokenize", "wait in the queue", "run the model", "network and browser", "whole round trip"]
    assert all(re.fullmatch(r"(< )?\d+(\.\d+)? ms", value.text) for value in rows.values())
    *parts, total = (float(value.get_attribute("title").removesuffix(" ms")) for value in rows.values())
    assert parts[0] > 0 and parts[2] > 0
    assert abs(sum(parts) - total) < 0.01
    assert len(page.all("#split i")) == 4


def test_the_answer_to_an_earlier_text_is_never_shown(page, server):
    page.open(server.url + "/")
    page.run("""
        window.waiting = {};
        const answer = (label) => new Response(JSON.stringify({ label, scores: { [label]: 1 } }));
        window.fetch = (path, { body }) => new Promise((resolve) => {
          waiting[JSON.parse(body).text] = (label) => resolve(answer(label));
        });
    """)
    for text in ("first", "second"):
        page.set_text(text)
        page.until(lambda: page.run("return arguments[0] in waiting", text), f"a request for {text}")
    page.run("waiting.second('right')")
    assert page.answer() == "right"
    page.run("waiting.first('stale')")
    page.run("return new Promise((resolve) => setTimeout(resolve, 50))")
    assert page.answer() == "right"
    page.set_text("third")
    opacity = float(page.find("#answer").value_of_css_property("opacity"))
    assert opacity < 0.5, "an answer to another text looks like the answer"


def test_labels_come_from_the_answer_and_are_shown_as_text(page, server):
    page.open(server.url + "/")
    labels = {"joy": 0.5, "<img src=x onerror=alert(1)>": 0.3, "anger": 0.1, "fear": 0.06, "a" * 80: 0.04}
    page.fake(200, json.dumps({"label": "<img src=x onerror=alert(1)>", "score": 0.3, "scores": labels}))
    page.set_text("anything")
    assert page.answer() == "<img src=x onerror=alert(1)>"
    assert page.percents() == {label: 100 * share for label, share in labels.items()}
    assert page.all("img") == []
    colours = {bar.value_of_css_property("background-color") for bar in page.all("#bars i")}
    assert len(colours) == len(labels)


def test_html_in_a_text_is_text(page, server):
    text = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script> I love it"
    title = page.open(server.url + "/").driver.title
    page.find("#text").send_keys(text)
    assert page.answer() == predicted(server, text)["label"]
    assert page.find("#text").get_attribute("value") == text
    assert page.driver.title == title and page.all("img") == []


def test_what_a_server_says_of_an_error_is_shown_as_text(page, server):
    page.open(server.url + "/")
    page.fake(422, json.dumps({"error": {"type": "invalid_request", "message": "field <b>text</b> is bad"}}))
    page.set_text("anything")
    page.until(page.problem, "a problem")
    assert page.problem() == "The server cannot take this text.\nField <b>text</b> is bad."
    assert page.all("#problem b") == []


def test_a_text_that_is_too_long_is_refused_with_the_limit_and_the_length(page, server):
    page.expected_statuses = {422}
    page.open(server.url + "/").set_text("I love it")
    page.answer()
    page.set_text("a" * 100_001)
    page.until(page.problem, "a problem")
    assert "cannot take this text" in page.problem() and "100001 characters; the limit is 100000" in page.problem()
    assert page.find("#count").text == "100,001 of 100,000 characters"
    assert page.all("#verdict .label") == [], "the answer to another text stands beside the problem"
    page.set_text("I love it")
    assert page.answer() == "positive"


@pytest.mark.parametrize("status, headers, body, words", [
    (429, {"Retry_After": "7"}, {"type": "queue_full", "message": "…"}, "too much to do. Try again in 7 seconds."),
    (429, {"Retry_After": "1"}, {"type": "queue_full", "message": "…"}, "too much to do. Try again in a second."),
    (413, {}, {"type": "body_too_large", "message": "it is large"}, "more than this server takes at once.\nIt is large."),
    (503, {}, {"type": "stopping", "message": "it stops."}, "starting or stopping. Try again in a moment.\nIt stops."),
    (504, {}, {"type": "deadline", "message": "too late"}, "did not get to it in time. Try again."),
    (502, {}, None, "The server, or something before it, failed.\nStatus 502."),
    (418, {}, None, "The server refused the request.\nStatus 418."),
], ids=lambda value: str(value) if isinstance(value, int) else "")
def test_an_error_is_told_in_plain_words(page, server, status, headers, body, words):
    page.open(server.url + "/")
    page.fake(status, "<html>A proxy's page</html>" if body is None else json.dumps({"error": body}), **headers)
    page.set_text("anything")
    page.until(page.problem, "a problem")
    assert words in page.problem()
    assert page.find("#problem").get_attribute("role") == "alert"


def test_a_lost_connection_is_told_and_found_again(page, server):
    page.open(server.url + "/").set_text("I love it")
    page.answer()
    page.command("Network.enable")
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.command("Network.emulateNetworkConditions", offline=True, **offline)
    try:
        page.find("#run").click()
        page.until(page.problem, "a problem")
        assert "No connection to the server." in page.problem()
        assert any("ERR_INTERNET_DISCONNECTED" in complaint for complaint in page.complaints())
    finally:
        page.command("Network.emulateNetworkConditions", offline=False, **offline)
    page.find("#run").click()
    assert page.answer() == "positive"


def test_a_server_that_wants_an_api_key_gets_it_asked_for_and_kept(page, start_server):
    locked = start_server("--api-key", "open-sesame")
    page.expected_statuses = {401}
    page.open(locked.url + "/")
    page.find("#example-list button").click()
    page.until(page.problem, "a problem")
    assert page.problem() == "This server asks for an API key."
    page.find("#key").send_keys("wrong", Keys.ENTER)
    page.until(lambda: "does not accept this API key" in page.problem(), "a refusal")
    page.find("#key").clear()
    page.find("#key").send_keys("open-sesame")
    page.find("#key-form button").click()
    assert page.answer() == "positive"
    page.until(lambda: not page.find("#key-form").is_displayed(), "no field any more")
    page.driver.refresh()
    page.until(lambda: "minilm" in page.find("#model").text, "the model, with the key that was kept")
    page.find("#example-list button").click()
    assert page.answer() == "positive"
    assert page.run("return [localStorage.length, sessionStorage.length]") == [0, 1]
    page.run("sessionStorage.clear()")


def test_the_footer_tells_what_runs_and_leads_on(page, server):
    page.open(server.url + "/")
    status = requests.get(server.url + "/status", timeout=10).json()
    told = " · ".join([status["model"], status["precision"], status["isa"], f"Apus {status['version']}"])
    page.until(lambda: page.find("#model").text == told, told)
    for link in page.all("footer a"):
        assert requests.get(link.get_attribute("href"), timeout=10).status_code == 200
    assert page.texts("footer a") == ["docs", "metrics", "status"]


def test_no_request_of_the_page_leaves_its_server(page, server):
    page.open(server.url + "/").find("#example-list button").click()
    page.answer()
    urls = page.requested_urls()
    assert {urlsplit(url).path for url in urls} == {"/", "/status", "/predict"}
    assert all(url.startswith(server.url + "/") for url in urls), urls


@pytest.mark.parametrize("width", [320, 390, 768])
@pytest.mark.parametrize("what", ["an answer", "a problem"])
def test_a_small_screen_needs_no_horizontal_scroll_for(what, page, server, width):
    page.open(server.url + "/", width=width)
    labels = {"positive": 0.7, "W" * 60: 0.3}
    if what == "an answer":
        timing = "tokenize;dur=1, queue;dur=2, infer;dur=3"
        page.fake(200, json.dumps({"label": "W" * 60, "scores": labels}), Server_Timing=timing)
    else:
        page.fake(401, json.dumps({"error": {"type": "unauthorized", "message": "W" * 200}}))
    page.set_text("W" * 2000)
    page.until(page.is_quiet, "an answer")
    assert page.run("return document.documentElement.scrollWidth") <= width
    for element in page.all("main *, footer *"):
        if element.is_displayed():
            assert 0 <= element.rect["x"] and element.rect["x"] + element.rect["width"] <= width + 0.5, element.tag_name


@LIGHT_AND_DARK
def test_every_text_of_the_page_can_be_read_in(page, server, scheme):
    page.open(server.url + "/", scheme=scheme)
    assert page.contrast(page.find("#text"), "::placeholder") >= AA_TEXT
    for example in page.all("#example-list button")[:3]:  # the three labels' colours
        example.click()
        page.answer()
        assert page.contrast(page.find("#verdict .label")) >= AA_TEXT
    everything = ["header", "h1", "h2", "label", "#text", "#run", ".hint", "#verdict .score", "#bars span", "dt", "dd",
                  "#example-list button", "footer p", "footer a", "kbd"]
    for selector in everything:
        assert page.all(selector)
        for element in page.all(selector):
            assert page.contrast(element) >= AA_TEXT, (selector, element.text)
    page.fake(401, '{"error":{"type":"unauthorized","message":"no"}}')
    page.find("#run").click()
    page.until(page.problem, "a problem")
    for selector in ("#problem .what", "#key-form label", "#key", "#key-hint", "#key-form button"):
        assert page.contrast(page.find(selector)) >= AA_TEXT, selector
    for index in range(8):  # labels that have no colour of their own
        label = f"label {index}"
        page.fake(200, json.dumps({"label": label, "scores": {f"label {other}": 1 / 8 for other in range(8)}}))
        page.find("#run").click()
        page.until(lambda: page.texts("#verdict .label") == [label], label)
        assert page.contrast(page.find("#verdict .label")) >= AA_LARGE_TEXT


@LIGHT_AND_DARK
def test_the_browser_s_scheme_decides_between_paper_and_night_in(page, server, scheme):
    for path in ("/", "/docs"):
        page.open(server.url + path, scheme=scheme)
        page.until(lambda: page.all("h1, h2"), "the page")
        background = luminance(page.run(COLOURS, page.find("body"), None)[1:])
        assert background > 0.8 if scheme == "light" else background < 0.05, path


def test_nothing_moves_for_those_who_want_it_still(page, server):
    page.open(server.url + "/").set_text("I love it")
    page.answer()
    assert page.find("#bars i").value_of_css_property("transition-duration") != "0s"
    page.open(server.url + "/", motion="reduce").set_text("I love it")
    page.answer()
    assert page.find("#bars i").value_of_css_property("transition-duration") == "0s"
    assert page.find("html").value_of_css_property("scroll-behavior") == "auto"


def test_assistive_technology_is_told_names_and_changes(page, server):
    page.open(server.url + "/").set_text("I love it")
    page.answer()
    assert page.find("#verdict").aria_role == "status"
    for selector in ("#text", "#run", "#bars", "#result", "#examples", "footer nav"):
        assert page.find(selector).accessible_name, selector
    assert page.find("html").get_attribute("lang") == "en"
    assert [element.tag_name for element in page.all("h1, h2")].count("h1") == 1
