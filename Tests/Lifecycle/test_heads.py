"""What becomes of the logits: the scores of Transformers' text-classification pipeline, for each kind of head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import pipeline

from checkpoint_forms import edit_config
from classifiers import CONFIGS, LABELS, OPTIONS, TEXTS, TOLERANCE, make_model, quiet, save  # noqa: F401
from labelled import predictions

F32 = ("--precision", "f32", *OPTIONS)
MODELS = ["bert", "roberta", "distilbert", "modernbert-mean", "deberta"]
ONE, MANY = ["LABEL_0"], [f"emotion {number}" for number in range(28)]  # as many as go_emotions has

# The labels, problem_type, and what stands in the scores.
HEADS: dict[str, tuple[list[str], str | None, str]] = {
    "single-label": (LABELS, "single_label_classification", "softmax"),
    "nothing-said": (LABELS, None, "softmax"),
    "two-labels": (["negative", "positive"], None, "softmax"),
    "multi-label": (LABELS, "multi_label_classification", "sigmoid"),
    "multi-label-of-28": (MANY, "multi_label_classification", "sigmoid"),
    "one-label": (ONE, None, "sigmoid"),
    "one-label-said-multi": (ONE, "multi_label_classification", "sigmoid"),
    "regression": (ONE, "regression", "none"),
    "regression-of-three": (LABELS, "regression", "none"),
}


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory):
    """A model with a head, and what the pipeline says of each text: all labels with their scores."""
    place = tmp_path_factory.mktemp("heads")
    made: dict[tuple[str, str], tuple[Path, list[dict[str, float]]]] = {}

    def head(model: str, kind: str) -> tuple[Path, list[dict[str, float]]]:
        if (model, kind) not in made:
            labels, problem, _ = HEADS[kind]
            directory = save(make_model(CONFIGS[model], labels=labels), place / f"{model}-{kind}")
            edit_config(directory, problem_type=problem or ...)
            made[model, kind] = directory, pipeline_scores(directory)
        return made[model, kind]

    return head


def pipeline_scores(directory: Path) -> list[dict[str, float]]:
    classify = pipeline("text-classification", model=str(directory), dtype=torch.float32, device="cpu", top_k=None)
    return [{found["label"]: found["score"] for found in of_text} for of_text in classify(TEXTS)]


def assert_scores(rows: list[dict[str, Any]], expected: list[dict[str, float]]) -> None:
    for row, scores in zip(rows, expected, strict=True):
        assert set(row["scores"]) == set(scores)
        for label, score in scores.items():
            assert abs(row["scores"][label] - score) < TOLERANCE * max(1, abs(score)), (row["text"], label)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("model", ["bert", "roberta"])
def test_the_scores_are_those_of_the_pipeline(run_apus, head, model: str, kind: str):
    directory, expected = head(model, kind)
    assert np.std([list(scores.values()) for scores in expected], axis=0).min() > 0.002, "texts that differ in nothing"
    rows = predictions(run_apus, TEXTS, "--model", directory, *F32)
    assert_scores(rows, expected)
    labels, _, activation = HEADS[kind]
    for row, scores in zip(rows, expected):
        assert list(row["scores"]) == labels, "the order of id2label"
        logits = np.array(row["logits"])
        assert logits.shape == (len(labels),), "the logits themselves stay as they are"
        found = np.array(list(row["scores"].values()))
        wanted = {"softmax": np.exp(logits) / np.exp(logits).sum(), "sigmoid": 1 / (1 + np.exp(-logits)),
                  "none": logits}[activation]
        assert np.abs(found - wanted).max() < 1e-5
        assert row["label"] == max(scores, key=scores.__getitem__)
        assert row["score"] == row["scores"][row["label"]]


@pytest.mark.parametrize("kind", ["multi-label", "one-label", "regression"])
@pytest.mark.parametrize("model", MODELS[2:])
def test_every_architecture_has_the_other_heads_too(run_apus, head, model: str, kind: str):
    directory, expected = head(model, kind)
    assert_scores(predictions(run_apus, TEXTS, "--model", directory, *F32), expected)


@pytest.mark.parametrize("kind", ["multi-label", "one-label", "regression"])
def test_int8_and_its_file_have_the_same_head(run_apus, head, tmp_path: Path, kind: str):
    directory, expected = head("bert", kind)
    result = run_apus("quantize", "--model", directory, "--output", tmp_path / "int8")
    assert result.returncode == 0, result.stderr
    f32 = np.array([list(scores[label] for label in HEADS[kind][0]) for scores in expected])
    for path in (directory, tmp_path / "int8"):
        rows = predictions(run_apus, TEXTS, "--model", path, "--precision", "int8", *OPTIONS)
        int8 = np.array([list(row["scores"].values()) for row in rows])
        assert np.abs(int8 - f32).mean() < 0.3 * f32.std(axis=0).mean()


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_extreme_logits_are_no_nan(run_apus, tmp_path: Path):
    """e¹⁰⁰ is no f32; a score is 0 or 1 all the same, and a regression's value what it is."""
    for kind in ("single-label", "multi-label", "one-label", "regression"):
        labels, problem, _ = HEADS[kind]
        model = make_model(CONFIGS["bert"], labels=labels)
        with torch.no_grad():
            model.classifier.weight *= 10_000
        directory = save(model, tmp_path / kind)
        edit_config(directory, problem_type=problem or ...)
        expected = pipeline_scores(directory)
        rows = predictions(run_apus, TEXTS, "--model", directory, *F32)
        assert max(abs(logit) for row in rows for logit in row["logits"]) > 1000
        assert_scores(rows, expected)


def test_a_csv_line_has_every_labels_score(run_apus, head, tmp_path: Path):
    directory, expected = head("bert", "multi-label")
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    result = run_apus("predict", "--model", directory, *F32, "--input", tmp_path / "texts.jsonl", "--output-format", "csv")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == "text,label,score,score_anger,score_joy,score_sadness"
    for line, scores in zip(result.stdout.splitlines()[1:], expected, strict=True):
        found = [float(cell) for cell in line.split(",")[-3:]]
        assert found == pytest.approx([scores[label] for label in LABELS], abs=TOLERANCE)
