#!/usr/bin/env python3
"""Apus beside PyTorch, ONNX Runtime and OpenVINO: the same weights, ids and threads.

    tools/compare_peers.py latency --apus .build/release/apus      p50 of one text, over lengths, precisions, threads
    tools/compare_peers.py accuracy --apus .build/release/apus     what int8 costs on TweetEval's test split

With --apus none the peers alone. Writes OUTPUT.json, OUTPUT.md and, for latency, OUTPUT.png. A first run builds the
peers' models in --work (two minutes or so; 2.5 GB), a later one takes them from there. Exit codes: 1 where a runtime's
f32 logits are not PyTorch's, 2 for bad input.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import math
import os
import random
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

import peer_models
import peer_report
import peer_runtimes
from classification_data import DatasetError, label_names, load_split
from peer_runtimes import PYTORCH, PeerError

REPOSITORY = Path(__file__).parents[1]
DATA = Path(os.environ.get("APUS_DATA", REPOSITORY / "../shared/data"))
SHIPPED_MODEL = REPOSITORY / "Sources/Engine/Resources/Model"
CPU_FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
MAX_LOGIT_DIFFERENCE = 1e-3
MAX_TOKENS = 512
RANDOM_CALIBRATION_TEXTS = 100
CALIBRATION_TEXTS = 300
CHECKED_TEXTS = ["good", "I love it, but not the end.", " ".join(["not the bad end"] * 40)]


class WrongAnswer(Exception):
    """Logits that are not PyTorch's."""


