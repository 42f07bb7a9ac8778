#!/usr/bin/env python3
"""Apus beside the usual Python servers, under wrk: FastAPI with Transformers, and with ONNX Runtime.

    tools/compare_servers.py --apus .build/release/apus [--rounds 3] [--seconds 10] [--output Benchmarks/servers.md]

RoBERTa-base (random weights, the real tokenizer) and the shipped MiniLM-L6, a tweet a request, two threads each; one server
runs at a time, in each round every one has a turn, on one connection and on 32. First their answers to some tweets are held
to Transformers'. Writes OUTPUT and, beside it, OUTPUT.json. With --apus none the others alone. A first run builds the
models in --work (half a minute; 0.8 GB). Exit codes: 1 where a server's answers are not the model's, 2 for bad input.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import random
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import peer_models
import peer_servers
import wrk
from classification_data import DatasetError, label_names, load_split
from compare_peers import DATA, SHIPPED_MODEL, apus_lines, check_packages, machine, others_cpu_seconds
from local_server import LocalServer
from peer_report import bold, count, row
from peer_runtimes import THREAD_VARIABLES, PeerError
from wrk import LoadError

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("torch", "transformers", "tokenizers", "onnxruntime", "fastapi", "uvicorn", "uvloop", "httptools")
TITLES = {"roberta-base": "RoBERTa-base", "minilm-l6": "MiniLM-L6"}
AIMS = {"roberta-base": ("6.3 ms", "205"), "minilm-l6": ("1.2 ms", "1,200")}  # of issue 4, on its machine
CONNECTIONS = 32
WARM_UP = 2  # seconds
CHECKED_TEXTS = 100
MAX_F32_DIFFERENCE = 1e-3  # of a probability
MAX_INT8_DIFFERENCE = 0.3  # a wrong tokenizer or label order is further off on some text
MIN_INT8_AGREEMENT = 0.9  # of labels; rounding decides where two scores are close


class WrongAnswer(Exception):
    """Predictions that are not the model's."""


@dataclass(frozen=True)
class Contestant:
    name: str  # as the tables have it
    kind: str
    precision: str
    calls: str = ""

    def command(self, arguments: argparse.Namespace, folder: Path) -> list:
        if self.kind == "apus":
            return [arguments.apus, "serve", "--port", 0, "--model", folder / "apus", "--precision", self.precision,
                    "--threads", arguments.threads]
        return [sys.executable, Path(__file__).with_name("peer_servers.py"), self.kind, folder, "--threads",
                arguments.threads, "--calls", self.calls]


CALLS = {"pool": "", "one": ", one call at a time"}


def main() -> int:
    arguments = parse_arguments()
    try:
        check_installation(arguments)
        report = compare(arguments)
    except WrongAnswer as error:
        print(f"compare_servers.py: {error}", file=sys.stderr)
        return 1
    except (LoadError, PeerError, DatasetError, OSError) as error:
        print(f"compare_servers.py: {error}", file=sys.stderr)
        return 2
    text = markdown(report)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(text, encoding="utf-8")
    arguments.output.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(text)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apus", required=True, help="the executable, or none")
    parser.add_argument("--architecture", nargs="+", choices=tuple(TITLES), default=list(TITLES))
    parser.add_argument("--calls", nargs="+", choices=tuple(CALLS), default=list(CALLS),
                        help="how the FastAPI servers call their model: from FastAPI's pool of threads, or in turns")
    parser.add_argument("--threads", type=int, default=2, help="for each server's model")
    parser.add_argument("--seconds", type=float, default=10, help="for each load; longer where 32 answers take long")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path(".build-peers/servers"), help="where the models are kept")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "Benchmarks/servers.md")
    return parser.parse_args()


def check_installation(arguments: argparse.Namespace) -> None:
    wrk.check_installation()
    check_packages((*peer_models.PACKAGES, *PACKAGES), "requirements-servers.txt")
    arguments.apus = None if arguments.apus == "none" else Path(arguments.apus).resolve()
    if arguments.apus and not os.access(arguments.apus, os.X_OK):
        raise PeerError(f"{arguments.apus}: no executable there; build it (make build), or run the others alone with "
                        "--apus none")
    for name in ("roberta-base-tokenizer/vocab.json", "tweeteval-sentiment/mapping.txt"):
        if not (DATA / name).exists():
            raise PeerError(f"{DATA}: no {name}; APUS_DATA names the data folder")
    if arguments.rounds < 1 or arguments.seconds < 1 or arguments.threads < 1:
        raise PeerError("--rounds, --seconds and --threads must be at least 1")


