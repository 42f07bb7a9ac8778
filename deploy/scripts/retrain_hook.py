#!/usr/bin/env python3
"""Listens for Alertmanager's webhook and runs retrain.sh for an alert that fires.

    deploy/scripts/retrain_hook.py --work DIR [--port 9095] [--pause 86400]

A run at a time, each in a folder of its own under DIR (round-1, round-2, …) with its output in `log` and its exit status in
`status`; alerts that fire meanwhile, or within --pause seconds after a run's end, are told so and nothing more. What
retrain.sh reads from its environment is this program's. GET / tells of the rounds. It listens on 127.0.0.1, without a
password: whoever may use the machine may have a model retrained.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RETRAIN = Path(__file__).resolve().with_name("retrain.sh")
LARGEST_BODY = 1 << 20


class Rounds:
    """The runs of retrain.sh, one after the other."""

    def __init__(self, work: Path, pause: float):
        self.work = work
        self.pause = pause
        self.lock = threading.Lock()
        self.running: str | None = None
        self.ended = -float("inf")

    def begin(self, alerts: list[str]) -> str:
        """Begins a round, or says why not."""
        with self.lock:
            if self.running:
                return f"{self.running} is running"
            wait = self.ended + self.pause - time.monotonic()
            if wait > 0:
                return f"the last round ended a short while ago; the next may begin in {wait:.0f} s"
            number = 1 + max((int(path.name[6:]) for path in self.work.glob("round-*") if path.name[6:].isdecimal()), default=0)
            self.running = f"round-{number}"
            folder = self.work / self.running
            folder.mkdir(parents=True)
            (folder / "alerts.json").write_text(json.dumps(alerts) + "\n", encoding="utf-8")
            threading.Thread(target=self._run, args=[folder]).start()
            return f"{self.running} begins"

    def _run(self, folder: Path) -> None:
        try:
            with (folder / "log").open("wb") as log:
                status = subprocess.run([RETRAIN, folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode
            (folder / "status").write_text(f"{status}\n", encoding="utf-8")
            print(f"retrain_hook.py: {folder.name} ended with status {status}", file=sys.stderr, flush=True)
        finally:
            with self.lock:
                self.running, self.ended = None, time.monotonic()

    def all(self) -> dict[str, int | None]:
        """Exit statuses by the rounds' names; None for one that runs, or was cut off."""
        folders = sorted(self.work.glob("round-*"), key=lambda path: path.stat().st_ctime)
        return {folder.name: int((folder / "status").read_text()) if (folder / "status").exists() else None for folder in folders}


class Handler(BaseHTTPRequestHandler):
    rounds: Rounds

    def do_GET(self) -> None:
        self.answer(200, {"running": self.rounds.running, "rounds": self.rounds.all()})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            return self.answer(413, {"error": f"the body must have a length, {LARGEST_BODY} bytes at most"})
        try:
            alerts = json.loads(self.rfile.read(int(length)))["alerts"]
            firing = sorted({alert["labels"]["alertname"] for alert in alerts if alert["status"] == "firing"})
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": "the body is not what Alertmanager sends"})
        self.answer(200, {"message": self.rounds.begin(firing) if firing else "nothing fires"})

    def answer(self, status: int, body: dict) -> None:
        content = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        print(f"retrain_hook.py: {format % arguments}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="retrain_hook.py", description=__doc__.split("\n")[0])
    parser.add_argument("--work", required=True, type=Path, metavar="DIR", help="where the rounds' folders are made")
    parser.add_argument("--port", type=int, default=9095, help="on 127.0.0.1; 0 takes a free one (default: 9095)")
    parser.add_argument("--pause", type=float, default=86_400, metavar="SECONDS",
                        help="from the end of a round to the earliest next one (default: 86400)")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    Handler.rounds = Rounds(arguments.work, arguments.pause)
    with ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler) as server:
        print(f"retrain_hook.py: listening on http://127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
