"""A real browser, and what the tests of the pages ask it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator

import pytest
import requests
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

WAIT_SECONDS = 10
AA_TEXT, AA_LARGE_TEXT = 4.5, 3.0  # WCAG 2.2, 1.4.3

LIGHT_AND_DARK = pytest.mark.parametrize("scheme", ["light", "dark"])

# An element's colour, and what is painted behind it, the nearest first.
COLOURS = """
const colours = [getComputedStyle(arguments[0], arguments[1]).color];
for (let one = arguments[0]; one; one = one.parentElement) colours.push(getComputedStyle(one).backgroundColor);
return colours;
"""


def painted(colours: list[str]) -> list[float]:
    """Red, green and blue of colours over one another, the nearest first, on white."""
    result = [255.0] * 3
    for colour in reversed(colours):
        *channels, alpha = [*map(float, re.findall(r"[\d.]+", colour)), 1.0][:4]
        result = [alpha * channel + (1 - alpha) * behind for channel, behind in zip(channels, result)]
    return result


def luminance(colours: list[str]) -> float:
    """WCAG 2.2's relative luminance."""
    channels = [channel / 255 for channel in painted(colours)]
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels]
    return sum(weight * channel for weight, channel in zip((0.2126, 0.7152, 0.0722), linear))


class Page:
    """A browser's tab."""

    def __init__(self, driver: webdriver.Chrome):
        self.driver = driver
        # What the console may say: that an answer had an error's status.
        self.expected_statuses: set[int] = set()

    def open(self, url: str, *, width: int = 1200, scheme: str = "light", motion: str = "no-preference") -> Page:
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.command("Emulation.setEmulatedMedia", features=[{"name": name, "value": features[name]} for name in features])
        self.driver.get(url)
        return self

    def command(self, name: str, **parameters) -> dict:
        return self.driver.execute_cdp_cmd(name, parameters)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        return [element.text for element in self.all(selector)]

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Callable[[], object], what: str):
        wait = WebDriverWait(self.driver, WAIT_SECONDS, 0.02, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: condition(), f"not within {WAIT_SECONDS} s: {what}")

    def set_text(self, text: str) -> None:
        """As if it were pasted: selenium types what it sends key by key, and nothing beyond the BMP."""
        self.run("text.value = arguments[0]; text.dispatchEvent(new Event('input'))", text)

    def answer(self) -> str:
        """The label, once the answer to the text that stands there is shown."""
        self.until(self.is_quiet, "an answer")
        assert not self.problem(), self.problem()
        return self.find("#verdict .label").text

    def is_quiet(self) -> bool:
        is_busy = self.find("#result").get_attribute("aria-busy") != "false"
        return not is_busy and bool(self.all("#verdict .label") or self.problem())

    def problem(self) -> str:
        return self.find("#problem").text

    def percents(self) -> dict[str, float]:
        rows = [row.text.split("\n") for row in self.all("#bars li")]
        return {name: float(percent.replace("%", "").strip()) for name, percent in rows}

    def fake(self, status: int, body: str, **headers: str) -> None:
        """From now on the page's requests get this answer."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.run("const [body, init] = arguments; window.fetch = async () => new Response(body, init)",
                 body, {"status": status, "headers": headers})

    def contrast(self, element: WebElement, pseudo_element: str | None = None) -> float:
        """WCAG's ratio between a text and what is behind it."""
        colours = self.run(COLOURS, element, pseudo_element)
        darker, lighter = sorted((luminance(colours), luminance(colours[1:])))
        return (lighter + 0.05) / (darker + 0.05)

    def requested_urls(self) -> list[str]:
        """Of everything that the browser asked for since the test began."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        requests = [message["params"]["request"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [request["url"] for request in requests if not request["url"].startswith(("data:", "blob:", "about:"))]

    def complaints(self) -> list[str]:
        """What the console says, breaches of the Content-Security-Policy among it."""
        expected = tuple(f"the server responded with a status of {status} " for status in self.expected_statuses)
        messages = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        return [message for message in messages if not any(part in message for part in expected)]


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("there is no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver) -> Iterator[Page]:
    page = Page(driver)
    driver.get("about:blank")
    driver.get_log("browser"), driver.get_log("performance")
    yield page
    complaints = page.complaints()
    driver.get("about:blank")
    assert complaints == []


def predicted(server, text: str) -> dict:
    answer = requests.post(server.url + "/predict", json={"text": text}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()
