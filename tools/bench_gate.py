#!/usr/bin/env python3
"""The figures of Benchmarks/ against the stored baseline.

    tools/bench_gate.py gate --suite Benchmarks/.build/release/ApusBenchmarks
    tools/bench_gate.py store --suite Benchmarks/.build/release/ApusBenchmarks

The gate looks at counts of allocations and at ratios whose two sides were measured in one run; never at seconds. A baseline
belongs to an instruction set: Benchmarks/Baselines/ISA.json. Its ratios hold for the kind of CPU that they were measured on;
of another one only the allocations are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench_lines import Failure, Run, count, machine_line, number, table

ROOT = Path(__file__).resolve().parent.parent
BASELINES = ROOT / "Benchmarks" / "Baselines"
RETRIES = 2  # what regressed is measured again: a disturbance passes, a regression stays
STORED_RUNS = 3
ALLOCATIONS = "allocations"
REGRESSED = "regressed"
SKIPPED = "skipped"


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True)
    for name, action in (("gate", gate), ("store", store)):
        command = commands.add_parser(name)
        command.add_argument("--suite", type=Path, required=True, help="the built ApusBenchmarks")
        command.add_argument("--baselines", type=Path, default=BASELINES)
        command.set_defaults(action=action)
    arguments = parser.parse_args()
    try:
        return arguments.action(arguments)
    except (Failure, OSError, ValueError, LookupError) as error:
        print(f"bench_gate.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
