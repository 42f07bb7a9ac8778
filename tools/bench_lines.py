"""The lines that the benchmark suite writes (APUS_BENCH_OUTPUT), and how their figures are shown."""

from __future__ import annotations

import json


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


def machine_line(run: Run) -> str:
    return f"{run.machine['cpu']}, {run.isa}, one of {run.machine['threads']} cores; apus {run.machine['version']}, {run.machine['openblas']}"


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
