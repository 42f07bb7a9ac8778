"""The API key, and pages of other origins."""

from __future__ import annotations

import pytest
import requests

from apus_server import Server
from raw_http import Connection, request

KEY = "a-key-of-one's own/+=~"
INFER = "/v2/models/minilm-l6-tweet-sentiment/infer"
PREDICT_V1 = "/v1/models/minilm-l6-tweet-sentiment:predict"
TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["I love MLOps"]}
ALWAYS_OPEN = ["/health/live", "/health/ready", "/health", "/ping", "/v2/health/live", "/v2/health/ready"]
OPEN = ["/metrics", "/docs", "/openapi.json", "/"]
RIGHT = {"Authorization": f"Bearer {KEY}"}
ORIGIN = "https://page.example"


@pytest.fixture(scope="module")
def module_servers(apus):
    """Servers by their options, started once for the tests in this file."""
    servers: dict[tuple, Server] = {}

    def get(*options: str, **env: str) -> Server:
        key = (*options, *env.items())
        if key not in servers:
            servers[key] = Server(apus, "--no-self-test", *options, env=env)
        return servers[key]

    yield get
    for server in servers.values():
        server.stop()


@pytest.fixture
def locked(module_servers):
    return module_servers(APUS_API_KEY=KEY)


def test_the_right_key_opens(locked):
    for header in (f"Bearer {KEY}", f"bearer {KEY}", f"BEARER {KEY}"):
        assert locked.predict("I love MLOps", headers={"Authorization": header}).status_code == 200, header


@pytest.mark.parametrize("header", [
    None, "", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Bearer{KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}",
    f"Bearer {KEY.upper()}", f"Bearer {KEY} {KEY}", f"Token {KEY}", f"Bearer {KEY}\xe9", "Bearer " + "x" * 5000,
    f"Bearer {KEY},", "Bearer \x7f",
], ids=lambda header: ascii(header)[:40])
def test_anything_else_is_a_401(locked, header):
    raw = request(body={"text": "x"})
    if header is not None:
        raw = raw.replace(b"Host: apus", b"Host: apus\r\nAuthorization: " + header.encode("latin-1"))
    with Connection(locked.port) as connection:
        answer = connection.exchange(raw)
    if header == "Bearer \x7f" and answer.status == 400:
        return  # not even a header
    assert answer.status == 401, answer
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["error"]["type"] == "unauthorized"
    assert KEY not in answer.body.decode()


def test_two_authorization_headers_do_not_open_by_the_second(locked):
    raw = request(body={"text": "x"}).replace(
        b"Host: apus", b"Host: apus\r\nAuthorization: Bearer wrong\r\nAuthorization: Bearer " + KEY.encode())
    with Connection(locked.port) as connection:
        assert connection.exchange(raw).status in (400, 401)


def test_every_way_to_the_model_is_locked(locked):
    for path, body in (("/predict", {"text": "x"}), ("/", {"inputs": "x"}), (INFER, {"inputs": [TENSOR]}),
                       ("/invocations", {"text": "x"}), (PREDICT_V1, {"instances": ["x"]})):
        answer = requests.post(locked.url + path, json=body, timeout=10)
        assert answer.status_code == 401, (path, answer.text)
        assert isinstance(answer.json()["error"], str) == path.startswith("/v2")
        assert requests.post(locked.url + path, json=body, headers=RIGHT, timeout=10).ok
    for path in ("/status", "/info", "/v1/models", "/v2", "/v2/models/minilm-l6-tweet-sentiment"):
        assert requests.get(locked.url + path, timeout=10).status_code == 401, path


def test_a_locked_server_reads_no_body_of_a_stranger(locked):
    """A stranger must not make it read, parse or refuse by content."""
    answer = requests.post(locked.url + "/predict", data=b"{", headers={"Content-Type": "text/plain"}, timeout=10)
    assert answer.status_code == 401


def test_health_metrics_and_pages_stay_open(locked):
    for path in ALWAYS_OPEN + OPEN:
        assert requests.get(locked.url + path, timeout=10).status_code == 200, path


def test_api_key_everywhere_locks_all_but_health(module_servers):
    server = module_servers("--api-key", KEY, "--api-key-everywhere")
    for path in ALWAYS_OPEN:
        assert requests.get(server.url + path, timeout=10).status_code == 200, path
    for path in ("/metrics", "/docs", "/"):
        assert requests.get(server.url + path, timeout=10).status_code == 401, path
        assert requests.get(server.url + path, headers=RIGHT, timeout=10).status_code == 200, path


def test_many_wrong_keys_leave_the_server_well(locked):
    for number in range(300):
        assert locked.predict("x", headers={"Authorization": f"Bearer {KEY[:number % len(KEY)]}"}).status_code == 401
    assert locked.metrics().value("http_requests_total", status="401") >= 300
    assert locked.predict("x", headers=RIGHT).status_code == 200


# Pages of other origins

def preflight(server, origin: str = ORIGIN) -> requests.Response:
    return requests.options(server.url + "/predict", timeout=10, headers={
        "Origin": origin, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,authorization,x-request-id"})


def listed(answer: requests.Response, header: str) -> set[str]:
    return {value.strip().lower() for value in answer.headers[header].split(",")}


@pytest.mark.parametrize("allowed", [ORIGIN, "*"])
def test_a_preflight_from_an_allowed_origin_allows_what_a_page_needs(module_servers, allowed):
    server = module_servers("--cors", allowed)
    answer = preflight(server)
    assert answer.status_code in (200, 204) and answer.content == b""
    assert answer.headers["Access-Control-Allow-Origin"] in (allowed, ORIGIN)
    assert "post" in listed(answer, "Access-Control-Allow-Methods")
    assert {"content-type", "authorization"} <= listed(answer, "Access-Control-Allow-Headers")


def test_answers_and_errors_alike_may_be_read_by_an_allowed_origin(module_servers):
    server = module_servers("--cors", ORIGIN)
    for body, status in ((b'{"text":"x"}', 200), (b"{", 400), (b'{"text":1}', 422)):
        answer = requests.post(server.url + "/predict", data=body, timeout=10,
                               headers={"Origin": ORIGIN, "Content-Type": "application/json"})
        assert answer.status_code == status and answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    nowhere = requests.get(server.url + "/nowhere", headers={"Origin": ORIGIN}, timeout=10)
    assert nowhere.status_code == 404 and nowhere.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_another_origin_is_not_allowed(module_servers):
    server = module_servers("--cors", ORIGIN)
    for origin in ("https://evil.example", ORIGIN + ".evil.example", "http://page.example", "null"):
        assert preflight(server, origin).headers.get("Access-Control-Allow-Origin") != origin
        answer = server.predict("x", headers={"Origin": origin})
        assert answer.headers.get("Access-Control-Allow-Origin") not in (origin, "*")


def test_no_origin_is_allowed_unless_told(server):
    assert "Access-Control-Allow-Origin" not in preflight(server).headers
    assert "Access-Control-Allow-Origin" not in server.predict("x", headers={"Origin": ORIGIN}).headers


def test_a_preflight_needs_no_key_and_a_refusal_for_want_of_one_may_be_read(module_servers):
    server = module_servers("--api-key", KEY, "--cors", ORIGIN)
    assert preflight(server).status_code in (200, 204)
    refused = server.predict("x", headers={"Origin": ORIGIN})
    assert refused.status_code == 401 and refused.headers["Access-Control-Allow-Origin"] == ORIGIN
