"""--cache: texts that come again are answered without a pass, by the same bytes."""

from __future__ import annotations

import subprocess

import pytest

from apus_server import Server
from supplies import tweets
from traffic import different_texts, hammer, keep_busy, send_batch


def hits(server: Server) -> float:
    return server.metrics().value("apus_cache_hits_total")


def test_a_text_that_comes_again_gets_the_same_bytes_without_a_pass(start_server, data):
    server, plain = start_server("--cache", "4MiB"), start_server()
    texts = tweets(data)[:200]
    first = send_batch(server.port, texts[:100]).body, send_batch(server.port, texts[100:]).body
    assert first == (send_batch(plain.port, texts[:100]).body, send_batch(plain.port, texts[100:]).body)
    assert hits(server) == hits(plain) == 0
    passes = server.metrics().value("apus_batch_texts_count")
    assert (send_batch(server.port, texts[:100]).body, send_batch(server.port, texts[100:]).body) == first
    assert hits(server) == 200
    assert server.metrics().value("apus_batch_texts_count") == passes
    answer = server.predict(texts[0])
    assert "infer;dur=0.000" in answer.headers["Server-Timing"]
    assert server.metrics().value("apus_predictions_total") == 401


def test_a_known_text_does_not_wait_for_others(start_server):
    server = start_server("--cache", "1MiB", "--threads", "1")
    server.assert_answers()
    busy = keep_busy(server)
    answers = [server.predict("I love MLOps") for _ in range(20)]
    assert {answer.json()["label"] for answer in answers} == {"positive"}
    assert all("queue;dur=0.000" in answer.headers["Server-Timing"] for answer in answers)
    assert busy.result().status == 200


def test_many_clients_and_few_texts_get_each_its_own_answer(start_server):
    texts = different_texts(40)
    server = start_server("--cache", "6KiB")  # some of them
    known = {text: server.predict(text).json() for text in texts}
    asked = [texts[turn * 7 % 40] for turn in range(2000)]
    for text, answer in zip(asked, hammer(server.port, asked, connections=16)):
        assert answer.status == 200 and answer.json() == known[text]
    assert 0 < hits(server) < 2000


@pytest.mark.parametrize("size", ["32MB", "MiB", "-1", "1025GiB", "99999999999999999999", "1.5GiB", "32 MiB"])
def test_a_size_that_is_none_is_refused(apus, size):
    ended = subprocess.run([apus, "serve", f"--cache={size}", "--port", "0"], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and f'--cache: "{size}" is not a size' in ended.stderr, ended.stderr
