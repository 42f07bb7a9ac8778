"""HTTP/2 by prior knowledge: by clients of the field, and by frames that none of them sends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import subprocess
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import httpx
import pytest

from apus_server import until
from raw_http import Connection, request
from traffic import different_texts, keep_busy, long_texts

# h2 takes a connection for closed where the server says that it will be: what is under way goes on (RFC 9113, 6.8).
_MACHINE = h2.connection.H2ConnectionStateMachine
_MACHINE._transitions[h2.connection.ConnectionState.CLIENT_OPEN, h2.connection.ConnectionInputs.RECV_GOAWAY] = (
    None, h2.connection.ConnectionState.CLIENT_OPEN)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CALM = h2.errors.ErrorCodes.ENHANCE_YOUR_CALM
CALL = [("content-type", "application/grpc"), ("te", "trailers")]


class Client:
    """A connection in HTTP/2, frame by frame; what the server says is in `events`."""

    def __init__(self, port: int, **settings: int):
        self.socket = socket.create_connection(("127.0.0.1", port), 15)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = h2.config.H2Configuration(
            client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        # Whoever takes no account of the server's limits may try them.
        self.h2.remote_settings.max_concurrent_streams = 1 << 30
        self.h2.initiate_connection()
        if settings:
            self.h2.update_settings({getattr(h2.settings.SettingCodes, name): value for name, value in settings.items()})
        self.events: list[h2.events.Event] = []
        self.is_closed = False
        self.flush()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def flush(self) -> bool:
        return self.send(self.h2.data_to_send())

    def send(self, data: bytes) -> bool:
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def ask(self, path: str = "/predict", body: bytes | None = b'{"text": "I love MLOps"}', method: str | None = None,
            headers: list[tuple[str, str]] | None = None, ends: bool = True) -> int:
        """A request on a new stream; its number."""
        stream = self.h2.get_next_available_stream_id()
        method = method or ("GET" if body is None else "POST")
        pseudo = [(":method", method), (":scheme", "http"), (":authority", "apus"), (":path", path)]
        self.h2.send_headers(stream, pseudo + (headers or []), end_stream=ends and body is None)
        while body is not None:
            part, body = body[:16_384], body[16_384:] or None
            while self.h2.local_flow_control_window(stream) < len(part):
                known = len(self.of(h2.events.WindowUpdated))
                self.wait(lambda _: len(self.of(h2.events.WindowUpdated)) > known)
            self.h2.send_data(stream, part, end_stream=ends and body is None)
            self.flush()
        self.flush()
        return stream

    def wait(self, condition, seconds: float = 15):
        """The first event for which it holds; None where the connection ends before."""
        seen = 0
        deadline = time.monotonic() + seconds
        while True:
            for event in self.events[seen:]:
                if condition(event):
                    return event
            seen = len(self.events)
            if self.is_closed:
                return None
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                raise AssertionError(f"not within {seconds} s; {self.events}") from None
            except OSError:
                data = b""
            if data:
                try:
                    self.events += self.h2.receive_data(data)
                except h2.exceptions.ProtocolError as error:
                    # What answers frames that h2 knows nothing of.
                    assert "RECV_RST_STREAM in state ConnectionState.IDLE" in str(error)
                self.flush()
            else:
                self.is_closed = True

    def of(self, kind: type, stream: int | None = None) -> list:
        return [event for event in self.events
                if isinstance(event, kind) and (stream is None or event.stream_id == stream)]

    def answer(self, stream: int, seconds: float = 15) -> tuple[int, dict[str, str], bytes, dict[str, str]]:
        """Status, headers, body and trailers."""
        ended = self.wait(lambda event: isinstance(event, h2.events.StreamEnded) and event.stream_id == stream, seconds)
        assert ended, f"no answer: {self.events}"
        headers = dict(self.of(h2.events.ResponseReceived, stream)[0].headers)
        trailers = [dict(event.headers) for event in self.of(h2.events.TrailersReceived, stream)]
        body = b"".join(event.data for event in self.of(h2.events.DataReceived, stream))
        text = lambda fields: {name.decode(): value.decode() for name, value in fields.items()}  # noqa: E731
        return int(headers[b":status"]), text(headers), body, text(trailers[0]) if trailers else {}

    def end(self, seconds: float = 15) -> h2.errors.ErrorCodes | int | None:
        """Waits for the connection's end; why the server says that it ends it."""
        self.wait(lambda _: False, seconds)
        told = self.of(h2.events.ConnectionTerminated)
        return told[-1].error_code if told else None


def is_reset(stream: int):
    return lambda event: isinstance(event, h2.events.StreamReset) and event.stream_id == stream


# Clients of the field

def curl(*arguments: str) -> bytes:
    return subprocess.run(["curl", "-sS", "--http2-prior-knowledge", *arguments], check=True, capture_output=True).stdout


