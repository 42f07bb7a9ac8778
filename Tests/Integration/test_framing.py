"""Requests that are cut, padded, doubled, oversized or no HTTP at all, over bare sockets."""

from __future__ import annotations

import json
import re
import time

import pytest

from raw_http import Connection, assert_refused, chunked, request

BODY = json.dumps({"text": "I love MLOps"}).encode()
CHUNKED = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}


@pytest.fixture
def connection(server):
    with Connection(server.port) as connection:
        yield connection
    server.assert_answers()


@pytest.fixture(scope="module")
def limit(server) -> int:
    return server.status()["limits"]["max_body_bytes"]


def chunked_request(body: bytes, headers: dict[str, str] | None = None) -> bytes:
    return request(method="POST", headers=CHUNKED | (headers or {})) + body


# Truncated and chunked

def test_a_truncated_body_is_a_400(connection):
    connection.send(request(body=BODY)[:-3])
    connection.finish_sending()
    assert_refused(connection, (400,))


def test_a_truncated_head_gets_no_answer_of_success(connection):
    connection.send(b"POST /predict HTTP/1.1\r\nHost: apus\r\nContent-Le")
    connection.finish_sending()
    received = connection.rest()
    assert received == b"" or received.startswith(b"HTTP/1.1 400 "), received


def test_a_chunked_body_is_put_together(connection):
    for body in (chunked(BODY), chunked(*(BODY[i:i + 1] for i in range(len(BODY)))), chunked(BODY[:5], BODY[5:])):
        answer = connection.exchange(chunked_request(body))
        assert answer.status == 200 and answer.json()["label"] == "positive", answer


def test_chunk_extensions_and_trailers_are_read_over(connection):
    body = b"%x;name=value\r\n%s\r\n0\r\nX-Trailer: yes\r\nX-Another: 5\r\n\r\n" % (len(BODY), BODY)
    for _ in range(2):  # the connection goes on after them
        assert connection.exchange(chunked_request(body)).status == 200


@pytest.mark.parametrize("body", [
    b"zz\r\n" + BODY + b"\r\n0\r\n\r\n",
    b"-5\r\n" + BODY + b"\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY) - 4, BODY),
    b"ffffffffffffffffff\r\n" + BODY + b"\r\n0\r\n\r\n",
], ids=["no number", "negative", "0x", "empty size", "too small a size", "more than 64 bits"])
def test_a_lying_chunk_size_is_a_400(connection, body):
    connection.send(chunked_request(body))
    assert_refused(connection, (400,))


def test_a_chunk_size_larger_than_what_follows_is_a_400(connection):
    connection.send(chunked_request(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY) + 100, BODY)))
    connection.finish_sending()
    assert_refused(connection, (400,))


@pytest.mark.parametrize("size", [b"7fffffffffffffff", b"ffffffffffffffff", b"ffffffff"])
def test_a_huge_chunk_size_is_refused_and_not_allocated(server, connection, size):
    before = server.memory()
    connection.send(chunked_request(size + b"\r\n" + BODY))
    connection.finish_sending()
    assert_refused(connection, (400, 413))
    assert server.memory() < before + 64 * 2**20


# Oversized

def test_an_announced_body_over_the_limit_is_refused_before_it_comes(connection, limit):
    connection.send(request(method="POST", headers={"Content-Length": str(limit + 1), "Content-Type": "application/json"}))
    answer = connection.answer()
    assert answer.status == 413 and answer.json()["error"]["type"] == "body_too_large", answer
    assert str(limit) in answer.json()["error"]["message"]


def test_a_connection_that_ends_after_a_refusal_was_told_to_end_by_it(connection, limit):
    """Else a client would send its next request into a connection that is about to be closed."""
    head, body = request(body=BODY + b" " * (limit + 1 - len(BODY))).split(b"\r\n\r\n")
    refusal = connection.exchange(head + b"\r\n\r\n")
    assert refusal.status == 413
    if refusal.headers.get("connection") != "close":
        connection.send(body)
        assert connection.exchange(request("/health/live")).status == 200


