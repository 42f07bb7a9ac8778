"""The gate of Benchmarks/ lets this tree pass and names what was made slower on purpose.

`APUS_TEST_BENCH=1 make test-benchmarks`, as root (it mounts), builds the benchmarks and measures for minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import bench_gate  # noqa: E402
import bench_report  # noqa: E402
from bench_lines import Run  # noqa: E402


def missing() -> str:
    """Why the heavy tests cannot be run; empty where they can."""
    if not os.environ.get("APUS_TEST_BENCH"):
        return "builds and measures for minutes; set APUS_TEST_BENCH=1"
    probe = ["unshare", "--mount", "mount", "--bind", "/", "/mnt"]
    return "" if subprocess.run(probe, capture_output=True).returncode == 0 else "root may not mount on this machine"


MISSING = missing()
heavy = pytest.mark.skipif(bool(MISSING), reason=MISSING)


# The comparison itself

MACHINE = {"cpu": "a CPU", "model": "a vendor 1 2", "isa": "avx2", "threads": 1, "version": "0", "openblas": "OpenBLAS 0"}


def lines(*figures: dict, **more: object) -> Run:
    return Run("\n".join(map(json.dumps, [MACHINE, {"name": "a", "figures": figures} | more])))


def ratio(median: float) -> dict:
    return {"figure": "r", "median": median, "relative": 0.3, "absolute": 0, "prefers_larger": True}


def allocations(median: float) -> dict:
    return {"figure": "n", "median": median, "relative": 0.02, "absolute": 1, "prefers_larger": False}


@pytest.mark.parametrize("figure, stored, regresses", [
    (ratio(700), 1000, False), (ratio(699), 1000, True), (ratio(5000), 1000, False),
    (allocations(103), 100, False), (allocations(103.1), 100, True), (allocations(0), 100, False), (allocations(1), 0, False),
    (allocations(2), 0, True),
    ({"figure": "n", "median": 1, "relative": 0, "absolute": 0, "prefers_larger": False}, 0, True),
])
def test_a_figure_regresses_beyond_its_limit_and_only_on_its_bad_side(figure: dict, stored: float, regresses: bool) -> None:
    [row] = bench_gate.judge(lines(figure), {"a": {figure["figure"]: stored}})
    assert row.failed == regresses


def test_what_was_not_measured_or_went_wrong_fails_and_what_was_skipped_does_not() -> None:
    def states(run: Run, *names: str) -> list[tuple[str, bool]]:
        return [(row.state, row.failed) for row in bench_gate.judge(run, {name: {"r": 1000.0} for name in names})]

    assert states(lines(ratio(1000)), "a", "b") == [("", False), ("not measured", True)]
    assert states(lines(error="wrong answer"), "a") == [("wrong answer", True)]
    assert states(lines(error="wrong answer")) == [("wrong answer", True)]
    assert states(lines(skipped="no data"), "a") == [("skipped", False)]
    assert states(lines(), "a") == [("not measured", True)]


@pytest.mark.parametrize("other", [{"isa": "avx512"}, {"model": "a vendor 1 3"}])
def test_another_cpu_is_compared_with_the_allocations_of_a_baseline_alone(other: dict) -> None:
    stored = MACHINE | {"benchmarks": {"a": {"ratio": 700.0, "allocations": 3}, "b": {"ratio": 700.0}}}
    assert bench_gate.comparable(stored, MACHINE) == stored["benchmarks"]
    assert bench_gate.comparable(stored, MACHINE | other) == {"a": {"allocations": 3}}


class Suite:
    """Runs the gate over what a suite would print: one dictionary a run, the last one again and again."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture) -> None:
        self.folder, self.capsys = folder, capsys
        self.program = folder / "suite"
        self.program.write_text(
            f"#!/bin/sh\ncd {folder}\nrun=$(ls -d run.* | head -n 1)\ncat $run >\"$APUS_BENCH_OUTPUT\"\n"
            'if [ "$(ls -d run.* | wc -l)" -gt 1 ]; then rm $run; fi\n')
        self.program.chmod(0o755)

    def command(self, name: str, machine: dict, *runs: dict) -> tuple[int, str]:
        """The exit code and the output."""
        for old in self.folder.glob("run.*"):
            old.unlink()
        for index, run in enumerate(runs):
            (self.folder / f"run.{index}").write_text("\n".join(map(json.dumps, [machine, {"name": "a"} | run])))
        argv, sys.argv = sys.argv, ["bench_gate.py", name, "--suite", str(self.program), "--baselines", str(self.folder)]
        try:
            code = bench_gate.main()
        finally:
            sys.argv = argv
        said = self.capsys.readouterr()
        return code, said.out + said.err