def compare(arguments: argparse.Namespace) -> dict:
    contestants = [Contestant(f"FastAPI + {name}{CALLS[calls]}", kind, precision, calls)
                   for name, kind, precision in (("Transformers, PyTorch f32", "transformers", "f32"),
                                                 ("ONNX Runtime, int8", "onnxruntime", "int8"))
                   for calls in arguments.calls]
    contestants += [Contestant("Apus int8", "apus", "int8")] if arguments.apus else []
    texts = tweets()
    report = {"machine": machine() | {"versions": versions()}, "threads": arguments.threads,
              "seconds": arguments.seconds, "rounds": arguments.rounds, "texts": len(texts), "apus": None,
              "contestants": [contestant.name for contestant in contestants], "checks": [], "cells": []}
    began = time.monotonic(), others_cpu_seconds()
    bodies = arguments.work / "bodies.jsonl"
    arguments.work.mkdir(parents=True, exist_ok=True)
    wrk.write_bodies(bodies, texts)
    for architecture in arguments.architecture:
        folder = arguments.work / architecture
        peer_servers.build(folder, architecture if architecture == "roberta-base" else str(SHIPPED_MODEL.resolve()))
        check_answers(arguments, contestants, architecture, folder, texts[:CHECKED_TEXTS], report)
        for number in range(arguments.rounds):
            first = number % len(contestants)
            for contestant in [*contestants[first:], *contestants[:first]]:
                cell = turn(arguments, contestant, folder, bodies)
                report["cells"].append({"architecture": architecture, "server": contestant.name, "round": number} | cell)
                print(f"{architecture}  round {number + 1}  {contestant.name:<55}{cell['p50_ms']:10.2f} ms"
                      f"{cell['per_second']:10.1f} requests/s", file=sys.stderr, flush=True)
    taken = (others_cpu_seconds() - began[1]) / (time.monotonic() - began[0])
    report["machine"]["cores_taken_by_others"] = max(0.0, taken)
    if arguments.apus:
        with LocalServer([arguments.apus, "serve", "--port", 0, "--threads", arguments.threads]) as server:
            status = server.get("/status")
        report["apus"] = {name: status[name] for name in ("version", "isa", "threads")}
    return report


def tweets() -> list[str]:
    dataset = DATA / "tweeteval-sentiment"
    texts = [text for text in load_split(dataset, "test", label_names(dataset)).texts if text.strip()]
    return random.Random(1).sample(texts, len(texts))


def start(arguments: argparse.Namespace, contestant: Contestant, folder: Path) -> LocalServer:
    environment = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    environment |= {name: str(arguments.threads) for name in THREAD_VARIABLES}
    return LocalServer(contestant.command(arguments, folder), environment)


def turn(arguments: argparse.Namespace, contestant: Contestant, folder: Path, bodies: Path) -> dict:
    with start(arguments, contestant, folder) as server:
        url = server.url + "/predict"
        wrk.run(url, bodies, 4, WARM_UP, timeout=60)
        one = wrk.run(url, bodies, 1, arguments.seconds, timeout=60)
        # What is on its way at the end does not count: there must be many times as much that does.
        seconds = max(arguments.seconds, 10 * CONNECTIONS * one["p50_ms"] / 1e3)
        many = wrk.run(url, bodies, CONNECTIONS, seconds, timeout=60)
        memory = server.resident_megabytes()
    if failed := wrk.failures(one) + wrk.failures(many):
        raise LoadError(f"{contestant.name}: {failed} requests failed: {one['statuses']}, {one['errors']}, "
                        f"{many['statuses']}, {many['errors']}")
    return {"p50_ms": one["p50_ms"], "p99_ms": one["p99_ms"], "per_second": wrk.per_second(many),
            "many_p50_ms": many["p50_ms"], "many_p99_ms": many["p99_ms"], "megabytes": memory}


# Answers

def check_answers(arguments: argparse.Namespace, contestants: list[Contestant], architecture: str, folder: Path,
                  texts: list[str], report: dict) -> None:
    """Every server on the same tweets before any is timed; Apus' f32, too, which shows that model and text are the same."""
    reference = contestants[0]
    expected = answers(arguments, reference, folder, texts)
    found = {contestant: answers(arguments, contestant, folder, texts) for contestant in contestants[1:]}
    if arguments.apus:
        lines = apus_lines(arguments.apus, "predict", "--model", folder / "model", "--precision", "f32", "--input", "-",
                           "--input-format", "jsonl", text="".join(json.dumps({"text": text}) + "\n" for text in texts))
        found[Contestant("Apus f32 (apus predict)", "apus", "f32")] = lines
    for contestant, predictions in found.items():
        difference = max(abs(a["scores"][label] - b["scores"][label])
                         for a, b in zip(expected, predictions, strict=True) for label in a["scores"])
        agreement = statistics.fmean(a["label"] == b["label"] for a, b in zip(expected, predictions))
        report["checks"].append({"architecture": architecture, "server": contestant.name, "difference": difference,
                                 "agreement": agreement})
        limit = MAX_F32_DIFFERENCE if contestant.precision == "f32" else MAX_INT8_DIFFERENCE
        if difference > limit or agreement < MIN_INT8_AGREEMENT:
            raise WrongAnswer(f"{contestant.name}, {architecture}: scores are up to {difference:.4f} from "
                              f"{reference.name}'s ({limit} is allowed), {agreement:.0%} of the labels are the same")


