"""A running Prometheus."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import requests

from apus_server import free_port, until
from supplies import tool


class Prometheus:
    """A Prometheus on 127.0.0.1 that keeps its files in `folder`, ready when the constructor returns.

    In the configuration, PROMETHEUS stands for its own address.
    """

    def __init__(self, folder: Path, config: dict, *options: str):
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self.config = folder / "prometheus.yml"
        self.log = folder / "log"
        self._write(config)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [tool("prometheus"), f"--config.file={self.config}", f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address={self.address}", *options], stdout=log, stderr=log, cwd=folder)
        try:
            until(self._is_ready, "Prometheus is ready", 30)
        except BaseException:
            self.stop()
            raise

    def _write(self, config: dict) -> None:
        # JSON is YAML.
        self.config.write_text(json.dumps(config).replace("PROMETHEUS", self.address), encoding="utf-8")

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
        try:
            return requests.get(self.url + "/-/ready", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def configure(self, config: dict) -> None:
        """Has it read another configuration."""
        self._write(config)
        self.process.send_signal(signal.SIGHUP)

    def get(self, path: str, **parameters):
        answer = requests.get(self.url + path, params=parameters, timeout=10)
        assert answer.status_code == 200, f"{path} {parameters}: {answer.text}"
        return answer.json()["data"]

    def query(self, expression: str, **parameters) -> list[dict]:
        """The series of an expression, each with "metric" and "value"."""
        return self.get("/api/v1/query", query=expression, **parameters)["result"]

    def query_range(self, expression: str, start: float, end: float, step: float = 1) -> list[dict]:
        """The series of an expression over a time, each with "metric" and "values"."""
        return self.get("/api/v1/query_range", query=expression, start=start, end=end, step=step)["result"]

    def scraped(self, job: str) -> list[dict]:
        """The targets of a job that have been tried."""
        return [target for target in self.get("/api/v1/targets")["activeTargets"]
                if target["labels"]["job"] == job and target["health"] != "unknown"]

    def alerts(self) -> list[dict]:
        """Those that are pending or firing, with "labels", "annotations", "state" and "value"."""
        return self.get("/api/v1/alerts")["alerts"]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