@pytest.fixture
def suite(tmp_path: Path, capsys: pytest.CaptureFixture) -> Suite:
    return Suite(tmp_path, capsys)


def figures(*figures: dict) -> dict:
    return {"figures": figures}


def test_the_gate_says_what_it_compared_and_fails_where_it_should(suite: Suite, tmp_path: Path) -> None:
    fine, slow = figures(ratio(700), allocations(3)), figures(ratio(600), allocations(3))
    code, output = suite.command("gate", MACHINE, fine)
    assert code == 2 and "has no baseline" in output
    (tmp_path / "avx2.json").write_text(json.dumps(MACHINE | {"benchmarks": {"a": {"r": 1000.0, "n": 3}}}))
    code, output = suite.command("gate", MACHINE, fine)
    assert code == 0 and "passed: 2 figures compared" in output and "| a | r | 1,000 | 700 | 700 |  |" in output
    code, output = suite.command("gate", MACHINE, slow)
    assert code == 1 and regressed(output) == [("a", "r")] and "failed: 1 figure of 2 against avx2.json" in output
    assert output.count("measuring again what regressed: 1 of 1") == bench_gate.RETRIES


def test_a_disturbance_passes_and_nothing_else_does(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "avx2.json").write_text(json.dumps(MACHINE | {"benchmarks": {"a": {"r": 1000.0, "n": 3}}}))
    fine, slow = figures(ratio(1000), allocations(3)), figures(ratio(500), allocations(3))
    wrong, skipped, nothing = {"error": "wrong answer"}, {"skipped": "no data"}, {"figures": []}
    assert suite.command("gate", MACHINE, slow, fine)[0] == 0
    assert suite.command("gate", MACHINE, slow, slow, fine)[0] == 0
    for runs in ([slow, wrong], [wrong, fine], [wrong, slow], [nothing, slow], [nothing, fine], [slow, skipped], [slow, nothing]):
        assert suite.command("gate", MACHINE, *runs)[0] == 1, runs
    code, output = suite.command("gate", MACHINE, skipped)
    assert code == 0 and "passed: 0 figures compared, none worse than its limit; 2 skipped" in output
    assert "skipped: a: no data" in output
    (tmp_path / "avx2.json").write_text(json.dumps(MACHINE | {"benchmarks": {}}))
    assert suite.command("gate", MACHINE, wrong, fine)[0] == 1


def test_another_cpus_ratios_are_not_looked_at_and_its_allocations_are(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "avx2.json").write_text(json.dumps(MACHINE | {"benchmarks": {"a": {"r": 1000.0, "allocations": 3}}}))
    other = MACHINE | {"isa": "neon", "model": "0x41 0xd0c"}
    counted = allocations(3) | {"figure": "allocations"}
    code, output = suite.command("gate", other, figures(ratio(600), counted))
    assert code == 0 and "skipped: ratios: avx2.json" in output and "passed: 1 figure compared" in output
    code, output = suite.command("gate", other, figures(ratio(600), counted | {"median": 9}))
    assert code == 1 and regressed(output) == [("a", "allocations")]


def test_a_baseline_is_of_everything_or_not_stored(suite: Suite, tmp_path: Path) -> None:
    code, output = suite.command("store", MACHINE, {"skipped": "no data"})
    assert code == 2 and "the baseline would lack what was skipped: a: no data" in output
    assert not (tmp_path / "avx2.json").exists()
    code, output = suite.command("store", MACHINE, *(figures(ratio(value), allocations(3)) for value in (900, 1000, 1100)))
    assert code == 0, output
    assert json.loads((tmp_path / "avx2.json").read_text())["benchmarks"] == {"a": {"r": 1000.0, "n": 3}}


# The report