def test_curl_asks_by_http2(server):
    version = ["-w", "\n%{http_version} %{http_code}"]
    assert curl(server.url + "/health/ready", *version).split(b"\n")[1] == b"2 200"
    answer, status = curl("--json", '{"text": "I love MLOps"}', server.url + "/predict", *version).split(b"\n")
    assert b'"label":"positive"' in answer and status == b"2 200"
    assert curl("-I", server.url + "/status").startswith(b"HTTP/2 200")
    script = curl(server.url + "/docs/swagger-ui-bundle.js")
    assert len(script) > 1 << 20 and script == curl("--http1.1", server.url + "/docs/swagger-ui-bundle.js")
    assert curl("--json", '{"text": "a"', server.url + "/predict", *version).endswith(b"2 400")
    assert curl("-X", "PUT", server.url + "/predict", *version).endswith(b"2 405")


def test_curl_is_told_before_it_sends_a_large_body(server, tmp_path):
    large, larger = tmp_path / "large", tmp_path / "larger"
    large.write_bytes(b" " * ((2 << 20) - 100) + b"{")
    larger.write_bytes(b" " * (3 << 20))
    for file, status in ((large, b"400"), (larger, b"413")):
        began = time.monotonic()
        assert curl("--json", f"@{file}", server.url + "/predict", "-o", "/dev/null", "-w", "%{http_code}") == status
        assert time.monotonic() - began < 5


def test_httpx_shares_a_connection_among_a_hundred_requests(server):
    texts = different_texts(300)

    async def ask(version: int) -> list[dict]:
        limits = httpx.Limits(max_connections=1 if version == 2 else 32)
        async with httpx.AsyncClient(http1=version == 1, http2=version == 2, limits=limits, timeout=60) as client:
            answers = await asyncio.gather(*(client.post(server.url + "/predict", json={"text": text}) for text in texts))
        assert {answer.http_version for answer in answers} == {"HTTP/2" if version == 2 else "HTTP/1.1"}
        return [answer.json() for answer in answers]

    assert asyncio.run(ask(2)) == asyncio.run(ask(1))


# One protocol or the other

def test_the_preface_may_come_byte_by_byte(server):
    with Connection(server.port) as connection:
        for byte in PREFACE:
            assert connection.send(bytes([byte]))
            time.sleep(0.002)
        connection.send(b"\0\0\0\4\0\0\0\0\0")
        assert connection.socket.recv(9)[3] == 4, "the server's settings"


