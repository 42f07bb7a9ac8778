"""Clients that are slow, that leave, that come by the thousand."""

from __future__ import annotations

import random
import select
import socket
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from apus_server import until
from raw_http import Connection, CutAnswer, assert_refused, request
from traffic import keep_busy

BODY = request(body={"text": "I love MLOps"})
HEAD = b"POST /predict HTTP/1.1\r\nHost: apus\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"


# Slow

def trickle(connection: Connection, data: bytes, pause: float, seconds: float) -> None:
    """Sends a byte a pause until the server has something to say, or the time is up."""
    connection.socket.setblocking(True)
    deadline = time.monotonic() + seconds
    for byte in data:
        connection.socket.settimeout(pause)
        try:
            if not connection._receive():
                return
            return
        except TimeoutError:
            pass
        if time.monotonic() > deadline or not connection.send(bytes([byte])):
            return


@pytest.mark.parametrize("start, rest", [
    (HEAD, b"a" * 100), (b"", HEAD), (b"POST /predict HTTP/1.1\r\n", b"X-Slow: " + b"a" * 1000),
    (HEAD.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked"), b"1\r\na\r\n" * 100),
], ids=["body", "request line", "headers", "chunks"])
def test_a_slow_client_is_timed_out_while_a_good_one_is_quick(start_server, start, rest):
    server = start_server("--read-timeout", "1")
    slow = [Connection(server.port) for _ in range(8)]
    began = time.monotonic()
    for connection in slow:
        connection.send(start)
    tricklers = [threading.Thread(target=trickle, args=(connection, rest, 0.2, 6)) for connection in slow]
    for thread in tricklers:
        thread.start()
    durations = []
    with Connection(server.port) as good:
        while any(thread.is_alive() for thread in tricklers):
            start_of_request = time.monotonic()
            assert good.exchange(BODY).status == 200
            durations.append(time.monotonic() - start_of_request)
            time.sleep(0.01)
    assert time.monotonic() - began < 3, "a slow client was served for longer than --read-timeout 1 allows"
    for connection in slow:
        try:
            answer = connection.answer()
        except CutAnswer as error:
            raise AssertionError(f"half an answer: {error}") from None
        assert answer is None or answer.status == 408 and answer.json()["error"]["type"] == "request_timeout", answer
        assert connection.rest() == b""
        connection.close()
    assert statistics.median(durations) < 0.1 and max(durations) < 1


def test_a_client_that_stops_in_its_body_is_told_408(start_server):
    server = start_server("--read-timeout", "1")
    with Connection(server.port) as connection:
        connection.send(HEAD + b"{")
        assert_refused(connection, (408,), "request_timeout")


def test_the_time_to_read_counts_from_each_requests_start(start_server):
    server = start_server("--read-timeout", "1")
    with Connection(server.port) as connection:
        for _ in range(4):
            assert connection.exchange(BODY).status == 200
            time.sleep(0.5)


def test_an_idle_connection_is_closed_after_the_idle_timeout(start_server):
    server = start_server("--idle-timeout", "1")
    with Connection(server.port) as silent, Connection(server.port) as kept:
        assert kept.exchange(BODY).status == 200
        time.sleep(0.4)
        assert kept.exchange(BODY).status == 200, "closed before its time"
        began = time.monotonic()
        assert kept.is_closed(within=4) and silent.is_closed(within=4)
        assert time.monotonic() - began > 0.4


def test_a_client_that_reads_nothing_does_not_fill_the_servers_memory(server):
    """Asks for far more than any buffer holds, and takes none of it."""
    before = server.memory()
    with Connection(server.port) as connection:
        connection.socket.settimeout(0.5)
        ask = request("/openapi.json") * 50
        sent = 0
        try:
            while sent < 32 * 2**20 and connection.send(ask):
                sent += len(ask)
        except TimeoutError:
            pass
        server.assert_answers()
        assert server.memory() < before + 48 * 2**20
        connection.reset()
    server.assert_answers()


# Gone

def test_a_half_closed_client_is_still_answered(server):
    with Connection(server.port) as connection:
        connection.send(BODY)
        connection.finish_sending()
        answer = connection.answer()
        assert answer is not None and answer.status == 200 and answer.json()["label"] == "positive"
        assert connection.is_closed()


def test_a_half_closed_client_is_answered_even_where_its_text_has_to_wait(start_server):
    server = start_server("--threads", "1")
    busy = keep_busy(server)
    with Connection(server.port) as connection:
        connection.send(BODY)
        connection.finish_sending()
        answer = connection.answer()
    assert answer is not None and answer.status == 200
    assert busy.result().status == 200


def test_pipelined_requests_of_a_half_closed_client_are_all_answered(server):
    with Connection(server.port) as connection:
        connection.send(BODY * 10)
        connection.finish_sending()
        assert [connection.answer().status for _ in range(10)] == [200] * 10
        assert connection.is_closed()


@pytest.mark.parametrize("leave", [Connection.close, Connection.reset], ids=["close", "reset"])
def test_a_text_whose_client_hung_up_is_never_run(start_server, leave):
    server = start_server("--threads", "1")
    busy = keep_busy(server, texts=64)
    clients = [Connection(server.port) for _ in range(20)]
    for client in clients:
        client.send(request(body={"texts": ["mine", "mine too"]}))
    until(lambda: server.metrics().value("http_requests_in_progress") >= 21, "their requests have arrived")
    time.sleep(0.1)  # for the last to be tokenized
    assert server.metrics().value("apus_queue_depth") > 40, "the engine was too fast: their texts did not wait"
    for client in clients:
        leave(client)
    assert busy.result().status == 200
    until(lambda: server.rejected("client_gone") >= 20, "all who left are counted")
    metrics = server.metrics()
    assert metrics.value("apus_queue_depth") == 0
    assert metrics.value("apus_batch_texts_sum") == 64, "a text was run that nobody waited for"
    server.assert_answers()


def test_clients_who_close_while_their_texts_wait_do_no_harm(start_server):
    server = start_server("--threads", "1")
    descriptors = server.descriptors()
    busy = keep_busy(server)
    for _ in range(50):
        with Connection(server.port) as connection:
            connection.send(BODY)
    assert busy.result().status == 200
    until(lambda: server.descriptors() <= descriptors + 2, "the descriptors are back")
    assert server.metrics().value("http_requests_in_progress") <= 1  # the one that asks
    server.assert_answers()


# Many

def test_a_thousand_connections_opened_and_dropped_leave_nothing_behind(server):
    before = server.descriptors()
    starts = [b"", b"POST /pre", HEAD, HEAD + b'{"text":', BODY, BODY * 3, b"\x16\x03\x01", b"GET /status HTTP/1.1\r\n"]
    generator = random.Random(1)

    def drop(number: int) -> None:
        connection = Connection(server.port)
        connection.send(starts[number % len(starts)])
        if generator.random() < 0.2:
            time.sleep(0.01)
        (connection.reset if number // len(starts) % 2 else connection.close)()

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(drop, range(1000)))
    held = [Connection(server.port) for _ in range(900)]
    for number, connection in enumerate(held):
        connection.send(starts[number % 5])
    server.assert_answers()
    for number, connection in enumerate(held):
        (connection.reset if number % 2 else connection.close)()
    until(lambda: server.descriptors() <= before + 4, "the descriptors are back", 10)
    server.assert_answers()


# What may be open beside the limit: connections for one request, and those that are about to close.
SPARE = 64
PROBES = ("/health/live", "/health/ready", "/health", "/ping", "/v2/health/live", "/v2/health/ready", "/status", "/metrics")


def ended(server, reason: str) -> float:
    return server.metrics().value("apus_connections_ended_total", reason=reason)


def test_idle_connections_over_the_limit_never_make_the_server_deaf(start_server):
    server = start_server("--max-connections", "16")
    before = server.descriptors()
    idle = [Connection(server.port) for _ in range(200)]
    time.sleep(0.2)  # as long as a place is sure
    for path in PROBES:
        with Connection(server.port) as probe:
            assert probe.exchange(request(path)).status == 200
    with Connection(server.port) as new:
        assert new.exchange(BODY).status == 200
        assert new.exchange(BODY).status == 200, "it got a place to keep"
    assert server.descriptors() <= before + 16 + SPARE
    assert idle[0].is_closed(), "the one that was idle longest is still there"
    assert ended(server, "displaced") >= 200 - 16 - SPARE
    for connection in idle:
        connection.close()
    until(lambda: server.descriptors() <= before + 4, "the descriptors are back")


def test_a_client_at_work_keeps_its_place_however_many_come(start_server):
    server = start_server("--max-connections", "16")
    stop = threading.Event()

    def crowd() -> None:
        """Connections of every kind that keep the server waiting, again and again."""
        held: list[Connection] = []
        while not stop.is_set():
            held.append(Connection(server.port))
            held[-1].send([b"", b"POST /pre", HEAD + b"{"][len(held) % 3])
            if len(held) > 100:
                held.pop(0).close()
        for connection in held:
            connection.close()

    thread = threading.Thread(target=crowd)
    with Connection(server.port) as good:
        assert good.exchange(BODY).status == 200
        thread.start()
        try:
            for _ in range(300):
                assert good.exchange(BODY).status == 200
        finally:
            stop.set()
            thread.join()
    assert ended(server, "displaced") > 0


@pytest.fixture
def full_server(start_server):
    """One whose four places are taken by clients whose texts wait; they are answered in a few seconds."""
    server = start_server("--threads", "1", "--max-connections", "4", "--request-timeout", "300")
    busy = keep_busy(server, texts=96)
    waiting: list[Connection] = []
    while len(waiting) < 3:
        connection = Connection(server.port, timeout=120)
        connection.send(BODY)
        if select.select([connection.socket], [], [], 0.3)[0]:
            connection.close()  # a 503: one that asked for metrics had the place still
        else:
            waiting.append(connection)
    until(lambda: server.metrics().value("http_requests_in_progress") >= 5, "all places are at work")
    yield server
    assert busy.result(120).status == 200
    assert [connection.answer().status for connection in waiting] == [200] * 3, "one at work lost its place"
    for connection in waiting:
        connection.close()


def test_where_nobody_is_idle_supervisors_are_answered_and_others_are_told_503(full_server):
    before = ended(full_server, "no_place")
    for path in PROBES:
        for method in ("GET", "HEAD"):
            with Connection(full_server.port) as probe:
                probe.send(request(path, method=method))
                answer = probe.answer(to_head=method == "HEAD")
                assert (answer.status, answer.headers["connection"]) == (200, "close"), path
                assert probe.is_closed()
    for other in (BODY, request("/info"), request("/status", body={}), HEAD, request("/v2")):
        with Connection(full_server.port) as client:
            answer = client.exchange(other)
            assert (answer.status, answer.headers["connection"], answer.headers["retry-after"]) == (503, "close", "1")
            assert answer.json()["error"]["type"] == "too_many_connections" and "all 4 connections" in answer.body.decode()
    with Connection(full_server.port) as client:
        assert client.exchange(request("/health", headers={"X-Long": "a" * 3000})).status == 431
    assert ended(full_server, "no_place") == before + 5


def test_connections_that_send_nothing_do_not_keep_supervisors_out_where_nobody_is_idle(full_server):
    before = full_server.descriptors()
    starts = [b"", b"GET /hea", HEAD]
    crowd = [Connection(full_server.port) for _ in range(300)]
    for number, connection in enumerate(crowd):
        connection.send(starts[number % 3])
        if number % 30 == 29:
            with Connection(full_server.port) as probe:
                assert probe.exchange(request("/health/live")).status == 200
            assert full_server.descriptors() <= before + SPARE
    for connection in crowd:
        connection.close()


def test_slow_clients_lose_their_places_to_new_ones_once_they_have_had_a_second(start_server):
    server = start_server("--max-connections", "4")
    slow = [Connection(server.port) for _ in range(4)]
    for number, connection in enumerate(slow):
        connection.send([b"POST /pre", HEAD][number % 2])
        time.sleep(0.1)  # so that the first is the first, whichever event loop it is on
    time.sleep(1)
    with Connection(server.port) as new:
        assert new.exchange(BODY).status == 200
    assert slow[0].is_closed()
    assert ended(server, "displaced") >= 1


def test_connections_that_the_server_ends_are_counted_by_what_their_clients_did(start_server):
    server = start_server("--read-timeout", "0.5", "--idle-timeout", "0.5")
    clients = [Connection(server.port) for _ in range(3)]
    clients[1].send(b"POST /pre")
    clients[2].send(HEAD + b"{")
    with Connection(server.port) as reader:
        reader.socket.settimeout(0.5)
        ask = request("/docs/swagger-ui-bundle.js") * 20
        reader.send(ask)
        until(lambda: ended(server, "slow_reader") == 1, "the one that reads nothing is given up")
    for number, reason in enumerate(["idle", "slow_head", "slow_body"]):
        until(lambda reason=reason: ended(server, reason) >= 1, reason)
        clients[number].rest()
        clients[number].close()


def test_a_large_last_answer_that_is_read_slowly_comes_whole(server):
    with Connection(server.port) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(request("/docs/swagger-ui-bundle.js", headers={"Connection": "close"}))
        time.sleep(0.5)
        answer = connection.answer()
        assert answer.status == 200 and len(answer.body) == int(answer.headers["content-length"]) > 1_000_000
        assert connection.is_closed()


def answers(server) -> bool:
    try:
        with Connection(server.port, timeout=2) as connection:
            connection.send(BODY)
            answer = connection.answer()
            return answer is not None and answer.status == 200
    except OSError:
        return False


def test_long_texts_of_one_client_do_not_hold_up_the_health_check(start_server):
    server = start_server("--threads", "1")
    busy = keep_busy(server)
    began = time.monotonic()
    with Connection(server.port) as connection:
        assert connection.exchange(request("/health/live")).status == 200
    assert time.monotonic() - began < 0.25
    assert busy.result().status == 200
