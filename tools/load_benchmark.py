#!/usr/bin/env python3
"""What a client of `apus serve` sees beside the engine's own speed, under wrk's load, and what an overload does.

    tools/load_benchmark.py --apus .build/release/apus [--model DIR] [--seconds 10] [--rounds 3] [--report FILE] [--check]

In each round, one after the other, with the same tweets: one connection; `apus evaluate`, each text alone, the engine's own
time; `apus predict`, the engine's texts a second; 32 connections; and clients that offer five times what those got, at
times of their own, so that the queue (--max-queue) overflows. Server, client and whatever else runs share the machine's
cores, so the machine should do nothing else meanwhile. Exit codes: 1 with --check where an aim is missed, 2 where
something keeps it from running.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import wrk
from classification_data import DatasetError, label_names, load_split
from compare_peers import cpu_info, others_cpu_seconds
from local_server import LocalServer, MemoryWatch
from wrk import LoadError

REPOSITORY = Path(__file__).parents[1]
DATA = Path(os.environ.get("APUS_DATA", REPOSITORY / "../shared/data"))
CONNECTIONS = 32
OVERLOAD = 5  # times what 32 connections get
MOST_CLIENTS = 20_000  # ports of one address, and descriptors, end somewhere above
RETRY_MS = 1000  # Retry-After, which the server has those wait for that do not
BATCH_TEXTS = 64  # about as many tweets fill the server's --max-batch-tokens
WARM_UP = 2  # seconds


@dataclass(frozen=True)
class Figure:
    """A row of the table; its value is the median of the rounds'."""
    name: str
    unit: str
    decimals: int
    of: Callable[[dict], float | None]  # a round's figures → the value
    aim: str = ""
    meets: Callable[[float], bool] | None = None


FIGURES = (
    Figure("engine alone, p50", "ms", 3, lambda it: it["evaluate"]["p50"]),
    Figure("one connection, p50", "ms", 3, lambda it: it["one"]["p50_ms"]),
    Figure("one connection, p99", "ms", 3, lambda it: it["one"]["p99_ms"]),
    Figure("one connection, p50 of Server-Timing's infer", "ms", 3,
           lambda it: it["one"]["server_timing_p50_ms"].get("infer")),
    Figure("one connection, p50 over the engine's", "ms", 3,
           lambda it: it["one"]["p50_ms"] - it["evaluate"]["p50"], "at most 0.3", lambda value: value <= 0.3),
    Figure("apus predict", "texts/s", 0, lambda it: it["predict"]),
    Figure("32 connections", "requests/s", 0, lambda it: wrk.per_second(it["many"])),
    Figure("32 connections, share of predict's", "", 3,
           lambda it: wrk.per_second(it["many"]) / it["predict"], "at least 0.9", lambda value: value >= 0.9),
    Figure("32 connections, p50", "ms", 2, lambda it: it["many"]["p50_ms"]),
    Figure("32 connections, p99", "ms", 2, lambda it: it["many"]["p99_ms"]),
    Figure("32 connections, p99 / p50", "", 2,
           lambda it: it["many"]["p99_ms"] / it["many"]["p50_ms"], "under 3", lambda value: value < 3),
    Figure("32 connections, answers that are no 200", "", 0,
           lambda it: wrk.failures(it["many"]) + wrk.failures(it["one"]), "0", lambda value: value == 0),
    Figure("overload, offered", "requests/s", 0, lambda it: it["overload"]["requests"] / it["overload"]["seconds"]),
    Figure("overload, offered over what 32 connections get", "", 2,
           lambda it: it["overload"]["requests"] / it["overload"]["seconds"] / wrk.per_second(it["many"]),
           "at least 4.5", lambda value: value >= 4.5),
    Figure("overload, answered 200", "requests/s", 0, lambda it: wrk.per_second(it["overload"])),
    Figure("overload, share of 32 connections'", "", 3,
           lambda it: wrk.per_second(it["overload"]) / wrk.per_second(it["many"]), "at least 0.9",
           lambda value: value >= 0.9),
    Figure("overload, p50 of the 200s", "ms", 1, lambda it: of_status(it["overload"], "200", "p50_ms")),
    Figure("overload, p99 of the 200s", "ms", 1, lambda it: of_status(it["overload"], "200", "p99_ms")),
    Figure("overload, p50 of the 429s", "ms", 1, lambda it: of_status(it["overload"], "429", "p50_ms")),
    Figure("overload, p99 of the 429s", "ms", 1, lambda it: of_status(it["overload"], "429", "p99_ms"), "under 1100",
           lambda value: value < 1100),
    Figure("overload, neither 200 nor 429", "", 0, lambda it: wrk.failures(it["overload"], ("200", "429")), "0",
           lambda value: value == 0),
    Figure("overload, cores that the client took", "", 2,
           lambda it: it["overload"]["cpu_seconds"] / it["overload"]["seconds"]),
    Figure("overload, cores that the server took", "", 2,
           lambda it: it["overload"]["server_cpu_seconds"] / it["overload"]["seconds"]),
    Figure("memory before an overload", "MB", 0, lambda it: it["memory"]["before"]),
    Figure("memory, the most during it", "MB", 0, lambda it: it["memory"]["during"]),
    Figure("memory after it", "MB", 0, lambda it: it["memory"]["after"]),
)
MEMORY_GROWTH = 1.1  # after the last overload over after the first: connections and buffers are made once, leaks each time