@pytest.mark.parametrize("start", [b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"])
def test_a_preface_that_does_not_come_whole_is_a_late_request(start_server, start):
    server = start_server("--read-timeout", "0.5")
    with Connection(server.port) as connection:
        connection.send(start)
        assert connection.answer().status == 408
    assert server.metrics().value("apus_connections_ended_total", reason="slow_head") == 1


@pytest.mark.parametrize("start", [b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n"])
def test_what_begins_nearly_as_http2_is_no_request(server, start):
    with Connection(server.port) as connection:
        connection.send(start)
        assert connection.answer().status == 400


def test_a_post_whose_bytes_come_one_by_one_is_http1(server):
    with Connection(server.port) as connection:
        for byte in request(body={"text": "I love MLOps"}):
            connection.send(bytes([byte]))
        assert connection.answer().status == 200


def test_a_client_that_hangs_up_in_the_preface_is_told_as_before(server):
    with Connection(server.port) as connection:
        connection.send(b"PRI *")
        connection.socket.shutdown(socket.SHUT_WR)
        answer = connection.answer()
        assert answer is None or answer.status == 400


# A request and its answer

def test_a_call_has_its_status_behind_the_answer(start_server):
    server = start_server()  # one of its own: a deadline that passes is counted as a 504
    with Client(server.port) as client:
        status, headers, body, trailers = client.answer(
            client.ask("/inference.GRPCInferenceService/ServerLive", b"\0\0\0\0\0", headers=CALL))
        assert (status, headers["content-type"], body, trailers) == (
            200, "application/grpc", b"\0\0\0\0\2\x08\1", {"grpc-status": "0"})
        status, headers, body, trailers = client.answer(
            client.ask("/inference.GRPCInferenceService/ServerLive", b"\0\0\0\0\5", headers=CALL))
        assert (status, body, trailers["grpc-status"]) == (200, b"", "3") and "grpc-status" not in headers
        assert "5 bytes" in trailers["grpc-message"]
        late = CALL + [("grpc-timeout", "1n")]
        infer = "/inference.GRPCInferenceService/ModelInfer"
        tensor = b"\x0a\x01a\x12\x05BYTES\x1a\x01\x01\x2a\x03\x42\x01a"
        message = b"\x2a" + bytes([len(tensor)]) + tensor
        body = b"\0" + struct.pack(">I", len(message)) + message
        assert client.answer(client.ask(infer, body, headers=CALL))[3] == {"grpc-status": "0"}
        assert client.answer(client.ask(infer, body, headers=late))[3]["grpc-status"] == "4"
        wrong = client.answer(client.ask(infer, body, headers=CALL + [("grpc-timeout", "soon")]))[3]
        assert wrong["grpc-status"] == "3" and "grpc-timeout" in wrong["grpc-message"]


def test_an_answer_to_half_a_request_ends_its_stream_and_no_other(server):
    with Client(server.port) as client:
        refused = client.ask(body=b"", headers=[("content-length", str(3 << 20))], ends=False)
        assert client.answer(refused)[0] == 413
        assert client.wait(is_reset(refused)).error_code == h2.errors.ErrorCodes.NO_ERROR
        assert client.answer(client.ask())[0] == 200


def test_a_head_request_has_the_length_and_no_body(server):
    with Client(server.port) as client:
        status, headers, body, _ = client.answer(client.ask("/info", None, method="HEAD"))
        assert (status, body) == (200, b"") and int(headers["content-length"]) > 100
        assert client.answer(client.ask())[0] == 200


def test_a_client_that_resets_has_left(start_server):
    server = start_server("--threads", "1")
    busy = keep_busy(server)
    with Client(server.port) as client:
        stream = client.ask()
        until(lambda: server.metrics().value("apus_queue_depth") > 0, "the text waits")
        client.h2.reset_stream(stream)
        client.flush()
        assert busy.result().status == 200
        until(lambda: server.rejected("client_gone") == 1, "the text was dropped")
        assert client.answer(client.ask())[0] == 200


# Limits

def test_a_slow_body_is_told_so_while_other_streams_are_answered(start_server):
    server = start_server("--read-timeout", "0.5")
    with Client(server.port) as client:
        slow = client.ask(body=b"{", ends=False)
        assert client.answer(client.ask())[0] == 200
        status, _, body, _ = client.answer(slow)
        assert status == 408 and b"request_timeout" in body
        assert client.answer(client.ask())[0] == 200
    assert server.metrics().value("apus_connections_ended_total", reason="slow_body") == 1


def test_an_answer_that_is_not_taken_ends_its_stream(start_server):
    server = start_server("--idle-timeout", "1")
    with Client(server.port, INITIAL_WINDOW_SIZE=10) as client:
        stream = client.ask()
        assert client.wait(is_reset(stream)).error_code == h2.errors.ErrorCodes.CANCEL
    assert server.metrics().value("apus_connections_ended_total", reason="slow_reader") == 1


def test_an_idle_connection_is_told_that_it_ends(start_server):
    server = start_server("--idle-timeout", "0.5")
    with Client(server.port) as client:
        assert client.answer(client.ask())[0] == 200
        assert client.end(5) == h2.errors.ErrorCodes.NO_ERROR
        assert client.of(h2.events.ConnectionTerminated)[-1].last_stream_id == 1
    assert server.metrics().value("apus_connections_ended_total", reason="idle") == 1


def test_large_bodies_of_all_streams_have_a_limit_together(start_server):
    server = start_server("--max-body-bytes", "20000", "--read-timeout", "10")
    clients = [Client(server.port) for _ in range(2)]
    for client in clients:
        for _ in range(60):
            client.ask(body=b"a" * 17_000, ends=False)
    statuses = []
    for client in clients:
        # Which of them found room is chance; they wait for the rest of their bodies.
        with contextlib.suppress(AssertionError):
            client.wait(lambda _: False, 2)
        statuses += [client.answer(event.stream_id)[0] for event in client.of(h2.events.StreamEnded)]
    assert set(statuses) == {429} and 120 - 64 - 11 <= len(statuses) <= 120 - 40
    for client in clients:
        client.socket.close()
    until(lambda: server.predict("I love MLOps").status_code == 200, "there is room again")


def test_beyond_the_limit_of_connections_probes_are_answered(start_server):
    server = start_server("--max-connections", "2", "--threads", "1", "--request-timeout", "60")
    # A client whose request is being answered keeps its place.
    held = [Client(server.port) for _ in range(2)]
    texts = json.dumps({"texts": long_texts(32)}).encode()
    busy = [(client, client.ask(body=texts)) for client in held]
    time.sleep(0.3)
    with Client(server.port) as probe:
        assert probe.answer(probe.ask("/health/live", None))[0] == 200
        assert probe.end(5) == h2.errors.ErrorCodes.NO_ERROR
    with Client(server.port) as probe:
        answer = probe.answer(probe.ask("/grpc.health.v1.Health/Check", b"\0\0\0\0\0", headers=CALL))
        assert answer[2:] == (b"\0\0\0\0\2\x08\1", {"grpc-status": "0"})
    with Client(server.port) as other:
        status, headers, body, _ = other.answer(other.ask())
        assert status == 503 and headers["retry-after"] == "1" and b"too_many_connections" in body
        assert other.end(5) == h2.errors.ErrorCodes.NO_ERROR
    for client, stream in busy:
        assert client.answer(stream, 60)[0] == 200
        client.socket.close()
    until(lambda: server.predict("I love MLOps").status_code == 200, "the places are free")


# Hostile

def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


# Fields of a POST to /predict, by HPACK's static table where it has them.
POST = b"\x83\x86\x44\x08/predict\x41\x04apus"
HEADERS, DATA, PRIORITY, RESET, SETTINGS, PUSH, PING, WINDOW, CONTINUATION = 1, 0, 2, 3, 4, 5, 6, 8, 9


@pytest.mark.parametrize("frames, codes", [
    (frame(HEADERS, 5, 2, POST), {1}),
    (frame(HEADERS, 5, 0, POST), {1}),
    (frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff"), {9}),
    (frame(HEADERS, 1, 1, POST) + frame(DATA, 0, 1), {1}),
    (frame(HEADERS, 4, 1, POST) + frame(HEADERS, 4, 1, POST), {1, None}),
    (frame(HEADERS, 4, 1, b"\x83\x86\x44\x08/predict\x40\x01A\x01b"), {1, None}),
    (frame(HEADERS, 4, 1, b"\x83\x86\x41\x04apus"), {1, None}),
    (frame(DATA, 0, 0, b"a"), {1}),
    (frame(DATA, 1, 1, b"a"), {1, 5}),
    (frame(PUSH, 4, 1, b"\0\0\0\2" + POST), {1}),
    (frame(PING, 0, 0, b"short"), {6}),
    (frame(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"), {3}),
    (frame(SETTINGS, 1, 0, b"a" * 6), {6}),
    (frame(WINDOW, 0, 0, b"\0\0\0\0"), {1, None}),
    (frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"), {3}),
    (frame(DATA, 0, 1, b"a" * 20_000), {6}),
    (frame(HEADERS, 0, 1, POST) + frame(CONTINUATION, 0, 1, b"\x40\x01a\x7f\xa1\xff\x01" + b"a" * 16_000) * 8, {9, 11, 1}),
    (frame(HEADERS, 0, 1, POST) + frame(CONTINUATION, 0, 1) * 20, {11, 1}),
    (frame(HEADERS, 4, 1, POST) + frame(DATA, 0, 1) * 3, {11}),
    (frame(PING, 0, 0, b"eight by") * 5000, {11}),
    (frame(SETTINGS, 0, 0) * 5000, {11}),
    (frame(PRIORITY, 0, 3, b"\0\0\0\1\1") * 5000, {11}),
    (b"".join(frame(HEADERS, 4, n, POST) + frame(RESET, 0, n, b"\0\0\0\x08") for n in range(1, 4001, 2)), {11}),
    (b"".join(frame(HEADERS, 4, n, POST) for n in range(1, 401, 2)), {1, 7}),
], ids=[
    "even stream", "stream 0", "bad HPACK", "DATA within a head", "two heads", "capital name", "no path", "DATA on stream 0",
    "DATA on an idle stream", "push", "short ping", "large window", "long ack", "no window", "window overflow", "large frame",
    "large head", "empty continuations", "empty DATA", "pings", "settings", "priorities", "rapid reset", "too many streams"])
def test_hostile_frames_end_their_connection(server, frames, codes):
    with Client(server.port) as client:
        client.send(frames)
        assert client.end() in codes, client.events
    server.assert_answers()


def test_random_damage_ends_connections_and_nothing_else(server):
    generator = random.Random(20261128)
    whole = PREFACE + frame(SETTINGS, 0, 0) + b"".join(
        frame(HEADERS, 4, n, POST) + frame(DATA, 1, n, b'{"text": "a"}') for n in range(1, 21, 2))
    before = server.descriptors()
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(generator.randint(1, 6)):
            place = generator.randrange(len(PREFACE), len(damaged))
            if generator.random() < 0.5:
                damaged[place] = generator.randrange(256)
            else:
                damaged[place:place + generator.randint(0, 9)] = generator.randbytes(generator.randint(0, 9))
        with Connection(server.port, timeout=5) as connection:
            connection.send(bytes(damaged))
            connection.socket.shutdown(socket.SHUT_WR)
            try:
                while connection.socket.recv(65536):
                    pass
            except ConnectionResetError:
                pass
    until(lambda: server.descriptors() <= before + 2, "the connections are closed")
    assert server.metrics().value("http_requests_total", status="500") == 0
    server.assert_answers()
