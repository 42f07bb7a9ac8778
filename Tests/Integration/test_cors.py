"""Pages of other origins, in a real browser and as its requests are."""

from __future__ import annotations

import http.server
import subprocess
import threading

import pytest
import requests

from browser import driver, page  # noqa: F401

ASK = """
const [url, done] = arguments;
fetch(url, {method: "POST", headers: {"Content-Type": "application/json", "X-Request-Id": "mine"},
            body: JSON.stringify({text: "I love MLOps"})})
    .then(async (answer) => done({status: answer.status, id: answer.headers.get("X-Request-Id"), body: await answer.json()}))
    .catch((error) => done({error: String(error)}));
"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title><link rel=icon href=data:,>")

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere():
    """The origin of a page that another server has."""
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{other.server_port}"
    other.shutdown()


def ask(page, elsewhere: str, server) -> dict:
    page.open(elsewhere)
    return page.driver.execute_async_script(ASK, server.url + "/predict")


@pytest.mark.parametrize("form", ["option", "list", "variable", "all"])
def test_a_page_of_an_allowed_origin_reads_answers(page, elsewhere, start_server, form):
    options = {"option": ["--cors", "https://a.example", "--cors", elsewhere], "all": ["--cors", "*"],
               "list": ["--cors", f"https://a.example, {elsewhere}"], "variable": []}[form]
    env = {"APUS_CORS": f"https://a.example,{elsewhere}"} if form == "variable" else {}
    answer = ask(page, elsewhere, start_server(*options, env=env))
    assert answer == {"status": 200, "id": "mine", "body": answer["body"]} and answer["body"]["label"] == "positive"


@pytest.mark.parametrize("options", [[], ["--cors", "https://a.example"]], ids=["off", "another"])
def test_a_page_of_another_origin_reads_nothing(driver, elsewhere, start_server, options):  # noqa: F811
    server = start_server(*options)
    driver.get(elsewhere)
    answer = driver.execute_async_script(ASK, server.url + "/predict")
    assert "error" in answer, answer
    driver.get_log("browser"), driver.get_log("performance")


def test_without_the_option_a_preflight_is_a_405_that_says_what_is_there(server):
    for headers in ({}, {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}):
        answer = requests.options(server.url + "/predict", headers=headers, timeout=10)
        assert answer.status_code == 405 and answer.headers["Allow"] == "POST"
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_each_of_several_origins_gets_its_own_name_and_others_none(start_server):
    allowed = ["https://a.example", "https://b.example:8443"]
    server = start_server("--cors", ",".join(allowed))
    for origin in [*allowed, "https://c.example", "https://a.example:8443", "null"]:
        for answer in (requests.options(server.url + "/predict", headers={"Origin": origin}, timeout=10),
                       requests.get(server.url + "/health", headers={"Origin": origin}, timeout=10)):
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if origin in allowed else None)
            assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", ["", "a.example", "https://", "https://a.example/", "https://a.example/page", "https://a,",
                                    "https://a.example https://b.example"])
def test_what_is_no_origin_is_one_clear_error(apus, origin):
    result = subprocess.run([apus, "serve", "--no-self-test", "--cors", origin], capture_output=True, text=True, timeout=20)
    assert result.returncode == 2 and "--cors" in result.stderr and len(result.stderr.splitlines()) == 1, result