def main() -> int:
    arguments = parse_arguments()
    try:
        check(arguments)
        report = measure(arguments)
    except (LoadError, DatasetError, OSError) as error:
        print(f"load_benchmark.py: {error}", file=sys.stderr)
        return 2
    summarize(report)
    print(table(report))
    if arguments.report:
        arguments.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 1 if arguments.check and report["missed"] else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apus", required=True, type=Path)
    parser.add_argument("--model", help="default: the shipped one")
    parser.add_argument("--precision", choices=("int8", "f32"), default="int8")
    parser.add_argument("--threads", type=int, help="default: what the process may use")
    parser.add_argument("--data", type=Path, default=DATA, help="has tweeteval-sentiment")
    parser.add_argument("--texts", type=int, default=4000, help="of the test split, drawn with a fixed seed")
    parser.add_argument("--seconds", type=float, default=10, help="for each load in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-queue", type=int, default=64, help="the server's; more than the 32 connections")
    parser.add_argument("--delay-ms", type=float, default=100,
                        help="between a client's requests in the overload; more makes more clients")
    parser.add_argument("--log-level", default="info", help="the server's; info writes a line a request")
    parser.add_argument("--report", type=Path, help="writes the figures of all rounds, as JSON")
    parser.add_argument("--check", action="store_true", help="exit code 1 where an aim is missed")
    return parser.parse_args()


def check(arguments: argparse.Namespace) -> None:
    wrk.check_installation()
    if not os.access(arguments.apus, os.X_OK):
        raise LoadError(f"{arguments.apus}: no executable there; build it (make build)")
    if not (arguments.data / "tweeteval-sentiment/mapping.txt").exists():
        raise LoadError(f"{arguments.data}: no tweeteval-sentiment/mapping.txt; name the folder with --data")
    if arguments.rounds < 1 or arguments.seconds < 1 or arguments.texts < 1:
        raise LoadError("--rounds, --seconds and --texts must be at least 1")
    if arguments.max_queue < CONNECTIONS:
        raise LoadError(f"--max-queue must be at least {CONNECTIONS}: as many connections must never be refused")


