#!/usr/bin/env python3
"""What becomes of the figures of Benchmarks/: a report, or a gate against the stored baseline.

    tools/bench_report.py gate --suite Benchmarks/.build/release/ApusBenchmarks
    tools/bench_report.py store --suite Benchmarks/.build/release/ApusBenchmarks
    tools/bench_report.py report --lines Benchmarks/.build/bench.jsonl --output Benchmarks/report.md

The gate looks at counts of allocations and at ratios whose two sides were measured in one run; never at seconds. A baseline
belongs to an instruction set: Benchmarks/Baselines/ISA.json. Its ratios hold for the kind of CPU that they were measured on;
of another one only the allocations are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BASELINES = ROOT / "Benchmarks" / "Baselines"
EVALUATION = ROOT / "Sources" / "Engine" / "Resources" / "Model" / "evaluation_report.json"
RETRIES = 2  # what regressed is measured again: a disturbance passes, a regression stays
STORED_RUNS = 3
ALLOCATIONS = "allocations"
REGRESSED = "regressed"
SKIPPED = "skipped"
COLOURS = {"int8": "#cc3311", "f32": "#4477aa"}


class Failure(Exception):
    pass


class Run:
    """The lines of one or more runs: the last line of a benchmark counts."""

    def __init__(self, text: str) -> None:
        self.machine: dict = {}
        self.benchmarks: dict[str, dict[str, dict]] = {}
        self.skipped: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        for line in text.splitlines():
            row = json.loads(line)
            if "cpu" in row:
                self.machine = row
                continue
            name = row["name"]
            if "skipped" in row:
                self.skipped[name] = row["skipped"]
            elif "error" in row:
                self.errors[name] = row["error"]
            else:
                self.benchmarks[name] = {figure["figure"]: figure for figure in row["figures"]}

    @property
    def isa(self) -> str:
        return self.machine["isa"]


def measure(suite: Path, only: list[str] | None = None) -> Run:
    """Runs the gate's benchmarks, or those of them that are named."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines.jsonl"
        environment = os.environ | {
            "APUS_BENCH": "gate", "APUS_BENCH_OUTPUT": str(lines), "APUS_BENCH_ONLY": "\n".join(only or [])}
        ended = subprocess.run([suite.resolve()], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
        if ended.returncode != 0 or not lines.exists():
            raise Failure(f"{suite} ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
        return Run(lines.read_text(encoding="utf-8"))


# The gate

def limit(figure: dict, baseline: float) -> float:
    """The worst median that passes."""
    sign = -1 if figure["prefers_larger"] else 1
    return baseline + sign * (baseline * figure["relative"] + figure["absolute"])


def same_cpu(stored: dict, machine: dict) -> bool:
    return (stored["isa"], stored["model"]) == (machine["isa"], machine["model"])


def comparable(stored: dict, machine: dict) -> dict[str, dict[str, float]]:
    """The baseline's figures that hold for this machine."""
    if same_cpu(stored, machine):
        return stored["benchmarks"]
    counts = {name: {label: value for label, value in figures.items() if label == ALLOCATIONS}
              for name, figures in stored["benchmarks"].items()}
    return {name: figures for name, figures in counts.items() if figures}


class Row(NamedTuple):
    """A figure beside its baseline."""

    benchmark: str
    figure: str
    baseline: float | None
    limit: float | None
    found: float | None
    state: str  # empty where it passes

    @property
    def failed(self) -> bool:
        return self.state not in ("", SKIPPED)


def judge(run: Run, baseline: dict[str, dict[str, float]]) -> list[Row]:
    """Each figure of the baseline, and whatever went wrong besides."""
    rows = []
    for name, figures in baseline.items():
        for label, stored in figures.items():
            figure = run.benchmarks.get(name, {}).get(label)
            bound = found = None
            if name in run.errors:
                state = run.errors[name]
            elif name in run.skipped:
                state = SKIPPED
            elif figure is None or "relative" not in figure:
                state = "not measured"
            else:
                bound, found = limit(figure, stored), figure["median"]
                state = REGRESSED if ((found < bound) if figure["prefers_larger"] else (found > bound)) else ""
            rows.append(Row(name, label, stored, bound, found, state))
    return rows + [Row(name, "", None, None, None, error) for name, error in run.errors.items() if name not in baseline]


def judge_again(rows: list[Row], run: Run, baseline: dict[str, dict[str, float]]) -> list[Row]:
    """The rows, with those that regressed as they are in another run of theirs. What was measured once cannot be skipped."""
    again = {row[:2]: row for row in judge(run, baseline)}
    rows = [again[row[:2]] if row.state == REGRESSED else row for row in rows]
    return [row._replace(state="not measured") if row.state == SKIPPED and row.benchmark in run.skipped else row for row in rows]


def gate(arguments: argparse.Namespace) -> int:
    run = measure(arguments.suite)
    print(machine_line(run))
    path = arguments.baselines / f"{run.isa}.json"
    if not path.exists():
        path = next(iter(sorted(arguments.baselines.glob("*.json"))), None)
    if path is None:
        raise Failure(f"{arguments.baselines} has no baseline; store one with make bench-baseline")
    stored = json.loads(path.read_text(encoding="utf-8"))
    baseline = comparable(stored, run.machine)
    if not same_cpu(stored, run.machine):
        print(f"skipped: ratios: {path.name} is of {stored['isa']} ({stored['model']}), this CPU is {run.isa} "
              f"({run.machine['model']}); make bench-baseline stores its own")
    for name, reason in run.skipped.items():
        print(f"skipped: {name}: {reason}")
    for name in run.benchmarks.keys() - stored["benchmarks"].keys():
        print(f"not in the baseline: {name}; store it with make bench-baseline")
    rows = judge(run, baseline)
    for _ in range(RETRIES):
        names = list(dict.fromkeys(row.benchmark for row in rows if row.state == REGRESSED))
        if not names or any(row.failed and row.state != REGRESSED for row in rows):
            break
        print(f"measuring again what regressed: {len(names)} of {len(baseline)}", flush=True)
        rows = judge_again(rows, measure(arguments.suite, names), {name: baseline[name] for name in names})
    rows.sort(key=lambda row: not row.failed)
    print()
    print(table(["benchmark", "figure", "baseline", "limit", "found", ""],
                [[row.benchmark, row.figure, *map(number, row[2:5]), row.state] for row in rows]))
    print()
    failed = sum(row.failed for row in rows)
    compared = sum(row.state != SKIPPED for row in rows)
    if failed:
        print(f"failed: {count(failed, 'figure')} of {compared} against {path.name} of {stored['cpu']}")
        return 1
    print(f"passed: {count(compared, 'figure')} compared, none worse than its limit; {len(rows) - compared} skipped")
    return 0


def store(arguments: argparse.Namespace) -> int:
    """The median of several runs' medians."""
    runs = [measure(arguments.suite) for _ in range(STORED_RUNS)]
    errors = {name: error for run in runs for name, error in run.errors.items()}
    if errors:
        raise Failure("; ".join(f"{name}: {error}" for name, error in errors.items()))
    if runs[0].skipped:
        raise Failure("the baseline would lack what was skipped: "
                      + "; ".join(f"{name}: {reason}" for name, reason in runs[0].skipped.items()))
    benchmarks: dict[str, dict[str, float]] = {}
    for name, figures in runs[0].benchmarks.items():
        benchmarks[name] = {
            label: round(statistics.median(run.benchmarks[name][label]["median"] for run in runs), 1)
            for label, figure in figures.items() if "relative" in figure}
    arguments.baselines.mkdir(parents=True, exist_ok=True)
    path = arguments.baselines / f"{runs[0].isa}.json"
    machine = runs[0].machine
    content = {key: machine[key] for key in ("cpu", "model", "isa", "version")} | {"benchmarks": benchmarks}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(machine_line(runs[0]))
    print(f"{path}: {len(benchmarks)} benchmarks, the medians of {STORED_RUNS} runs")
    spreads = []
    for name, figures in benchmarks.items():
        for label in figures:
            medians = [run.benchmarks[name][label]["median"] for run in runs]
            if min(medians) > 0:
                spreads.append((max(medians) / min(medians), name, label))
    for spread, name, label in sorted(spreads, reverse=True)[:5]:
        print(f"  from run to run {spread:.2f} times: {name}, {label}")
    return 0


# The report

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


# Words and numbers

def machine_line(run: Run) -> str:
    return f"{run.machine['cpu']}, {run.isa}, one of {run.machine['threads']} cores; apus {run.machine['version']}, {run.machine['openblas']}"


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


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def count(value: int, noun: str) -> str:
    return f"{value} {noun}" if value == 1 else f"{value} {noun}s"


def table(header: list[str], rows: list) -> str:
    """The first column is of words."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True)
    for name, action in (("gate", gate), ("store", store)):
        command = commands.add_parser(name)
        command.add_argument("--suite", type=Path, required=True, help="the built ApusBenchmarks")
        command.add_argument("--baselines", type=Path, default=BASELINES)
        command.set_defaults(action=action)
    command = commands.add_parser("report")
    command.add_argument("--lines", type=Path, required=True, help="what APUS_BENCH_OUTPUT named")
    command.add_argument("--output", type=Path, required=True, help="the Markdown page; its plot gets the same name")
    command.add_argument("--compare", type=Path, help="a report of apus compare; else the shipped evaluation_report.json")
    command.add_argument("--evaluation", type=Path, default=EVALUATION)
    command.set_defaults(action=report)
    arguments = parser.parse_args()
    try:
        return arguments.action(arguments)
    except (Failure, OSError, ValueError, LookupError) as error:
        print(f"bench_report.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
