"""More than the engine can do: who waits, who is sent away, and that nobody gets another one's answer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests

from apus_server import until
from raw_http import Answer, Connection, request
from traffic import Background, Load, hammer, keep_busy, long_texts, send_batch

BODY = request(body={"text": "I love MLOps"})
INFER = "/v2/models/minilm-l6-tweet-sentiment/infer"


# Each its own

def test_thousands_of_interleaved_requests_each_get_their_own_answer(server, known):
    texts = list(known) * 10
    answers = hammer(server.port, texts, connections=64)
    assert len(answers) == 4000
    for text, answer in zip(texts, answers):
        assert answer.status == 200 and answer.json() == known[text], text


def test_batches_of_many_clients_are_never_mixed_up(server, known):
    """Batches of every size and protocol at once, so that texts of one request spread over the engine's batches."""
    texts = list(known)

    def batch(number: int) -> None:
        size = 1 + number * 37 % 128
        chosen = [texts[(number * 11 + index) % len(texts)] for index in range(size)]
        with Connection(server.port, timeout=60) as connection:
            if number % 3 == 0:
                answer = connection.exchange(request(body={"texts": chosen}))
                assert answer.json()["predictions"] == [known[text] for text in chosen]
            elif number % 3 == 1:
                answer = connection.exchange(request(body={"inputs": chosen}))
                got = [{element["label"]: element["score"] for element in elements} for elements in answer.json()]
                assert got == [known[text]["scores"] for text in chosen]
            else:
                tensor = {"name": "text", "shape": [size], "datatype": "BYTES", "data": chosen}
                answer = connection.exchange(request(INFER, {"inputs": [tensor], "outputs": [{"name": "score"}]}))
                score = np.array(answer.json()["outputs"][0]["data"], np.float32)
                np.testing.assert_array_equal(score, np.array([known[text]["score"] for text in chosen], np.float32))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(batch, range(72)))


def test_answers_are_the_same_on_every_number_of_threads_and_batch_size(start_server, known):
    texts = list(known)[:100]
    for options in (("--threads", "1", "--max-batch-tokens", "1"), ("--threads", "2", "--max-batch-tokens", "1024")):
        server = start_server(*options)
        for text, answer in zip(texts, hammer(server.port, texts, connections=16)):
            assert answer.json() == known[text]


def test_requests_share_batches_under_load(start_server):
    """Whatever is queued when the engine becomes free is the next batch."""
    server = start_server("--threads", "1")
    busy = keep_busy(server)
    hammer(server.port, ["short"] * 64, connections=64)
    assert busy.result().status == 200
    metrics = server.metrics()
    batches, texts = metrics.value("apus_batch_texts_count"), metrics.value("apus_batch_texts_sum")
    assert texts == 32 + 64
    assert batches <= 16 + 24, f"{texts:.0f} texts took {batches:.0f} batches"
    assert metrics.value("apus_queue_depth") == 0


# Too many

def test_a_full_queue_is_a_429_at_once_with_retry_after(start_server):
    server = start_server("--threads", "1", "--max-queue", "64", "--max-client-batch", "64")
    first = Background(send_batch, server.port, long_texts(60))
    until(lambda: server.metrics().value("apus_queue_depth") >= 50, "the queue is nearly full")
    began = time.monotonic()
    answer = requests.post(server.url + "/predict", json={"texts": ["x"] * 40}, timeout=10)
    assert answer.status_code == 429, answer.text
    assert time.monotonic() - began < 0.25, "a refusal must not wait"
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["error"]["type"] == "queue_full" and "64" in answer.json()["error"]["message"]
    tensor = {"name": "text", "shape": [40], "datatype": "BYTES", "data": ["x"] * 40}
    infer = requests.post(server.url + INFER, json={"inputs": [tensor]}, timeout=10)
    assert infer.status_code == 429 and isinstance(infer.json()["error"], str)
    assert server.rejected("queue_full") >= 2
    assert server.predict("there is room for one").status_code == 200
    assert first.result().status == 200, "what was accepted is answered"
    server.assert_answers()


def test_of_a_crowd_all_get_an_answer_or_a_429_and_memory_stays_flat(start_server, known):
    server = start_server("--max-queue", "32", "--max-client-batch", "32")
    texts = list(known) * 5
    hammer(server.port, texts[:256], connections=128)
    before = server.memory()
    answers = hammer(server.port, texts, connections=128)
    statuses = [answer.status for answer in answers]
    assert set(statuses) <= {200, 429} and statuses.count(200) > 100
    for text, answer in zip(texts, answers):
        assert answer.status == 429 or answer.json() == known[text]
    if 429 in statuses:
        assert server.rejected("queue_full") > 0
    assert server.memory() < before + 32 * 2**20
    server.assert_answers()


