"""`apus compare`: a row a model and precision with the figures that `apus evaluate` and the files themselves have; one error
and no report where a row cannot be had; and tools/plot_compare.py, which draws the report."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apus_server import until

from checkpoints import MODELS, REPOSITORY, copy_model
from labelled import predictions, tweets, write_csv, write_directory, write_jsonl
from pulling import assert_refused
from small_fasttext import train
from terminal import Terminal

import plot_compare  # in tools/, where `checkpoints` looks too

TINY = MODELS / "roberta-tiny"
PLOT = REPOSITORY / "tools/plot_compare.py"


@pytest.fixture
def dataset(data: Path, tmp_path: Path) -> Path:
    return write_directory(tmp_path / "tweets", tweets(data, 300))


@pytest.fixture
def cheap(data: Path, tmp_path: Path) -> Path:
    """A fastText model of TweetEval's labels."""
    return train(tmp_path / "cheap.bin", tweets(data, 1000, "train"))


@pytest.fixture
def compare(run_apus, tmp_path: Path) -> Callable[..., tuple[list[dict], str]]:
    """Compares, and returns the report's rows and what was printed."""

    def compare(dataset: Path, *arguments: Any) -> tuple[list[dict], str]:
        report = tmp_path / "comparison.json"
        result = run_apus("compare", "--dataset", dataset, "--report", report, *arguments)
        assert result.returncode == 0 and result.stderr == "", result.stderr
        read = json.loads(report.read_text(encoding="utf-8"))
        assert (read["dataset"], read["split"]) == (str(dataset), "test") and read["cpu"]
        return read["results"], result.stdout

    return compare


def rows_of(results: list[dict]) -> list[tuple[str, str]]:
    return [(row["model"], row["precision"]) for row in results]


# Rows and figures

def test_each_model_has_a_row_a_precision_in_the_order_given(compare, dataset: Path, cheap: Path):
    results, table = compare(dataset, cheap, TINY, MODELS / "bert-tiny")
    expected = [(str(cheap), "f32"), (str(TINY), "int8"), (str(TINY), "f32"), (str(MODELS / "bert-tiny"), "int8"),
                (str(MODELS / "bert-tiny"), "f32")]
    assert rows_of(results) == expected
    assert [tuple(line.split()[:2]) for line in table.splitlines()[-5:]] == expected
    results, _ = compare(dataset, "--precision", "f32,int8", TINY, cheap)
    assert rows_of(results) == [(str(TINY), "f32"), (str(TINY), "int8"), (str(cheap), "f32")]
    results, _ = compare(dataset, "--precision", "int8", TINY, cheap, TINY)
    assert rows_of(results) == [(str(TINY), "int8"), (str(cheap), "f32"), (str(TINY), "int8")]


def test_the_figures_are_those_of_evaluate_and_of_predict(
    run_apus, compare, dataset: Path, cheap: Path, data: Path, tmp_path: Path
):
    texts = [text for text, _ in tweets(data, 300)]
    results, table = compare(dataset, TINY, cheap)
    labels = []
    for row in results:
        options = ("--model", row["model"], "--precision", row["precision"])
        report = tmp_path / "evaluation.json"
        assert run_apus("evaluate", *options, "--dataset", dataset, "--report", report).returncode == 0
        evaluated = json.loads(report.read_text(encoding="utf-8"))
        timed = {"latency_ms", "texts_per_second", "reference", "gate", "slices"}
        assert {name: row[name] for name in evaluated if name not in timed} == {
            name: value for name, value in evaluated.items() if name not in timed}
        labels.append([one["label"] for one in predictions(run_apus, texts, *options)])
    agreements = [np.mean([a == b for a, b in zip(labels[0], row)]) for row in labels]
    assert [row["agreement"] for row in results] == pytest.approx(agreements, abs=1e-12)
    assert results[0]["agreement"] == 1 and agreements[2] < 0.9
    # The table has the same figures, rounded.
    for row, line in zip(results, table.splitlines()[-3:]):
        shares = [float(share) for share in re.findall(r"([\d.]+) %", line)]
        expected = [100 * row[name] for name in ("accuracy", "macro_recall", "agreement")]
        assert shares == pytest.approx(expected, abs=0.00501)
        assert float(line.split()[-3]) == pytest.approx(row["weights_bytes"] / 1e6, abs=0.0501)


