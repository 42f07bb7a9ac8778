"""A real Prometheus against a real server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from apus_server import until
from prometheus_server import Prometheus
from supplies import tweets


class Scraper(Prometheus):
    """One that scrapes a server each second."""

    def __init__(self, folder: Path, target: int):
        super().__init__(folder, {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "apus", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}]})

    def value(self, expression: str) -> float | None:
        """The one value of an expression; None where there is none yet."""
        result = self.query(expression)
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[[int], Scraper]]:
    running: list[Scraper] = []

    def start(port: int) -> Scraper:
        running.append(Scraper(tmp_path, port))
        return running[-1]

    yield start
    for one in running:
        one.stop()


def test_a_real_prometheus_scrapes_it_and_computes_with_its_figures(start_server, prometheus, data):
    server = start_server("--drift-min-samples", "20")
    scraper = prometheus(server.port)
    until(lambda: scraper.value("up") == 1, "the target is up", 20)
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
    until(lambda: scraper.value(f'http_requests_total{{{predict},status="200"}}') == sent, "the last are scraped", 5)
    rate = scraper.value(f'sum(rate(http_requests_total{{{predict}}}[10s]))')
    assert 0.4 * sent / 6 < rate < 2 * sent / 6
    buckets = f"rate(http_request_duration_seconds_bucket{{{predict}}}[10s])"
    median = scraper.value(f"histogram_quantile(0.5, sum by (le) ({buckets}))")
    assert 0 < median <= 2 * np.median(durations)
    mean = scraper.value("rate(apus_inference_seconds_sum[10s]) / rate(apus_inference_seconds_count[10s])")
    assert 0 < mean <= np.mean(durations)
    assert scraper.value("sum(apus_predictions_total)") == sent
    status = server.status()
    assert scraper.value(f'apus_model_info{{precision="{status["precision"]}",isa="{status["isa"]}"}}') == 1
    assert scraper.value("apus_drift_samples") == (sent if status["drift"] else None)
    [target] = scraper.get("/api/v1/targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    types = {name: entries[0]["type"] for name, entries in scraper.get("/api/v1/metadata").items()}
    assert types["http_requests_total"] == "counter" and types["http_request_duration_seconds"] == "histogram"
    server.terminate()
    assert server.wait(20) == 0
    until(lambda: scraper.value("up") == 0, "it is noticed that the server has gone", 5)