def measure(arguments: argparse.Namespace) -> dict:
    common = ["--precision", arguments.precision]
    common += ["--model", arguments.model] if arguments.model else []
    common += ["--threads", arguments.threads] if arguments.threads else []
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(Path(folder), arguments)
        serve = [arguments.apus, "serve", "--port", 0, "--max-queue", arguments.max_queue, "--max-client-batch", 1,
                 "--max-connections", MOST_CLIENTS + 1, "--log-level", arguments.log_level, *common]
        began = time.monotonic(), others_cpu_seconds()
        with LocalServer(serve) as server:
            status = server.get("/status")
            wrk.run(server.url + "/predict", inputs.bodies, CONNECTIONS, WARM_UP)
            rounds = []
            for number in range(arguments.rounds):
                progress(f"round {number + 1} of {arguments.rounds}")
                rounds.append(one_round(arguments, server, inputs, common))
    taken = (others_cpu_seconds() - began[1]) / (time.monotonic() - began[0])
    return {"cpu": cpu_info()[0], "cores": len(os.sched_getaffinity(0)), "cores_taken_by_others": max(0.0, taken),
            "rounds": rounds, "command": shlex.join(sys.argv),
            "max_queue": arguments.max_queue, "texts": len(inputs.texts), "seconds": arguments.seconds,
            **{name: status[name] for name in ("model", "precision", "isa", "threads", "version")}}


class Inputs:
    """The same texts for all: bodies for wrk, records for the commands."""

    def __init__(self, folder: Path, arguments: argparse.Namespace):
        dataset = arguments.data / "tweeteval-sentiment"
        self.labels = label_names(dataset)
        split = load_split(dataset, "test", self.labels)
        pairs = [(text, label) for text, label in zip(split.texts, split.labels) if text.strip()]
        pairs = random.Random(1).sample(pairs, min(arguments.texts, len(pairs)))
        self.texts = [text for text, _ in pairs]
        self.names = [self.labels[label] for _, label in pairs]
        self.folder = folder
        self.bodies = folder / "bodies.jsonl"
        wrk.write_bodies(self.bodies, self.texts)

    def labelled(self, count: int) -> Path:
        """The first so many, with their labels: what the first requests of a connection held."""
        path = self.folder / "labelled.jsonl"
        rows = list(zip(self.texts, self.names))[:count]
        path.write_text("".join(json.dumps({"text": text, "label": name}, ensure_ascii=False) + "\n"
                                for text, name in rows), encoding="utf-8")
        return path

    def repeated(self, times: int) -> Path:
        path = self.folder / "repeated.jsonl"
        path.write_text(self.bodies.read_text(encoding="utf-8") * times, encoding="utf-8")
        return path

    def first(self) -> Path:
        path = self.folder / "first.jsonl"
        wrk.write_bodies(path, self.texts[:1])
        return path


def one_round(arguments: argparse.Namespace, server: LocalServer, inputs: Inputs, common: list) -> dict:
    url = server.url + "/predict"
    one = wrk.run(url, inputs.bodies, 1, arguments.seconds)
    progress(f"  one connection: p50 {one['p50_ms']:.3f} ms")
    evaluate = evaluate_latency(arguments.apus, inputs.labelled(one["requests"]), inputs.folder / "evaluate.json", common)
    progress(f"  engine alone: p50 {evaluate['p50']:.3f} ms")
    repeats = math.ceil(arguments.seconds * 1e3 / one["p50_ms"] / len(inputs.texts))
    predict = predict_rate(arguments.apus, inputs, repeats, common)
    progress(f"  apus predict: {predict:.0f} texts/s")
    many = wrk.run(url, inputs.bodies, CONNECTIONS, arguments.seconds)
    capacity = wrk.per_second(many)
    progress(f"  {CONNECTIONS} connections: {capacity:.0f} requests/s, p50 {many['p50_ms']:.2f} ms, "
             f"p99 {many['p99_ms']:.2f} ms")
    if capacity == 0:
        raise LoadError(f"{url}: no answer was a 200; they were {many['statuses']}, {many['errors']}")
    # A client waits delay_ms, and then for its answer: those in the queue and in the batch that runs, a few others, and those
    # that were refused before, for RETRY_MS at most.
    clients = math.ceil(OVERLOAD * capacity * (arguments.delay_ms + RETRY_MS) / 1e3 * 1.1) + arguments.max_queue + BATCH_TEXTS
    if clients > MOST_CLIENTS:
        raise LoadError(f"--delay-ms {arguments.delay_ms:g} takes {clients} clients; {MOST_CLIENTS} is the limit")
    memory = {"before": server.resident_megabytes()}
    cpu = server.cpu_seconds()
    with MemoryWatch(server) as watch:
        overload = wrk.run(url, inputs.bodies, clients, arguments.seconds, arguments.delay_ms)
    overload |= {"clients": clients, "server_cpu_seconds": server.cpu_seconds() - cpu}
    time.sleep(1)
    memory |= {"during": watch.megabytes, "after": server.resident_megabytes()}
    progress(f"  overload of {clients} clients: {overload['requests'] / overload['seconds']:.0f} requests/s offered, "
             f"{wrk.per_second(overload):.0f} answered 200")
    return {"one": one, "evaluate": evaluate, "predict": predict, "many": many, "overload": overload, "memory": memory}