def test_a_refusal_is_the_same_whether_the_router_made_it_or_not(start_server):
    """One to a path with a query goes to the router, which refuses it after a longer way."""
    server = start_server("--threads", "1", "--max-queue", "8", "--max-client-batch", "8")

    def refused(path: str, text: str = "a") -> Answer:
        while True:
            with Connection(server.port) as connection:
                answer = connection.exchange(request(path, {"text": text}, headers={"X-Request-Id": "mine"}))
            if answer.status == 429:
                assert answer.headers.pop("date").endswith(" GMT")
                return answer

    with Load(server.port, long_texts(64), connections=64):
        short, router = refused("/predict"), refused("/predict?a=b")
        large = refused("/predict", "x" * 200_000)
        with Connection(server.port) as connection:
            assert connection.exchange(request("/predict", b"a", headers={"Content-Type": "text/html"})).status == 415
    assert short.headers == router.headers and short.body == router.body
    assert short.headers["x-request-id"] == "mine" and short.headers["retry-after"] == "1"
    assert large.headers.pop("connection") == "close", "the rest of a large body is not waited for"
    assert large.headers == router.headers and large.body == router.body
    assert server.metrics().value("http_requests_total", handler="/predict", status="429") == server.rejected("queue_full")


def test_a_request_past_its_deadline_is_a_504_and_what_is_left_of_it_is_never_run(start_server):
    server = start_server("--threads", "1", "--precision", "f32", "--request-timeout", "0.5", "--max-queue", "256")
    texts = long_texts(128)
    began = time.monotonic()
    answer = send_batch(server.port, texts)
    assert answer.status == 504 and answer.json()["error"]["type"] == "deadline", answer
    assert 0.5 <= time.monotonic() - began
    assert server.rejected("deadline") == 1
    metrics = server.metrics()
    assert metrics.value("apus_queue_depth") == 0
    assert metrics.value("http_requests_total", status="504") == 1
    until(lambda: server.predict("in time").status_code == 200, "the batch that ran has ended", 30)
    assert server.metrics().value("apus_batch_texts_sum") < len(texts), "texts were run after their deadline"


def test_a_504_does_not_wait_for_the_batch_that_runs(start_server):
    server = start_server("--threads", "1", "--precision", "f32", "--request-timeout", "0.3")

    def comes_before_the_batch_ends() -> bool:
        answer = send_batch(server.port, long_texts(64))
        before = server.metrics().value("apus_batch_texts_count")
        assert answer.status == 504, answer
        time.sleep(2)
        return server.metrics().value("apus_batch_texts_count") == before + 1

    # Where a batch ends just then, another time shows it.
    assert any(comes_before_the_batch_ends() for _ in range(5))


def test_what_the_queue_cannot_get_to_in_time_is_refused_at_once(start_server):
    server = start_server("--threads", "1", "--precision", "f32", "--request-timeout", "10", "--max-queue", "512")
    first = Background(send_batch, server.port, long_texts(128))
    until(lambda: server.metrics().value("apus_batch_texts_count") >= 4, "the pace of the queue is known", 30)
    answer = send_batch(server.port, long_texts(128))
    assert answer.status == 429 and answer.json()["error"]["type"] == "queue_full", answer
    assert "could not get to this request in time" in answer.json()["error"]["message"]
    assert int(answer.headers["retry-after"]) >= 1
    assert first.result().status in (200, 504)
    assert server.predict("in time").status_code == 200


def test_of_clients_that_ask_again_at_once_each_gets_its_turn(start_server):
    """64 clients that heed nothing, and 16 that ask over a new connection each time, for 8 places."""
    server = start_server("--threads", "1", "--max-queue", "8", "--max-client-batch", "8")
    answered, enough = [0] * 80, threading.Event()

    def ask(number: int) -> None:
        connection = None
        while not enough.is_set():
            if connection is None or number >= 64:
                if connection:
                    connection.close()
                connection = Connection(server.port, timeout=60)
            answer = connection.exchange(request(body={"text": f"text {number} {answered[number]}"}))
            assert answer.status in (200, 429)
            answered[number] += answer.status == 200
            if sum(answered[:64]) >= 64 * 12:
                enough.set()
        connection.close()

    with ThreadPoolExecutor(80) as pool:
        list(pool.map(ask, range(80)))
    assert min(answered[:64]) >= 4, answered
    assert sum(answered[64:]) > 0, "nobody with a new connection was answered"
    assert server.metrics().value("apus_queue_depth") == 0


@pytest.mark.parametrize("path, body", [("/predict", {"texts": long_texts(64)}), (INFER, {"inputs": [
    {"name": "text", "shape": [64], "datatype": "BYTES", "data": long_texts(64)}]})], ids=["predict", "infer"])
def test_a_deadline_that_nobody_can_meet_is_a_504_in_each_protocols_form(start_server, path, body):
    server = start_server("--request-timeout", "0.001")
    answer = requests.post(server.url + path, json=body, timeout=10)
    assert answer.status_code == 504, answer.text
    error = answer.json()["error"]
    assert isinstance(error, str) if path == INFER else error["type"] == "deadline"


def test_a_good_client_keeps_its_turn_beside_one_that_floods(start_server):
    """First come, first served: a single text waits for what came before it, never for what came after."""
    server = start_server("--threads", "1", "--max-queue", "256", "--request-timeout", "120")
    flood = [Background(send_batch, server.port, long_texts(24)) for _ in range(2)]
    until(lambda: server.metrics().value("apus_queue_depth") > 0, "the flood has begun")
    with Connection(server.port, timeout=120) as connection:
        connection.send(BODY)
        late = Background(send_batch, server.port, long_texts(24))
        assert connection.answer().status == 200
        answered = time.monotonic()
    assert late.result().status == 200
    assert time.monotonic() - answered > 0.05
    assert all(client.result().status == 200 for client in flood)
