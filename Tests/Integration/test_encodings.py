"""Request bodies that are packed (Content-Encoding): sent by real clients, damaged, and much larger than they look."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import zlib

import httpx
import pytest
import requests

from apus_server import until
from raw_http import Connection, chunked, request

LIMIT = 2 * 2**20
RATIO = 100
TEXTS = ["I love MLOps", "not this again 😡", "Monday at noon"]
BODY = json.dumps({"texts": TEXTS}, ensure_ascii=False).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def expected(server) -> dict:
    answer = requests.post(server.url + "/predict", data=BODY, headers=JSON, timeout=10)
    assert answer.status_code == 200
    return answer.json()


def noise(count: int) -> str:
    return "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=count))


def post(server, body: bytes, coding: str = "gzip", path: str = "/predict", **headers: str) -> requests.Response:
    return requests.post(server.url + path, data=body, headers=JSON | {"Content-Encoding": coding} | headers, timeout=30)


def message(answer: requests.Response) -> str:
    return answer.json()["error"]["message"]


@pytest.mark.parametrize("coding, pack", [("gzip", gzip.compress), ("GZip", gzip.compress), ("x-gzip", gzip.compress),
                                          ("deflate", zlib.compress), ("identity", bytes)])
def test_requests_gets_the_answer_of_the_plain_body(server, expected, coding, pack):
    answer = post(server, pack(BODY), coding)
    assert answer.status_code == 200 and answer.json() == expected, answer.text


def test_httpx_streams_a_gzip_body_of_unknown_length(server, expected):
    packed = gzip.compress(BODY)
    with httpx.Client(trust_env=False) as client:
        answer = client.post(server.url + "/predict", content=(packed[index:index + 7] for index in range(0, len(packed), 7)),
                             headers=JSON | {"Content-Encoding": "gzip"})
    assert "transfer-encoding" in answer.request.headers and answer.json() == expected


def test_curl_sends_a_file_that_gzip_made(server, expected, tmp_path):
    file = tmp_path / "texts.json"
    file.write_bytes(BODY)
    subprocess.run(["gzip", file], check=True)
    output = subprocess.run(["curl", "-sS", "--noproxy", "*", "-H", "Content-Type: application/json",
                             "-H", "Content-Encoding: gzip", "--data-binary", f"@{file}.gz", server.url + "/predict"],
                            capture_output=True, check=True).stdout
    assert json.loads(output) == expected


def test_a_large_body_is_unpacked_to_its_last_byte(server, expected):
    """Many of the decompressor's steps long, and the texts come last."""
    packed = gzip.compress(json.dumps({"filler": noise(1_500_000), "texts": TEXTS}).encode())
    assert 500_000 < len(packed) < LIMIT
    answer = post(server, packed)
    assert answer.status_code == 200 and answer.json() == expected


def test_every_route_that_takes_a_body_takes_a_packed_one(server, expected):
    assert post(server, gzip.compress(b'{"inputs": "I love MLOps"}'), path="/").json()[0]["label"] == "positive"
    assert post(server, gzip.compress(BODY), path="/invocations").json() == expected
    identifier = post(server, gzip.compress(BODY)).headers["X-Request-Id"]
    judgement = json.dumps({"request_id": identifier, "label": "positive"}).encode()
    assert post(server, gzip.compress(judgement), path="/feedback").json() == {"accepted": 1}


def test_a_client_that_asks_first_is_told_to_go_on(server, expected):
    packed = gzip.compress(BODY)
    head, body = request(body=packed, headers={"Content-Encoding": "gzip", "Expect": "100-continue"}).split(b"\r\n\r\n", 1)
    with Connection(server.port) as connection:
        connection.send(head + b"\r\n\r\n")
        assert connection.answer(interim=True).status == 100
        assert connection.exchange(body).json() == expected


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, identity", "aes128gcm", ""])
def test_another_coding_is_a_415_that_names_what_is_taken(server, coding):
    answer = post(server, BODY, coding)
    assert answer.status_code == 415 and answer.json()["error"]["type"] == "unsupported_media_type", answer.text
    assert "gzip or deflate" in message(answer) and answer.headers["Accept-Encoding"] == "gzip, deflate"


PACKED = gzip.compress(BODY)


@pytest.mark.parametrize("body, problem", [
    (BODY, "damaged"), (PACKED[:-1], "ends too early"), (PACKED[:20], "ends too early"), (b"", "ends too early"),
    (PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:], "damaged"), (PACKED[:30] + b"\xff" * 8 + PACKED[38:], "damaged"),
    (PACKED + b"x", "something follows"), (PACKED + PACKED, "something follows"),
    (zlib.compress(BODY)[2:-4], "damaged"), (PACKED[:10] + PACKED, "damaged"),
], ids=["plain", "without its last byte", "its head", "empty", "another checksum", "other bytes", "a byte behind it", "twice",
        "bare deflate", "two heads"])
