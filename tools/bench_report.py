#!/usr/bin/env python3
"""The report of what the suite of Benchmarks/ measured.

    tools/bench_report.py --lines Benchmarks/.build/bench.jsonl --output Benchmarks/report.md
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from bench_lines import Failure, Run, machine_line, number, table

ROOT = Path(__file__).resolve().parent.parent
EVALUATION = ROOT / "Sources" / "Engine" / "Resources" / "Model" / "evaluation_report.json"
COLOURS = {"int8": "#cc3311", "f32": "#4477aa"}


def report(arguments: argparse.Namespace) -> int:
    run = Run(arguments.lines.read_text(encoding="utf-8"))
    if run.errors:
        raise Failure("; ".join(f"{name}: {error}" for name, error in run.errors.items()))
    rated = ratings(arguments.compare, arguments.evaluation)
    lines = ["# Benchmarks", "", machine_line(run), "",
             "`make bench` wrote this. Ratios compare things measured in one run; times are of this machine, beside whatever else "
             "it did. Apus' weights are packed when a model is loaded, OpenBLAS packs both matrices in each call. A request's "
             "time is that of server and client together.", ""]
    passes = forward_passes(run)
    image = arguments.output.with_suffix(".png")
    if passes:
        lines += ["## Latency against accuracy", "", f"![latency by length, and accuracy]({image.name})", ""]
        lines += accuracy_lines(rated, passes)
        rows = []
        for (model, precision), lengths in passes.items():
            for length, figures in lengths.items():
                wall = figures["wall clock, ns"]
                rows.append([model, precision, length, f"{wall['median'] / 1e6:.3g}",
                             f"{wall['p10'] / 1e6:.3g} to {wall['p90'] / 1e6:.3g}",
                             f"{figures[PEAK]['median'] / 10:.0f} %", number(figures["allocations"]["median"])])
        lines += ["## Forward passes", "",
                  "One text, from token ids to logits. The shipped MiniLM; RoBERTa-base with random weights.", "",
                  table(["model", "precision", "tokens", "p50 ms", "p10 to p90", "of the peak", "allocations"], rows), ""]
    groups = {"Products with weights": r"gemm_", "Other kernels": r"(layernorm|gelu|softmax|quantize|attention)_",
              "Tokenizers": r"(WordPiece|BPE) ", "Requests": r"(POST|GET) ", "JSON": "JSON", "Process": "apus "}
    for title, pattern in groups.items():
        members = {name: figures for name, figures in run.benchmarks.items() if re.match(pattern, name)}
        if not members:
            continue
        labels = list(dict.fromkeys(label for figures in members.values() for label in figures))
        rows = [[name, *(shown(label, members[name].get(label)) for label in labels)] for name in sorted(members, key=natural)]
        lines += [f"## {title}", "", table(["benchmark", *map(heading, labels)], rows), ""]
    if run.skipped:
        lines += ["## Skipped", "", *(f"- {name}: {reason}" for name, reason in run.skipped.items()), ""]
    arguments.output.write_text("\n".join(lines), encoding="utf-8")
    if passes:
        draw(run, passes, rated, image)
    print(f"{arguments.output}: {len(run.benchmarks)} benchmarks")
    return 0


def forward_passes(run: Run) -> dict[tuple[str, str], dict[int, dict]]:
    """{(model, precision): {length: figures}}"""
    passes: dict[tuple[str, str], dict[int, dict]] = {}
    for name, figures in run.benchmarks.items():
        if match := re.fullmatch(r"(MiniLM|RoBERTa-base), (int8|f32), (\d+) tokens", name):
            passes.setdefault(match.group(1, 2), {})[int(match[3])] = figures
    return {key: dict(sorted(lengths.items())) for key, lengths in sorted(passes.items(), key=lambda item: item[0][0])}


def ratings(compare: Path | None, evaluation: Path) -> list[dict]:
    """model, precision, accuracy, its 95 % interval or None, agreement with f32, p50 in ms or None."""
    if compare:
        return [{"model": row["model"], "precision": row["precision"], "accuracy": row["accuracy"],
                 "interval": row["accuracy_interval"], "agreement": row.get("agreement"), "p50": row["latency_ms"]["p50"],
                 "examples": row["examples"]} for row in json.loads(compare.read_text(encoding="utf-8"))["results"]]
    row = json.loads(evaluation.read_text(encoding="utf-8"))
    reference = row["reference"]
    return [
        {"model": row["model"], "precision": row["precision"], "accuracy": row["accuracy"], "interval": row["accuracy_interval"],
         "agreement": reference["agreement"], "p50": None, "examples": row["examples"]},
        {"model": reference["model"], "precision": reference["precision"], "accuracy": reference["accuracy"], "interval": None,
         "agreement": 1.0, "p50": None, "examples": row["examples"]}]


def latency_of(rating: dict, passes: dict) -> float | None:
    """ms: as compared, or the shipped model's pass of 32 tokens."""
    if rating["p50"] is not None:
        return rating["p50"]
    figures = passes.get(("MiniLM", rating["precision"]), {}).get(32)
    return figures["wall clock, ns"]["median"] / 1e6 if figures else None


