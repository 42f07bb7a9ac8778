"""A server as a subprocess on a loopback port of its own choice."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from wrk import LoadError, allow_open_files

URL = re.compile(r"http://127\.0\.0\.1:[0-9]+")
STARTING = 180  # seconds that a server has until it listens
LEAVING = 30


class LocalServer:
    """Runs from `with` to its end. The command's log must name the URL once the server listens: Apus' and Uvicorn's do."""

    def __init__(self, command: list, environment: dict[str, str] | None = None):
        self.command = [str(part) for part in command]
        self.environment = os.environ | (environment or {})
        self.log = tempfile.NamedTemporaryFile(prefix="server-", suffix=".log")

    def __enter__(self) -> LocalServer:
        allow_open_files()
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env=self.environment)
        try:
            self.url = self.wait_for_url()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(LEAVING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def wait_for_url(self) -> str:
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            status = self.process.poll()
            lines = Path(self.log.name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            for line in lines:
                if found := URL.search(line):
                    return found[0]
            if status is not None:
                raise LoadError(f"{shlex.join(self.command)}: exit code {status}: {(lines or ['no message'])[-1]}")
            time.sleep(0.05)
        raise LoadError(f"{shlex.join(self.command)}: it did not listen within {STARTING} s")

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict) -> dict:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def resident_megabytes(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # user and system


class MemoryWatch:
    """The most memory that a server had from `with` to its end."""

    def __init__(self, server: LocalServer):
        self.server = server
        self.megabytes = server.resident_megabytes()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def watch(self) -> None:
        while not self.ended.wait(0.1):
            self.megabytes = max(self.megabytes, self.server.resident_megabytes())