def test_a_damaged_body_is_a_400_that_says_so(server, body, problem):
    answer = post(server, body)
    assert answer.status_code == 400 and answer.json()["error"]["type"] == "malformed_encoding", answer.text
    assert problem in message(answer) and "gzip" in message(answer)


def test_what_is_unpacked_is_still_checked(server):
    assert post(server, gzip.compress(b"{")).json()["error"]["type"] == "malformed_json"
    assert post(server, gzip.compress(b'{"text": 7}')).status_code == 422
    assert post(server, gzip.compress(b"\xef\xbb\xbf" + BODY)).status_code == 200


def padded(size: int, incompressible: int = 0) -> bytes:
    """A request of `size` bytes, most of which pack to nothing."""
    body = json.dumps({"text": "I love MLOps", "filler": noise(incompressible)}).encode()
    return body + b" " * (size - len(body))


@pytest.mark.parametrize("size, status", [(LIMIT, 200), (LIMIT + 1, 413), (20 * LIMIT, 413)])
def test_a_body_may_unpack_to_what_a_plain_one_may_have(server, size, status):
    """Noise keeps the ratio small, so that it is the limit that decides."""
    packed = gzip.compress(padded(size, 40_000))
    assert LIMIT / RATIO < len(packed) < LIMIT
    answer = post(server, packed)
    assert answer.status_code == status, answer.text
    if status == 413:
        assert f"limit of {LIMIT}" in message(answer) and answer.json()["error"]["type"] == "body_too_large"


def test_a_body_may_unpack_to_a_hundred_times_its_size(server):
    assert post(server, gzip.compress(padded(16 * 2**10))).status_code == 200
    answer = post(server, gzip.compress(padded(LIMIT)))
    assert answer.status_code == 413 and "100 times" in message(answer)
    assert post(server, gzip.compress(padded(600_000, 8_000))).status_code == 200


def test_a_bomb_is_refused_without_being_unpacked(start_server):
    """Each of these would be 200 MB; two hundred of them come from sixteen connections at once."""
    server = start_server()
    bomb = gzip.compress(bytes(200 * 2**20), 9)
    assert len(bomb) < 256 * 2**10
    for coding in ("gzip", "deflate"):
        assert post(server, bomb, coding).status_code == 413
    before = server.memory()
    connections = [Connection(server.port) for _ in range(16)]
    highest = before
    for _ in range(12):
        for connection in connections:
            connection.send(request(body=bomb, headers={"Content-Encoding": "gzip"}))
        for connection in connections:
            assert connection.answer().status == 413
            highest = max(highest, server.memory())
    for connection in connections:
        connection.close()
    assert highest - before < 48 * 2**20, (before, highest)


def test_the_wire_has_its_own_limits(start_server):
    """A body that is too long as it comes is not unpacked, and one that does not come in time is not waited for."""
    server = start_server("--max-body-bytes", "1000", "--read-timeout", "1")
    answer = post(server, bytes(1001))
    assert answer.status_code == 413 and "limit of 1000" in message(answer)
    with Connection(server.port) as connection:
        head = request(body=PACKED, headers={"Content-Encoding": "gzip"})[:-5]
        connection.send(head)
        assert connection.answer().status == 408
    with Connection(server.port) as connection:
        long = request(method="POST", headers=JSON | {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"})
        connection.send(long + chunked(*[b"x" * 100] * 11))
        assert connection.answer().status == 413


def test_nobody_without_the_key_has_anything_unpacked(start_server):
    server = start_server("--api-key", "secret")
    assert post(server, b"no gzip at all").status_code == 401
    assert post(server, b"no gzip at all", Authorization="Bearer secret").status_code == 400


def test_a_full_queue_refuses_before_it_unpacks(start_server):
    """429, not 400: what was sent is no gzip, and nobody looked."""
    server = start_server("--max-queue", "1", "--max-client-batch", "1", "--threads", "1")
    long = {"text": "word " * 400, "truncate": True}
    busy = [Connection(server.port) for _ in range(8)]
    try:
        def refused() -> bool:
            for connection in busy:
                connection.send(request(body=long))
            answer = post(server, b"no gzip at all")
            for connection in busy:
                assert connection.answer().status in (200, 429)
            return answer.status_code == 429
        until(refused, "a request that finds the queue full", 30)
    finally:
        for connection in busy:
            connection.close()