def main() -> int:
    arguments = parse_arguments()
    try:
        check_installation(arguments)
        return arguments.run(arguments)
    except WrongAnswer as error:
        print(f"compare_peers.py: {error}", file=sys.stderr)
        return 1
    except (PeerError, DatasetError, OSError) as error:
        print(f"compare_peers.py: {error}", file=sys.stderr)
        return 2


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    cores = len(os.sched_getaffinity(0))
    latency = commands.add_parser("latency", help="p50 of one text",
                                  formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    latency.set_defaults(run=compare_latency)
    latency.add_argument("--architecture", nargs="+", choices=peer_models.ARCHITECTURES,
                         default=list(peer_models.ARCHITECTURES))
    latency.add_argument("--precision", nargs="+", choices=("int8", "f32"), default=["int8", "f32"])
    latency.add_argument("--lengths", nargs="+", type=int, default=[8, 16, 32, 64, 128, 256], help="tokens")
    latency.add_argument("--threads", nargs="+", type=int, default=[count for count in (1, 2) if count <= cores])
    latency.add_argument("--rounds", type=int, default=3, help="in each, every runtime has a turn")
    latency.add_argument("--seconds", type=float, default=0.5, help="for each length in a turn")
    latency.add_argument("--output", type=Path, default=Path(".build-peers/latency.json"))
    accuracy = commands.add_parser("accuracy", help="what int8 costs",
                                   formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    accuracy.set_defaults(run=compare_accuracy)
    accuracy.add_argument("--model", type=Path, default=SHIPPED_MODEL, help="an int8 checkpoint")
    accuracy.add_argument("--dataset", type=Path, default=DATA / "tweeteval-sentiment")
    accuracy.add_argument("--threads", nargs=1, type=int, default=[cores])
    accuracy.add_argument("--output", type=Path, default=Path(".build-peers/accuracy.json"))
    for command in (latency, accuracy):
        command.add_argument("--apus", default=".build/release/apus", help="the executable, or none")
        command.add_argument("--work", type=Path, default=Path(".build-peers"), help="where the peers' models are kept")
    return parser.parse_args()


def check_packages(names: tuple[str, ...], requirements: str) -> None:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise PeerError(f"{', '.join(missing)}: not installed for {sys.executable}; install tools/{requirements} "
                        "into a virtual environment and run this with its python")


def check_installation(arguments: argparse.Namespace) -> None:
    check_packages((*peer_models.PACKAGES, "matplotlib"), "requirements-peers.txt")
    arguments.apus = None if arguments.apus == "none" else Path(arguments.apus).resolve()
    if arguments.apus and not os.access(arguments.apus, os.X_OK):
        raise PeerError(f"{arguments.apus}: no executable there; build it (make build), name it with --apus, or run "
                        "the peers alone with --apus none")
    cores = len(os.sched_getaffinity(0))
    if not all(1 <= count <= cores for count in arguments.threads):
        raise PeerError(f"--threads {' '.join(map(str, arguments.threads))}: from 1 to {cores}, the cores that this "
                        "process may use")


# Latency

def compare_latency(arguments: argparse.Namespace) -> int:
    if not all(1 <= length <= MAX_TOKENS for length in arguments.lengths):
        raise PeerError(f"--lengths {' '.join(map(str, arguments.lengths))}: from 1 to {MAX_TOKENS} tokens")
    if arguments.rounds < 1 or arguments.seconds <= 0:
        raise PeerError("--rounds must be at least 1, --seconds more than 0")
    if not (DATA / "roberta-base-tokenizer/vocab.json").exists() and "roberta-base" in arguments.architecture:
        raise PeerError(f"{DATA}/roberta-base-tokenizer: no vocab.json; set APUS_DATA to the data folder, or take "
                        "--architecture minilm-l6, which needs none")
    report = {"machine": machine(), "apus": None, "max_abs_logit_difference": [], "cells": []}
    start = time.monotonic(), others_cpu_seconds()
    rounds: dict[tuple, list[float]] = {}  # (architecture, precision, threads, length, runtime) → a p50 a round
    for architecture in arguments.architecture:
        folder = arguments.work / architecture
        lengths = random.Random(2).choices(range(5, 100), k=RANDOM_CALIBRATION_TEXTS)
        calibration = random_rows(lengths, architecture)
        peer_runtimes.build(folder, architecture, calibration)
        comparison = Comparison(arguments, architecture, folder, report)
        comparison.check()
        for number in range(arguments.rounds):
            for threads in arguments.threads:
                for precision in arguments.precision:
                    comparison.round(number, precision, threads, rounds)
    for (architecture, precision, threads, length, runtime), values in rounds.items():
        report["cells"].append({"architecture": architecture, "precision": precision, "threads": threads,
                                "length": length, "runtime": runtime, "p50_ms": statistics.median(values),
                                "rounds_p50_ms": values})
    cores_taken = (others_cpu_seconds() - start[1]) / (time.monotonic() - start[0])
    report["machine"]["cores_taken_by_others"] = max(0.0, cores_taken)
    peer_report.add_ratios(report)
    write(arguments.output, report, peer_report.latency_markdown(report))
    peer_report.plot_latency(report, arguments.output.with_suffix(".png"))
    return 0


def random_rows(lengths: list[int], architecture: str) -> list[list[int]]:
    """Ids past the special ones: padding inside a text would change RoBERTa's positions."""
    generator = random.Random(1)
    size = peer_models.ARCHITECTURES[architecture]["vocab_size"]
    return [[generator.randrange(5, size - 1) for _ in range(length)] for length in lengths]


class Comparison:
    """The runtimes on one architecture."""

    def __init__(self, arguments: argparse.Namespace, architecture: str, folder: Path, report: dict):
        self.arguments = arguments
        self.architecture = architecture
        self.folder = folder
        self.report = report
        self.peers = peer_runtimes.peers_for(arguments.precision, cpu_info()[1])
        self.inputs = random_rows(arguments.lengths, architecture)
        self.expected = peer_runtimes.run(PYTORCH, folder, 1, self.inputs)["logits"]

    def check(self) -> None:
        """Every runtime on the same ids before any is timed; Apus reads texts, so its ids come from `apus tokenize`."""
        for peer in self.peers:
            found = peer_runtimes.run(peer, self.folder, max(self.arguments.threads), self.inputs)["logits"]
            self.note_difference(peer.runtime, peer.precision, self.expected, found, peer.is_reduced)
        if not self.arguments.apus:
            return
        options = ["--model", self.folder / "model", "--input", "-", "--input-format", "text"]
        texts = "".join(text + "\n" for text in CHECKED_TEXTS)
        rows = [line["ids"] for line in apus_lines(self.arguments.apus, "tokenize", *options, text=texts)]
        expected = peer_runtimes.run(PYTORCH, self.folder, 1, rows)["logits"]
        for precision in self.arguments.precision:
            lines = apus_lines(self.arguments.apus, "predict", *options, "--precision", precision, "--logits",
                               "--output-format", "jsonl", text=texts)
            self.note_difference("Apus", precision, expected, [line["logits"] for line in lines])

    def note_difference(self, runtime: str, precision: str, expected: list, found: list, is_reduced=False) -> None:
        value = self.difference(runtime, precision, expected, found, is_reduced)
        self.report["max_abs_logit_difference"].append(
            {"architecture": self.architecture, "runtime": runtime, "precision": precision, "value": value})

    def difference(self, runtime: str, precision: str, expected: list[list[float]], found: list[list[float]],
                   is_reduced: bool = False) -> float:
        if [len(row) for row in found] != [len(row) for row in expected]:
            raise WrongAnswer(f"{runtime}, {precision}, {self.architecture}: its logits are not of PyTorch's shape")
        differences = [abs(a - b) for rows in zip(expected, found) for a, b in zip(*rows)]
        value = math.nan if any(map(math.isnan, differences)) else max(differences)
        if math.isnan(value) or (precision == "f32" and not is_reduced and value > MAX_LOGIT_DIFFERENCE):
            raise WrongAnswer(f"{runtime}, {precision}, {self.architecture}: logits are {value:.2e} from PyTorch's; "
                              f"up to {MAX_LOGIT_DIFFERENCE} is allowed, so it does not run the same model")
        return value

    def round(self, number: int, precision: str, threads: int, rounds: dict) -> None:
        """A turn for every runtime, a different one first each time."""
        turns = [peer for peer in self.peers if peer.precision == precision]
        turns += [None] if self.arguments.apus else []  # Apus
        first = number % len(turns)
        for peer in [*turns[first:], *turns[:first]]:
            runtime = peer.runtime if peer else "Apus"
            medians = self.peer_turn(peer, threads) if peer else self.apus_turn(precision, threads)
            for length, milliseconds in zip(self.arguments.lengths, medians):
                rounds.setdefault((self.architecture, precision, threads, length, runtime), []).append(milliseconds)
            print(f"{self.architecture}  {precision:<5}threads {threads}  round {number + 1}  {runtime:<20}"
                  + "".join(f"{value:10.3f}" for value in medians), file=sys.stderr, flush=True)

    def peer_turn(self, peer: peer_runtimes.Peer, threads: int) -> list[float]:
        answer = peer_runtimes.run(peer, self.folder, threads, self.inputs, self.arguments.seconds)
        self.difference(peer.runtime, peer.precision, self.expected, answer["logits"], peer.is_reduced)
        return answer["p50_ms"]

    def apus_turn(self, precision: str, threads: int) -> list[float]:
        path = self.arguments.work / "apus-bench.json"
        path.unlink(missing_ok=True)
        run_apus(self.arguments.apus, "bench", "--model", self.folder / "model", "--precision", precision,
                 "--lengths", ",".join(map(str, self.arguments.lengths)), "--threads", threads,
                 "--seconds", self.arguments.seconds, "--report", path)
        bench = json.loads(path.read_text(encoding="utf-8"))
        version = run_apus(self.arguments.apus, "--version").strip()
        self.report["apus"] = {"version": version} | {name: bench[name] for name in ("cpu", "isa", "peak")}
        medians = {row["length"]: row["p50_ms"] for row in bench["results"]
                   if (row["precision"], row["threads"], row["batch"]) == (precision, threads, 1)}
        missing = [length for length in self.arguments.lengths if length not in medians]
        if missing:
            raise PeerError(f"apus bench: its report has no batch of 1 for {precision}, threads {threads}, lengths "
                            f"{missing}; this tool and that executable are of different versions")
        return [medians[length] for length in self.arguments.lengths]


def apus_lines(apus: Path, *arguments: object, text: str | None = None) -> list[dict]:
    return [json.loads(line) for line in run_apus(apus, *arguments, text=text).removesuffix("\n").split("\n")]


def run_apus(apus: Path, *arguments: object, text: str | None = None) -> str:
    command = [str(apus), *map(str, arguments)]
    finished = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8")
    if finished.returncode != 0:
        message = (finished.stderr.strip().splitlines() or ["no message"])[0]
        raise PeerError(f"{shlex.join(command)}: exit code {finished.returncode}: {message}")
    return finished.stdout


# Accuracy

def compare_accuracy(arguments: argparse.Namespace) -> int:
    from reference_tokenizers import load

    if not (arguments.model / "model.safetensors").exists():
        raise PeerError(f"{arguments.model}: no model.safetensors; --model takes an int8 checkpoint's directory")
    if not (arguments.dataset / "mapping.txt").exists():
        raise PeerError(f"{arguments.dataset}: no mapping.txt; --dataset takes a directory in TweetEval's form, and "
                        "APUS_DATA names the folder that has tweeteval-sentiment")
    report = {"machine": machine(), "model": str(arguments.model), "dataset": str(arguments.dataset), "split": "test"}
    labels = label_names(arguments.dataset)
    test, validation = (load_split(arguments.dataset, split, labels) for split in ("test", "val"))
    tokenizer = load("model's", arguments.model)
    calibration = tokenizer.ids(random.Random(1).sample(validation.prepared().texts, CALIBRATION_TEXTS))
    folder = arguments.work / "checkpoint"
    peer_runtimes.build(folder, str(arguments.model.resolve()), calibration)
    inputs = tokenizer.ids(test.prepared().texts)

    runs: list[dict] = []
    for peer in peer_runtimes.peers_for(["f32", "int8"], cpu_info()[1]):
        if peer.precision == "f32" and peer.engine != "pytorch":
            continue  # Within 1e-3 of PyTorch, as `latency` checks.
        logits = peer_runtimes.run(peer, folder, arguments.threads[0], inputs)["logits"]
        runs.append(score(peer.runtime, peer.precision, logits, test.labels, runs))
    for precision in ("f32", "int8") if arguments.apus else ():
        lines = apus_lines(arguments.apus, "predict", "--model", arguments.model, "--precision", precision, "--logits",
                           "--threads", arguments.threads[0], "--input", arguments.dataset / "test_text.txt",
                           "--input-format", "text", "--output-format", "jsonl")
        runs.append(score("Apus", precision, [line["logits"] for line in lines], test.labels, runs))
    for run in runs:
        del run["predicted"]
    report |= {"examples": len(inputs), "calibration": f"{len(calibration)} texts of val", "runs": runs}
    write(arguments.output, report, peer_report.accuracy_markdown(report))
    return 0


def score(runtime: str, precision: str, logits: list[list[float]], labels: list[int], runs: list[dict]) -> dict:
    """Beside the first run, PyTorch's f32."""
    if len(logits) != len(labels):
        raise PeerError(f"{runtime}, {precision}: {len(logits)} answers to {len(labels)} texts")
    predicted = [max(range(len(row)), key=row.__getitem__) for row in logits]
    reference = runs[0] if runs else {"predicted": predicted}
    hits = [guess == label for guess, label in zip(predicted, labels)]
    accuracy = statistics.fmean(hits)
    recalls = [statistics.fmean(hit for hit, label in zip(hits, labels) if label == wanted)
               for wanted in sorted(set(labels))]
    agreement = statistics.fmean(a == b for a, b in zip(predicted, reference["predicted"]))
    print(f"{runtime}, {precision}: accuracy {accuracy:.4f}, {agreement:.2%} the labels of PyTorch's f32",
          file=sys.stderr, flush=True)
    return {"runtime": runtime, "precision": precision, "accuracy": accuracy, "macro_recall": statistics.fmean(recalls),
            "agreement": agreement, "points_lost": 100 * (reference.get("accuracy", accuracy) - accuracy),
            "predicted": predicted}


# Output

def machine() -> dict:
    model, flags = cpu_info()
    return {"cpu": model, "flags": [flag for flag in CPU_FLAGS if flag in flags], "cores": len(os.sched_getaffinity(0)),
            "versions": peer_models.versions(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command": shlex.join(sys.argv)}


def cpu_info() -> tuple[str, list[str]]:
    """The model's name and the instruction sets that /proc/cpuinfo names for the first core."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    fields = {name.strip(): value.strip() for name, _, value in reversed([line.partition(":") for line in lines])}
    return fields.get("model name", "unknown"), fields.get("flags", "").split()


def others_cpu_seconds() -> float:
    """What other processes used of all cores, and what a hypervisor kept: where it grows, times are worth little."""
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, Path("/proc/stat").read_text().split()[1:11])
    own = os.times()
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - sum(own[:4])


def write(output: Path, report: dict, markdown: str) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    output.with_suffix(".md").write_text(markdown, encoding="utf-8")
    print(markdown)


if __name__ == "__main__":
    sys.exit(main())
