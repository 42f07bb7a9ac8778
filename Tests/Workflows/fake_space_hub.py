"""A fake Hub with one Space that takes what `hf upload` sends, and runs what its Dockerfile names: a real `apus serve`.

Its answers are those that huggingface_hub 2.4 asks for: a Space's facts, tree, files, preupload, commit and logs. A commit
is built while the old server still runs, as a Space does it; a build that fails leaves nothing running. As the Hub does, it
may say for a while what was so before a commit, leave a question unanswered, and send a Space to sleep.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from apus_server import Server, free_port

SPACE = "founders/apus"
TOKEN = "hf_TokenThatWrites"
BUILD_SECONDS = 0.5
Files = dict[str, bytes]


def blob_id(content: bytes) -> str:
    """As git names a file's content."""
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()


@dataclass
class Commit:
    id: str
    files: Files
    message: str


class FakeSpaceHub:
    """`run` starts the server of an image on a port, or raises where there is no such image."""

    def __init__(self, files: Files, run: Callable[[str, int], Server]):
        self.commits: list[Commit] = []
        self.requests: list[tuple[str, str]] = []
        self.refuses_uploads = False
        self.lag_seconds = 0.0  # how long a bad stage of before a commit is still told
        self.statuses_after_upload: dict[str, list[int]] = {}  # of the next answers to a question for "sha", for "runtime"
        self.falls_asleep = False  # what was built waits for its first visitor
        self.late: set[str] = set()  # images that start only after the next commit
        self.build_seconds = BUILD_SECONDS
        self.stage = "BUILDING"
        self.ran: list[str] = []  # images, as they were started
        self._before: tuple[str, float] = ("", 0)  # the stage of before the last commit, and until when it is told
        self.port = free_port()
        self.server: Server | None = None
        self._run = run
        self._builds = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self}))
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.commit(files, "Initial commit").join()

    @property
    def environment(self) -> dict[str, str]:
        return {"HF_ENDPOINT": f"http://127.0.0.1:{self._http.server_port}", "HF_TOKEN": TOKEN,
                "SPACE_URL": f"http://127.0.0.1:{self.port}"}

    @property
    def head(self) -> Commit:
        return self.commits[-1]

    @property
    def told_stage(self) -> str:
        stage, until = self._before
        return stage if time.monotonic() < until else self.stage

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        with self._builds:
            if self.server:
                self.server.stop()

    def commit(self, files: Files, message: str) -> threading.Thread:
        """Its build."""
        id = hashlib.sha1(f"{len(self.commits)} {message}".encode()).hexdigest()
        self.commits.append(Commit(id, files, message))
        if self.stage != "RUNNING":
            self._before = self.stage, time.monotonic() + self.lag_seconds
        self.stage = "RUNNING_BUILDING" if self.server else "BUILDING"
        build = threading.Thread(target=self._build, args=(files, len(self.commits)), daemon=True)
        build.start()
        return build

    def _build(self, files: Files, number: int) -> None:
        with self._builds:
            time.sleep(self.build_seconds)
            found = re.search(rb"^FROM (\S+)$", files.get("Dockerfile", b""), re.MULTILINE)
            image = found[1].decode() if found else None
            while image in self.late and len(self.commits) == number:
                time.sleep(0.05)
            if self.server:
                self.server.stop()
                self.server = None
            if not image:
                self.stage = "NO_APP_FILE"
                return
            if not files.get("README.md", b"").startswith(b"---\n"):
                self.stage = "CONFIG_ERROR"
                return
            try:
                if self.falls_asleep:
                    self._sleep_until_a_visitor_comes()
                self.stage = "APP_STARTING"
                self.server = self._run(image, self.port)
                self.ran.append(image)
                self.stage = "RUNNING"
            except (RuntimeError, AssertionError):
                self.stage = "RUNTIME_ERROR"

    def _sleep_until_a_visitor_comes(self) -> None:
        with socket.create_server(("127.0.0.1", self.port)) as door:
            door.settimeout(30)
            self.stage = "SLEEPING"
            try:
                door.accept()[0].close()
            except TimeoutError as error:
                raise RuntimeError("nobody came") from error