@pytest.mark.parametrize("length", ["99999999999", str(2**63 - 1), str(2**63), str(2**64), "1" * 100])
def test_an_absurd_length_is_refused(connection, length):
    connection.socket.settimeout(5)
    connection.send(request(method="POST", headers={"Content-Length": length, "Content-Type": "application/json"}))
    answer = connection.answer()
    assert answer.status in (400, 413) and answer.json()["error"]["message"], answer


def test_a_client_that_sends_a_body_over_the_limit_anyhow_reads_why_it_was_refused(connection, limit):
    connection.send(request(body=b'{"text":"' + b"a" * limit + b'"}'))
    answer = connection.answer()
    assert answer is not None and answer.status == 413, answer


def test_a_body_of_exactly_the_limit_is_taken(connection, limit):
    assert connection.exchange(request(body=BODY + b" " * (limit - len(BODY)))).status == 200
    connection.send(request(body=BODY + b" " * (limit + 1 - len(BODY))))
    assert connection.answer().status == 413


def test_a_chunked_body_without_end_is_stopped_at_the_limit(connection, limit):
    connection.send(chunked_request(b""))
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    sent = 0
    while sent < 4 * limit and connection.send(chunk):
        sent += 0x10000
    answer = connection.answer()
    assert answer is not None and answer.status == 413, answer
    assert sent < 4 * limit or connection.is_closed(), "it would have been read for ever"


@pytest.mark.parametrize("separator", [b"\r\n", b": "], ids=["many headers", "one header"])
def test_headers_without_end_are_refused(server, connection, separator):
    before = server.memory()
    connection.send(b"POST /predict HTTP/1.1\r\nHost: apus\r\nX-Long: ")
    block = (b"a" * 1000 + (b"\r\nX-More: " if separator == b"\r\n" else b"")) * 64
    sent, limit = 0, 32 * 2**20
    while sent < limit and connection.send(block):
        sent += len(block)
    assert sent < limit, "32 MiB of headers were taken"
    assert server.memory() < before + 24 * 2**20


def test_a_megabyte_in_one_header_is_refused(connection):
    connection.send(request(headers={"X-Huge": "a" * 2**20}))
    answer = connection.answer()
    assert answer is None or answer.status in (400, 431), answer


def test_ten_thousand_headers_are_no_failure(server, connection):
    before = server.memory()
    connection.send(request("/health/live", headers={f"X-{number}": "1" for number in range(10_000)}))
    answer = connection.answer()
    assert answer is None or answer.status in (200, 400, 431), answer
    assert server.memory() < before + 24 * 2**20


def test_a_very_long_path_is_no_failure(connection):
    connection.send(request("/" + "a" * 60_000))
    answer = connection.answer()
    assert answer is None or answer.status in (400, 404, 414, 431), answer


# Two lengths: request smuggling

