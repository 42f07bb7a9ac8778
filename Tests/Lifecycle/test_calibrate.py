"""How far probabilities may be believed: `apus evaluate`'s figures are scikit-learn's and SciPy's, `apus calibrate` finds the
temperature that SciPy finds, every command applies it, and `apus serve --require-gate` knows when it, or the tokenizer, changed."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from sklearn.metrics import brier_score_loss, log_loss

from checkpoints import MODELS, copy_model
from labelled import LABELS, predictions, tweets, write_csv, write_directory, write_jsonl
from pulling import assert_refused
from small_fasttext import train

import plot_evaluation  # in tools/, where `checkpoints` looks too

TINY = MODELS / "roberta-tiny"
REPORT, CALIBRATION = "evaluation_report.json", "calibration.json"


@pytest.fixture
def dataset(data: Path, tmp_path: Path) -> Path:
    folder = write_directory(tmp_path / "tweets", tweets(data, 300))
    return write_directory(folder, tweets(data, 600), split="val")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A model of words that is right on most texts, and sure of itself."""
    return train(tmp_path / "words.bin", [("good", "positive"), ("bad", "negative"), ("so", "neutral")] * 20)


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A copy of the shipped model, without what was measured on it."""
    model = copy_model(Path(__file__).parents[2] / "Sources/Engine/Resources/Model", tmp_path / "shipped")
    for name in (REPORT, "reference_profile.json"):
        (model / name).unlink(missing_ok=True)
    return model


@pytest.fixture
def run(run_apus):
    def run(*arguments: Any) -> str:
        result = run_apus(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


def evaluated(run, tmp_path: Path, *arguments: Any) -> dict:
    report = tmp_path / "report.json"
    run("evaluate", "--report", report, *arguments)
    return json.loads(report.read_text(encoding="utf-8"))


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


# The figures

def test_the_figures_are_those_of_scikit_learn(run, run_apus, dataset: Path, data: Path, tmp_path: Path):
    examples = tweets(data, 300)
    rows = predictions(run_apus, [text for text, _ in examples])
    scores = np.array([[row["scores"][label] for label in LABELS] for row in rows])
    truth = np.array([LABELS.index(label) for _, label in examples])
    found = evaluated(run, tmp_path, "--dataset", dataset)["calibration"]
    normal = scores / scores.sum(1, keepdims=True)
    assert found["log_loss"] == pytest.approx(log_loss(truth, normal, labels=[0, 1, 2]), abs=1e-6)
    assert found["brier_score"] == pytest.approx(brier_score_loss(truth, normal, labels=[0, 1, 2], scale_by_half=False), abs=1e-6)
    confidence, right = scores.max(1), scores.argmax(1) == truth
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    gaps = [abs(confidence[bins == one].sum() - right[bins == one].sum()) for one in range(15)]
    assert found["expected_calibration_error"] == pytest.approx(sum(gaps) / 300, abs=1e-6)
    assert [one["count"] for one in found["bins"]] == np.bincount(bins, minlength=15).tolist()
    for one, number in zip(found["bins"], range(15)):
        if one["count"]:
            assert one["accuracy"] == pytest.approx(right[bins == number].mean())
            assert one["confidence"] == pytest.approx(confidence[bins == number].mean(), abs=1e-6)
        else:
            assert one["accuracy"] is None and one["confidence"] is None
    # The bootstrap of means, by another generator.
    losses = -np.log(scores[np.arange(300), truth])
    drawn = np.random.default_rng(5).integers(0, 300, (4000, 300))
    assert found["log_loss_interval"] == pytest.approx(np.quantile(losses[drawn].mean(1), [0.025, 0.975]), abs=0.01)


def test_mcnemars_test_is_scipys_of_the_texts_that_one_alone_gets_right(run, run_apus, dataset: Path, data: Path, tmp_path):
    cheap = train(tmp_path / "cheap.bin", tweets(data, 1000, "train"))
    examples = tweets(data, 300)
    right = [np.array([row["label"] == label for row, (_, label) in zip(rows, examples)])
             for rows in (predictions(run_apus, [text for text, _ in examples], *model)
                          for model in ((), ("--model", cheap)))]
    alone = [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())]
    assert min(alone) > 3
    expected = {"model_only": alone[0], "reference_only": alone[1],
                "p_value": pytest.approx(scipy.stats.binomtest(alone[0], sum(alone)).pvalue, rel=1e-9)}
    report = evaluated(run, tmp_path, "--dataset", dataset, "--reference-model", cheap)
    assert report["reference"]["mcnemar"] == expected
    comparison = tmp_path / "comparison.json"
    run("compare", "--dataset", dataset, "--precision", "int8", cheap, Path(__file__).parents[2] / "Sources/Engine/Resources/Model",
        "--report", comparison)
    first, second = json.loads(comparison.read_text())["results"]
    assert first["mcnemar"] == {"model_only": 0, "reference_only": 0, "p_value": 1}
    assert second["mcnemar"] == expected


# Floors and slices

@pytest.mark.parametrize(("floor", "status"), [("positive=0.5", 0), ("POSITIVE=1", 0), ("2=1", 64), ("positive", 64),
                                               ("=0.5", 64), ("positive=1.1", 64), ("positive=nan", 64), ("happy=0.5", 2)])
def test_a_label_has_a_least_recall(run_apus, words: Path, tmp_path: Path, floor: str, status: int):
    texts = write_csv(tmp_path / "texts.csv", [("good", "positive"), ("bad", "negative"), ("bad", "neutral")])
    if floor == "2=1":
        floor, status = "neutral=1", 1
    result = run_apus("evaluate", "--model", words, "--dataset", texts, "--min-recall", "negative=1", "--min-recall", floor)
    assert result.returncode == status, result.stderr
    if status == 1:
        assert "recall of neutral 0.0 is under the minimum 1.0" in result.stderr
    if status == 2:
        assert_refused(result, "--min-recall", "happy", "negative", "neutral", "positive")


def test_slices_are_held_to_what_is_asked_and_named(run_apus, words: Path, tmp_path: Path):
    lines = ["text,label,lang"] + ["good,positive,en"] * 60 + ["bad,positive,de"] * 60 + ["bad,positive,fr"] * 3
    texts, report, page = tmp_path / "texts.csv", tmp_path / "report.json", tmp_path / "page.md"
    texts.write_text("\n".join(lines) + "\n")
    command = ("evaluate", "--model", words, "--dataset", texts, "--slice-field", "lang", "--report", report)
    result = run_apus(*command, "--min-accuracy", 0.4, "--markdown", page)
    assert result.returncode == 1
    assert result.stderr == "apus: the gate failed: slice lang=de, 60 texts: accuracy 0.0 is under the minimum 0.4\n"
    slices = json.loads(report.read_text())["slices"]
    assert (slices["field"], slices["minimum_examples"]) == ("lang", 50)
    assert [(one["value"], one["examples"], one["accuracy"]) for one in slices["values"]] == [
        ("de", 60, 0), ("en", 60, 1), ("fr", 3, 0)]
    assert "fr (too few to be gated)" in page.read_text() and "slice lang=de" in page.read_text()
    assert "too few to be gated" in result.stdout
    assert run_apus(*command, "--min-accuracy", 0.4, "--min-slice-accuracy", 0).returncode == 0
    assert "lang=fr, 3 texts" in run_apus(*command, "--min-slice-accuracy", 0.5, "--min-slice-examples", 3).stderr
    assert_refused(run_apus(*command[:-4], "--slice-field", "language"), "language", "text, label, lang")
    assert run_apus(*command[:5], "--min-slice-accuracy", 0.5).returncode == 64


# Calibration

@pytest.mark.parametrize("bias", [False, True])
def test_the_temperature_is_the_one_that_scipy_finds(run, run_apus, shipped: Path, dataset: Path, data: Path, bias: bool):
    examples = tweets(data, 600)
    logits = np.array([row["logits"] for row in predictions(run_apus, [text for text, _ in examples], "--model", shipped)])
    truth = np.array([LABELS.index(label) for _, label in examples])
    options = ("--bias",) if bias else ()
    output = run("calibrate", "--model", shipped, "--dataset", dataset, "--split", "val", *options)
    whole = (shipped / CALIBRATION).read_bytes()
    stored = json.loads(whole)

    def loss(parameters: np.ndarray) -> float:
        scores = softmax(logits * parameters[0] + (np.append(parameters[1:], 0) if bias else 0))
        return -np.log(scores[np.arange(len(truth)), truth]).mean()

    best = scipy.optimize.minimize(loss, [1, 0, 0] if bias else [1], method="BFGS", options={"gtol": 1e-9})
    assert 1 / stored["temperature"] == pytest.approx(best.x[0], abs=1e-4)
    if bias:
        expected = np.append(best.x[1:], 0)
        assert list(stored["bias"]) == LABELS
        assert list(stored["bias"].values()) == pytest.approx(expected - expected.mean(), abs=1e-4)
    else:
        assert stored["bias"] is None
    assert (stored["split"], stored["examples"], stored["precision"]) == ("val", 600, "int8")
    before, after = (float(figure) for figure in next(
        line for line in output.splitlines() if line.startswith("log loss")).split()[-2:])
    assert after == pytest.approx(best.fun, abs=1e-4) and before >= after
    run("calibrate", "--model", shipped, "--dataset", dataset, "--split", "val", "--threads", 1, *options)
    assert (shipped / CALIBRATION).read_bytes() == whole, "the same bytes each time"


def test_every_command_applies_it_and_raw_leaves_it_out(
    run, run_apus, start_server, shipped: Path, dataset: Path, data: Path, tmp_path: Path
):
    texts = [text for text, _ in tweets(data, 100)]
    raw = predictions(run_apus, texts, "--model", shipped)
    run("calibrate", "--model", shipped, "--dataset", dataset, "--split", "val")
    stored = json.loads((shipped / CALIBRATION).read_text())
    calibrated = predictions(run_apus, texts, "--model", shipped)
    assert predictions(run_apus, texts, "--model", shipped, "--raw") == raw
    assert [row["label"] for row in calibrated] == [row["label"] for row in raw]
    assert [row["logits"] for row in calibrated] == [row["logits"] for row in raw], "logits stay the model's own"
    expected = softmax(np.array([row["logits"] for row in raw]) / stored["temperature"])
    assert np.array([list(row["scores"].values()) for row in calibrated]) == pytest.approx(expected, abs=1e-6)

    server = start_server("--model", shipped, "--no-self-test")
    assert server.predict(texts[0]).json()["scores"] == calibrated[0]["scores"]
    status = server.status()
    assert status["calibration"]["temperature"] == stored["temperature"] and status["calibration"]["examples"] == 600
    one, two = (evaluated(run, tmp_path, "--dataset", dataset, "--model", shipped, *options) for options in ((), ("--raw",)))
    assert one["model_digest"] == status["model_digest"] != two["model_digest"] == stored["model_digest"]
    sample, = server.metrics().matching("apus_model_info")
    assert sample.labels["model_digest"] == status["model_digest"]
    assert one["applied_calibration"]["temperature"] == stored["temperature"] and two["applied_calibration"] is None
    assert one["accuracy"] == two["accuracy"] and one["calibration"]["log_loss"] != two["calibration"]["log_loss"]
    plain = start_server("--model", shipped, "--no-self-test", "--raw")
    assert plain.predict(texts[0]).json()["scores"] == raw[0]["scores"] and plain.status()["calibration"] is None


def test_the_digest_is_what_sha256sum_makes_of_the_parts(run, dataset: Path, tmp_path: Path):
    report = evaluated(run, tmp_path, "--dataset", dataset, "--model", TINY)
    lines = "".join(f"{value}  {name}\n" for name, value in report["model_parts"].items())
    assert report["model_digest"] == hashlib.sha256(lines.encode()).hexdigest()
    for name, value in report["model_parts"].items():
        if (TINY / name).exists():
            assert value == hashlib.sha256((TINY / name).read_bytes()).hexdigest()
    assert report["model_parts"]["weights"] == report["weights_sha256"]
    assert {"config.json", "text_preparation"} <= set(report["model_parts"])


def test_a_calibration_that_does_not_fit_is_one_error(run, run_apus, shipped: Path, dataset: Path):
    run("calibrate", "--model", shipped, "--dataset", dataset, "--split", "val")
    stored = json.loads((shipped / CALIBRATION).read_text())
    for change in ({"temperature": 0}, {"temperature": -1}, {"temperature": 1e300}, {"temperature": "1"}, {"temperature": None},
                   {"bias": {"happy": 1}}, {"bias": [0, 0, 0]}, {"model_digest": "0" * 64}, {"format_version": 9}):
        (shipped / CALIBRATION).write_text(json.dumps(stored | change))
        assert_refused(run_apus("predict", "--model", shipped, "good"), CALIBRATION, "--raw", "apus calibrate")
        assert run_apus("predict", "--model", shipped, "--raw", "good").returncode == 0
    for content in (b"", b"{", b"NaN", b" " * (2 << 20)):
        (shipped / CALIBRATION).write_bytes(content)
        assert_refused(run_apus("predict", "--model", shipped, "good"), CALIBRATION)


def test_a_model_that_must_stay_as_it_is_gets_a_calibrated_copy(run, run_apus, dataset: Path, tmp_path: Path):
    command = ("calibrate", "--dataset", dataset, "--split", "val")
    assert_refused(run_apus(*command), "inside the package", "--output")
    run(*command, "--output", tmp_path / "copy")
    assert "calibration.json" in os.listdir(tmp_path / "copy") and REPORT not in os.listdir(tmp_path / "copy")
    assert run("predict", "--model", tmp_path / "copy", "--raw", "good") == run("predict", "good")
    assert_refused(run_apus(*command, "--output", tmp_path / "copy"), "exists already")


def test_a_quantized_model_has_no_calibration_of_another(run, run_apus, shipped: Path, dataset: Path, tmp_path: Path):
    model = copy_model(TINY, tmp_path / "tiny")
    examples = [(text, predictions(run_apus, [text], "--model", model)[0]["label"]) for text in ("a", "b", "c d", "e f g")]
    texts = write_jsonl(tmp_path / "texts.jsonl", examples * 2 + [(examples[0][0], next(
        label for label in LABELS if label != examples[0][1]))])
    run("calibrate", "--model", model, "--dataset", texts)
    result = run_apus("quantize", "--model", model, "--output", tmp_path / "int8")
    assert result.returncode == 0 and "calibration.json is not carried over" in result.stderr
    assert not (tmp_path / "int8" / CALIBRATION).exists()


def test_a_fasttext_model_has_its_calibration_beside_it(run, run_apus, words: Path, tmp_path: Path):
    texts = write_csv(tmp_path / "texts.csv", [("good", "positive"), ("bad", "negative"), ("so", "neutral")] * 3
                      + [("good", "neutral")])
    run("calibrate", "--model", words, "--dataset", texts)
    assert Path(f"{words}.{CALIBRATION}").exists()
    raw, calibrated = (predictions(run_apus, ["good"], "--model", words, *options)[0] for options in (("--raw",), ()))
    assert raw["label"] == calibrated["label"] == "positive" and raw["score"] != calibrated["score"]


# The gate of the whole model

@pytest.fixture
def gated(run, tmp_path: Path) -> Path:
    model = copy_model(TINY, tmp_path / "gated")
    texts = write_jsonl(tmp_path / "texts.jsonl", [("so so", "neutral"), ("good", "positive")])
    run("evaluate", "--model", model, "--dataset", texts, "--min-accuracy", 0, "--report", model / REPORT)
    return model


def refused(run_apus, model: Path, *words: str, options: tuple = ()) -> None:
    result = run_apus("serve", "--model", model, "--port", 0, "--no-self-test", "--require-gate", *options, timeout=20)
    assert_refused(result, REPORT, "apus evaluate --dataset", *words)


@pytest.mark.parametrize("file", ["config.json", "vocab.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_server_refuses_a_gate_after_a_file_changed_and_names_it(run_apus, gated: Path, file: str):
    path = gated / file
    path.write_bytes(path.read_bytes() + b"\n" if path.exists() else b"{}\n")
    if file == "tokenizer.json" and path.read_bytes() == b"{}\n":
        pytest.skip("the model has none")
    refused(run_apus, gated, f"{file} ")


def test_a_server_refuses_a_gate_after_another_preparation_or_a_calibration(run, run_apus, start_server, gated: Path, tmp_path):
    refused(run_apus, gated, "text_preparation was tweet, now none", options=("--text-preparation", "none"))
    label = predictions(run_apus, ["good"], "--model", gated)[0]["label"]
    other = next(name for name in LABELS if name != label)
    texts = write_jsonl(tmp_path / "more.jsonl", [("good", label)] * 3 + [("good", other)])
    run("calibrate", "--model", gated, "--dataset", texts)
    refused(run_apus, gated, "calibration.json was added")
    start_server("--model", gated, "--no-self-test", "--require-gate", "--raw")
    run("evaluate", "--model", gated, "--dataset", texts, "--min-accuracy", 0, "--report", gated / REPORT)
    start_server("--model", gated, "--no-self-test", "--require-gate")
    refused(run_apus, gated, "calibration.json is gone", options=("--raw",))


def test_a_report_of_before_is_refused_and_the_error_says_how_to_renew_it(run_apus, gated: Path):
    report = json.loads((gated / REPORT).read_text())
    del report["model_digest"], report["model_parts"]
    (gated / REPORT).write_text(json.dumps(report))
    refused(run_apus, gated, "written by an older Apus", "model_digest", f"--report {gated / REPORT}")


# The picture

def test_a_report_is_drawn(run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    evaluated(run, tmp_path, "--dataset", dataset, "--model", TINY)
    for name in ("plot.png", "plot.svg"):
        monkeypatch.setattr(sys, "argv", ["plot_evaluation.py", str(tmp_path / "report.json"), "--output", str(tmp_path / name)])
        assert plot_evaluation.main() == 0
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert "calibration error" in (tmp_path / "plot.svg").read_text() or "<svg" in (tmp_path / "plot.svg").read_text()


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b"not JSON", b'{"calibration": null}', b'{"calibration": {}}'])
def test_what_is_no_report_is_not_drawn(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, content: bytes | None):
    report = tmp_path / "report.json"
    if content is not None:
        report.write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["plot_evaluation.py", str(report), "--output", str(tmp_path / "plot.png")])
    assert plot_evaluation.main() == 2
    errors = capsys.readouterr().err
    assert errors.startswith("plot_evaluation.py: ") and str(report) in errors and errors.count("\n") == 1