class Handler(BaseHTTPRequestHandler):
    hub: FakeSpaceHub

    def log_message(self, *_: Any) -> None:
        pass

    def do(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        self.hub.requests.append((self.command, path))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid credentials"})
        for pattern, method in ROUTES.items():
            if match := re.fullmatch(pattern, path):
                return method(self, *map(unquote, match.groups()))
        return self.answer(404, {"error": f"no {path} in this fake"})

    do_GET = do_POST = do_HEAD = do

    def answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body)), "Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def find(self, revision: str) -> Commit:
        return next((commit for commit in self.hub.commits if commit.id == revision), self.hub.head)

    def facts(self, _: str = "") -> None:
        for asked in parse_qs(urlsplit(self.path).query).get("expand", []):
            statuses = self.hub.statuses_after_upload.get(asked)
            if len(self.hub.commits) > 1 and statuses:
                return self.answer(statuses.pop(0), {"error": "not now"})
        runtime = {"stage": self.hub.told_stage, "hardware": {"current": "cpu-basic", "requested": "cpu-basic"}}
        self.answer(200, {"id": SPACE, "sha": self.hub.head.id, "sdk": "docker", "subdomain": SPACE.replace("/", "-"),
                          "runtime": runtime, "siblings": [{"rfilename": name} for name in self.hub.head.files]})

    def tree(self, revision: str) -> None:
        self.answer(200, [{"type": "file", "path": name, "size": len(content), "oid": blob_id(content)}
                          for name, content in self.find(revision).files.items()])

    def file(self, revision: str, name: str) -> None:
        commit = self.find(revision)
        content = commit.files[name]
        self.answer(200, content, {"ETag": f'"{blob_id(content)}"', "X-Repo-Commit": commit.id,
                                   "Content-Type": "application/octet-stream"})

    def create(self) -> None:
        self.answer(409, {"error": "You already created this space repo", "url": f"https://huggingface.co/spaces/{SPACE}"})

    def preupload(self, _: str) -> None:
        files = self.hub.head.files
        self.answer(200, {"files": [
            {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
            | ({"oid": blob_id(files[file["path"]])} if file["path"] in files else {})
            for file in json.loads(self.body)["files"]]})

    def commit(self, _: str) -> None:
        if self.hub.refuses_uploads:
            return self.answer(403, {"error": "Forbidden: you must use a write token"})
        files, message = dict(self.hub.head.files), ""
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
            else:
                assert line["key"] == "file" and value["encoding"] == "base64"
                files[value["path"]] = base64.b64decode(value["content"])
        self.hub.commit(files, message)
        id = self.hub.head.id
        return self.answer(200, {"success": True, "commitOid": id, "hookOutput": "",
                                 "commitUrl": f"https://huggingface.co/spaces/{SPACE}/commit/{id}"})

    def logs(self) -> None:
        self.answer(200, b"", {"Content-Type": "text/event-stream"})


ROUTES = {
    "/api/repos/create": Handler.create,
    "/api/validate-yaml": lambda self: self.answer(200, {"errors": [], "warnings": []}),
    "/api/agent-harnesses": lambda self: self.answer(200, {}),
    f"/api/spaces/{SPACE}": Handler.facts,
    f"/api/spaces/{SPACE}/revision/([^/]+)": Handler.facts,
    f"/api/spaces/{SPACE}/tree/([^/]+)": Handler.tree,
    f"/api/spaces/{SPACE}/preupload/([^/]+)": Handler.preupload,
    f"/api/spaces/{SPACE}/commit/([^/]+)": Handler.commit,
    f"/api/spaces/{SPACE}/logs/[a-z]+": Handler.logs,
    f"/spaces/{SPACE}/resolve/([^/]+)/(.+)": Handler.file,
}
