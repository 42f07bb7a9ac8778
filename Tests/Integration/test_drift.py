"""Drift: its figures against the definitions, its window, its minimum of samples."""

from __future__ import annotations

import collections
import json
import re
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import requests

from apus_server import Server, until
from raw_http import Connection, request
from traffic import Background, send_batch
from supplies import FEATURES, copy_of_shipped_model, resources, tokens_of, tweets


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
    texts = tweets(data)[:300] + ["I hate this", "word " * 600, "Привет, мир 😀", "123", "𐎀 𐎁 \u4f60\u597d ok ok ok", "🎉" * 5]
    answers = predict_all(server, texts)
    samples, figures = drift_of(server)
    assert samples == len(texts)
    expected = expected_drift(profile, texts, answers, tokens_of(apus, texts))
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
        # What it was trained on lies elsewhere than what it never saw.
        assert split == "train" or max(embedding_of(server).values()) < 0.35, split
    for text, features in (("I hate this", ("label", "confidence", "tokens")),
                           ("Привет 😀 𐎀", ("unknown_tokens", "emoji", "script"))):
        server = start_server("--drift-min-samples", "500")
        predict_all(server, [text] * 500)
        _, figures = drift_of(server)
        for feature in features:
            assert figures[feature][0] > 0.2 and figures[feature][1] > usual[feature][1], (feature, figures)
        assert embedding_of(server)["mean"] > 1


def test_a_shift_is_named_with_its_tokens_behind_the_key_and_not_without(start_server, profile, data):
    key = {"Authorization": "Bearer secret"}
    news = [f"{text} the earthquake in Lisbon" for text in tweets(data)[:40]]
    for options, headers in ((("--api-key", "secret"), key), ((), {})):
        server = start_server("--drift-min-samples", "100", *options)

        def tokens() -> list[dict] | None:
            answer = requests.get(server.url + "/status", headers=headers, timeout=10)
            assert answer.status_code == 200
            return answer.json()["drift"]["tokens"]

        def predict(texts: list[str]) -> None:
            answer = requests.post(server.url + "/predict", json={"texts": texts}, headers=headers, timeout=30)
            assert answer.status_code == 200, answer.text

        predict(tweets(data)[:100])
        # Often, but in one request: that may be somebody's own.
        predict(news)
        assert not tokens()
        for text in news:
            predict([text])
        if headers:
            assert requests.get(server.url + "/status", timeout=10).status_code == 401
            named = {one["token"]: one for one in tokens()}
            assert {"earthquake", "lisbon"} <= set(named) and len(named) <= 20
            earthquake = named["earthquake"]
            assert earthquake["requests"] == 41 and earthquake["share"] == pytest.approx(80 / 180)
            assert earthquake["g2"] > 100 and earthquake["reference_share"] < 0.005
            assert all(one["requests"] >= 20 for one in named.values())
        else:
            assert tokens() is None
        assert "earthquake" not in requests.get(server.url + "/metrics", timeout=10).text


def test_the_window_forgets_by_count(start_server, apus, profile, data):
    server = start_server("--drift-min-samples", "100", "--drift-window", "100")
    predict_all(server, tweets(data)[:300])
    answers = predict_all(server, ["I hate this"] * 100)
    samples, figures = drift_of(server)
    assert samples == 100
    expected = expected_drift(profile, ["I hate this"] * 100, answers, tokens_of(apus, ["I hate this"]) * 100)
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
    subprocess.run([apus, "evaluate", "--model", model, "--dataset", dataset, "--drift-reference"], check=True,
                   capture_output=True)
    profile = read_profile(model / "reference_profile.json")
    assert profile["texts"] == len(texts)
    predictions = predictions_of(texts)
    answers = [predictions[text] for text in texts]
    live, reference = distributions(profile, texts, answers, tokens_of(apus, texts))
    for feature, counts in reference.items():
        assert counts.tolist() == live[feature].tolist(), feature
        if feature in ("label", "confidence", "tokens"):
            assert np.count_nonzero(counts) >= 3, f"the bins of {feature} tell nothing apart"
    tokens = tokens_of(apus, texts)
    known = max(collections.Counter(token for one in tokens for token in set(one)).values())
    assert max(profile["token_counts"]["texts"]) == known == len(texts), "the classification token is in all"
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
    assert profile["format_version"] == 2
    for feature in ("confidence", "tokens", "unknown_tokens", "emoji"):
        one = profile["features"][feature]
        assert len(one["counts"]) == len(one["edges"]) + 1 and one["edges"] == sorted(set(one["edges"]))
        assert sum(one["counts"]) == profile["texts"]
    for feature in ("label", "script"):
        assert sum(profile["features"][feature].values()) == profile["texts"]
    return profile


def distributions(
    profile: dict, texts: list[str], answers: list[dict], tokens: list[list[str]]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Counts by feature: of the answers, and of the profile."""
    features = profile["features"]
    values = {
        "confidence": np.array([answer["score"] for answer in answers], np.float32).astype(np.float64),
        "tokens": [len(one) for one in tokens],
        "unknown_tokens": [one.count("[UNK]") / len(one) for one in tokens],
        "emoji": [len(re.findall("[\u2600-\u27bf\U0001f000-\U0001f3fa\U0001f400-\U0001faff]", text)) for text in texts],
    }
    live, reference = {}, {}
    for feature, named in (("label", [answer["label"] for answer in answers]), ("script", map(script_of, texts))):
        names = list(features[feature])
        live[feature] = np.bincount([names.index(name) for name in named], minlength=len(names))
        reference[feature] = np.array(list(features[feature].values()))
    for feature, numbers in values.items():
        bins = np.digitize(numbers, features[feature]["edges"])  # edges[i - 1] <= value < edges[i]
        reference[feature] = np.array(features[feature]["counts"])
        live[feature] = np.bincount(bins, minlength=len(reference[feature]))
    assert set(live) == FEATURES
    return live, reference


def script_of(text: str) -> str:
    """By the characters' names; of four fifths of the letters, else mixed."""
    names = [unicodedata.name(letter).split(" ")[0].lower() for letter in text if letter.isalpha()]
    counts = collections.Counter({"cjk": "han", "ugaritic": "other", "old": "other"}.get(name, name) for name in names)
    script, most = counts.most_common(1)[0] if counts else ("none", 1)
    return script if 5 * most >= 4 * len(names) else "mixed"


def expected_drift(
    profile: dict, texts: list[str], answers: list[dict], tokens: list[list[str]]
) -> dict[str, tuple[float, float]]:
    live, reference = distributions(profile, texts, answers, tokens)
    return {feature: (stability_index(reference[feature], live[feature]),
                      jensen_shannon_distance(reference[feature], live[feature])) for feature in reference}


def embedding_of(server: Server) -> dict[str, float]:
    return {sample.labels["part"]: sample.value for sample in server.metrics().matching("apus_drift_embedding_distance")}


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


def predict_all(server: Server, texts: list[str]) -> list[dict]:
    answers: list[dict] = []
    for start in range(0, len(texts), 100):
        answer = send_batch(server.port, texts[start:start + 100])
        assert answer.status == 200, answer.body
        answers += answer.json()["predictions"]
    return answers
