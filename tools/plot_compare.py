#!/usr/bin/env python3
"""Draws a report of `apus compare`: accuracy against latency, with the 95 % intervals of the accuracy.

    tools/plot_compare.py --report compare.json --output compare.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt

from plotting import draw_report

MARKERS = {"f32": "o", "int8": "s"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--report", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path, help="a .png, .svg or .pdf file")
    arguments = parser.parse_args()
    return draw_report("plot_compare.py", arguments.report, arguments.output, draw, what="report of apus compare",
                       command="apus compare --dataset … --report FILE")


def draw(report: dict):
    results = report["results"]
    figure, axes = plt.subplots(figsize=(8, 6), layout="constrained")
    models = list(dict.fromkeys(result["model"] for result in results))
    for result in results:
        accuracy, (low, high) = result["accuracy"], result["accuracy_interval"]
        latency = result["latency_ms"]["p50"]
        color = f"C{models.index(result['model']) % 10}"
        axes.errorbar(latency, 100 * accuracy, yerr=[[100 * (accuracy - low)], [100 * (high - accuracy)]],
                      marker=MARKERS.get(result["precision"], "D"), markersize=8, capsize=4, color=color, linestyle="none",
                      label=f"{short(result['model'])}, {result['precision']}: {accuracy:.1%}, {latency:.3g} ms, "
                            f"{result['texts_per_second']:,.0f} texts/s")
    axes.set_xscale("log")
    axes.margins(x=0.1, y=0.1)
    # Below the axes: beside the points, names of models that are much alike would cover each other.
    figure.legend(loc="outside lower center", fontsize=9, frameon=False)
    axes.set_xlabel("latency of a text alone, p50, ms")
    axes.set_ylabel("accuracy, %, with its 95 % interval")
    axes.set_title(f"{Path(report['dataset']).name}, {results[0]['split']}: {results[0]['examples']:,} texts; {report['cpu']}, "
                   f"{results[0]['isa']}", fontsize=10)
    axes.grid(alpha=0.3)
    return figure


def short(model: str) -> str:
    """The end of a path is what tells models apart."""
    return "/".join(Path(model).parts[-2:]) if len(model) > 40 else model


if __name__ == "__main__":
    sys.exit(main())