def test_sizes_are_the_files_and_times_and_memory_are_plausible(compare, dataset: Path, cheap: Path):
    results, _ = compare(dataset, TINY, MODELS / "roberta-odd/../roberta-bf16", cheap)
    files = [TINY / "model.safetensors"] * 2 + [MODELS / "roberta-bf16/pytorch_model.bin"] * 2 + [cheap]
    assert [row["weights_bytes"] for row in results] == [file.stat().st_size for file in files]
    for row in results:
        latency = row["latency_ms"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] < 1000
        assert 0 < row["cold_start_ms"] < 10_000
        assert row["weights_bytes"] < row["peak_memory_bytes"] < 1 << 30
        # In passes of 32 texts no text takes much longer than alone.
        assert row["texts_per_second"] > 300 / latency["mean"]


def test_memory_grows_with_the_weights_and_with_their_precision(compare, roberta_base: Path, data: Path, tmp_path: Path):
    results, _ = compare(write_jsonl(tmp_path / "few.jsonl", tweets(data, 3)), roberta_base)
    int8, f32 = results
    weights = (roberta_base / "pytorch_model.bin").stat().st_size
    assert int8["weights_bytes"] == f32["weights_bytes"] == weights
    assert f32["peak_memory_bytes"] > weights
    assert int8["peak_memory_bytes"] < 0.8 * f32["peak_memory_bytes"]
    # Reading half a gigabyte is in it.
    assert min(row["cold_start_ms"] for row in results) > 50


def test_without_a_model_it_is_the_one_in_the_package(compare, data: Path, tmp_path: Path):
    results, _ = compare(write_csv(tmp_path / "few.csv", tweets(data, 20)), "--precision", "int8", "--threads", 1)
    assert len(results) == 1 and results[0]["model"].startswith("apus/") and results[0]["threads"] == 1


def test_a_terminal_sees_a_bar_a_row_and_a_pipe_only_the_table(run_apus, data: Path, tmp_path: Path):
    many = write_directory(tmp_path / "many", tweets(data, 2000))
    piped = run_apus("compare", "--dataset", many, TINY)
    assert piped.returncode == 0 and piped.stderr == "" and len(piped.stdout.splitlines()) == 5
    terminal = Terminal()
    assert run_apus("compare", "--dataset", many, TINY, stderr=terminal.slave).returncode == 0
    shown = terminal.close()
    for precision in ("int8", "f32"):
        assert re.search(rf"roberta-tiny, {precision} \[[#.]+\] [\d.]+ %", shown)
    assert shown.endswith("\r\x1b[K"), "the bar is left behind"


# What fails

def test_a_row_that_cannot_be_had_is_one_error_and_no_report(run_apus, dataset: Path, cheap: Path, tmp_path: Path):
    fewer = MODELS / "roberta-odd"  # negative and positive alone
    unlike = train(tmp_path / "unlike.bin", [("good", "joy"), ("bad", "anger")] * 20)
    damaged = copy_model(TINY, tmp_path / "damaged")
    weights = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(weights[:-1])
    nothing, none = tmp_path / "none", tmp_path / "none.csv"
    for models, texts, words in (
        ([fewer], dataset, (str(dataset), "neutral")), ([TINY, cheap, unlike], dataset, (str(dataset), "joy, anger")),
        ([TINY], none, (str(none), "does not exist")), ([TINY, nothing], dataset, (str(nothing), "does not exist")),
        ([cheap, damaged], dataset, ("model.safetensors",)), ([dataset], dataset, (str(dataset), "config.json")),
    ):
        report = tmp_path / "comparison.json"
        assert_refused(run_apus("compare", "--dataset", texts, "--report", report, *models), *words)
        assert not report.exists()


