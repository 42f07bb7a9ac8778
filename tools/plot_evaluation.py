#!/usr/bin/env python3
"""Draws a report of `apus evaluate`: how often the model was right beside how sure it was, and its confusion matrix.

    tools/plot_evaluation.py report.json --output report.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt

from plotting import draw_report

# More labels than these would leave no room for numbers in the cells.
NUMBERED_LABELS = 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--output", required=True, type=Path, help="a .png, .svg or .pdf file")
    arguments = parser.parse_args()
    return draw_report("plot_evaluation.py", arguments.report, arguments.output, draw,
                       what="report of apus evaluate with probabilities", command="apus evaluate --dataset … --report FILE")


def draw(report: dict):
    matrix, labels = report.get("confusion_matrix"), list(report.get("per_class") or ())
    figure, axes = plt.subplots(1, 2 if matrix else 1, figsize=(12 if matrix else 6.5, 5.5), layout="constrained", squeeze=False)
    reliability(axes[0][0], report["calibration"])
    if matrix:
        confusion(axes[0][1], matrix, labels)
    applied = report.get("applied_calibration")
    figure.suptitle(
        f"{report['model']}, {report['precision']}"
        + (f", temperature {applied['temperature']:.3f}" if applied else "")
        + f"; {Path(report['dataset']).name}, {report['split']}: {report['examples']:,} texts", fontsize=10)
    return figure


def reliability(axes, calibration: dict) -> None:
    """A bar a bin; a model whose probabilities come true has its bars end on the diagonal."""
    bins = calibration["bins"]
    width = 1 / len(bins)
    total = sum(one["count"] for one in bins)
    for index, one in enumerate(bins):
        if not one["count"]:
            continue
        axes.bar((index + 0.5) * width, one["accuracy"], width=width, color="C0", alpha=0.35 + 0.65 * one["count"] / total,
                 edgecolor="C0")
        axes.plot(one["confidence"], one["accuracy"], "o", color="black", markersize=4)
        axes.annotate(f"{one['count']:,}", ((index + 0.5) * width, 0.01), ha="center", fontsize=7, rotation=90)
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    low, high = calibration["expected_calibration_error_interval"]
    axes.set_title(f"calibration error {calibration['expected_calibration_error']:.4f} ({low:.4f} to {high:.4f}), "
                   f"Brier score {calibration['brier_score']:.4f}, log loss {calibration['log_loss']:.4f}", fontsize=9)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="how sure the model was", ylabel="share that was right; how many, at the foot")


def confusion(axes, matrix: list[list[int]], labels: list[str]) -> None:
    """Rows are shares of the texts that have the label."""
    shares = [[count / max(1, sum(row)) for count in row] for row in matrix]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=0 if len(labels) <= 4 else 60, parse_math=False)
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title("share of the true label's texts, and how many", fontsize=9)
    if len(labels) > NUMBERED_LABELS:
        return
    for row, counts in enumerate(matrix):
        for column, count in enumerate(counts):
            axes.text(column, row, f"{shares[row][column]:.0%}\n{count:,}", ha="center", va="center",
                      color="white" if shares[row][column] > 0.5 else "black")


if __name__ == "__main__":
    sys.exit(main())
