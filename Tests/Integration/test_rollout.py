"""A new model beside the one that answers: first in its shadow, then with a share of its requests, then in its place, or back."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import requests
import tritonclient.http

from apus_server import Server, until
from supplies import TINY, change_tensor

LABELS = ("negative", "neutral", "positive")
# A letter of the small model's vocabulary; the row of its embedding is damaged in a model that cannot answer it.
POISON = "q"


@pytest.fixture
def model_of(tmp_path: Path) -> Callable[..., Path]:
    """A small model that answers as `label` by a bias of its head, with other labels or a damaged embedding."""

    def make(label: str | None = None, labels: dict[str, str] | None = None, poisoned: bool = False) -> Path:
        directory = tmp_path / f"model-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(TINY, directory)
        if label:
            change_tensor(directory / "model.safetensors", "classifier.bias",
                          lambda bias: bias + 20 * (np.array(LABELS) == label))
        if poisoned:
            row = (TINY / "vocab.txt").read_text(encoding="utf-8").split("\n").index(POISON)
            change_tensor(directory / "model.safetensors", "bert.embeddings.word_embeddings.weight",
                          lambda rows: np.where(np.arange(len(rows))[:, None] == row, np.nan, rows))
        if labels:
            config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
            config |= {"id2label": labels, "label2id": {name: int(number) for number, name in labels.items()}}
            (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return directory

    return make


def ask(server: Server, text: str = "a good day", key: str | None = None, **body) -> requests.Response:
    headers = {"X-Apus-Key": key} if key else {}
    return requests.post(server.url + "/predict", json={"text": text, **body}, headers=headers, timeout=30)


def who(answer: requests.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Apus-Model"].split("@")[0]


def load(server: Server, name: str, **parameters: str) -> requests.Response:
    return requests.post(f"{server.url}/v2/repository/models/{name}/load", json={"parameters": parameters}, timeout=60)


def answered_by(server: Server, keys: range) -> dict[int, str]:
    return {key: who(ask(server, key=f"user-{key}")) for key in keys}


def rolled_back(server: Server, reason: str) -> dict:
    canary = server.status()["canary"]
    return canary if canary["state"] == "rolled_back" and canary["reason"] == reason else {}


# Canary

def test_a_canary_answers_the_same_users_at_every_share_and_more_at_a_larger_one(start_server, model_of):
    server = start_server("--model", f"a={model_of()}", "--model", f"b={model_of('positive')}", "--canary", "b=25%",
                          "--allow-load")
    keys = range(300)
    first = answered_by(server, keys)
    share = Counter(first.values())["b"] / len(keys)
    assert .15 < share < .35, share  # 4 standard deviations
    assert answered_by(server, keys) == first
    assert load(server, "b", share="60%").status_code == 200
    more = answered_by(server, keys)
    assert Counter(more.values())["b"] > Counter(first.values())["b"]
    assert all(more[key] == "b" for key in keys if first[key] == "b")
    # Who names a model gets that one; a request without a key is a user of its own.
    assert {who(ask(server, key=f"user-{key}", model="a")) for key in keys[:40]} == {"a"}
    assert {who(ask(server, key=f"user-{key}", model="b")) for key in keys[:40]} == {"b"}
    assert {who(ask(server)) for _ in range(60)} == {"a", "b"}
    canary = server.status()["canary"]
    assert (canary["name"], canary["share"], canary["state"]) == ("b", .6, "running")
    assert canary["canary"]["requests"] + canary["default"]["requests"] == len(keys) + 60
    metrics = server.metrics()
    assert metrics.value("apus_canary_share", model="b") == .6
    assert metrics.value("apus_canary_state", model="b", state="running") == 1
    assert metrics.value("apus_canary_state", model="b", state="rolled_back") == 0
    assert load(server, "b", share="0%").status_code == 200
    assert set(answered_by(server, keys[:50]).values()) == {"a"}


def test_a_canary_that_gets_everything_is_the_default_model_and_the_old_one_can_be_called_back(start_server, model_of):
    server = start_server("--model", f"a={model_of()}", "--allow-load")
    triton = tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=60)
    triton.load_model("b", config=json.dumps({"model": str(model_of("positive")), "share": "10%"}))
    assert server.status()["canary"]["name"] == "b"
    before = server.status()["models"][1]
    for _ in range(2):  # a client that asks again does no harm
        triton.load_model("b", config=json.dumps({"share": "100%"}))
        assert server.status()["name"] == "b" and server.status()["canary"] is None
        assert set(answered_by(server, range(20)).values()) == {"b"}
    assert server.status()["models"][1]["self_test"] == before["self_test"]  # it was not loaded again
    assert who(ask(server, model="a")) == "a"
    triton.load_model("a", config=json.dumps({"share": "100%"}))
    assert set(answered_by(server, range(20)).values()) == {"a"}


def test_a_canary_without_an_answer_goes_back_and_no_client_notices(start_server, model_of):
    server = start_server("--model", f"a={model_of()}", "--model", f"b={model_of(poisoned=True)}", "--canary", "b=50%")
    for number in range(40):
        assert who(ask(server, "a good day", key=f"user-{number}")) in "ab"

    def goes_on() -> dict:
        for number in range(20):
            assert who(ask(server, f"a {POISON} day", key=f"user-{number}")) == "a"
        return rolled_back(server, "errors")

    canary = until(goes_on, "the canary is taken back", 20)
    assert canary["share"] == 0 and "failed" in canary["message"] and canary["canary"]["failed_share"] > 0
    assert set(answered_by(server, range(50)).values()) == {"a"}
    metrics = server.metrics()
    assert metrics.value("apus_canary_rollbacks_total", reason="errors") == 1
    assert metrics.value("apus_canary_state", model="b", state="rolled_back") == 1
    assert metrics.value("http_requests_total", handler="/predict", status="500") == 0
    assert len([line for line in server.log().splitlines() if "the canary was taken back" in line]) == 1
    # Asked by its name, it says what is wrong.
    assert ask(server, POISON, model="b").status_code == 500


def test_a_canary_with_other_labels_than_the_default_model_goes_back(start_server, model_of):
    server = start_server("--model", f"a={model_of()}", "--model", f"b={model_of('negative')}", "--canary", "b=50%")
    usual = ask(server, model="a").json()["label"]
    assert ask(server, model="b").json()["label"] == "negative" != usual
    # Answered by the thousand, in few requests.
    bodies = [{"texts": ["a good day"] * 100} for _ in range(40)]

    def goes_on() -> dict:
        for number, body in enumerate(bodies):
            answer = requests.post(server.url + "/predict", json=body, headers={"X-Apus-Key": f"{number}"}, timeout=30)
            assert answer.status_code == 200
        return rolled_back(server, "labels")

    assert "stability index" in until(goes_on, "the canary is taken back", 20)["message"]


def test_a_canary_that_is_less_often_right_goes_back_and_stays_back_until_it_is_raised(start_server, model_of):
    server = start_server("--model", f"a={model_of()}", "--model", f"b={model_of('negative')}", "--canary", "b=50%",
                          "--allow-load")
    right = ask(server, model="a").json()["label"]
    judged = Counter()
    for number in range(100):
        answer = ask(server, key=f"user-{number}")
        judgement = {"request_id": answer.headers["X-Request-Id"], "label": right}
        assert requests.post(server.url + "/feedback", json=judgement, timeout=10).status_code == 200
        judged[who(answer)] += 1
    assert min(judged.values()) > 30
    canary = until(lambda: ask(server) and rolled_back(server, "accuracy"), "the canary is taken back", 20)
    assert "live accuracy is 0." in canary["message"]
    assert load(server, "b").status_code == 200  # loaded again, but not raised
    assert server.status()["canary"]["share"] == 0
    assert load(server, "b", share="5%").status_code == 200
    assert server.status()["canary"]["state"] == "running"


def test_a_canary_of_the_same_model_stays(start_server, model_of):
    server = start_server("--model", f"a={model_of()}", "--model", f"b={model_of()}", "--canary", "b=50%")
    for number in range(1200):
        assert ask(server, key=f"{number}").status_code == 200
    assert server.status()["canary"]["state"] == "running"
    for side in ("canary", "default"):
        figures = server.status()["canary"][side]
        assert figures["requests"] > 400 and figures["failed_share"] == 0 and 0 < figures["p99_seconds"] < 30


# Shadow

def test_a_shadow_reads_what_was_answered_and_answers_nobody(start_server, model_of, tmp_path):
    log = tmp_path / "disagreements.jsonl"
    server = start_server("--model", f"a={model_of()}", "--model", f"b={model_of('negative')}", "--shadow", "b",
                          "--shadow-log", str(log))
    texts = [f"a good day {letter}" for letter in "abcdefghij"]
    answers = {text: ask(server, text, key=text) for text in texts}
    assert {who(answer) for answer in answers.values()} == {"a"}
    batch = requests.post(server.url + "/predict", json={"texts": texts}, timeout=10)
    until(lambda: server.status()["shadow"]["texts"] == 2 * len(texts), "the shadow has read all texts")
    metrics = server.metrics()
    labels = [answer.json()["label"] for answer in answers.values()]
    agreed = labels.count("negative")
    assert metrics.value("apus_shadow_texts_total", model="b", agrees="true") == 2 * agreed
    for label in set(labels) - {"negative"}:
        assert metrics.value("apus_shadow_texts_total", model="b", agrees="false", answer=label,
                             shadow="negative") == 2 * labels.count(label)
    assert metrics.value("apus_shadow_distance_count", model="b") == 2 * len(texts)
    for of in ("answer", "shadow"):
        assert metrics.value("apus_shadow_seconds_count", model="b", of=of) == 2 * len(texts)
    for reason in ("behind", "failed"):
        assert metrics.matching("apus_shadow_skipped_total", model="b", reason=reason)[0].value == 0
    assert server.status()["shadow"]["agreement"] == agreed / len(texts)
    # Only where they do not agree is a text kept, where it was asked for, and for nobody else.
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 2 * (len(texts) - agreed) > 0
    ids = {answer.headers["X-Request-Id"] for answer in [*answers.values(), batch]}
    for line in lines:
        assert line["text"] in texts and line["id"] in ids
        assert line["answer"]["label"] == answers[line["text"]].json()["label"] != line["shadow"]["label"] == "negative"
        assert line["answer"]["model"] == answers[line["text"]].headers["X-Apus-Model"]


def test_a_shadow_yields_to_every_other_thread(start_server, model_of):
    def idle_threads(server: Server) -> int:
        threads = Path(f"/proc/{server.process.pid}/task").iterdir()
        # The 41st field is the scheduling policy (proc_pid_stat(5)); fields before the name's ) may hold spaces.
        return sum((thread / "stat").read_text().rsplit(")", 1)[1].split()[38] == str(os.SCHED_IDLE) for thread in threads)

    server = start_server("--model", f"a={model_of()}", "--model", f"b={model_of()}", "--shadow", "b=50%", "--allow-load")
    assert idle_threads(server) == 1
    # Half of the requests, by their ids.
    for _ in range(60):
        ask(server)
    until(lambda: server.status()["shadow"]["texts"] > 10, "the shadow reads")
    assert server.status()["shadow"]["texts"] < 50 and server.status()["shadow"]["agreement"] == 1
    # In its new role it is loaded again, on the threads that all share; the one in the background is gone.
    assert load(server, "b", share="50%").status_code == 200
    assert server.status()["shadow"] is None and server.status()["canary"]["name"] == "b"
    until(lambda: idle_threads(server) == 0, "the shadow's thread is gone")
    assert load(server, "b", shadow="100%").status_code == 200
    assert server.status()["canary"] is None and idle_threads(server) == 1


def test_a_shadow_that_has_no_answer_or_cannot_keep_up_is_counted_and_nobody_waits(start_server, model_of):
    server = start_server("--model", f"a={model_of()}", "--model", f"b={model_of(poisoned=True)}", "--shadow", "b")
    for number in range(10):
        assert who(ask(server, f"a {POISON} day {number}")) == "a"
    until(lambda: server.metrics().value("apus_shadow_skipped_total", reason="failed") == 10, "ten texts failed")
    large = {"texts": ["a " * 200 + str(number) for number in range(128)]}
    for _ in range(12):
        assert requests.post(server.url + "/predict", json=large, timeout=30).status_code == 200
    until(lambda: server.metrics().value("apus_shadow_skipped_total", reason="behind") > 0
          and server.status()["shadow"]["texts"] + server.metrics().value("apus_shadow_skipped_total") == 12 * 128 + 10,
          "every text is read or counted", 60)


# Files and bad input

def test_a_models_file_says_who_is_the_canary_and_who_the_shadow(start_server, model_of, tmp_path):
    file = tmp_path / "models.json"
    rows = [{"name": "a", "model": str(model_of())}, {"name": "b", "model": str(model_of()), "share": "10%"},
            {"name": "c", "model": str(model_of()), "shadow": .5}]
    file.write_text(json.dumps({"models": rows}))
    server = start_server("--models", str(file), "--allow-load")
    status = server.status()
    assert (status["name"], status["canary"]["name"], status["canary"]["share"]) == ("a", "b", .1)
    assert (status["shadow"]["name"], status["shadow"]["share"]) == ("c", .5)
    for name, parameters, part in (
            ("a", {"share": "5%"}, "is the default model"), ("c", {"share": "5%"}, '"b" is. Set its share to 0%'),
            ("b", {"shadow": "5%"}, '"c" is. Unload that one'), ("b", {"share": "5 %%"}, '"share"'),
            ("b", {"share": 2}, '"share"'), ("b", {"share": "5%", "shadow": "5%"}, "both"),
            ("d", {"share": "5%"}, 'no model "d"')):
        answer = load(server, name, **parameters)
        assert answer.status_code in (404, 422) and part in answer.text.replace('\\"', '"'), answer.text
    assert load(server, "b", share="0%").status_code == 200
    other = {"0": "bad", "1": "so-so", "2": "good"}
    answer = load(server, "d", model=str(model_of(labels=other)), share="5%")
    assert answer.status_code == 422 and "bad, so-so, good" in answer.text
    assert [model["name"] for model in server.status()["models"]] == ["a", "b", "c"]
    # Without a share it may be served.
    assert load(server, "d", model=str(model_of(labels=other))).status_code == 200
    for name in ("b", "c"):
        assert requests.post(f"{server.url}/v2/repository/models/{name}/unload", timeout=10).status_code == 200
    assert server.status()["canary"] is server.status()["shadow"] is None
    assert who(ask(server)) == "a"


@pytest.mark.parametrize("options, part", [
    (["--canary", "b"], "NAME=5%"), (["--canary", "b=5"], "NAME=5%"), (["--canary", "b=-1%"], "NAME=5%"),
    (["--canary", "c=5%"], 'no model "c"'), (["--shadow", "c"], 'no model "c"'), (["--canary", "a=5%"], "default model"),
    (["--canary", "b=5%", "--shadow", "b"], "canary already"), (["--shadow-log", "/nowhere/at/all"], "/nowhere/at/all"),
])
def test_roles_that_mean_nothing_end_the_start(apus, options, part):
    models = ["--model", f"a={TINY}", "--model", f"b={TINY}"]
    result = subprocess.run([apus, "serve", "--port", "0", *models, *options], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2 and part in result.stderr and len(result.stderr.splitlines()) == 1, result.stderr
