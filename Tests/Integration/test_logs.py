"""What the log says of a request, and what it must never say."""

from __future__ import annotations

import requests

from apus_server import until
from raw_http import Connection, request

INFER = "/v2/models/minilm-l6-tweet-sentiment/infer"


def records_of(server, identifier: str) -> list[dict]:
    return [record for record in server.log_records() if record.get("request_id") == identifier]


def record_of(server, identifier: str) -> dict:
    found = until(lambda: records_of(server, identifier), f"a log line of request {identifier}")
    assert len(found) == 1, found
    return found[0]


def test_a_requests_log_line_carries_its_id_and_its_numbers(start_server):
    server = start_server("--log-format", "json")
    answer = requests.post(server.url + "/predict", json={"texts": ["I love MLOps", "not this"]}, timeout=10,
                           headers={"X-Request-Id": "mine-1"})
    assert answer.headers["X-Request-Id"] == "mine-1"
    record = record_of(server, "mine-1")
    assert (record["method"], record["path"]) == ("POST", "/predict")
    assert int(record["status"]) == 200 and int(record["texts"]) == 2 and int(record["tokens"]) > 2
    assert 0 < float(record["duration_ms"]) < 10_000
    assert record["level"] == "info" and record["message"] and record["logger"] and record["time"].startswith("20")


def test_a_refused_requests_log_line_has_its_status(start_server):
    server = start_server("--log-format", "json")
    headers = {"X-Request-Id": "refused", "Content-Type": "application/json"}
    assert requests.post(server.url + "/predict", data=b"{", headers=headers, timeout=10).status_code == 400
    assert requests.get(server.url + "/nowhere", headers=headers | {"X-Request-Id": "lost"}, timeout=10).status_code == 404
    for identifier, status in (("refused", 400), ("lost", 404)):
        assert int(record_of(server, identifier)["status"]) == status


def test_an_id_that_could_forge_a_log_line_is_replaced(start_server):
    server = start_server("--log-format", "json")
    for identifier in (b"a b", b"\xc3\xa9", b"x" * 129, b"", b"a\tb"):
        with Connection(server.port) as connection:
            answer = connection.exchange(request(body={"text": "x"}).replace(b"Host: apus", b"Host: apus\r\nX-Request-Id: "
                                                                             + identifier))
        given = answer.headers["x-request-id"]
        assert answer.status == 200 and given.isascii() and 1 <= len(given) <= 128 and " " not in given
        assert given.encode() != identifier
        record_of(server, given)


def test_health_and_metrics_are_logged_for_debugging_only(start_server):
    quiet = start_server("--log-format", "json")
    loud = start_server("--log-format", "json", "--log-level", "debug")
    for server in (quiet, loud):
        for path in ("/health/live", "/health/ready", "/metrics", "/status"):
            requests.get(server.url + path, headers={"X-Request-Id": "probe" + path}, timeout=10)
        record_of(server, "probe/status")
    assert not records_of(quiet, "probe/health/live") and not records_of(quiet, "probe/metrics")
    assert record_of(loud, "probe/health/live")["level"] == record_of(loud, "probe/metrics")["level"] == "debug"


def test_no_text_ever_shows_up_in_the_log(start_server):
    marker, key = "SECRETMARKER", "SECRETKEY"
    for form in ("text", "json"):
        server = start_server("--log-level", "trace", "--log-format", form, "--api-key", key, "--max-body-bytes", "4096",
                              "--max-client-batch", "4")
        headers = {"Authorization": f"Bearer {key}"}
        tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [marker]}
        bodies = [
            ("/predict", {"text": marker}, 200), ("/predict", {"texts": [marker, marker]}, 200),
            ("/", {"inputs": marker}, 200), (INFER, {"inputs": [tensor]}, 200),
            ("/predict", {"text": [marker]}, 422), ("/predict", {"text": "x", "truncate": marker}, 422),
            ("/predict", {marker: "x"}, 422), ("/predict", {"text": f"{marker} " * 300, "truncate": False}, 422),
            ("/predict", {"inputs": "x", "parameters": {"function_to_apply": marker}}, 422),
            ("/predict", {"texts": [marker] * 5}, 413), ("/predict", {"text": f"{marker} " * 500}, 413),
            (INFER, {"inputs": [tensor | {"datatype": marker}]}, None),
            (INFER, {"inputs": [tensor | {"name": marker}]}, 200),
            (INFER, {"inputs": [tensor], "id": marker}, 200), (INFER, {"inputs": [tensor | {"shape": [marker]}]}, None),
        ]
        for path, body, status in bodies:
            answer = requests.post(server.url + path, json=body, headers=headers, timeout=10)
            assert answer.status_code == status if status else answer.status_code in (400, 422), (path, body, answer.text)
        raw = [f'{{"text": "{marker}'.encode(), f'{{"text": "{marker}\xff"}}'.encode("latin-1"), marker.encode(),
               f'{{"text": "{marker}\\ud800"'.encode()]
        json_headers = headers | {"Content-Type": "application/json"}
        for body in raw:
            answer = requests.post(server.url + "/predict", data=body, headers=json_headers, timeout=10)
            assert answer.status_code == 400, answer.text
        assert server.predict(marker, headers={"Authorization": f"Bearer {key}x"}).status_code == 401
        with Connection(server.port) as connection:
            connection.send(f"{marker}: {marker}\r\n\r\n".encode())
            connection.answer()
        with Connection(server.port) as connection:
            connection.send(request(body={"text": marker}, headers={"Authorization": f"Bearer {key}"})[:-3])
            connection.finish_sending()
            connection.answer()
        requests.get(server.url + "/status", headers=headers | {"X-Request-Id": "the-last"}, timeout=10)
        until(lambda: "the-last" in server.log(), "the log line of the last request")
        assert marker not in server.log() and key not in server.log()
