"""A fake Hugging Face Hub on loopback, with a CDN on another host, that speaks what the Hub speaks and fails on demand.

By hand, for a walk-through:

    python Tests/Lifecycle/fake_hub.py org/model=DIRECTORY …
    HF_ENDPOINT=http://127.0.0.1:PORT apus pull org/model

What it sends was read from huggingface_hub's client and from the Hub's answers: small files are a 307 to a relative address
that carries the commit in its path, large ones a 302 to a signed address at the CDN, with their hash and size on the 302.
"""

from __future__ import annotations

import gzip
import json
import re
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from hub_files import File, Repository, files_of

TOKEN = "hf_TokenThatOpensEverything"
STRANGERS_TOKEN = "hf_TokenOfSomebodyWithoutAccess"
SIGNATURE = "X-Signature=signed"
SEND_BYTES = 1 << 16

ID = r"(?P<id>[^/]+(?:/[^/]+)?)"
REVISION = r"(?P<revision>[^/]+)"
ROUTES = {
    "resolve-cache": re.compile(f"/api/resolve-cache/models/{ID}/{REVISION}/(?P<file>.+)"),
    "info": re.compile(f"/api/models/{ID}/revision/{REVISION}"),
    "tree": re.compile(f"/api/models/{ID}/tree/{REVISION}"),
    "default info": re.compile(f"/api/models/{ID}"),
    "resolve": re.compile(f"/{ID}/resolve/{REVISION}/(?P<file>.+)"),
}


@dataclass
class Request:
    """One that was received; what became of it is filled in when it is answered."""

    host: str  # hub or cdn
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    kind: str = ""  # info, tree, resolve, or file where it is for a file's bytes
    file: str = ""
    status: int = 0
    sent: int = 0  # bytes of the body

    @property
    def token(self) -> str | None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" else None


@dataclass
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | Path = b""
    start: int = 0
    end: int = 0
    json: Any = None  # sent in place of the content
    chunked: bool = False
    cut_after: int | None = None  # bytes of the body, then the connection ends
    stall_after: int | None = None  # bytes of the body, then nothing comes until `resume`
    resume: threading.Event = field(default_factory=threading.Event)
    seconds: float = 0  # over which the body is spread

    @staticmethod
    def text(status: int, text: str, headers: dict[str, str] | None = None, kind: str = "text/plain") -> Answer:
        content = text.encode()
        return Answer(status, {"Content-Type": f"{kind}; charset=utf-8", **(headers or {})}, content, 0, len(content))

    @staticmethod
    def error(status: int, code: str | None, message: str, headers: dict[str, str] | None = None) -> Answer:
        codes = {"X-Error-Code": code} if code else {}
        return Answer(status, {**codes, "X-Error-Message": message, **(headers or {})}, json={"error": message})

    def pieces(self) -> Iterator[bytes]:
        """The body, up to where it is cut."""
        end = self.end if self.cut_after is None else min(self.end, self.start + self.cut_after)
        stops = [self.start + self.stall_after] if self.stall_after is not None else []
        size = SEND_BYTES if not self.seconds else max(1, (end - self.start) // 20)
        file = None if isinstance(self.content, bytes) else self.content.open("rb")
        try:
            position = self.start
            while position < end:
                stop = min([position + size, end, *(stop for stop in stops if stop > position)])
                if file:
                    file.seek(position)
                    yield file.read(stop - position)
                else:
                    yield self.content[position:stop]
                position = stop
        finally:
            if file:
                file.close()


@dataclass
class Fault:
    alter: Callable[[Answer, Request], None]
    kind: str
    file: str | None
    method: str | None
    times: int | None
    hits: int = 0

    def concerns(self, request: Request) -> bool:
        return (request.kind == self.kind and self.file in (None, request.file) and self.method in (None, request.method)
                and (self.times is None or self.hits < self.times))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        hub = self.server.hub
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.server.name, self.command, self.path, headers)
        answer = hub.answer(request)
        if answer.json is not None:
            answer.content = json.dumps(answer.json).encode()
            answer.start, answer.end = 0, len(answer.content)
            answer.headers.setdefault("Content-Type", "application/json; charset=utf-8")
        if not answer.chunked:
            answer.headers.setdefault("Content-Length", str(answer.end - answer.start))
        request.status = answer.status
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        try:
            self.end_headers()
            if request.method != "HEAD":
                self.send_body(answer, request)
        except OSError:
            self.close_connection = True

    do_HEAD = do_GET

    def send_body(self, answer: Answer, request: Request) -> None:
        for piece in answer.pieces():
            if answer.stall_after == request.sent:
                self.stall(answer)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if answer.chunked else piece)
            request.sent += len(piece)
            time.sleep(answer.seconds / 20)
        if answer.chunked:
            self.wfile.write(b"0\r\n\r\n")
        if answer.cut_after is not None or int(answer.headers.get("Content-Length", request.sent)) != request.sent:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def stall(self, answer: Answer) -> None:
        """Sends nothing until the answer may go on, the client has left, or the hub is closed."""
        hub = self.server.hub
        hub.stalling.release()
        while not answer.resume.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.01)
            if hub.is_closed.is_set() or readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionAbortedError


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub: FakeHub, name: str, port: int = 0, tls: ssl.SSLContext | None = None):
        super().__init__(("127.0.0.1", port), Handler)
        if tls:  # a handshake is the thread's of its connection, at its first read
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.hub = hub
        self.name = name
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """A client that leaves is no news."""


