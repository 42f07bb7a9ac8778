"""HTTP over a bare socket: what a library would never send, and what it would hide of the answer."""

from __future__ import annotations

import json
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any


class CutAnswer(Exception):
    """The connection ended in the middle of an answer."""


@dataclass
class Answer:
    status: int
    version: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    path: str = "/predict", body: bytes | Any = None, *, method: str | None = None, headers: dict[str, str] | None = None,
    version: str = "1.1",
) -> bytes:
    """A well-formed request. A body that is not bytes is sent as JSON."""
    lines = {"Host": "apus"}
    if body is not None:
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= headers or {}
    method = method or ("GET" if body is None else "POST")
    head = f"{method} {path} HTTP/{version}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + (body or b"")


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


class Connection:
    def __init__(self, port: int, timeout: float = 15):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Ends the connection by an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def finish_sending(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> bool:
        """Whether all was taken; the server may have closed."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def exchange(self, data: bytes, **options: Any) -> Answer:
        self.send(data)
        answer = self.answer(**options)
        assert answer is not None, "the connection was closed without an answer"
        return answer

    def answer(self, to_head: bool = False, interim: bool = False) -> Answer | None:
        """The next answer; None where the connection ended before one began. Interim ones (100 Continue) are skipped, as
        every client has to, unless they are what is asked for."""
        try:
            while True:
                answer = self._answer(to_head)
                if interim or answer is None or answer.status >= 200:
                    return answer
        except TimeoutError:
            raise AssertionError(f"no answer within {self.socket.gettimeout()} s; received {self._received!r}") from None

    def _answer(self, to_head: bool) -> Answer | None:
        while b"\r\n\r\n" not in self._received:
            if not self._receive():
                if self._received:
                    raise CutAnswer(repr(self._received))
                return None
        head, self._received = self._received.split(b"\r\n\r\n", 1)
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = status_line.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        answer = Answer(int(status), version, headers, b"")
        if to_head or answer.status < 200 or answer.status in (204, 304):
            return answer
        if "chunked" in headers.get("transfer-encoding", ""):
            answer.body = self._chunks()
        elif "content-length" in headers:
            answer.body = self._take(int(headers["content-length"]))
        else:
            while self._receive():
                pass
            answer.body, self._received = self._received, b""
        return answer

    def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._received:
                self._receive_more()
            line, self._received = self._received.split(b"\r\n", 1)
            size = int(line.split(b";")[0], 16)
            if size == 0:
                self._take(2)
                return body
            body += self._take(size)
            self._take(2)

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            self._receive_more()
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def _receive_more(self) -> None:
        if not self._receive():
            raise CutAnswer(repr(self._received))

    def _receive(self) -> bool:
        """Reads what there is, or waits for it; False where the connection has ended."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self._received += data
        return bool(data)

    def is_closed(self, within: float = 5) -> bool:
        """Whether the server ends the connection in this time, without sending more."""
        self.socket.settimeout(within)
        try:
            return not self._receive()
        except TimeoutError:
            return False

    def rest(self, within: float = 5) -> bytes:
        """All that comes until the server ends the connection; fails where it does not."""
        deadline = time.monotonic() + within
        while True:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                if not self._receive():
                    return self._received
            except TimeoutError:
                raise AssertionError(f"still open after {within} s; received {self._received[-500:]!r}") from None


def assert_refused(connection: Connection, statuses: tuple[int, ...] = (400,), type: str | None = None) -> None:
    """One answer of these statuses, in the form that errors have, then the end of the connection."""
    answer = connection.answer()
    assert answer is not None, "the connection was closed without an answer"
    assert answer.status in statuses, answer
    assert answer.headers.get("content-type", "").startswith("application/json"), answer
    error = answer.json()["error"]
    assert error["message"] and (type is None or error["type"] == type), error
    assert "x-request-id" in answer.headers and "server-timing" in answer.headers, answer.headers
    assert connection.rest() == b"", "something came after the refusal"
