"""Fixtures of the integration tests: real servers on loopback, one for the whole session and others with options.

    APUS_BINARY=.build/release/apus APUS_DATA=../shared/data python -m pytest Tests/Integration
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("apus_server", "raw_http", "traffic")

from apus_server import Server  # noqa: E402
from binary_and_data import apus, data  # noqa: E402, F401
from traffic import different_texts, hammer, long_texts, send_batch  # noqa: E402

# Clients that ask the environment for a proxy must not find one.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

# A thousand connections need as many descriptors here as in the server.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(_soft, 16384), _hard), _hard))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "last: runs after everything else, to see what that left behind")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session")
def server(apus: Path) -> Iterator[Server]:
    """One for all tests that leave it as it was. At the end it must have lived through them."""
    server = Server(apus)
    warm_up(server)
    server.descriptors_before = server.descriptors()
    server.memory_before = server.memory()
    yield server
    server.stop()


def warm_up(server: Server) -> None:
    """Every kind of work once, so that what grows on first use has grown."""
    for texts in (long_texts(64), ["short"] * 128):
        assert send_batch(server.port, texts).status == 200
    hammer(server.port, ["I love MLOps"] * 1000, connections=64)


@pytest.fixture
def start_server(apus: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers with options; ends them after the test, which fails if one had crashed. They skip the self-test, which
    the session's server runs, unless the test says otherwise."""
    servers: list[Server] = []

    def start(*options: str, self_test: bool = False, **arguments) -> Server:
        server = Server(apus, *options, *([] if self_test else ["--no-self-test"]), **arguments)
        servers.append(server)
        return server

    yield start
    failures = []
    for server in servers:
        try:
            server.stop()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture(scope="session")
def predictions_of(apus: Path) -> Callable[[list[str]], dict[str, dict]]:
    """What `apus predict` says of texts: {text: {"label", "score", "scores"}}."""

    def predict(texts: list[str]) -> dict[str, dict]:
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        command = [apus, "predict", "--input", "-", "--input-format", "jsonl", "--output-format", "jsonl"]
        output = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
        records = [json.loads(line) for line in output.splitlines()]
        assert [record.pop("text") for record in records] == texts
        return dict(zip(texts, records))

    return predict


@pytest.fixture(scope="session")
def known(predictions_of) -> dict[str, dict]:
    """A few hundred texts whose scores all differ, with their predictions."""
    known = predictions_of(different_texts(400))
    scores = {json.dumps(prediction["scores"]) for prediction in known.values()}
    assert len(scores) == len(known), "two texts have the same scores, so an answer that is mixed up could go unnoticed"
    return known
