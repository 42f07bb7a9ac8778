"""After all that was done to the session's server: is it as it was? Run alone, these tests see a server that had it easy."""

from __future__ import annotations

import json
import time

import pytest

from apus_server import until
from traffic import hammer

DESCRIPTORS = 4  # what a client of this test, and a connection that is being closed, may hold
MEMORY = 48 * 2**20  # what the allocator keeps of the largest bodies and of a thousand connections, for the next time

pytestmark = pytest.mark.last


def test_it_still_answers_each_its_own(server, known):
    texts = list(known)
    for text, answer in zip(texts, hammer(server.port, texts, connections=16)):
        assert answer.status == 200 and answer.json() == known[text]


def test_its_descriptors_are_back_where_they_were(server):
    until(lambda: server.descriptors() <= server.descriptors_before + DESCRIPTORS,
          f"back from {server.descriptors()} to {server.descriptors_before} descriptors", 10)


def test_its_memory_is_back_where_it_was(server):
    before = server.memory_before / 2**20
    try:
        until(lambda: server.memory() <= server.memory_before + MEMORY, "memory is back", 5)
    finally:
        print(f"memory: {before:.0f} MiB before, {server.memory() / 2**20:.0f} MiB after")


def test_nothing_is_left_in_its_queue_or_in_progress(server):
    def is_idle() -> bool:
        metrics = server.metrics()
        return metrics.value("apus_queue_depth") == 0 and metrics.value("http_requests_in_progress") <= 1
    until(is_idle, "an empty queue, and no request but this one in progress")


def test_no_mistake_of_a_client_was_ever_a_5xx(server):
    samples = server.metrics().matching("http_requests_total")
    assert sum(sample.value for sample in samples) > 1
    failures = {json.dumps(sample.labels): sample.value for sample in samples
                if sample.labels["status"].startswith("5") and sample.value > 0}
    assert failures == {}
    serious = [line for line in server.log().splitlines() if " error " in line.lower() or " critical " in line.lower()]
    assert serious == []


def test_its_metrics_tell_few_handlers_apart_whatever_paths_were_asked_for(server):
    """A label for each path that a stranger makes up would grow without bound."""
    handlers = {sample.labels["handler"] for sample in server.metrics().matching("http_requests_total")}
    assert len(handlers) < 40, sorted(handlers)
    methods = {sample.labels["method"] for sample in server.metrics().matching("http_requests_total")}
    assert len(methods) < 12, sorted(methods)


def test_it_uses_no_processor_time_when_nobody_asks(server):
    before = server.metrics().value("process_cpu_seconds_total")
    time.sleep(1)
    assert server.metrics().value("process_cpu_seconds_total") - before < 0.1
