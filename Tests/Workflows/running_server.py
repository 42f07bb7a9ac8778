"""A real `apus serve` of these tests."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class RunningServer:
    """Ready when the constructor returns; raises RuntimeError where it ends instead."""

    def __init__(self, apus: Path, *options: Any, port: int | None = None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("APUS_", "HF_"))}
        self.process = subprocess.Popen([apus, "serve", "--port", str(self.port), *map(str, options)], env=environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"apus serve ended with status {self.process.returncode}: {self.process.stderr.read()}")
            if time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"apus serve was not ready after {START_SECONDS} s")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/health/ready", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
