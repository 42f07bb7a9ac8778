"""Fixtures of the life-cycle tests: a fake Hub, the binary in a clean environment, Python's client of the same cache.

    APUS_BINARY=.build/release/apus APUS_DATA=../shared/data python -m pytest Tests/Lifecycle
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "Tests/Integration"))  # apus_server.py

pytest.register_assert_rewrite("apus_server", "cache", "labelled")

# Before huggingface_hub is imported, which reads them then: no settings of whoever runs the tests, and no proxy.
for name in list(os.environ):
    if name.startswith(("HF_", "HUGGING", "TRANSFORMERS_", "XDG_")) or name.lower().endswith("_proxy"):
        del os.environ[name]
os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
               "HF_HUB_DOWNLOAD_TIMEOUT": "2"}

from apus_server import Server  # noqa: E402
from binary_and_data import apus, data  # noqa: E402, F401
from cache import Cache  # noqa: E402
from fake_hub import FakeHub  # noqa: E402
from models import roberta_base as make_roberta_base  # noqa: E402


@pytest.fixture(scope="session")
def roberta_base(data: Path) -> Path:
    """A directory with the five files of RoBERTa-base, 500 MB; made in half a minute, kept for later runs."""
    return make_roberta_base(REPOSITORY / ".build-lifecycle/roberta-base", data / "roberta-base-tokenizer")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """The cache of `run_apus`, empty at first."""
    return Cache(tmp_path / "home/huggingface/hub")


@pytest.fixture
def environment(hub: FakeHub, cache: Cache) -> dict[str, str]:
    """What apus is started in: the fake Hub, a cache of this test, nothing from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("APUS_", "HF_"))}
    # Retries are what is tested, not how long a person would wait for them; a stalled connection is left after a second.
    return kept | {"HOME": str(cache.path.parents[1]), "HF_HOME": str(cache.path.parent), "HF_ENDPOINT": hub.url,
                   "HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_ETAG_TIMEOUT": "1"}


@pytest.fixture
def start_apus(apus: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts the binary, its output in pipes unless said otherwise; ends it with the test."""
    processes = []

    def start(*arguments: Any, env: dict[str, str | None] | None = None, **options: Any) -> subprocess.Popen:
        """`env` is added to the environment; None takes a variable away."""
        variables = {name: value for name, value in (environment | (env or {})).items() if value is not None}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen([apus, *map(str, arguments)], env=variables, cwd=tmp_path, **(pipes | options))
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def run_apus(start_apus: Callable[..., subprocess.Popen]) -> Callable[..., subprocess.CompletedProcess]:
    """Runs the binary to its end."""

    def run(*arguments: Any, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess:
        process = start_apus(*arguments, **options)
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            raise AssertionError(f"apus {arguments} had not ended after {timeout} s:\n{output}\n{errors}") from None
        return subprocess.CompletedProcess([str(argument) for argument in arguments], process.returncode, output, errors)

    return run


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts small disks; what is mounted is the test's alone."""
    mounted = []

    def mount(*options: str) -> Path:
        if os.geteuid() != 0 or not shutil.which("mount"):
            pytest.skip("only root can mount a small disk to fill")
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", place]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            pytest.skip(f"no small disk can be mounted here: {result.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def start_server(apus: Path, environment: dict[str, str]) -> Iterator[Callable[..., Server]]:
    """Starts `apus serve`; ends it after the test, which fails if it had crashed."""
    servers: list[Server] = []

    def start(*options: Any) -> Server:
        server = Server(apus, *map(str, options), env=environment)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()
