"""POST /feedback: live accuracy, and what of it outlives a kill, a torn file, a full disk and a restart."""

from __future__ import annotations

import os
import subprocess
import uuid
from pathlib import Path

import pytest
import requests

from apus_server import Server, until
from raw_http import Connection, request
from supplies import tweets
from traffic import send_batch

MODEL = "minilm-l6-tweet-sentiment"
LABELS = ("negative", "neutral", "positive")


def judge(server: Server, body) -> requests.Response:
    return requests.post(server.url + "/feedback", json=body, timeout=10)


def judge_one(server: Server, identifier: str, label: str, index: int = 0) -> int:
    return judge(server, {"request_id": identifier, "label": label, "index": index}).status_code


def live(server: Server) -> dict | None:
    return server.status()["feedback"]["live"].get(MODEL)


def ask(server: Server, text: str = "I love MLOps") -> str:
    answer = server.predict(text)
    assert answer.status_code == 200
    return answer.headers["X-Request-Id"]


def test_live_accuracy_is_the_accuracy_of_the_labels_that_were_sent(start_server, data):
    server = start_server()
    texts = tweets(data)[:300]
    truth = [int(line) for line in (data / "tweeteval-sentiment" / "test_labels.txt").read_text().splitlines()[:300]]
    identifier = str(uuid.uuid4())
    hits, pairs = 0, []
    for start in range(0, 300, 100):
        answer = requests.post(server.url + "/predict", json={"texts": texts[start:start + 100]}, timeout=60,
                               headers={"X-Request-Id": f"{identifier}-{start}"})
        said = [prediction["label"] for prediction in answer.json()["predictions"]]
        right = [LABELS[label] for label in truth[start:start + 100]]
        pairs += zip(right, said)
        body = [{"request_id": f"{identifier}-{start}", "index": index, "label": label} for index, label in enumerate(right)]
        assert judge(server, body).json() == {"accepted": 100, "unknown": []}
    hits = sum(right == said for right, said in pairs)
    metrics = server.metrics()
    assert metrics.value("apus_live_answers", model=MODEL) == 300
    assert metrics.value("apus_live_accuracy", model=MODEL) == pytest.approx(hits / 300)
    recalls = [[said == label for right, said in pairs if right == label] for label in LABELS]
    assert metrics.value("apus_live_macro_recall", model=MODEL) == pytest.approx(
        sum(sum(recall) / len(recall) for recall in recalls) / 3)
    assert metrics.value("apus_feedback_total") == 300
    assert (metrics.value("apus_live_accuracy_bound", bound="lower") < hits / 300
            < metrics.value("apus_live_accuracy_bound", bound="upper"))


def test_feedback_no_longer_counts_when_the_window_has_passed(start_server):
    server = start_server("--feedback-window-time", "2")
    assert judge_one(server, ask(server), "positive") == 200
    assert live(server)["labelled"] == 1
    until(lambda: live(server) is None, "the window has passed", 6)
    assert server.metrics().matching("apus_live_accuracy") == []
    assert server.metrics().value("apus_feedback_total") == 1


def test_every_route_that_predicts_can_be_judged(server):
    for path, body in (("/predict", {"inputs": "fine"}), ("/invocations", {"instances": ["fine"]}),
                       (f"/v2/models/{MODEL}/infer",
                        {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["fine"]}]})):
        answer = requests.post(server.url + path, json=body, timeout=10)
        assert judge_one(server, answer.headers["X-Request-Id"], "neutral") == 200, path
        assert judge_one(server, answer.headers["X-Request-Id"], "neutral", index=1) == 404, path


def test_the_key_is_asked_for(start_server):
    server = start_server("--api-key", "secret")
    assert judge_one(server, "a", "positive") == 401


# What outlives a restart

def test_labels_that_come_after_a_kill_find_their_answers(apus, start_server, tmp_path):
    state = tmp_path / "new" / "state"
    server = Server(apus, "--no-self-test", "--state", str(state), "--feedback-answers", "1000")
    judged, late = ask(server, "I love it"), ask(server, "I hate it")
    assert judge_one(server, judged, "positive") == 200
    log = state / "feedback.log"
    # A header, the model, two answers and a judgement, written within the second.
    until(lambda: log.stat().st_size > 150, "the records are written", 5)
    assert log.stat().st_mode & 0o777 == 0o600
    server.process.kill()
    server.process.wait()
    with log.open("ab") as file:
        file.write(b"\x20\x00\x00\x00torn")
    server = start_server("--state", str(state), "--feedback-answers", "1000", self_test=True)
    assert "last 8 bytes were no whole record" in server.log()
    assert live(server)["labelled"] == 1
    assert judge_one(server, late, "positive") == 200
    assert (live(server)["labelled"], live(server)["accuracy"]) == (2, 0.5)
    server.terminate()
    assert server.wait(30) == 0
    server = start_server("--state", str(state), "--feedback-answers", "1000")
    assert (live(server)["labelled"], live(server)["accuracy"]) == (2, 0.5)


def test_a_state_that_is_in_use_or_none_of_ours_is_refused(apus, start_server, tmp_path):
    start_server("--state", str(tmp_path))
    other = tmp_path / "other"
    other.mkdir()
    (other / "feedback.log").write_text("a file of somebody's\n")
    for directory, message in ((tmp_path, "in use by another server"), (other, "not a feedback log of this version"),
                               (other / "feedback.log", "cannot be made")):
        ended = subprocess.run([apus, "serve", "--port", "0", "--no-self-test", "--state", directory],
                               capture_output=True, text=True, timeout=60)
        assert ended.returncode == 2 and message in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr
    assert (other / "feedback.log").read_text() == "a file of somebody's\n"


def test_a_full_disk_stops_neither_answers_nor_feedback_and_nothing_is_lost_when_there_is_room(start_server, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "apus-test", folder], capture_output=True).returncode:
        pytest.skip("nobody may mount a file system here")
    try:
        server = start_server("--state", str(folder), "--log-format", "json")
        first = ask(server)
        filler = folder / "filler"
        with filler.open("wb") as file:
            for _ in range(16):  # all that is left, page by page
                try:
                    os.write(file.fileno(), bytes(4096))
                except OSError:
                    break
        for _ in range(30):
            assert send_batch(server.port, ["short"] * 128).status == 200
        until(lambda: server.metrics().value("apus_state_write_failures_total") >= 2, "writing failed twice", 10)
        assert judge_one(server, first, "positive") == 200
        assert sum("cannot be written" in record["message"] for record in server.log_records()) == 1
        filler.unlink()
        until(lambda: "can be written again" in server.log(), "the disk has room", 10)
        server.terminate()
        assert server.wait(30) == 0
        server = start_server("--state", str(folder))
        assert live(server)["labelled"] == 1
        server.terminate()
        assert server.wait(30) == 0
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_log_that_has_grown_long_is_made_anew_of_what_is_remembered(start_server, tmp_path):
    server = start_server("--state", str(tmp_path), "--feedback-answers", "2000")
    with Connection(server.port) as connection:
        for _ in range(4000):
            assert connection.exchange(request(body={"text": "x"})).status == 200
    until(lambda: server.status()["feedback"]["answers"] == 2000, "the ring is full")
    until(lambda: (tmp_path / "feedback.log").stat().st_size < 2000 * 240 + (1 << 20) + (1 << 18), "the log is short", 5)
