"""/openapi.json against the live server: schemathesis makes requests that fit it and requests that do not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from openapi_spec_validator import validate

from apus_server import Server

DOCUMENTED = {
    ("post", "/predict"), ("post", "/"), ("post", "/feedback"), ("get", "/status"), ("get", "/metrics"), ("get", "/health/live"),
    ("get", "/health/ready"), ("get", "/v2"), ("get", "/v2/health/live"), ("get", "/v2/health/ready"),
    ("get", "/health"), ("get", "/ping"), ("get", "/info"), ("post", "/invocations"), ("get", "/v1/models"),
    ("get", "/v1/models/{model}"), ("post", "/v1/models/{model}:predict"),
    ("get", "/v2/models/{model}"), ("get", "/v2/models/{model}/ready"), ("post", "/v2/models/{model}/infer"),
}


@pytest.fixture(scope="module")
def document(server) -> dict:
    answer = requests.get(server.url + "/openapi.json", timeout=10)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json")
    return answer.json()


def operations(document: dict) -> list[tuple[str, str]]:
    return [(method, path) for path, item in document["paths"].items() for method in item
            if method in ("get", "put", "post", "delete", "options", "head", "patch", "trace")]


def with_model(path: str, model: str) -> str:
    return re.sub(r"\{[^}]*\}", model, path)


def test_the_document_is_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_route_is_described(document):
    assert DOCUMENTED <= {(method, with_model(path, "{model}")) for method, path in operations(document)}


def test_every_path_that_is_described_is_there(server, document):
    model = server.status()["model"].split("/")[-1]
    for method, path in operations(document):
        status = requests.request(method, server.url + with_model(path, model), timeout=10).status_code
        assert status not in (404, 405) and status < 500, (method, path, status)


def schemathesis(server: Server, folder: Path, *options: str) -> None:
    command = [
        Path(sys.executable).with_name("schemathesis"), "--config-file", Path(__file__).with_name("schemathesis.toml"),
        "run", server.url + "/openapi.json", "--checks", "all", "--max-examples", "100", "--generation-deterministic",
        "--request-timeout", "10", "--no-color", "--continue-on-failure", *options,
    ]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=170)
    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-2000:]


def test_schemathesis_finds_nothing_wrong(server, tmp_path):
    schemathesis(server, tmp_path)


def test_schemathesis_finds_nothing_wrong_behind_an_api_key(start_server, tmp_path):
    schemathesis(start_server("--api-key", "key"), tmp_path, "--header", "Authorization: Bearer key")
