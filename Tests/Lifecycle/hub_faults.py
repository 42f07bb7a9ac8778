"""What can go wrong between a client and the Hub: functions that alter an answer, for FakeHub.fault."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fake_hub import Answer, Request

Alter = Callable[[Answer, Request], None]

LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Log in to the guest network</title></head><body>Welcome</body></html>"


def cut(after: int) -> Alter:
    """The connection ends after so many bytes of the body."""
    def alter(answer: Answer, _: Request) -> None:
        answer.cut_after = after
    return alter


def stall(after: int, resume: threading.Event | None = None) -> Alter:
    """After so many bytes of the body, nothing more comes until `resume` is set, the client leaves, or the hub is closed.
    FakeHub.stalling tells when it has come so far."""
    def alter(answer: Answer, _: Request) -> None:
        answer.stall_after = after
        answer.resume = resume or threading.Event()
    return alter


def slow(seconds: float) -> Alter:
    """The body comes in twenty pieces, over so many seconds."""
    def alter(answer: Answer, _: Request) -> None:
        answer.seconds = seconds
    return alter


def missing_bytes(count: int) -> Alter:
    """A whole answer, but of a file that is shorter than it was listed."""
    def alter(answer: Answer, _: Request) -> None:
        answer.end -= count
    return alter


def additional_bytes(count: int) -> Alter:
    """A whole answer, but of a file that is longer than it was listed."""
    def alter(answer: Answer, _: Request) -> None:
        content = answer.content if isinstance(answer.content, bytes) else answer.content.read_bytes()
        answer.content = content[:answer.end] + bytes(count)
        answer.end += count
    return alter


def announced_length(difference: int) -> Alter:
    """A Content-Length that is not the body's."""
    def alter(answer: Answer, _: Request) -> None:
        answer.headers["Content-Length"] = str(answer.end - answer.start + difference)
    return alter


def other_bytes(answer: Answer, _: Request) -> None:
    """As many bytes, one of them another: the last, so that a part which was kept before looks right."""
    content = bytearray(answer.content if isinstance(answer.content, bytes) else answer.content.read_bytes())
    content[answer.end - 1] ^= 1
    answer.content = bytes(content)


def ignore_range(answer: Answer, request: Request) -> None:
    """The whole file in answer to a request for a part, as the standard allows."""
    if answer.status == 206:
        answer.status = 200
        del answer.headers["Content-Range"]
        content = answer.content
        answer.start, answer.end = 0, len(content) if isinstance(content, bytes) else content.stat().st_size


def wrong_range(answer: Answer, request: Request) -> None:
    """A part in answer to a request for a part, but another one."""
    if answer.status == 206:
        total = answer.headers["Content-Range"].rpartition("/")[2]
        answer.start, answer.end = 0, answer.end - answer.start
        answer.headers["Content-Range"] = f"bytes 0-{answer.end - 1}/{total}"


def _replace(answer: Answer, by: Answer) -> None:
    vars(answer).update(vars(by))


def status(code: int, headers: dict[str, str] | None = None) -> Alter:
    """An error that is not about this request."""
    def alter(answer: Answer, _: Request) -> None:
        _replace(answer, Answer.text(code, "Something went wrong.", headers))
    return alter


def rate_limited(seconds: int) -> Alter:
    return status(429, {"Retry-After": str(seconds)})


def login_page(answer: Answer, _: Request) -> None:
    """What a guest network or a proxy puts in place of every answer, with a status that claims success."""
    _replace(answer, Answer.text(200, LOGIN_PAGE, kind="text/html"))


def header(name: str, value: str) -> Alter:
    def alter(answer: Answer, _: Request) -> None:
        answer.headers[name] = value
    return alter


def redirect(location: str | None = None, status: int = 302) -> Alter:
    """To another address, or to the same once more."""
    def alter(answer: Answer, request: Request) -> None:
        _replace(answer, Answer.text(status, "Found.", {**answer.headers, "Location": location or request.path}))
        answer.headers.pop("Content-Range", None)
    return alter


def edited(change: Callable[[dict], None]) -> Alter:
    """JSON that was changed on its way."""
    def alter(answer: Answer, _: Request) -> None:
        change(answer.json)
    return alter


def names_only(listing: dict) -> None:
    """As a mirror lists a repository: no sizes, no hashes. For `edited`."""
    listing["siblings"] = [{"rfilename": sibling["rfilename"]} for sibling in listing["siblings"]]
