"""check_deployment.sh and healthcheck.sh against real servers, right ones and wrong ones."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from apus_server import free_port
from places import SCRIPTS

QUICKLY = ("--timeout", 2)


@pytest.fixture
def status(server) -> dict[str, Any]:
    return requests.get(server.url + "/status", timeout=10).json()


@pytest.fixture
def server(start_server):
    return start_server()


def test_the_server_that_was_meant_passes(run_script, server, status):
    result = run_script("check_deployment.sh", server.url + "/", "--version", status["version"], "--model", status["model"],
                        "--weights-sha256", status["weights_sha256"], "--precision", "int8", "--started-after", 0)
    assert result.returncode == 0, result.everything
    assert status["weights_sha256"] in result.stdout


@pytest.mark.parametrize(("option", "key"), [("--version", "version"), ("--weights-sha256", "weights_sha256"),
                                             ("--model", "model"), ("--precision", "precision")])
def test_a_server_with_another_one_of_them_fails(run_script, server, status, option, key):
    result = run_script("check_deployment.sh", server.url, option, "another", *QUICKLY)
    assert result.returncode == 1, result.everything
    assert f"its {key} is {status[key]}, not another" in result.stderr


def test_a_revision_is_missed_where_there_is_none(run_script, server):
    result = run_script("check_deployment.sh", server.url, "--revision", "0" * 40, *QUICKLY)
    assert result.returncode == 1 and "its revision is nothing" in result.stderr, result.everything


def test_the_server_of_before_the_deployment_fails(run_script, server):
    time.sleep(2.5)
    result = run_script("check_deployment.sh", server.url, "--started-after", int(time.time()), *QUICKLY)
    assert result.returncode == 1 and "still the old one" in result.stderr, result.everything
    assert run_script("check_deployment.sh", server.url, "--started-after", int(time.time()) - 60).returncode == 0


def test_a_server_that_tested_nothing_fails(run_script, start_server):
    result = run_script("check_deployment.sh", start_server("--no-self-test").url, *QUICKLY)
    assert result.returncode == 1 and "self-test" in result.stderr, result.everything


def test_nobody_there_fails(run_script):
    result = run_script("check_deployment.sh", f"http://127.0.0.1:{free_port()}", *QUICKLY)
    assert result.returncode == 1 and "does not answer" in result.stderr, result.everything


def test_a_server_that_comes_later_is_waited_for(run_script, start_server):
    port = free_port()
    threading.Timer(1.5, lambda: start_server(port=port)).start()
    result = run_script("check_deployment.sh", f"http://127.0.0.1:{port}", "--timeout", 30)
    assert result.returncode == 0, result.everything


def test_an_api_key_is_sent_and_stands_on_no_command_line(run_script, start_server):
    server = start_server("--api-key", "key-of-the-server")
    refused = run_script("check_deployment.sh", server.url, *QUICKLY)
    assert refused.returncode == 1, refused.everything
    result = run_script("check_deployment.sh", server.url, *QUICKLY, env={"DEPLOYMENT_TOKEN": "key-of-the-server"})
    assert result.returncode == 0, result.everything


def test_a_token_stands_on_no_command_line(environment):
    """/proc shows those to everybody."""
    token = "token-that-nobody-may-read"
    command = [SCRIPTS / "check_deployment.sh", f"http://127.0.0.1:{free_port()}", "--timeout", "2"]
    script = subprocess.Popen(command, env=environment | {"DEPLOYMENT_TOKEN": token}, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    seen = set()
    while script.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                seen.add(path.read_bytes())
    assert any(b"curl" in line for line in seen), "no curl was seen, so nothing is proved"
    assert not any(token.encode() in line for line in seen)


@pytest.mark.parametrize("arguments", [("--weights-sha256", ""), ("--weights-sha256",), ("--colour", "red")])
def test_an_option_that_would_check_nothing_is_refused(run_script, server, arguments):
    result = run_script("check_deployment.sh", server.url, *arguments)
    assert result.returncode == 2 and arguments[0] in result.stderr, result.everything


class Liar(BaseHTTPRequestHandler):
    """Says all the right things in /status, and predicts nonsense."""

    prediction: dict[str, Any] = {}

    def answer(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer({"labels": ["bad", "good"], "self_test": {"passed": True}, "uptime_seconds": 1, "version": "1"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(self.prediction)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(("prediction", "is_right"), [
    ({"label": "good", "score": 0.75, "scores": {"bad": 0.25, "good": 0.75}}, True),
    ({"label": "bad", "score": 0.25, "scores": {"bad": 0.25, "good": 0.75}}, False),
    ({"label": "good", "score": 0.75, "scores": {"bad": 0.75, "good": 0.75}}, False),
    ({"label": "fine", "score": 0.75, "scores": {"bad": 0.25, "fine": 0.75}}, False),
    ({"label": "good"}, False),
    ({}, False),
    ([], False),
])
def test_a_prediction_must_make_sense(run_script, prediction, is_right):
    liar = HTTPServer(("127.0.0.1", 0), type("Liar", (Liar,), {"prediction": prediction}))
    threading.Thread(target=liar.serve_forever, daemon=True).start()
    result = run_script("check_deployment.sh", f"http://127.0.0.1:{liar.server_port}", "--timeout", 1)
    liar.shutdown()
    assert result.returncode == (0 if is_right else 1), result.everything
    assert is_right or "makes no sense" in result.stderr, result.everything


# The container's health check

def test_a_ready_server_is_healthy(run_script, server):
    result = run_script("healthcheck.sh", env={"APUS_PORT": server.port})
    assert (result.returncode, result.stdout) == (0, "/health/ready: 200\n"), result.everything


def test_the_port_is_the_one_that_the_server_takes(run_script, server):
    for variables in ({"AIP_HTTP_PORT": server.port}, {"APUS_PORT": server.port, "AIP_HTTP_PORT": 1},
                      {"APUS_PORT": "tcp://10.0.0.1:7860", "AIP_HTTP_PORT": server.port}):
        result = run_script("healthcheck.sh", env=variables)
        assert (result.returncode, result.stdout) == (0, "/health/ready: 200\n"), result.everything


def test_a_port_where_nobody_listens_is_not_healthy(run_script):
    result = run_script("healthcheck.sh", free_port())
    assert result.returncode == 1 and "nothing listens" in result.stdout, result.everything


def test_a_server_that_was_told_to_stop_is_not_healthy(run_script, server):
    server.terminate()
    deadline = time.monotonic() + 10
    while (result := run_script("healthcheck.sh", server.port)).returncode == 0:
        assert time.monotonic() < deadline, result.everything


def test_a_server_that_says_nothing_is_not_healthy(run_script):
    silent = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # It accepts, and never answers.
    started = time.monotonic()
    result = run_script("healthcheck.sh", silent.server_port)
    silent.server_close()
    assert result.returncode == 1 and "no answer" in result.stdout, result.everything
    assert time.monotonic() - started < 5, "longer than the Dockerfile's --timeout"