def statuses(received: bytes) -> list[int]:
    """Of all answers in it that are no interim ones."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([2-5]\d\d) ", received)]


SMUGGLED = b"GET /status HTTP/1.1\r\nHost: apus\r\n\r\n"


@pytest.mark.parametrize("head", [
    b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    b"Content-Length: 5\r\nContent-Length: 50\r\n",
    b"Content-Length: 5, 50\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 0x5\r\n",
    b"Content-Length: 5 5\r\n",
    b"Content-Length : 5\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    b"X: y\r\n Content-Length: 5\r\n",
    b"X\r\n",
    b": value\r\n",
    b"X: a\0b\r\n",
    b"X: a\rb\r\n",
    b"X y: z\r\n",
], ids=lambda head: head.decode("latin-1").strip().encode("unicode_escape").decode())
def test_a_request_of_two_minds_about_its_length_is_refused_and_nothing_after_it_answered(connection, head):
    start = b"POST /predict HTTP/1.1\r\nHost: apus\r\nContent-Type: application/json\r\n"
    connection.send(start + head + b"\r\n0\r\n\r\n" + SMUGGLED)
    connection.finish_sending()
    received = connection.rest()
    assert statuses(received) in ([], [400]), received
    assert not received or b'"error"' in received


def test_a_chunked_body_of_http_1_0_is_not_followed_by_a_smuggled_request(connection):
    head = b"POST /predict HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.send(head + b"0\r\n\r\n" + SMUGGLED)
    connection.finish_sending()
    assert len(statuses(connection.rest())) <= 1, "two answers: the second request was smuggled in"


# Expect

def test_a_client_that_waits_for_100_continue_gets_it(connection):
    head, body = request(body=BODY, headers={"Expect": "100-continue"}).split(b"\r\n\r\n")
    for _ in range(2):
        connection.socket.settimeout(2)
        assert connection.exchange(head + b"\r\n\r\n", interim=True).status == 100
        assert connection.exchange(body).status == 200


def test_a_client_that_does_not_wait_for_100_continue_is_answered_as_well(connection):
    assert connection.exchange(request(body=BODY, headers={"Expect": "100-continue"})).status == 200


def test_a_client_that_waits_with_too_much_is_refused_without_100_continue(connection, limit):
    connection.send(request(method="POST", headers={"Content-Length": str(limit + 1), "Expect": "100-continue"}))
    assert connection.answer(interim=True).status == 413


# No HTTP

@pytest.mark.parametrize("garbage", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    b"hello\r\n\r\n", b"\0\0\0\0\0\0\0\0", b"GET\r\n\r\n", b"GET /status\r\n\r\n", b"GET /status HTTP/9.9\r\n\r\n",
    b"get /status HTTP/1.1\r\n\r\n", b"GET /sta tus HTTP/1.1\r\nHost: apus\r\n\r\n", b"\xff" * 1000,
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", b"GET /status HTTP/1.1\nHost: apus\n : x\n\n", b"*1\r\n$4\r\nPING\r\n",
], ids=lambda garbage: repr(garbage[:24]))
def test_what_is_not_http_gets_a_400_and_the_end_of_the_connection(connection, garbage):
    connection.send(garbage)
    assert_refused(connection, (400, 505))


def test_empty_lines_before_a_request_are_read_over(connection):
    assert connection.exchange(b"\r\n\r\n" + request("/health/live")).status == 200


# Pipelined

def test_pipelined_requests_are_answered_in_order_each_by_its_own(server, known):
    texts = list(known)[:50]
    segment = b"".join(request(body={"text": text}, headers={"X-Request-Id": f"pipe-{number}"})
                       for number, text in enumerate(texts))
    with Connection(server.port) as connection:
        connection.send(segment)
        for number, text in enumerate(texts):
            answer = connection.answer()
            assert answer.status == 200 and answer.headers["x-request-id"] == f"pipe-{number}"
            assert answer.json() == known[text]


def test_pipelined_requests_go_on_after_one_that_is_refused(connection):
    connection.send(request(body=b"{") + request("/nowhere") + request(body=BODY))
    assert [connection.answer().status for _ in range(3)] == [400, 404, 200]


def test_a_request_that_comes_byte_by_byte_is_answered(connection):
    for byte in request(body=BODY):
        connection.send(bytes([byte]))
        time.sleep(0.0005)
    assert connection.answer().status == 200


def test_connection_close_is_kept_to(connection):
    answer = connection.exchange(request(body=BODY, headers={"Connection": "close"}))
    assert answer.status == 200 and connection.is_closed()


def test_http_1_0_is_closed_after_its_answer_and_kept_where_it_asks(connection, server):
    answer = connection.exchange(request(body=BODY, version="1.0"))
    assert answer.status == 200 and "transfer-encoding" not in answer.headers and connection.is_closed()
    with Connection(server.port) as kept:
        for _ in range(2):
            assert kept.exchange(request(body=BODY, version="1.0", headers={"Connection": "keep-alive"})).status == 200
