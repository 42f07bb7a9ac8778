"""/metrics: its format, and that its figures are those of the known traffic."""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import requests

from apus_server import Metrics, until
from raw_http import Connection, request
from traffic import different_texts, keep_busy, send_batch
from supplies import copy_of_shipped_model, token_counts, tool, tweets

# The names as the parser has them, which leaves a counter's _total out.
METRICS = {
    "http_requests": ("counter", {"handler", "method", "status"}),
    "http_request_duration_seconds": ("histogram", {"handler", "method"}),
    "http_requests_in_progress": ("gauge", set()),
    "apus_predictions": ("counter", {"model", "label"}),
    "apus_prediction_confidence": ("histogram", {"model"}),
    "apus_input_tokens": ("histogram", {"model"}),
    "apus_batch_texts": ("histogram", {"model"}),
    "apus_batch_tokens": ("histogram", {"model"}),
    "apus_queue_depth": ("gauge", {"model"}),
    "apus_tokenize_seconds": ("histogram", {"model"}),
    "apus_queue_seconds": ("histogram", {"model"}),
    "apus_inference_seconds": ("histogram", {"model"}),
    "apus_rejected": ("counter", {"reason"}),
    "apus_truncated": ("counter", {"model"}),
    "apus_drift_psi": ("gauge", {"model", "feature"}),
    "apus_drift_js_distance": ("gauge", {"model", "feature"}),
    "apus_drift_embedding_distance": ("gauge", {"model", "part"}),
    "apus_drift_samples": ("gauge", {"model"}),
    "apus_model_info": ("gauge", {"model", "id", "revision", "precision", "isa", "model_digest"}),
    "apus_model_load_failures": ("counter", {"reason"}),
    "apus_connections": ("gauge", set()),
    "apus_connections_ended": ("counter", {"reason"}),
    "process_cpu_seconds": ("counter", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_virtual_memory_bytes": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
    "process_start_time_seconds": ("gauge", set()),
    "process_threads": ("gauge", set()),
}


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
    assert (info.labels["model"], info.labels["id"]) == (status["name"], status["model"])
    assert (info.labels["precision"], info.labels["isa"]) == (status["precision"], status["isa"])
    assert info.labels["model_digest"] == status["model_digest"] and status["calibration"] is None
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
    statuses = {sample.labels["status"] for sample in metrics.matching("http_requests_total") if sample.value}
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


def answered(metrics: Metrics) -> float:
    return metrics.value("http_requests_total", handler="/predict", method="POST", status="200")