def test_a_report_that_cannot_be_written_is_an_error(run_apus, dataset: Path, tmp_path: Path):
    report = tmp_path / "none/comparison.json"
    assert_refused(run_apus("compare", "--dataset", dataset, "--report", report, TINY), str(report))
    assert not report.parent.exists()


@pytest.mark.parametrize("arguments", [
    ("--precision", "int4"), ("--precision", ""), ("--threads", "0"), ("--splits", "val"),
])
def test_options_that_cannot_be_meant_are_usage_errors(run_apus, tmp_path: Path, arguments):
    assert run_apus("compare", "--dataset", tmp_path, TINY, *arguments).returncode == 64
    assert run_apus("compare", TINY).returncode == 64


def children(process: subprocess.Popen) -> list[int]:
    lists = [path.read_text().split() for path in Path(f"/proc/{process.pid}/task").glob("*/children")]
    return [int(child) for children in lists for child in children]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_the_row_that_is_measured_ends_with_it(start_apus, data: Path, tmp_path: Path, how: str):
    report = tmp_path / "comparison.json"
    process = start_apus("compare", "--dataset", data / "tweeteval-sentiment", "--precision", "f32", "--report", report,
                         start_new_session=True)
    child, = until(lambda: children(process), "a row's process")
    try:
        until(lambda: b"compare-row" in Path(f"/proc/{child}/cmdline").read_bytes(), "it is apus once more")
        if how == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        else:
            process.terminate()
        assert process.wait(5) != 0
        until(lambda: not is_running(child), "the child has ended", 2)
        assert process.communicate(timeout=5) == ("", "")
        assert not report.exists()
    finally:
        if is_running(child):
            os.kill(child, signal.SIGKILL)


# tools/plot_compare.py

def plot(report: Path, output: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, PLOT, "--report", report, "--output", output], capture_output=True, text=True)


def test_the_report_is_drawn(compare, dataset: Path, cheap: Path, tmp_path: Path):
    compare(dataset, TINY, cheap)
    picture = tmp_path / "plot.png"
    result = plot(tmp_path / "comparison.json", picture)
    assert result.returncode == 0 and result.stdout == "" and result.stderr == "", result.stderr
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n") and content.endswith(b"IEND\xaeB`\x82")
    width, height = (int.from_bytes(content[start:start + 4], "big") for start in (16, 20))
    assert 600 <= width <= 4000 and 400 <= height <= 4000 and len(content) > 10_000
    drawing = tmp_path / "plot.svg"
    assert plot(tmp_path / "comparison.json", drawing).returncode == 0
    assert drawing.read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize("content", [
    None, b"", b"[]", b"{}", b"1", b"not JSON", b'{"results": []}', b'{"results": [{"model": "a"}]}', b"\xff\xfe{}",
    b'{"cpu": "x", "dataset": "x", "split": "test", "results": []}', b'{"accuracy": 0.7, "model": "x", "dataset": "x"}',
])
def test_what_is_no_report_is_not_drawn(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, content: bytes | None):
    """In this process: starting Python and matplotlib each time would take longer than all the rest."""
    report, picture = tmp_path / "report.json", tmp_path / "plot.png"
    if content is not None:
        report.write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["plot_compare.py", "--report", str(report), "--output", str(picture)])
    assert plot_compare.main() == 2
    output, errors = capsys.readouterr()
    assert output == "" and errors.startswith("plot_compare.py: ") and str(report) in errors and errors.count("\n") == 1
    assert not picture.exists()


@pytest.mark.parametrize("name", ["none/plot.png", "plot.xyz"])
def test_a_picture_that_cannot_be_written_is_one_error(
    compare, dataset: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, name: str
):
    compare(dataset, TINY)
    monkeypatch.setattr(sys, "argv", ["plot_compare.py", "--report", str(tmp_path / "comparison.json"), "--output",
                                      str(tmp_path / name)])
    assert plot_compare.main() == 2
    assert str(tmp_path / name) in capsys.readouterr().err