def evaluate_latency(apus: Path, dataset: Path, report: Path, common: list) -> dict:
    """Milliseconds of each text alone, tokenizing included."""
    run(apus, "evaluate", "--dataset", dataset, "--report", report, *common)
    return json.loads(report.read_text(encoding="utf-8"))["latency_ms"]


def predict_rate(apus: Path, inputs: Inputs, repeats: int, common: list) -> float:
    """Texts a second, without the start: that of a file with one text."""
    times = []
    for path in (inputs.first(), inputs.repeated(repeats)):
        start = time.perf_counter()
        run(apus, "predict", "--input", path, *common)
        times.append(time.perf_counter() - start)
    return (len(inputs.texts) * repeats - 1) / (times[1] - times[0])


def run(apus: Path, *arguments: object) -> None:
    command = [str(apus), *map(str, arguments)]
    finished = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if finished.returncode != 0:
        message = (finished.stderr.strip().splitlines() or ["no message"])[0]
        raise LoadError(f"{' '.join(command)}: exit code {finished.returncode}: {message}")


def of_status(result: dict, status: str, name: str) -> float | None:
    return result["statuses"].get(status, {}).get(name)


def summarize(report: dict) -> None:
    """Adds `figures`, rows of name, value of each round, median, aim and whether it is met, and `missed`, their names."""
    report["figures"] = []
    for figure in FIGURES:
        values = [figure.of(results) for results in report["rounds"]]
        median = None if None in values else statistics.median(values)
        met = (median is not None and figure.meets(median)) if figure.meets else None
        report["figures"].append({"name": figure.name, "unit": figure.unit, "decimals": figure.decimals,
                                  "rounds": values, "median": median, "aim": figure.aim, "met": met})
    after = [results["memory"]["after"] for results in report["rounds"]]
    if len(after) > 1:
        growth = after[-1] / after[0]
        report["figures"].append({
            "name": "memory after the last overload over that after the first", "unit": "", "decimals": 3,
            "rounds": [], "median": growth, "aim": f"at most {MEMORY_GROWTH}", "met": growth <= MEMORY_GROWTH})
    report["missed"] = [figure["name"] for figure in report["figures"] if figure["met"] is False]


def table(report: dict) -> str:
    lines = [f"{report['cpu']}, {report['cores']} cores; {report['isa']}, {report['threads']} threads.",
             f"{report['model']}, {report['precision']}, Apus {report['version']}; {report['texts']} tweets, "
             f"--max-queue {report['max_queue']}, {len(report['rounds'])} rounds, {report['seconds']:g} s for each load.",
             ""]
    name_width = max(len(figure["name"]) for figure in report["figures"])
    for figure in report["figures"]:
        values = ["none" if value is None else f"{value:.{figure['decimals']}f}"
                  for value in [figure["median"], *figure["rounds"]]]
        rounds = f"({', '.join(values[1:])})" if len(report["rounds"]) > 1 and figure["rounds"] else ""
        verdict = {None: "", True: f"aim: {figure['aim']}, met", False: f"aim: {figure['aim']}, MISSED"}[figure["met"]]
        lines.append(f"{figure['name']:<{name_width}}  {values[0]:>9} {figure['unit']:<10}  {verdict:<26}  {rounds}"
                     .rstrip())
    lines += ["", f"Meanwhile other processes kept {report['cores_taken_by_others']:.2f} of the machine's cores busy."]
    return "\n".join([*lines, f"Aims missed: {', '.join(report['missed']) or 'none'}."])


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
