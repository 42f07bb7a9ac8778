"""A fake of the part of GitHub's API that deploy/scripts use: releases with assets, pull requests with comments.

Made from https://docs.github.com/en/rest (releases, release assets, pulls, issue comments).
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghs_TokenOfTheWorkflow"
REPOSITORY = "founders/apus"
BOT = "github-actions[bot]"


@dataclass
class Release:
    id: int
    tag: str
    draft: bool
    assets: dict[str, bytes] = field(default_factory=dict)


@dataclass
class FakeGitHub:
    releases: list[Release] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # by the pull request's number
    requests: list[tuple[str, str]] = field(default_factory=list)
    broken: bool = False  # answers 500
    public_when: list[list[str]] = field(default_factory=list)  # the assets at the moment a release became public

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"github": self}))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        return {"GITHUB_API_URL": self.url, "GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": REPOSITORY}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add_pull(self, number: int, head: str, sha: str) -> None:
        self.pulls.append({"number": number, "head": {"label": head, "sha": sha}})
        self.comments[number] = []

    def json_of(self, release: Release) -> dict[str, Any]:
        assets = [{"name": name, "size": len(content), "url": f"{self.url}/repos/{REPOSITORY}/releases/assets/{release.id}/{name}"}
                  for name, content in release.assets.items()]
        own = f"{self.url}/repos/{REPOSITORY}/releases/{release.id}"
        return {"id": release.id, "tag_name": release.tag, "draft": release.draft, "url": own, "assets": assets,
                "html_url": f"https://github.com/{REPOSITORY}/releases/{release.tag}",
                "upload_url": f"{self.url}/uploads/{release.id}{{?name,label}}"}


class Handler(BaseHTTPRequestHandler):
    github: FakeGitHub

    def log_message(self, *_: Any) -> None:
        pass

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = urlsplit(self.path)
        self.github.requests.append((self.command, self.path))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"message": "Bad credentials"})
        if self.github.broken:
            return self.answer(500, {"message": "Server Error"})
        path = target.path.removeprefix(f"/repos/{REPOSITORY}")
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        for pattern, method in ROUTES.items():
            name, _, rest = pattern.partition(" ")
            if name == self.command and (match := re.fullmatch(rest, path)):
                return method(self, query, body, *match.groups())
        return self.answer(404, {"message": "Not Found"})

    do_GET = do_POST = do_PATCH = do_DELETE = do

    def answer(self, status: int, content: Any) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    # Releases

    def release(self, id: str) -> Release:
        return next(release for release in self.github.releases if release.id == int(id))

    def latest(self, *_: Any) -> None:
        public = [release for release in self.github.releases if not release.draft]
        if public:
            self.answer(200, self.github.json_of(public[-1]))
        else:
            self.answer(404, {"message": "Not Found"})

    def list_releases(self, *_: Any) -> None:
        self.answer(200, [self.github.json_of(release) for release in self.github.releases])

    def create_release(self, _: Any, body: bytes) -> None:
        request = json.loads(body)
        release = Release(len(self.github.releases) + 1, request["tag_name"], request["draft"])
        self.github.releases.append(release)
        self.answer(201, self.github.json_of(release))

    def change_release(self, _: Any, body: bytes, id: str) -> None:
        release = self.release(id)
        release.draft = json.loads(body)["draft"]
        if not release.draft:
            self.github.public_when.append(list(release.assets))
        self.answer(200, self.github.json_of(release))

    def upload(self, query: dict[str, str], body: bytes, id: str) -> None:
        if query["name"] in self.release(id).assets:
            return self.answer(422, {"message": "Validation Failed", "errors": [{"code": "already_exists"}]})
        self.release(id).assets[query["name"]] = body
        self.answer(201, {"name": query["name"], "size": len(body)})

    def asset(self, _: Any, __: bytes, id: str, name: str) -> None:
        # Without this header, GitHub describes the asset instead of sending it.
        if self.headers["Accept"] == "application/octet-stream":
            self.answer(200, self.release(id).assets[name])
        else:
            self.answer(200, {"name": name})

    def delete_asset(self, _: Any, __: bytes, id: str, name: str) -> None:
        del self.release(id).assets[name]
        self.answer(204, b"")

    # Pull requests

    def list_pulls(self, query: dict[str, str], _: bytes) -> None:
        self.answer(200, [pull for pull in self.github.pulls if query["head"] == pull["head"]["label"]])

    def list_comments(self, _: Any, __: bytes, number: str) -> None:
        self.answer(200, self.github.comments[int(number)])

    def create_comment(self, _: Any, body: bytes, number: str) -> None:
        comments = self.github.comments[int(number)]
        own = f"{self.github.url}/repos/{REPOSITORY}/issues/comments/{number}/{len(comments)}"
        comment = {"user": {"login": BOT}, "body": json.loads(body)["body"], "url": own, "html_url": own}
        comments.append(comment)
        self.answer(201, comment)

    def change_comment(self, _: Any, body: bytes, number: str, index: str) -> None:
        comment = self.github.comments[int(number)][int(index)]
        comment["body"] = json.loads(body)["body"]
        self.answer(200, comment)


ROUTES = {
    "GET /releases/latest": Handler.latest,
    "GET /releases": Handler.list_releases,
    "POST /releases": Handler.create_release,
    r"PATCH /releases/(\d+)": Handler.change_release,
    r"POST /uploads/(\d+)": Handler.upload,
    r"GET /releases/assets/(\d+)/(.+)": Handler.asset,
    r"DELETE /releases/assets/(\d+)/(.+)": Handler.delete_asset,
    "GET /pulls": Handler.list_pulls,
    r"GET /issues/(\d+)/comments": Handler.list_comments,
    r"POST /issues/(\d+)/comments": Handler.create_comment,
    r"PATCH /issues/comments/(\d+)/(\d+)": Handler.change_comment,
}