@pytest.mark.parametrize("label, median, heading, shown", [
    ("of the peak, ‰", 918, "of the peak, %", "91.8"), ("of OpenBLAS' rate, ‰", 2140, "times OpenBLAS' rate", "2.14"),
    ("over apus --version, ‰", 2510, "times apus --version", "2.51"), ("processor time, ns", 3390, "processor time, µs", "3.39"),
    ("allocations", 9592, "allocations", "9,592"), ("VmHWM, KiB", 66952, "VmHWM, KiB", "66,952"),
])
def test_figures_are_shown_in_the_unit_that_their_column_names(label: str, median: float, heading: str, shown: str) -> None:
    assert (bench_report.heading(label), bench_report.shown(label, {"median": median})) == (heading, shown)


def test_names_are_sorted_by_their_numbers() -> None:
    names = ["gemm, 128 rows", "gemm, 8 rows", "gemm, 32 rows"]
    assert sorted(names, key=bench_report.natural) == ["gemm, 8 rows", "gemm, 32 rows", "gemm, 128 rows"]


# The gate on this tree and on one that was made slower

START = "    size_t groups = inner / 4;\n"
SLOW_GEMM = (START, START + "    for (volatile size_t wasted = 0; wasted < rows * groups; wasted++) {}\n")
ANSWER = "        return .json(body.answer(predictions))\n"
MORE_ALLOCATIONS = (
    ANSWER,
    '        let wasted = (0..<50).map { "a text that is too long to be kept in place, \\($0)" }.sorted()\n'
    '        if wasted[0].isEmpty { throw RequestError(.internalServerError, "wasted", wasted[0]) }\n' + ANSWER)


class Copy:
    """The working tree in a folder of its own, with the benchmarks' build folder.

    Builds see it at this tree's place, in a mount namespace of their own: what was built keeps its paths and times, so that
    only what a test changes is built again.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / ROOT.name
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                                capture_output=True, text=True).stdout.split("\0")
        for name in filter(None, dict.fromkeys(listed)):
            if (ROOT / name).is_file():
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.path / name)
        for name in ("Benchmarks/.build", "Benchmarks/Package.resolved"):
            if (ROOT / name).exists():
                subprocess.run(["cp", "-a", ROOT / name, self.path / name], check=True)

    def replace(self, name: str, old: str, new: str) -> None:
        file = self.path / name
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} has changed: adapt this test"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def make(self, target: str) -> tuple[int, str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("APUS_BENCH")}
        script = 'mount --bind "$0" "$1" && cd "$1" && exec make "$2"'
        ended = subprocess.run(["unshare", "--mount", "sh", "-c", script, self.path, ROOT, target], env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=3600)
        return ended.returncode, ended.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("bench-gate"))


def regressed(output: str) -> list[tuple[str, str]]:
    """Benchmark and figure, by the table."""
    rows = [[cell.strip() for cell in line.split("|")] for line in output.splitlines() if line.startswith("| ")]
    return [(row[1], row[2]) for row in rows if row[-2] == bench_gate.REGRESSED]


@heavy
def test_this_tree_passes(copy: Copy) -> None:
    code, output = copy.make("bench-gate")
    assert code == 0 and "passed: " in output, output[-3000:]
    if "skipped: ratios:" in output:
        # What comes needs ratios of this CPU.
        code, output = copy.make("bench-baseline")
        assert code == 0, output[-3000:]


@heavy
def test_a_kernel_made_slower_and_an_allocation_too_many_are_named(copy: Copy) -> None:
    gemm = "Sources/Kernels/gemm/gemm_u8s8.body.h"
    routes = "Sources/Server/Routes/PredictRoutes.swift"
    copy.replace(gemm, *SLOW_GEMM)
    copy.replace(routes, *MORE_ALLOCATIONS)
    code, output = copy.make("bench-gate")
    found = regressed(output)
    assert code != 0 and "skipped: ratios:" not in output, output[-3000:]
    assert any(name.startswith("gemm_u8s8_") and figure == "of the peak, ‰" for name, figure in found), output[-3000:]
    assert any(name.startswith("POST /predict") and figure == "allocations" for name, figure in found), output[-3000:]
    # Nothing else was touched: what has no int8 product in it still passes.
    untouched = ("gemm_f32_", "layernorm", "gelu", "softmax", "quantize", "JSON")
    assert not [name for name, _ in found if name.startswith(untouched)], found
