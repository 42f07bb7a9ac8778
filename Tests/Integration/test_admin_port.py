"""Health, status and metrics on a port of their own."""

from __future__ import annotations

import re
import socket
import subprocess

import pytest
import requests

from apus_server import free_port, until
from raw_http import Connection, request
from test_connections import BODY, PROBES
from traffic import keep_busy


def admin_port(server) -> int:
    found = until(lambda: re.search(r"admin port open.*http:\\?/\\?/127\.0\.0\.1:(\d+)", server.log()), "the admin port is open")
    return int(found[1])


def get(port: int, path: str, **arguments) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{port}{path}", timeout=10, **arguments)


def test_what_supervisors_ask_for_is_on_the_admin_port_and_nothing_else(start_server):
    server = start_server("--admin-port", "0")
    port = admin_port(server)
    for path in PROBES:
        assert get(port, path).status_code == 200, path
        assert get(server.port, path).status_code == 200, path
    for path in ("/", "/docs", "/info", "/v2", "/v1/models"):
        assert get(port, path).status_code == 404, path
    assert requests.post(f"http://127.0.0.1:{port}/predict", json={"text": "a"}, timeout=10).status_code == 404
    assert requests.post(f"http://127.0.0.1:{port}/status", json={}, timeout=10).status_code == 405


def test_the_admin_port_is_not_open_unless_asked_for(start_server):
    assert "admin port" not in start_server().log()


def test_the_admin_port_may_be_set_by_variables(start_server):
    port = free_port()
    start_server(env={"APUS_ADMIN_PORT": str(port), "APUS_ADMIN_HOST": "127.0.0.1"})
    assert until(lambda: get(port, "/health/live").status_code, "the admin port answers") == 200


def test_the_key_protects_the_admin_port_as_the_other(start_server):
    server = start_server("--admin-port", "0", "--api-key", "secret")
    port = admin_port(server)
    assert get(port, "/health/live").status_code == get(port, "/metrics").status_code == 200
    assert get(port, "/status").status_code == 401
    assert get(port, "/status", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_the_admin_port_answers_whatever_is_held_open_on_either(start_server):
    server = start_server("--admin-port", "0", "--max-connections", "4", "--threads", "1")
    port = admin_port(server)
    busy = keep_busy(server, texts=64)
    held = [Connection(to) for to in [server.port] * 100 + [port] * 200]
    for number, connection in enumerate(held):
        connection.send([b"", b"GET /hea"][number % 2])
    for path in PROBES:
        with Connection(port) as probe:
            assert probe.exchange(request(path)).status == 200, path
    assert busy.result().status == 200
    for connection in held:
        connection.close()


def test_the_admin_port_tells_that_the_server_is_stopping_until_it_has_stopped(start_server):
    server = start_server("--admin-port", "0", "--threads", "1", "--grace-period", "60")
    port = admin_port(server)
    busy = keep_busy(server)
    with Connection(port) as probe:
        assert probe.exchange(request("/health/ready")).status == 200
        server.terminate()
        until(lambda: "stopping" in get(port, "/health/ready").text, "it is not ready any more")
        assert get(port, "/health/live").status_code == 200
    assert busy.result().status == 200, "what was accepted is finished"
    assert server.wait(60) == 0
    with pytest.raises(requests.ConnectionError):
        get(port, "/health/live")


def test_admin_options_that_make_no_sense_end_the_start_with_a_reason(apus):
    def start(*options: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [apus, "serve", "--port", "0", "--no-self-test", *options], capture_output=True, text=True, timeout=30)

    alone = start("--admin-host", "127.0.0.1")
    assert alone.returncode == 2 and "--admin-port" in alone.stderr
    assert start("--admin-port", "70000").returncode == 64
    wrong = start("--admin-port", "0", "--admin-host", "no.such.host.invalid")
    assert wrong.returncode == 2 and "--admin-host no.such.host.invalid" in wrong.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        used = start("--admin-port", port)
    assert used.returncode == 2 and "--admin-port" in used.stderr and port in used.stderr
