"""What a report of `apus evaluate` must hold, computed in numpy; and the tables of its summary in Markdown."""

from __future__ import annotations

import re

import numpy as np
import pytest

from labelled import LABELS


def figures(truth: np.ndarray, predicted: np.ndarray, labels: list[str]) -> dict:
    """Of labels as indices; what a quotient has no cases for is 0, macro figures are over the labels that occur."""
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (truth, predicted), 1)
    hits, support, guesses = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    precision, recall = hits / np.maximum(guesses, 1), hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + guesses, 1)
    occurs = support + guesses > 0
    rows = zip(precision.tolist(), recall.tolist(), f1.tolist(), support.tolist())
    names = ("precision", "recall", "f1", "support")
    return {
        "accuracy": hits.sum() / len(truth), "macro_recall": recall[occurs].mean(), "macro_f1": f1[occurs].mean(),
        "per_class": {label: dict(zip(names, row)) for label, row in zip(labels, rows)},
        "confusion_matrix": confusion.tolist(),
    }


def assert_figures(report: dict, expected: dict) -> None:
    assert report["confusion_matrix"] == expected["confusion_matrix"]
    for name in ("accuracy", "macro_recall", "macro_f1"):
        assert report[name] == pytest.approx(expected[name], abs=1e-12), name
    assert list(report["per_class"]) == list(expected["per_class"])
    for label, row in expected["per_class"].items():
        assert report["per_class"][label] == pytest.approx(row, abs=1e-12), label


def numpy_intervals(truth: np.ndarray, predicted: np.ndarray, reference: np.ndarray) -> dict[str, np.ndarray]:
    """The percentile bootstrap by another random generator: all figures of 4,000 resamples of the texts."""
    generator = np.random.default_rng(5)
    accuracy, recall, drop = [], [], []
    for _ in range(4000):
        drawn = generator.integers(0, len(truth), len(truth))
        right = predicted[drawn] == truth[drawn]
        accuracy.append(right.mean())
        recall.append(np.mean([right[truth[drawn] == label].mean() for label in range(len(LABELS))]))
        drop.append((reference[drawn] == truth[drawn]).mean() - right.mean())
    names = ("accuracy_interval", "macro_recall_interval", "accuracy_drop_interval")
    return {name: np.quantile(values, [0.025, 0.975]) for name, values in zip(names, (accuracy, recall, drop))}


def rows_of(markdown: str) -> list[list[list[str]]]:
    """The tables, each a list of rows of cells, as GitHub splits them."""
    tables, table = [], []
    for line in [*markdown.split("\n"), ""]:
        if line.startswith("|"):
            assert line.endswith(" |")
            table.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif table:
            tables.append(table)
            table = []
    return tables


def assert_tables(markdown: str, texts: int, labels: int) -> None:
    """Of one summary: the figures, then a row a label; the second row of each is the rule under the head."""
    figures, classes = rows_of(markdown)
    for table in (figures, classes):
        assert len({len(row) for row in table}) == 1, table
        assert all(re.fullmatch("-+:?", cell) for cell in table[1])
    assert len(figures[0]) == 3 and len(classes[0]) == 5 + labels and len(classes) == 2 + labels
    assert sum(int(row[4]) for row in classes[2:]) == texts
    assert sum(int(cell) for row in classes[2:] for cell in row[5:]) == texts