def answers(arguments: argparse.Namespace, contestant: Contestant, folder: Path, texts: list[str]) -> list[dict]:
    with start(arguments, contestant, folder) as server:
        return [server.post("/predict", {"text": text}) for text in texts]


# Output

def versions() -> dict[str, str]:
    return {"Python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in PACKAGES}


def markdown(report: dict) -> str:
    host = report["machine"]
    architectures = list(dict.fromkeys(cell["architecture"] for cell in report["cells"]))
    names = [TITLES[architecture] for architecture in architectures]
    lines = ["# Apus beside the usual Python servers", "",
             f"{host['cpu']} ({', '.join(host['flags'])}), {count(host['cores'], 'core')}, {host['date']}.", "",
             ", ".join(f"{name} {version}" for name, version in host["versions"].items()) + ".", ""]
    if report["apus"]:
        lines += [f"Apus {report['apus']['version']}, {report['apus']['isa']}.", ""]
    lines += [f"`{host['command']}`", "",
              f"{count(report['threads'], 'thread')} for each server's model, one server at a time, wrk on the same cores, "
              f"one of {report['texts']} tweets a request; the median of {count(report['rounds'], 'round')}, in each of "
              f"which every server had a turn of {report['seconds']:g} s on one connection and at least as long on "
              f"{CONNECTIONS}. RoBERTa-base has random weights, MiniLM-L6 is the shipped model.", "",
              row("", *(f"{name}, {what}" for name in names for what in ("1 conn. p50", f"{CONNECTIONS} conn. req/s"))),
              row("---", *["---:"] * (2 * len(names)))]
    for server in report["contestants"]:
        cells = [text for architecture in architectures
                 for text in (f"{middle(report, architecture, server, 'p50_ms'):.1f} ms",
                              f"{middle(report, architecture, server, 'per_second'):,.0f}")]
        is_apus = server.startswith("Apus")
        lines.append(row(bold(server, is_apus), *(bold(cell, is_apus) for cell in cells)))
    if report["apus"]:
        lines.append(row("aim for Apus, on the reference machine",
                         *(aim for architecture in architectures for aim in AIMS[architecture])))
    for architecture in architectures:
        lines += ["", f"## {TITLES[architecture]}", "",
                  row("", "1 conn. p50", "p99", f"{CONNECTIONS} conn. req/s", "slowest to fastest round", "p50", "p99",
                      "memory"), row("---", *["---:"] * 7)]
        for server in report["contestants"]:
            rates = values(report, architecture, server, "per_second")
            of = {name: middle(report, architecture, server, name)
                  for name in ("p50_ms", "p99_ms", "many_p50_ms", "many_p99_ms", "megabytes")}
            lines.append(row(bold(server, server.startswith("Apus")), f"{of['p50_ms']:.2f} ms", f"{of['p99_ms']:.2f} ms",
                             f"{statistics.median(rates):,.1f}", f"{min(rates):,.1f} to {max(rates):,.1f}",
                             f"{of['many_p50_ms']:.1f} ms", f"{of['many_p99_ms']:.1f} ms", f"{of['megabytes']:.0f} MB"))
    lines += ["", f"Meanwhile other processes kept {host['cores_taken_by_others']:.2f} of the machine's cores busy."]
    return "\n".join([*lines, "", "## Answers", "", *check_lines(report), ""])


def check_lines(report: dict) -> list[str]:
    reference = report["contestants"][0]
    lines = [f"Of {CHECKED_TEXTS} tweets, beside {reference}: the largest difference of a probability (f32 must stay "
             f"within {MAX_F32_DIFFERENCE}), and the share of the same labels.", ""]
    return lines + [f"- {TITLES[check['architecture']]}, {check['server']}: {check['difference']:.1e}, "
                    f"{check['agreement']:.0%}" for check in report["checks"]]


def values(report: dict, architecture: str, server: str, name: str) -> list[float]:
    return [cell[name] for cell in report["cells"]
            if (cell["architecture"], cell["server"]) == (architecture, server)]


def middle(report: dict, architecture: str, server: str, name: str) -> float:
    return statistics.median(values(report, architecture, server, name))


if __name__ == "__main__":
    sys.exit(main())
