"""A real Prometheus against a real server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from apus_server import free_port, until
from supplies import tool, tweets


class Prometheus:
    def __init__(self, folder: Path, target: int):
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                  "scrape_configs": [{"job_name": "apus", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}]}
        (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML.
        self.log = folder / "log"
        self.url = f"http://127.0.0.1:{free_port()}"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [tool("prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address={self.url.removeprefix('http://')}"], stdout=log, stderr=log, cwd=folder)
        try:
            until(self.is_ready, "Prometheus is ready", 30)
        except BaseException:
            self.stop()
            raise

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
        try:
            return requests.get(self.url + "/-/ready", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def get(self, path: str, **parameters: str):
        answer = requests.get(self.url + path, params=parameters, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def query(self, expression: str) -> float | None:
        """The one value of an expression; None where there is none yet."""
        result = self.get("/api/v1/query", query=expression)["result"]
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[[int], Prometheus]]:
    running: list[Prometheus] = []

    def start(port: int) -> Prometheus:
        running.append(Prometheus(tmp_path, port))
        return running[-1]

    yield start
    for one in running:
        one.stop()


def test_a_real_prometheus_scrapes_it_and_computes_with_its_figures(start_server, prometheus, data):
    server = start_server("--drift-min-samples", "20")
    scraper = prometheus(server.port)
    until(lambda: scraper.query("up") == 1, "the target is up", 20)
    sent, durations = 0, []
    texts = tweets(data)
    end = time.monotonic() + 6
    while time.monotonic() < end:
        began = time.monotonic()
        assert server.predict(texts[sent]).status_code == 200
        durations.append(time.monotonic() - began)
        sent += 1
        time.sleep(0.01)
    predict = 'handler="/predict",method="POST"'
    until(lambda: scraper.query(f'http_requests_total{{{predict},status="200"}}') == sent, "the last are scraped", 5)
    rate = scraper.query(f'sum(rate(http_requests_total{{{predict}}}[10s]))')
    assert 0.4 * sent / 6 < rate < 2 * sent / 6
    buckets = f"rate(http_request_duration_seconds_bucket{{{predict}}}[10s])"
    median = scraper.query(f"histogram_quantile(0.5, sum by (le) ({buckets}))")
    assert 0 < median <= 2 * np.median(durations)
    mean = scraper.query("rate(apus_inference_seconds_sum[10s]) / rate(apus_inference_seconds_count[10s])")
    assert 0 < mean <= np.mean(durations)
    assert scraper.query("sum(apus_predictions_total)") == sent
    status = server.status()
    assert scraper.query(f'apus_model_info{{precision="{status["precision"]}",isa="{status["isa"]}"}}') == 1
    assert scraper.query("apus_drift_samples") == (sent if status["drift"] else None)
    [target] = scraper.get("/api/v1/targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    types = {name: entries[0]["type"] for name, entries in scraper.get("/api/v1/metadata").items()}
    assert types["http_requests_total"] == "counter" and types["http_request_duration_seconds"] == "histogram"
    server.terminate()
    assert server.wait(20) == 0
    until(lambda: scraper.query("up") == 0, "it is noticed that the server has gone", 5)
