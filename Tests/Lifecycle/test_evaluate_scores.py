"""`apus evaluate` of models that take several labels at once, or answer a number: scikit-learn's and scipy's figures of the
scores that `apus predict` gives; and data sets in every form that labels may have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, precision_recall_fscore_support

from checkpoint_forms import edit_config
from classifiers import CONFIGS, LABELS, OPTIONS, TEXTS, make_model, quiet, save  # noqa: F401
from labelled import predictions
from pulling import assert_refused

RANDOM = np.random.default_rng(7)
SETS = [sorted(RANDOM.choice(LABELS, size=RANDOM.integers(0, 4), replace=False).tolist()) for _ in TEXTS]
NUMBERS = [round(float(number), 2) for number in RANDOM.normal(size=len(TEXTS))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A model of a `problem_type`."""

    def model(problem: str) -> Path:
        directory = tmp_path_factory.mktemp(problem)
        save(make_model(CONFIGS["bert"], labels=["score"] if problem == "regression" else LABELS), directory)
        edit_config(directory, problem_type=problem)
        return directory

    return model


@pytest.fixture
def evaluate(run_apus, tmp_path: Path) -> Callable[..., dict]:
    def evaluate(directory: Path, dataset: Path, *options: str) -> dict:
        report = tmp_path / "report.json"
        result = run_apus("evaluate", "--model", directory, "--dataset", dataset, "--report", report, *OPTIONS, *options)
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith("model")
        return json.loads(report.read_text(encoding="utf-8"))

    return evaluate


def write(path: Path, labels: list) -> Path:
    rows = [json.dumps({"text": text, "label": label}) for text, label in zip(TEXTS, labels, strict=True)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("threshold", [0.5, 0.55])
def test_several_labels_have_scikit_learns_figures(run_apus, evaluate, model, tmp_path: Path, threshold: float):
    directory = model("multi_label_classification")
    report = evaluate(directory, write(tmp_path / "sets.jsonl", SETS), "--threshold", str(threshold))
    rows = predictions(run_apus, TEXTS, "--model", directory, *OPTIONS, "--threshold", str(threshold))
    scores = np.array([[row["scores"][label] for label in LABELS] for row in rows])
    truth = np.array([[label in labels for label in LABELS] for labels in SETS])
    taken = scores >= threshold
    assert taken.any() and not taken.all()
    assert [row["labels"] for row in rows] == [[label for label, is_taken in zip(LABELS, of_text) if is_taken]
                                               for of_text in taken]
    figures = {"micro_f1": f1_score(truth, taken, average="micro"),
               "macro_f1": f1_score(truth, taken, average="macro", zero_division=0),
               "exact_match": accuracy_score(truth, taken),
               "mean_average_precision": average_precision_score(truth, scores, average="macro")}
    for name, value in figures.items():
        assert report[name] == pytest.approx(value, abs=1e-9), name
    of_each = precision_recall_fscore_support(truth, taken, zero_division=0)
    for index, label in enumerate(LABELS):
        found = report["per_class"][label]
        assert [found[name] for name in ("precision", "recall", "f1", "support")] == pytest.approx(
            [figure[index] for figure in of_each])
        assert found["average_precision"] == pytest.approx(average_precision_score(truth[:, index], scores[:, index]))


def test_a_number_has_scipys_correlations(run_apus, evaluate, model, tmp_path: Path):
    directory = model("regression")
    report = evaluate(directory, write(tmp_path / "numbers.jsonl", NUMBERS))
    found = [row["score"] for row in predictions(run_apus, TEXTS, "--model", directory, *OPTIONS)]
    assert report["mean_squared_error"] == pytest.approx(np.mean((np.array(found) - NUMBERS) ** 2))
    assert report["pearson"] == pytest.approx(pearsonr(found, NUMBERS).statistic)
    assert report["spearman"] == pytest.approx(spearmanr(found, NUMBERS).statistic)


def test_sets_may_be_lists_of_numbers_and_cells_of_a_table(evaluate, model, tmp_path: Path):
    directory = model("multi_label_classification")
    expected = evaluate(directory, write(tmp_path / "names.jsonl", SETS))
    by_number = write(tmp_path / "numbers.jsonl", [[LABELS.index(label) for label in labels] for labels in SETS])
    table = tmp_path / "table.tsv"
    table.write_text("text\tlabel\n" + "".join(f"{text}\t{'|'.join(labels)}\n" for text, labels in zip(TEXTS, SETS)),
                     encoding="utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "mapping.txt").write_text("".join(f"{n}\t{label}\n" for n, label in enumerate(LABELS)), encoding="utf-8")
    kept = [number for number, labels in enumerate(SETS) if labels]  # a line of plain text cannot be empty
    for dataset in (by_number, table):
        report = evaluate(directory, dataset)
        assert report["per_class"] == expected["per_class"], dataset.name
    (folder / "test_text.txt").write_text("".join(TEXTS[n] + "\n" for n in kept), encoding="utf-8")
    (folder / "test_labels.txt").write_text(
        "".join(",".join(str(LABELS.index(label)) for label in SETS[n]) + "\n" for n in kept), encoding="utf-8")
    assert evaluate(directory, folder)["examples"] == len(kept)


def test_what_does_not_fit_the_kind_of_model_is_refused(run_apus, model, tmp_path: Path):
    several, number = model("multi_label_classification"), model("regression")
    sets, numbers = write(tmp_path / "sets.jsonl", SETS), write(tmp_path / "numbers.jsonl", NUMBERS)

    def refused(directory: Path, dataset: Path, *options: str) -> object:
        return run_apus("evaluate", "--model", directory, "--dataset", dataset, *OPTIONS, *options)

    assert_refused(refused(number, sets), "line 1", "has no number in field")
    assert_refused(refused(several, numbers), "line 1", "has no list of labels in field")
    assert_refused(refused(several, sets, "--min-accuracy", "0.5"), "does not take one label of several")
    assert_refused(refused(several, sets, "--threshold", "2"), "--threshold", "from 0.0 to 1.0")