def accuracy_lines(rated: list[dict], passes: dict) -> list[str]:
    rows = []
    for rating in rated:
        latency = latency_of(rating, passes)
        interval = rating["interval"]
        rows.append([rating["model"], rating["precision"], "" if latency is None else f"{latency:.3g}",
                     f"{rating['accuracy']:.2%}", f"{interval[0]:.2%} to {interval[1]:.2%}" if interval else "",
                     "" if rating["agreement"] is None else f"{rating['agreement']:.2%}"])
    source = "a text of 32 tokens" if rated[0]["p50"] is None else "as apus compare timed them"
    return [table(["model", "precision", "p50 ms", "accuracy", "95 % interval", "labels as the first, or f32"], rows), "",
            f"Latency: {source}. Accuracy on {rated[0]['examples']:,} texts.", ""]


def draw(run: Run, passes: dict, rated: list[dict], path: Path) -> None:
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    def logarithmic(axis) -> None:
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(ticker.NullLocator())

    models = list(dict.fromkeys(model for model, _ in passes))
    figure, axes = pyplot.subplots(1, len(models) + 1, figsize=(4.8 * (len(models) + 1), 4.2), layout="constrained")
    for panel, model in zip(axes, models):
        for (other, precision), lengths in passes.items():
            if other != model:
                continue
            milliseconds = [figures["wall clock, ns"]["median"] / 1e6 for figures in lengths.values()]
            panel.plot(list(lengths), milliseconds, marker="o", color=COLOURS[precision], label=precision)
            for (length, figures), value in zip(lengths.items(), milliseconds):
                panel.annotate(f"{figures[PEAK]['median'] / 10:.0f} % of peak", (length, value), fontsize=8,
                               xytext=(6, -10), textcoords="offset points", color=COLOURS[precision])
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.margins(y=0.12)
        logarithmic(panel.yaxis)
        panel.set_xticks(list(lengths), labels=list(lengths))
        panel.set_xlim(min(lengths) / 1.3, max(lengths) * 2.2)
        panel.set_xlabel("tokens")
        panel.set_ylabel("p50 of one text, one thread, ms")
        panel.set_title(model, loc="left", fontsize=10)
        panel.legend(frameon=False, fontsize=8)
        panel.grid(color="#dddddd", linewidth=0.6)
    last = axes[-1]
    for rating in rated:
        latency = latency_of(rating, passes)
        if latency is None:
            continue
        accuracy = 100 * rating["accuracy"]
        error = [[accuracy - 100 * rating["interval"][0]], [100 * rating["interval"][1] - accuracy]] if rating["interval"] else None
        last.errorbar(latency, accuracy, yerr=error, marker="o", capsize=4, linestyle="none", color=COLOURS[rating["precision"]],
                      label=f"{rating['model'].split('/')[-1]}, {rating['precision']}: {accuracy:.2f} %")
    last.set_xscale("log")
    logarithmic(last.xaxis)
    last.margins(x=0.3, y=0.3)
    last.set_xlabel("p50, ms")
    last.set_ylabel("accuracy, %, with its 95 % interval")
    last.set_title("accuracy against latency", loc="left", fontsize=10)
    last.legend(frameon=False, fontsize=8)
    last.grid(color="#dddddd", linewidth=0.6)
    figure.suptitle(machine_line(run), x=0.01, ha="left", fontsize=10)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def natural(name: str) -> list:
    """A key that sorts 8 before 32."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


# How a figure's label ends says its unit. Shares of the peak and what a server adds are shown in percent, other ratios in times.
PEAK = "of the peak, ‰"
BEYOND_ENGINE = "beyond the engine's time, ‰"


def heading(label: str) -> str:
    if label in (PEAK, BEYOND_ENGINE):
        return label.replace("‰", "%")
    if label.endswith(", ‰"):
        return re.sub("^(of|over) ", "times ", label.removesuffix(", ‰"))
    return label.replace(", ns", ", µs")


def shown(label: str, figure: dict | None) -> str:
    if figure is None:
        return ""
    scale = 10 if label in (PEAK, BEYOND_ENGINE) else 1000 if label.endswith((", ‰", ", ns")) else 1
    return number(figure["median"] / scale)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--lines", type=Path, required=True, help="what APUS_BENCH_OUTPUT named")
    parser.add_argument("--output", type=Path, required=True, help="the Markdown page; its plot gets the same name")
    parser.add_argument("--compare", type=Path, help="a report of apus compare; else the shipped evaluation_report.json")
    parser.add_argument("--evaluation", type=Path, default=EVALUATION)
    try:
        return report(parser.parse_args())
    except (Failure, OSError, ValueError, LookupError) as error:
        print(f"bench_report.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
