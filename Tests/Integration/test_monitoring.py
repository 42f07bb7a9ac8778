"""What an operator sees: /metrics, in the form that Prometheus reads and with figures that are true, and drift."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from apus_server import Metrics, Server, free_port, until
from raw_http import Connection, request
from traffic import Background, different_texts, keep_busy, send_batch

# The names as the parser has them, which leaves a counter's _total out.
METRICS = {
    "http_requests": ("counter", {"handler", "method", "status"}),
    "http_request_duration_seconds": ("histogram", {"handler", "method"}),
    "http_requests_in_progress": ("gauge", set()),
    "apus_predictions": ("counter", {"label"}),
    "apus_prediction_confidence": ("histogram", set()),
    "apus_input_tokens": ("histogram", set()),
    "apus_batch_texts": ("histogram", set()),
    "apus_batch_tokens": ("histogram", set()),
    "apus_queue_depth": ("gauge", set()),
    "apus_tokenize_seconds": ("histogram", set()),
    "apus_queue_seconds": ("histogram", set()),
    "apus_inference_seconds": ("histogram", set()),
    "apus_rejected": ("counter", {"reason"}),
    "apus_truncated": ("counter", set()),
    "apus_drift_psi": ("gauge", {"feature"}),
    "apus_drift_js_distance": ("gauge", {"feature"}),
    "apus_drift_samples": ("gauge", set()),
    "apus_model_info": ("gauge", {"model", "revision", "precision", "isa"}),
    "apus_connections": ("gauge", set()),
    "process_cpu_seconds": ("counter", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_virtual_memory_bytes": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
    "process_start_time_seconds": ("gauge", set()),
    "process_threads": ("gauge", set()),
}
FEATURES = {"label", "confidence", "tokens"}


# The format

def test_the_answer_is_in_prometheus_text_format(server):
    for method in ("GET", "HEAD"):
        answer = requests.request(method, server.url + "/metrics", timeout=10)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert requests.get(server.url + "/metrics", timeout=10).text.endswith("\n")


def test_promtool_finds_nothing_wrong(start_server, data):
    server = start_server("--drift-min-samples", "10")
    assert send_batch(server.port, tweets(data)[:100]).status == 200
    requests.get(server.url + "/nothing", timeout=10)
    text = requests.get(server.url + "/metrics", timeout=10).text
    checked = subprocess.run([tool("promtool"), "check", "metrics"], input=text, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_every_metric_is_there_with_its_type_help_and_labels(start_server, data):
    server = start_server("--drift-min-samples", "10")
    assert send_batch(server.port, tweets(data)[:20]).status == 200
    metrics = server.metrics()
    wanted = METRICS
    if server.status()["drift"] is None:
        wanted = {name: of for name, of in METRICS.items() if not name.startswith("apus_drift")}
    for name, (kind, labels) in wanted.items():
        assert name in metrics.families, f"{name} is missing"
        family = metrics.families[name]
        assert family.type == kind, name
        assert family.documentation, f"{name} has no HELP"
        assert family.samples, f"{name} has no sample"
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels, sample
    assert len({(sample.name, *sorted(sample.labels.items())) for sample in metrics.samples}) == len(metrics.samples), \
        "a sample is there twice"


def test_what_the_metrics_say_of_the_model_is_what_status_says(server):
    status, metrics = server.status(), server.metrics()
    [info] = metrics.matching("apus_model_info")
    assert info.value == 1
    assert info.labels["model"] == status["model"]
    assert (info.labels["precision"], info.labels["isa"]) == (status["precision"], status["isa"])
    assert {sample.labels["label"] for sample in metrics.matching("apus_predictions_total")} == set(status["labels"])
    gate = metrics.matching("apus_gate_accuracy")
    if status["gate"]:
        assert [sample.value for sample in gate] == [pytest.approx(status["gate"]["accuracy"])]
    else:
        assert gate == []


def test_what_the_metrics_say_of_the_process_is_what_the_system_says(server):
    metrics = server.metrics()
    process = Path(f"/proc/{server.process.pid}")
    limits = process.joinpath("limits").read_text(encoding="utf-8")
    assert metrics.value("process_resident_memory_bytes") == pytest.approx(server.memory(), rel=0.2)
    assert abs(metrics.value("process_open_fds") - server.descriptors()) <= 4
    assert metrics.value("process_max_fds") == int(limits.split("Max open files")[1].split()[0])
    assert abs(metrics.value("process_threads") - len(list(process.joinpath("task").iterdir()))) <= 4
    fields = process.joinpath("stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    assert metrics.value("process_cpu_seconds_total") == pytest.approx((int(fields[11]) + int(fields[12])) / ticks, abs=0.5)
    assert metrics.value("process_virtual_memory_bytes") == pytest.approx(int(fields[20]), rel=0.2)
    uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
    started = time.time() - uptime + int(fields[19]) / ticks
    assert metrics.value("process_start_time_seconds") == pytest.approx(started, abs=2)


# The figures

def test_seven_requests_are_seven_everywhere(server, apus):
    texts = different_texts(7, seed=7)
    before = server.metrics()
    began = time.monotonic()
    answers = [server.predict(text).json() for text in texts]
    took = time.monotonic() - began
    until(lambda: answered(server.metrics()) == answered(before) + 7, "the seven requests are counted")
    after = server.metrics()

    def more(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    assert more("http_request_duration_seconds_count", handler="/predict", method="POST") == 7
    assert more("apus_predictions_total") == 7
    for label in {answer["label"] for answer in answers}:
        assert more("apus_predictions_total", label=label) == sum(answer["label"] == label for answer in answers)
    assert more("apus_prediction_confidence_count") == 7
    assert more("apus_prediction_confidence_sum") == pytest.approx(sum(answer["score"] for answer in answers), abs=1e-4)
    tokens = sum(token_counts(apus, texts))
    assert more("apus_input_tokens_count") == 7 and more("apus_input_tokens_sum") == tokens
    # One after the other, each was a batch of its own.
    assert more("apus_batch_texts_count") == more("apus_batch_texts_sum") == 7
    assert more("apus_batch_tokens_count") == 7 and more("apus_batch_tokens_sum") == tokens
    parts = [f"apus_{part}_seconds" for part in ("tokenize", "queue", "inference")]
    assert [more(f"{name}_count") for name in parts] == [7, 7, 7]
    assert 0 < sum(more(f"{name}_sum") for name in parts) <= more(
        "http_request_duration_seconds_sum", handler="/predict", method="POST") <= took
    assert more("apus_truncated_total") == 0
    assert after.value("apus_queue_depth") == 0


def test_a_batch_counts_its_texts_and_one_request(server):
    before = server.metrics()
    assert send_batch(server.port, different_texts(20)).status == 200
    until(lambda: answered(server.metrics()) == answered(before) + 1, "the request is counted")
    after = server.metrics()
    for name in ("apus_predictions_total", "apus_input_tokens_count", "apus_batch_texts_sum"):
        assert after.value(name) - before.value(name) == 20, name


def test_errors_are_counted_by_status_and_predict_nothing(server):
    before = server.metrics()
    for body, status in ((b"{", 400), (b'{"text": 1}', 422), (b'{"text": ""}', 422)):
        with Connection(server.port) as connection:
            assert connection.exchange(request(body=body)).status == status
    labels = {"handler": "/predict", "method": "POST"}

    def more(status: str) -> float:
        return (server.metrics().value("http_requests_total", **labels, status=status)
                - before.value("http_requests_total", **labels, status=status))

    until(lambda: (more("400"), more("422")) == (1, 2), "the errors are counted")
    assert server.metrics().value("apus_predictions_total") == before.value("apus_predictions_total")


def test_clients_that_hang_up_are_no_errors_of_the_server(start_server):
    server = start_server("--threads", "1")
    busy = keep_busy(server, 64)
    whole = request(body={"text": "I will not wait"})
    for data in (whole[:40], whole[:-3], whole):
        for leave in (Connection.close, Connection.reset):
            connection = Connection(server.port)
            connection.send(data)
            time.sleep(0.02)
            leave(connection)
    assert busy.result().status == 200
    until(lambda: server.metrics().value("http_requests_in_progress") == 1, "only the request of the metrics is under way")
    server.assert_answers()
    metrics = server.metrics()
    statuses = {sample.labels["status"] for sample in metrics.matching("http_requests_total")}
    assert not {status for status in statuses if status.startswith("5")}, statuses
    assert metrics.value("apus_queue_depth") == 0


def test_a_text_that_is_cut_off_is_counted(server):
    before = server.metrics()
    assert server.predict("word " * 1000).status_code == 200
    assert server.predict("a few words").status_code == 200
    after = server.metrics()
    assert after.value("apus_truncated_total") - before.value("apus_truncated_total") == 1
    limit = server.status()["limits"]["max_tokens"]
    tokens = after.value("apus_input_tokens_sum") - before.value("apus_input_tokens_sum")
    assert limit < tokens < limit + 10


def test_requests_in_progress_and_connections_rise_and_fall(server):
    opened = [Connection(server.port) for _ in range(5)]
    until(lambda: server.metrics().value("apus_connections") >= 6, "five connections and that of the metrics are open")
    # A body that has not arrived yet: its request is under way.
    opened[0].send(request(body={"text": "slow"})[:-3])
    until(lambda: server.metrics().value("http_requests_in_progress") >= 2, "two requests are under way")
    for connection in opened:
        connection.close()
    until(lambda: server.metrics().value("http_requests_in_progress") == 1, "only the request of the metrics is under way")
    until(lambda: server.metrics().value("apus_connections") <= 3, "the connections are gone")


def test_counters_only_grow(server):
    earlier = server.metrics()
    for _ in range(3):
        assert send_batch(server.port, different_texts(30)).status == 200
        requests.get(server.url + "/status", timeout=10)
        later = server.metrics()
        counted = {(sample.name, *sorted(sample.labels.items())): sample.value
                   for family in later.families.values() for sample in family.samples
                   if family.type in ("counter", "histogram")}
        for family in earlier.families.values():
            if family.type not in ("counter", "histogram"):
                continue
            for sample in family.samples:
                assert counted[sample.name, *sorted(sample.labels.items())] >= sample.value >= 0, sample
        earlier = later


def test_histograms_are_cumulative_and_their_sums_possible(server):
    assert send_batch(server.port, different_texts(60)).status == 200
    metrics = server.metrics()
    histograms = [family for family in metrics.families.values() if family.type == "histogram"]
    assert len(histograms) >= 8
    for family in histograms:
        series: dict[tuple, dict[str, list | float]] = {}
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            one = series.setdefault(tuple(sorted(labels.items())), {"buckets": []})
            if sample.name.endswith("_bucket"):
                one["buckets"].append((float(sample.labels["le"]), sample.value))
            else:
                one[sample.name.removeprefix(family.name + "_")] = sample.value
        for labels, one in series.items():
            bounds, counts = zip(*one["buckets"])
            assert list(bounds) == sorted(set(bounds)) and bounds[-1] == math.inf, (family.name, labels)
            assert list(counts) == sorted(counts), (family.name, labels)
            assert counts[-1] == one["count"], (family.name, labels)
            inside = np.diff([0, *counts])
            lowest = np.dot(inside, [0, *bounds[:-1]])
            assert lowest - 1e-9 <= one["sum"], (family.name, labels)
            if inside[-1] == 0:
                assert one["sum"] <= np.dot(inside[:-1], bounds[:-1]) + 1e-9, (family.name, labels)
    bounds = [float(sample.labels["le"]) for sample in metrics.matching("http_request_duration_seconds_bucket")]
    assert min(bounds) == 0.0005


# Labels

@pytest.mark.parametrize("target", [
    "/nothing/%d", '/nothing"%d', "/nothing\\%d", "/nothing%%0A%d", "/nothing%%22,status=%%22%d", "/predict/%d",
    "/v2/models/none-%d/infer", "/v2/models/none-%d", "/docs/none-%d", "/predict?number=%d", "//%d",
])
def test_paths_that_clients_make_up_add_no_label_values(server, target):
    """Else anybody could fill the memory of the server and of Prometheus."""
    def ask(number: int) -> None:
        with Connection(server.port) as connection:
            assert connection.exchange(request(target % number)).status in (400, 404, 405)

    ask(0)
    before = server.metrics()
    for number in range(1, 30):
        ask(number)
    after = server.metrics()

    def series(metrics: Metrics) -> set[tuple]:
        return {(sample.labels["handler"], sample.labels["method"]) for sample in
                metrics.matching("http_request_duration_seconds_count")}

    assert series(after) - series(before) <= {("/metrics", "GET")}
    until(lambda: sum(server.metrics().value("http_requests_total", status=status) - before.value(
        "http_requests_total", status=status) for status in ("400", "404", "405")) == 29, "each of them is counted")


def test_methods_that_clients_make_up_add_no_label_values(server):
    for number in range(20):
        with Connection(server.port) as connection:
            connection.send(request("/predict", method=f"BREW{number}"))
            answer = connection.answer()
            assert answer is None or answer.status in (400, 405, 501)
    methods = {sample.labels["method"] for sample in server.metrics().matching("http_requests_total")}
    assert not {method for method in methods if method.startswith("BREW")}


@pytest.mark.parametrize("name", [
    'a "quoted" \\ name\nof two lines', 'a\r\nb', 'e"\u0301 \\\u0301', 'x"} 1\napus_evil{y="', "é 😀",
])
def test_names_with_quotes_and_line_ends_do_not_break_the_format(start_server, apus, tmp_path, name):
    """A Swift Character may be more than the quote or the line end that must be escaped: \\r\\n is one, and so is a quote
    with an accent."""
    model = copy_of_shipped_model(apus, tmp_path / "model")
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["id2label"] = {"0": f"not {name}", "1": "neutral", "2": name}
    config["label2id"] = {label: int(number) for number, label in config["id2label"].items()}
    (model / "config.json").unlink()
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    server = start_server("--model", str(model))
    assert server.predict("I love MLOps").json()["label"] == name
    metrics = server.metrics()
    labels = {sample.labels["label"] for sample in metrics.matching("apus_predictions_total")}
    assert labels == {f"not {name}", "neutral", name}
    assert metrics.value("apus_predictions_total", label=name) == 1
    assert not metrics.matching("apus_evil")
    checked = subprocess.run([tool("promtool"), "check", "metrics"], capture_output=True, text=True,
                             input=requests.get(server.url + "/metrics", timeout=10).text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


# Prometheus itself

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
    rate = scraper.query(f'rate(http_requests_total{{{predict}}}[10s])')
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


# Drift

def test_nothing_is_published_under_the_minimum_of_samples(start_server, profile, data):
    server = start_server("--drift-min-samples", "50")
    texts = tweets(data)
    assert drift_of(server) == (0, {})
    assert server.status()["drift"]["features"] is None
    assert send_batch(server.port, texts[:49]).status == 200
    assert drift_of(server) == (49, {})
    status = server.status()["drift"]
    assert (status["samples"], status["minimum_samples"], status["features"]) == (49, 50, None)
    assert server.predict(texts[49]).status_code == 200
    samples, figures = drift_of(server)
    assert samples == 50 and set(figures) == FEATURES
    status = server.status()["drift"]
    assert status["samples"] == 50
    for feature, (psi, distance) in figures.items():
        assert status["features"][feature]["psi"] == pytest.approx(psi, abs=1e-9)
        assert status["features"][feature]["js_distance"] == pytest.approx(distance, abs=1e-9)


def test_the_figures_are_those_of_the_definition(start_server, apus, profile, data):
    server = start_server("--drift-min-samples", "100")
    texts = tweets(data)[:300] + ["I hate this", "word " * 600]
    answers = predict_all(server, texts)
    samples, figures = drift_of(server)
    assert samples == len(texts)
    expected = expected_drift(profile, answers, token_counts(apus, texts))
    for feature, (psi, distance) in expected.items():
        assert figures[feature] == pytest.approx((psi, distance), rel=1e-6, abs=1e-9), feature


def test_texts_like_those_of_the_profile_show_no_drift_and_others_do(start_server, profile, data):
    usual = {}
    for split in ("val", "train"):
        server = start_server("--drift-min-samples", "500")
        predict_all(server, tweets(data, split)[:2000:2])
        samples, usual = drift_of(server)
        assert samples == 1000
        for feature, (psi, distance) in usual.items():
            assert psi < 0.1 and distance < 0.2, (split, feature, psi, distance)
    server = start_server("--drift-min-samples", "500")
    predict_all(server, ["I hate this"] * 500)
    _, figures = drift_of(server)
    for feature in FEATURES:
        assert figures[feature][0] > 0.2 and figures[feature][1] > usual[feature][1], (feature, figures)


def test_the_window_forgets_by_count(start_server, apus, profile, data):
    server = start_server("--drift-min-samples", "100", "--drift-window", "100")
    predict_all(server, tweets(data)[:300])
    answers = predict_all(server, ["I hate this"] * 100)
    samples, figures = drift_of(server)
    assert samples == 100
    expected = expected_drift(profile, answers, token_counts(apus, ["I hate this"]) * 100)
    for feature, (psi, distance) in expected.items():
        assert figures[feature] == pytest.approx((psi, distance), rel=1e-6), feature


def test_the_window_forgets_by_time(start_server, profile, data):
    server = start_server("--drift-min-samples", "100", "--drift-window-time", "2")
    predict_all(server, tweets(data)[:150])
    samples, figures = drift_of(server)
    assert samples == 150 and set(figures) == FEATURES
    # An old figure that stays would look like a model that is fine.
    until(lambda: drift_of(server) == (0, {}), "what is older than the window is forgotten", 6)


def test_requests_that_are_refused_are_no_samples(start_server, profile):
    server = start_server()
    with Connection(server.port) as connection:
        assert connection.exchange(request(body={"texts": ["fine", ""]})).status == 422
        assert connection.exchange(request(body={"text": "word " * 1000, "truncate": False})).status == 422
        assert connection.exchange(request(body={"text": "fine"})).status == 200
    assert drift_of(server)[0] == 1


def test_a_model_without_a_profile_publishes_no_drift(start_server, apus, tmp_path):
    server = start_server("--model", str(copy_of_shipped_model(apus, tmp_path / "model")))
    assert server.predict("I love MLOps").status_code == 200
    assert server.status()["drift"] is None
    assert not [name for name in server.metrics().families if name.startswith("apus_drift")]


def test_concurrent_clients_are_all_counted(start_server, profile, data):
    server = start_server("--drift-min-samples", "100")
    texts = tweets(data)[:1000]
    clients = [Background(send_batch, server.port, texts[start:start + 100]) for start in range(0, 1000, 100)]
    assert [client.result().status for client in clients] == [200] * 10
    assert drift_of(server)[0] == 1000
    assert server.metrics().value("apus_predictions_total") == 1000


def test_evaluate_writes_the_profile_of_what_it_measured(start_server, apus, predictions_of, tmp_path, data):
    model = copy_of_shipped_model(apus, tmp_path / "model")
    texts = list(dict.fromkeys(text for text in tweets(data) if text.strip()))[:400]
    dataset = tmp_path / "dataset.jsonl"
    dataset.write_text("".join(json.dumps({"text": text, "label": "neutral"}) + "\n" for text in texts), encoding="utf-8")
    subprocess.run([apus, "evaluate", "--model", model, "--dataset", dataset, "--write-profile"], check=True,
                   capture_output=True)
    profile = read_profile(model / "reference_profile.json")
    assert profile["texts"] == len(texts)
    predictions = predictions_of(texts)
    answers = [predictions[text] for text in texts]
    live, reference = distributions(profile, answers, token_counts(apus, texts))
    for feature, counts in reference.items():
        assert counts.tolist() == live[feature].tolist(), feature
        assert np.count_nonzero(counts) >= 3, f"the bins of {feature} tell nothing apart"
    # What it was measured on is no drift from it at all.
    server = start_server("--model", str(model), "--drift-min-samples", "400")
    predict_all(server, texts)
    assert drift_of(server) == (400, {feature: (pytest.approx(0, abs=1e-9),) * 2 for feature in FEATURES})


@pytest.fixture
def profile(apus: Path) -> dict:
    path = resources(apus) / "reference_profile.json"
    if not path.exists():
        pytest.skip(f"there is no {path}: the shipped model has no profile")
    return read_profile(path)


def read_profile(path: Path) -> dict:
    """{"texts", "features": {"label": {label: count}, "confidence" and "tokens": {"edges", "counts"}}}"""
    profile = json.loads(path.read_text(encoding="utf-8"))
    assert profile["format_version"] == 1
    for feature in ("confidence", "tokens"):
        one = profile["features"][feature]
        assert len(one["counts"]) == len(one["edges"]) + 1 and one["edges"] == sorted(set(one["edges"]))
        assert sum(one["counts"]) == profile["texts"]
    assert sum(profile["features"]["label"].values()) == profile["texts"]
    return profile


def distributions(profile: dict, answers: list[dict], tokens: list[int]) -> tuple[dict, dict]:
    """Counts by feature: of the answers, and of the profile."""
    features = profile["features"]
    labels = list(features["label"])
    live = {"label": np.bincount([labels.index(answer["label"]) for answer in answers], minlength=len(labels))}
    reference = {"label": np.array(list(features["label"].values()))}
    scores = np.array([answer["score"] for answer in answers], np.float32)
    for feature, values in (("confidence", scores.astype(np.float64)), ("tokens", np.array(tokens))):
        bins = np.digitize(values, features[feature]["edges"])  # edges[i - 1] <= value < edges[i]
        reference[feature] = np.array(features[feature]["counts"])
        live[feature] = np.bincount(bins, minlength=len(reference[feature]))
    return live, reference


def expected_drift(profile: dict, answers: list[dict], tokens: list[int]) -> dict[str, tuple[float, float]]:
    live, reference = distributions(profile, answers, tokens)
    return {feature: (stability_index(reference[feature], live[feature]),
                      jensen_shannon_distance(reference[feature], live[feature])) for feature in reference}


def shares(counts: np.ndarray) -> np.ndarray:
    return (counts + 0.5) / (counts.sum() + 0.5 * len(counts))


def stability_index(reference: np.ndarray, live: np.ndarray) -> float:
    p, q = shares(live), shares(reference)
    return float(np.sum((p - q) * np.log(p / q)))


def jensen_shannon_distance(reference: np.ndarray, live: np.ndarray) -> float:
    """scipy.spatial.distance.jensenshannon(p, q, 2): the root of the divergence in bits."""
    p, q = shares(live), shares(reference)
    middle = (p + q) / 2
    return float(np.sqrt((np.sum(p * np.log2(p / middle)) + np.sum(q * np.log2(q / middle))) / 2))


def drift_of(server: Server) -> tuple[int, dict[str, tuple[float, float]]]:
    """The number of samples, and by feature the stability index and the distance."""
    metrics = server.metrics()
    psi = {sample.labels["feature"]: sample.value for sample in metrics.matching("apus_drift_psi")}
    distance = {sample.labels["feature"]: sample.value for sample in metrics.matching("apus_drift_js_distance")}
    assert psi.keys() == distance.keys()
    return int(metrics.value("apus_drift_samples")), {feature: (psi[feature], distance[feature]) for feature in psi}


# Helpers

def answered(metrics: Metrics) -> float:
    return metrics.value("http_requests_total", handler="/predict", method="POST", status="200")


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (apt-get install prometheus)")
    return path


def tweets(data: Path, split: str = "val") -> list[str]:
    text = data.joinpath(f"tweeteval-sentiment/{split}_text.txt").read_text(encoding="utf-8")
    return text.removesuffix("\n").split("\n")


def predict_all(server: Server, texts: list[str]) -> list[dict]:
    answers: list[dict] = []
    for start in range(0, len(texts), 100):
        answer = send_batch(server.port, texts[start:start + 100])
        assert answer.status == 200, answer.body
        answers += answer.json()["predictions"]
    return answers


def token_counts(apus: Path, texts: list[str]) -> list[int]:
    """As the model sees them, cut off and with special tokens."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    command = [apus, "tokenize", "--input", "-", "--input-format", "jsonl"]
    output = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
    return [len(json.loads(line)["ids"]) for line in output.removesuffix("\n").split("\n")]


def resources(apus: Path) -> Path:
    return apus.resolve().parent / "apus_Engine.resources/Model"


def copy_of_shipped_model(apus: Path, directory: Path) -> Path:
    """Without what was found out about the model: profile and evaluation."""
    directory.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (directory / name).symlink_to(resources(apus) / name)
    return directory
