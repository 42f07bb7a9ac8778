"""wrk (Debian's, 4.1) with load.lua: bodies from a file, latencies by status."""

from __future__ import annotations

import json
import math
import resource
import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")


class LoadError(ValueError):
    """What keeps a measurement from running; the message names it and the next step."""


def check_installation() -> None:
    if not shutil.which("wrk"):
        raise LoadError("wrk: not found; install it (apt-get install wrk)")


def write_bodies(path: Path, texts: list[str], field: str = "text") -> None:
    path.write_text("".join(json.dumps({field: text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")


def run(url: str, bodies: Path, connections: int, seconds: float, delay_ms: float = 0, timeout: float = 10) -> dict:
    """What load.lua prints, and the client's own CPU seconds.

    {"seconds", "requests", "p50_ms", "p99_ms", "max_ms", "errors": {"connect", "read", "write", "timeout"},
    "statuses": {"200": {"count", "p50_ms", "p99_ms", "max_ms"}}, "server_timing_p50_ms": {"infer"}, "cpu_seconds"}

    p50_ms and p99_ms are wrk's: for a connection that had to wait it adds the requests that were not sent meanwhile.
    Those by status are as they were, and 0 where the server does not give the X-Request-Id back. One thread: it makes
    more requests than two cores can answer, and a second one would take its time from the server.
    """
    allow_open_files()
    # wrk wants whole seconds; its histogram takes 8 bytes for each microsecond up to the timeout, of which few are touched.
    command = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}", f"--timeout={math.ceil(timeout)}", "-s",
               str(SCRIPT), url, "--", str(bodies), *([f"delay={delay_ms}"] if delay_ms else [])]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    finished = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = (finished.stdout.strip().splitlines() or [""])[-1]
    if finished.returncode != 0 or not line.startswith("{"):
        message = (finished.stderr.strip() or finished.stdout.strip() or "no message").splitlines()[-1]
        raise LoadError(f"{' '.join(command)}: exit code {finished.returncode}: {message}")
    return json.loads(line) | {"cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def allow_open_files() -> None:
    """As many as the system allows this process and those that it starts: a connection is one at either end."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def per_second(result: dict, status: str = "200") -> float:
    return result["statuses"].get(status, {"count": 0})["count"] / result["seconds"]


def failures(result: dict, expected: tuple[str, ...] = ("200",)) -> int:
    """Answers with another status, and connections and requests without one."""
    others = sum(answers["count"] for status, answers in result["statuses"].items() if status not in expected)
    return others + sum(result["errors"].values())