class FakeHub:
    def __init__(self, port: int = 0, *, path: str = "", tls: ssl.SSLContext | None = None):
        """`path` is where a mirror has it, behind its own host's name."""
        self.path = path
        self._scheme = "https" if tls else "http"
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.is_closed = threading.Event()
        self.stalling = threading.Semaphore(0)  # released each time that an answer begins to stall
        self._lock = threading.Lock()
        self._listeners = [Listener(self, "hub", port, tls), Listener(self, "cdn", tls=tls)]

    def __enter__(self) -> FakeHub:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Afterwards nobody listens at its addresses."""
        self.is_closed.set()
        for listener in self._listeners:
            listener.shutdown()
            listener.server_close()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._listeners[0].server_port}{self.path}"

    @property
    def cdn_url(self) -> str:
        """Another host by name as well as by port."""
        return f"{self._scheme}://localhost:{self._listeners[1].server_port}"

    # What it holds

    def add(
        self, id: str, files: Path | Mapping[str, bytes | Path], *, branch: str = "main", private: bool = False,
        gated: bool = False,
    ) -> str:
        """A new commit on a branch of a repository, which is made where there is none; the commit's hash."""
        repository = self.repositories.setdefault(id, Repository(id, private, gated))
        return repository.commit(files_of(files), branch)

    def tag(self, id: str, name: str, commit: str) -> None:
        self.repositories[id].refs[name] = commit

    def fault(
        self, alter: Callable[[Answer, Request], None], kind: str = "file", file: str | None = None,
        times: int | None = None, method: str | None = None,
    ) -> Fault:
        """Alters the answers to requests of a kind (info, tree, resolve; file, where a file's bytes come from), as often as
        said. A fault of bytes leaves HEAD alone, which has none."""
        if kind == "file" and method is None:
            method = "GET"
        fault = Fault(alter, kind, file, method, times)
        self.faults.append(fault)
        return fault

    # What was asked of it

    def asked(self, kind: str | None = None, file: str | None = None, method: str | None = None) -> list[Request]:
        with self._lock:
            return [request for request in self.requests if kind in (None, request.kind) and file in (None, request.file)
                    and method in (None, request.method)]

    def downloads(self, file: str | None = None) -> list[Request]:
        """The requests that were answered with some of a file's bytes."""
        return [request for request in self.asked("file", file, "GET") if request.status in (200, 206)]

    def forget(self) -> None:
        with self._lock:
            self.requests.clear()

    # Its answers

    def answer(self, request: Request) -> Answer:
        answer = self._cdn_answer(request) if request.host == "cdn" else self._hub_answer(request)
        with self._lock:
            self.requests.append(request)
            fault = next((fault for fault in self.faults if fault.concerns(request)), None)
            if fault:
                fault.hits += 1
        if fault:
            fault.alter(answer, request)
        return answer

    def _hub_answer(self, request: Request) -> Answer:
        if not request.path.startswith(self.path):
            return Answer.error(404, None, "Sorry, we can't find the page you are looking for.")
        target = urlsplit(request.path[len(self.path):])
        for kind, pattern in ROUTES.items():
            if match := pattern.fullmatch(target.path):
                break
        else:
            return Answer.error(404, None, "Sorry, we can't find the page you are looking for.")
        parts = {name: unquote(value) for name, value in match.groupdict().items()}
        request.kind = {"default info": "info", "resolve-cache": "file"}.get(kind, kind)
        request.file = parts.get("file", "")
        answer = self._refusal(request, parts["id"]) or self._found(kind, parts, target.query, request)
        # On every answer of the real one, so a client that waits whenever it sees it waits for nothing.
        answer.headers.setdefault("RateLimit", '"resolvers";r=2998;t=172')
        return answer

    def _refusal(self, request: Request, id: str) -> Answer | None:
        """Where the repository is not there, or not for whoever asks. The two look the same to a stranger."""
        repository = self.repositories.get(id)
        if request.token is not None and request.token not in (TOKEN, STRANGERS_TOKEN):
            return Answer.error(401, None, "Invalid credentials in Authorization header")
        if repository is None or repository.private and request.token != TOKEN:
            if request.token is None:
                return Answer.error(401, "RepoNotFound", "Invalid username or password.")
            return Answer.error(404, "RepoNotFound", "Repository not found")
        # A gated repository may be looked at, but its files not fetched.
        if repository.gated and request.file and request.token != TOKEN:
            if request.token is None:
                return Answer.error(401, "GatedRepo", f"Access to model {id} is restricted. You must have access to it and "
                                    "be authenticated to access it. Please log in.")
            return Answer.error(403, "GatedRepo", f"Access to model {id} is restricted and you are not in the authorized "
                                f"list. Visit {self.url}/{id} to ask for access.")
        return None

    def _found(self, kind: str, parts: dict[str, str], query: str, request: Request) -> Answer:
        repository = self.repositories[parts["id"]]
        revision = parts.get("revision", "main")
        commit = repository.find(revision)
        if commit is None:
            return Answer.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        headers = {"X-Repo-Commit": commit}
        files = repository.commits[commit]
        if kind in ("info", "default info"):
            return Answer(headers=headers, json=self._info(repository, commit, files.values(), "blobs" in parse_qs(query)))
        if kind == "tree":
            return Answer(headers=headers, json=[file.as_tree_entry() for file in files.values()])
        file = files.get(parts["file"])
        if file is None:
            return Answer.error(404, "EntryNotFound", "Entry not found", headers)
        headers |= {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(file.size)} if file.is_large else {}
        if kind == "resolve":
            return self._redirect(repository, commit, file, headers, urlsplit(request.path).path)
        return self._bytes(file, request, {**headers, "ETag": f'"{file.etag}"'})

    def _info(self, repository: Repository, commit: str, files: Any, with_blobs: bool) -> dict[str, Any]:
        return {
            "_id": "621ffdc136468d709f17dea6", "id": repository.id, "modelId": repository.id, "sha": commit,
            "private": repository.private, "gated": "manual" if repository.gated else False, "disabled": False,
            "downloads": 1, "likes": 0, "tags": ["transformers"], "pipeline_tag": "text-classification",
            "createdAt": "2022-03-02T23:29:04.000Z", "lastModified": "2024-09-01T10:00:00.000Z",
            "siblings": [file.as_sibling(with_blobs) for file in files],
        }

    def _redirect(self, repository: Repository, commit: str, file: File, headers: dict[str, str], path: str) -> Answer:
        if file.is_large:
            name = quote(file.name.rsplit("/", 1)[-1])
            location = (f"{self.cdn_url}/repos/{quote(repository.id)}/{file.sha256}"
                        f"?response-content-disposition=inline%3B+filename%3D%22{name}%22&Expires=1900000000&{SIGNATURE}")
            return Answer.text(302, f"Found. Redirecting to {location}", {**headers, "Location": location})
        location = (f"{self.path}/api/resolve-cache/models/{repository.id}/{commit}/{quote(file.name)}"
                    f"?{quote(path, safe='')}=&etag=%22{file.etag}%22")
        return Answer.text(307, f"Temporary Redirect. Redirecting to {location}", {**headers, "Location": location})

    def _cdn_answer(self, request: Request) -> Answer:
        target = urlsplit(request.path)
        match = re.fullmatch(r"/repos/(.+)/([0-9a-f]{64})", target.path)
        repository = self.repositories.get(unquote(match[1])) if match else None
        files = {file.sha256: file for files in repository.commits.values() for file in files.values() if file.is_large} \
            if repository else {}
        file = files.get(match[2]) if match else None
        if file is None:
            return Answer.text(404, "<Error><Code>NoSuchKey</Code></Error>", kind="application/xml")
        request.kind, request.file = "file", file.name
        if SIGNATURE not in target.query:
            return Answer.text(403, "<Error><Code>AccessDenied</Code></Error>", kind="application/xml")
        # A CDN has its own idea of an ETag, which is no hash of the file.
        return self._bytes(file, request, {"ETag": '"d41d8cd98f00b204e9800998ecf8427e-12"'})

    def _bytes(self, file: File, request: Request, headers: dict[str, str]) -> Answer:
        headers |= {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if part:
            start, end = int(part[1]), min(int(part[2]) + 1 if part[2] else file.size, file.size)
            if start >= file.size:
                return Answer.text(416, "", {**headers, "Content-Range": f"bytes */{file.size}"})
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
            return Answer(206, headers, file.content, start, end)
        if not file.is_large and request.method == "GET" and "gzip" in request.headers.get("accept-encoding", ""):
            content = gzip.compress(file.read())
            headers |= {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"}
            return Answer(200, headers, content, 0, len(content), chunked=True)
        return Answer(200, headers, file.content, 0, file.size)


def main(arguments: list[str]) -> None:
    if not arguments:
        sys.exit("usage: fake_hub.py [ORG/NAME=]DIRECTORY …")
    with FakeHub() as hub:
        for argument in arguments:
            id, _, directory = argument.rpartition("=")
            path = Path(directory).resolve()
            if not path.is_dir():
                sys.exit(f"{directory} is no directory")
            id = id or f"local/{path.name}"
            print(f"{id} at commit {hub.add(id, path)}")
        print(f"HF_ENDPOINT={hub.url}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main(sys.argv[1:])
