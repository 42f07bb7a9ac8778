"""Fixtures of the workflows' tests: the scripts of deploy/scripts in a clean environment, against servers on loopback.

    APUS_BINARY=.build/release/apus APUS_DATA=../shared/data python -m pytest Tests/Workflows
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from places import REPOSITORY, SCRIPTS

sys.path.append(str(REPOSITORY / "Tests/Lifecycle"))  # fake_hub.py
sys.path.append(str(REPOSITORY / "Tests/Integration"))  # apus_server.py, binary_and_data.py

from apus_server import Server  # noqa: E402
from binary_and_data import apus, data  # noqa: E402, F401


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a script is started in: nothing of who runs the tests, and files for what it tells GitHub."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SSL_CERT_FILE") if name in os.environ}
    tools = str(Path(sys.executable).parent)  # hf
    return kept | {"PATH": f"{tools}:{kept['PATH']}", "HOME": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "output"),
                   "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), "NO_PROXY": "127.0.0.1,localhost"}


@pytest.fixture
def run_script(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    def run(name: str, *arguments: Any, env: dict[str, Any] | None = None, timeout: float = 120, **options: Any):
        variables = environment | {key: str(value) for key, value in (env or {}).items()}
        command = [str(SCRIPTS / name), *map(str, arguments)]
        result = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=timeout,
                                **{"cwd": tmp_path, "stdin": subprocess.DEVNULL} | options)
        result.everything = f"{name} {arguments}: exit status {result.returncode}\n{result.stdout}{result.stderr}"
        return result

    return run


@pytest.fixture
def outputs(tmp_path: Path) -> Callable[[], dict[str, str]]:
    """The step's outputs so far."""
    return lambda: dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())


@pytest.fixture
def start_server(apus: Path) -> Iterator[Callable[..., Server]]:
    servers = []

    def start(*options: Any, **arguments: Any) -> Server:
        servers.append(Server(apus, *options, **arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def serve_files() -> Iterator[Callable[[Path], str]]:
    """An HTTP server of a directory's files; its address."""
    servers = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    def serve(directory: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(directory)))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """The path of a program that Tests/Workflows/requirements.txt or the system has."""

    def find(name: str) -> str:
        path = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert path, f"there is no {name}: pip install -r Tests/Workflows/requirements.txt"
        return path

    return find
