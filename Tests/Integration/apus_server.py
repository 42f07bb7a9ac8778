"""A running `apus serve`: its process, its log, its metrics, what it holds of the system."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

START_SECONDS = 60
STOP_SECONDS = 30


def until(condition: Callable[[], Any], what: str, seconds: float = 5) -> Any:
    """Waits for a condition to be true and returns its value; fails, saying what never came, when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Metrics:
    """The samples of one answer of /metrics."""

    def __init__(self, text: str):
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def matching(self, name: str, **labels: str) -> list:
        return [sample for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels; 0 where there is none."""
        return sum(sample.value for sample in self.matching(name, **labels))


class Server:
    """An `apus serve` on 127.0.0.1, ready when the constructor returns.

    Its standard error is read by a thread into `log()`. Where a test gives another place for it (`stderr`), the port is
    chosen here, since nobody reads the line that tells it. The server chooses the `port` itself where it is 0, and by its
    environment where it is None.
    """

    def __init__(self, binary: Path, *options: str, env: dict[str, str] | None = None, stderr: Any = None,
                 port: int | None = 0):
        self._lines: list[bytes] = []
        self._ends_on_purpose = False
        self.port = (port or 0) if stderr is None else free_port()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("APUS_")}
        self.process = subprocess.Popen(
            [binary, "serve", *([] if port is None else ["--port", str(self.port)]), *options], env={**inherited, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE if stderr is None else stderr)
        self._reader = None
        if stderr is None:
            self._reader = threading.Thread(target=self._read_log, daemon=True)
            self._reader.start()
        try:
            until(self._is_ready, "the server is ready", START_SECONDS)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _read_log(self) -> None:
        for line in self.process.stderr:
            self._lines.append(line)

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"apus serve ended with status {self.process.returncode}:\n{self.log()}")
        if self.port == 0:
            line = next((line for line in self.log().replace("\\/", "/").splitlines() if "serving" in line), "")
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if not found:
                return False
            self.port = int(found[1])
        try:
            return requests.get(self.url + "/health/ready", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    # What it tells of itself

    def log(self) -> str:
        return b"".join(list(self._lines)).decode("utf-8", errors="backslashreplace")

    def log_records(self) -> list[dict]:
        """The lines of --log-format json."""
        return [json.loads(line) for line in list(self._lines) if line.endswith(b"\n")]

    def metrics(self) -> Metrics:
        answer = requests.get(self.url + "/metrics", timeout=10)
        assert answer.status_code == 200, answer.text
        return Metrics(answer.text)

    def rejected(self, reason: str) -> float:
        return self.metrics().value("apus_rejected_total", reason=reason)

    def status(self) -> dict:
        answer = requests.get(self.url + "/status", timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    # What the system tells of it

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    # Requests

    def predict(self, text: str, **arguments: Any) -> requests.Response:
        return requests.post(self.url + "/predict", json={"text": text}, timeout=30, **arguments)

    def assert_answers(self) -> None:
        answer = self.predict("I love MLOps")
        assert answer.status_code == 200, answer.text
        assert answer.json()["label"] == "positive"

    # Its end

    def terminate(self) -> None:
        """Asks it to leave, and returns at once."""
        self._ends_on_purpose = True
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> int:
        """Its exit status; its log is whole afterwards."""
        self._ends_on_purpose = True
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server was still there after {seconds} s:\n{self.log()[-2000:]}") from None
        if self._reader:
            self._reader.join(5)
        return status

    def stop(self) -> None:
        """Ends it if it still runs; fails where it had ended by itself, or does not leave as it should."""
        ended = self.process.poll()
        if ended is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            try:
                ended = self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"SIGTERM did not end the server within {STOP_SECONDS} s:\n{self.log()}") from None
        elif not self._ends_on_purpose:
            raise AssertionError(f"the server ended by itself with status {ended}:\n{self.log()[-4000:]}")
        assert ended == 0, f"the server ended with status {ended}:\n{self.log()[-4000:]}"
