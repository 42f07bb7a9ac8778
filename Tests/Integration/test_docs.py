"""/docs, and both pages under a path of a proxy, in a real browser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import requests
from selenium.webdriver.common.by import By

from browser import AA_TEXT, LIGHT_AND_DARK, Page, driver, page  # noqa: F401


def described(server) -> dict[str, list[str]]:
    paths = requests.get(server.url + "/openapi.json", timeout=10).json()["paths"]
    return {path: [method for method in item if method in ("get", "post")] for path, item in paths.items()}


def open_docs(page: Page, url: str, **media) -> Page:
    page.open(url, **media)
    page.until(lambda: page.all(".opblock"), "the operations")
    return page


def execute_predict(page: Page) -> dict:
    """Try it out → Execute, on POST /predict."""
    block = "#operations-Prediction-predict "
    page.find(block + ".opblock-summary-control").click()
    page.until(lambda: page.all(block + ".try-out__btn"), "a button to try it out")
    page.find(block + ".try-out__btn").click()
    page.until(lambda: page.all(block + ".execute"), "a button to execute it")
    page.find(block + ".execute").click()
    page.until(lambda: page.all(block + ".live-responses-table .response-col_status"), "an answer")
    assert page.find(block + ".live-responses-table .response .response-col_status").text.startswith("200")
    return json.loads(page.find(block + ".live-responses-table .highlight-code code").text)


def test_the_docs_show_every_operation(page, server):
    open_docs(page, server.url + "/docs")
    shown = {(block.find_element(By.CSS_SELECTOR, ".opblock-summary-path").get_attribute("data-path"),
              block.find_element(By.CSS_SELECTOR, ".opblock-summary-method").text.lower()) for block in page.all(".opblock")}
    assert shown == {(path, method) for path, methods in described(server).items() for method in methods}
    assert "OAS 3.1" in page.find(".info").text
    assert page.all(".errors-wrapper") == []


def test_an_operation_can_be_tried_in_the_docs(page, server):
    open_docs(page, server.url + "/docs")
    assert execute_predict(page)["label"] == "positive"
    urls = page.requested_urls()
    assert {urlsplit(url).path for url in urls} == {
        "/docs", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/openapi.json", "/predict"}
    assert all(url.startswith(server.url + "/") for url in urls), urls


def test_the_docs_take_an_api_key(page, start_server):
    locked = start_server("--api-key", "secret")
    open_docs(page, locked.url + "/docs")
    page.find(".btn.authorize").click()
    page.until(lambda: page.all(".auth-container input"), "a field for the key")
    page.find(".auth-container input").send_keys("secret")
    page.find(".auth-btn-wrapper .authorize").click()
    page.find(".auth-btn-wrapper .btn-done").click()
    assert execute_predict(page)["label"] == "positive"


@LIGHT_AND_DARK
def test_the_docs_can_be_read_in(page, server, scheme):
    open_docs(page, server.url + "/docs", scheme=scheme)
    for selector in (".back", ".info .title", ".info .renderedMarkdown p", ".info .renderedMarkdown code",
                     ".opblock-summary-path", ".opblock-summary-description"):
        assert page.contrast(page.find(selector)) >= AA_TEXT, selector


@pytest.fixture
def prefixed(server) -> Iterator[str]:
    """The server behind a proxy, under a path."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith("/some/where/"):
                return self.send_error(404)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=10)
            connection.request(self.command, self.path.removeprefix("/some/where"), body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_port}/some/where"
        proxy.shutdown()


def test_the_pages_work_under_a_path(page, prefixed):
    page.open(prefixed + "/").find("#example-list button").click()
    assert page.answer() == "positive"
    page.until(lambda: "minilm" in page.find("#model").text, "the model")
    page.find("footer a").click()
    page.until(lambda: page.all(".opblock"), "the operations")
    assert execute_predict(page)["label"] == "positive"
    page.find(".back").click()
    page.until(lambda: page.all("#text"), "the page")
    assert page.driver.current_url == prefixed + "/"
