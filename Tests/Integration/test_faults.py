"""What happens to the process: signals under load, full disks, pipes nobody reads, damaged files."""

from __future__ import annotations

import array
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import termios
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apus_server import until
from raw_http import Connection, CutAnswer, request
from traffic import Load, keep_busy

BODY = request(body={"text": "I love MLOps"})
CUT_BODY = BODY[:-5]


# SIGTERM

@pytest.mark.parametrize("ask", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_all_that_waits_at_sigterm_is_answered_before_the_server_leaves_with_0(start_server, known, ask):
    server = start_server("--threads", "1")
    texts = list(known)[:200]
    busy = keep_busy(server)
    waiting = [Connection(server.port, timeout=30) for _ in texts]
    for connection, text in zip(waiting, texts):
        connection.send(request(body={"text": text}))
    until(lambda: server.metrics().value("http_requests_in_progress") >= len(texts) + 1, "all requests have arrived")
    server.process.send_signal(ask)
    for connection, text in zip(waiting, texts):
        answer = connection.answer()
        assert answer is not None and answer.status == 200 and answer.json() == known[text]
        assert connection.is_closed(), "a server that leaves keeps no connection"
    assert busy.result().status == 200
    assert server.wait(5) == 0


def test_connections_that_keep_coming_do_not_end_a_server_that_stops_otherwise_than_with_0(start_server):
    """Some are accepted when nobody is there any more to handle them."""
    for _ in range(4):
        server = start_server("--grace-period", "1")
        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(connect_until_it_is_gone, server.port) for _ in range(4)]
            until(lambda: server.metrics().value("apus_connections") > 20, "connections come")
            server.terminate()
            assert server.wait(10) == 0
            assert sum(client.result() for client in clients) > 20


def connect_until_it_is_gone(port: int) -> int:
    """How many connections there were; the last 50 are kept."""
    kept: deque[socket.socket] = deque(maxlen=50)
    count = 0
    while True:
        try:
            kept.append(socket.create_connection(("127.0.0.1", port), timeout=1))
        except ConnectionRefusedError:
            return count
        except OSError:
            pass
        count += 1


def test_every_request_accepted_under_load_is_answered_at_sigterm(start_server, known):
    server = start_server("--log-format", "json")
    with Load(server.port, list(known), connections=32) as load:
        until(lambda: len(load.answers) > 300, "the load runs", 20)
        server.terminate()
        assert server.wait(10) == 0
        load.stop()
    assert load.cut == []
    for _, text, answer in load.answers:
        assert answer.status == 503 or answer.json() == known[text]
    answered = {identifier for identifier, _, answer in load.answers if answer.status == 200}
    logged = [record for record in server.log_records() if str(record.get("request_id", "")).startswith("load-")]
    accepted = {record["request_id"] for record in logged if int(record["status"]) == 200}
    assert accepted == answered, "the server says that it answered what no client got, or the other way round"
    assert not accepted & set(load.unanswered)


def test_a_request_after_sigterm_is_told_503_or_finds_the_door_closed(start_server):
    server = start_server("--threads", "1")
    idle = [Connection(server.port) for _ in range(4)]
    for connection in idle:
        assert connection.exchange(BODY).status == 200
    busy = keep_busy(server, texts=64)
    server.terminate()
    time.sleep(0.1)
    assert server.process.poll() is None, "the batch before should have kept it"
    for connection in idle:
        connection.send(BODY)
        try:
            answer = connection.answer()
        except CutAnswer as error:
            raise AssertionError(f"a cut answer: {error}") from None
        assert answer is None or answer.status == 503 and answer.json()["error"]["type"] == "stopping", answer
    try:
        with Connection(server.port) as late:
            late.send(BODY)
            answer = late.answer()
            assert answer is None or answer.status == 503
    except ConnectionError:
        pass
    assert busy.result().status == 200, "what was accepted before is answered"
    assert server.wait(5) == 0


def test_a_client_stuck_in_its_body_does_not_keep_the_server_past_its_grace_period(start_server):
    server = start_server("--grace-period", "2", "--read-timeout", "60")
    with Connection(server.port) as stuck, Connection(server.port) as in_head:
        stuck.send(CUT_BODY)
        in_head.send(b"POST /predict HTTP/1.1\r\nHos")
        time.sleep(0.2)
        began = time.monotonic()
        server.terminate()
        assert server.wait(6) == 0
        assert time.monotonic() - began < 3.5


def test_work_that_outlasts_the_grace_period_does_not_keep_the_server(start_server):
    server = start_server("--threads", "1", "--precision", "f32", "--grace-period", "0.5")
    with Connection(server.port) as connection:
        connection.send(request(body={"texts": ["tweet after tweet " * 250] * 128}))
        until(lambda: server.metrics().value("http_requests_in_progress") >= 1, "the batch has arrived")
        time.sleep(0.1)
        began = time.monotonic()
        server.terminate()
        assert server.wait(5) == 0
        assert time.monotonic() - began < 2.5


def test_idle_connections_do_not_keep_the_server(start_server):
    server = start_server()
    idle = [Connection(server.port) for _ in range(50)]
    for connection in idle[:25]:
        assert connection.exchange(BODY).status == 200
    began = time.monotonic()
    server.terminate()
    assert server.wait(5) == 0
    assert time.monotonic() - began < 2
    assert all(connection.is_closed() for connection in idle)


def test_a_second_sigterm_is_no_crash(start_server):
    server = start_server("--threads", "1")
    busy = keep_busy(server)
    server.terminate()
    server.terminate()
    assert busy.result().status == 200
    assert server.wait(5) == 0


# SIGSTOP

def test_a_server_that_was_stopped_for_two_seconds_goes_on_where_it_was(start_server, known):
    server = start_server()
    with Load(server.port, list(known), connections=16) as load:
        until(lambda: len(load.answers) > 100, "the load runs", 20)
        server.process.send_signal(signal.SIGSTOP)
        newcomer = Connection(server.port, timeout=20)
        newcomer.send(BODY)
        time.sleep(2)
        before = len(load.answers)
        server.process.send_signal(signal.SIGCONT)
        assert newcomer.answer().status == 200
        until(lambda: len(load.answers) > before + 200, "the load goes on", 20)
    assert load.cut == [] and load.unanswered == []
    for _, text, answer in load.answers:
        assert answer.status == 200 and answer.json() == known[text]


# The log has nowhere to go

@pytest.fixture
def tiny_disk(tmp_path) -> Iterator[Path | None]:
    """A file system of 64 KiB; None where nobody may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "apus-test", folder]
    mounted = subprocess.run(command, capture_output=True).returncode == 0
    yield folder if mounted else None
    if mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_for_the_log_does_not_stop_the_answers(start_server, tiny_disk):
    path = tiny_disk / "log" if tiny_disk else Path("/dev/full")
    with path.open("wb") as file:
        server = start_server("--log-level", "trace", stderr=file)
    with Connection(server.port) as connection:
        def is_full() -> bool:
            assert connection.exchange(BODY).status == 200
            return tiny_disk is None or os.statvfs(tiny_disk).f_bavail == 0
        until(is_full, "the disk is full", 20)
        for _ in range(500):
            assert connection.exchange(BODY).status == 200
    assert server.metrics().value("http_requests_total", status="200") > 500
    server.terminate()
    assert server.wait(5) == 0


def test_a_pipe_nobody_reads_does_not_stop_the_answers_nor_the_end(start_server):
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    try:
        server = start_server("--log-level", "trace", stderr=writing)
        for _ in range(500):
            server.assert_answers()
        waiting = array.array("i", [0])
        fcntl.ioctl(reading, termios.FIONREAD, waiting)
        assert waiting[0] > 3000, "the pipe was not full"
        server.terminate()
        assert server.wait(5) == 0
    finally:
        os.close(writing)
        os.close(reading)


def test_a_pipe_whose_reader_has_gone_does_not_end_the_server(start_server):
    reading, writing = os.pipe()
    server = start_server("--log-level", "trace", stderr=writing)
    os.close(writing)
    os.close(reading)
    for _ in range(20):
        server.assert_answers()


# Damaged files

def shipped_model(apus: Path) -> Path:
    return apus.with_name("apus_Engine.resources") / "Model"


def every_number_as_text(value):
    if isinstance(value, dict):
        return {name: every_number_as_text(element) for name, element in value.items()}
    if isinstance(value, list):
        return [every_number_as_text(element) for element in value]
    return str(value) if isinstance(value, (int, float)) else value


DAMAGES = {
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "an empty object": lambda text: "{}",
    "null": lambda text: "null",
    "cut": lambda text: text[:len(text) // 2],
    "not JSON": lambda text: "profile: yes",
    "NULs": lambda text: "\0" * len(text),
    "numbers as text": lambda text: json.dumps(every_number_as_text(json.loads(text))),
    "other labels": lambda text: text.replace("positive", "joyful"),
    "negative numbers": lambda text: json.dumps(
        json.loads(text, parse_float=lambda digits: -float(digits), parse_int=lambda digits: -int(digits))),
    "nested": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_malformed_reference_profile_is_one_clear_error_at_start(apus, tmp_path, damage):
    model = tmp_path / "model"
    shutil.copytree(shipped_model(apus), model)
    profile = model / "reference_profile.json"
    text = DAMAGES[damage](profile.read_text(encoding="utf-8"))
    profile.unlink()
    profile.write_text(text, encoding="utf-8")
    result = subprocess.run([apus, "serve", "--port", "0", "--model", model], capture_output=True, text=True, timeout=30)
    assert result.returncode == 2, (result.returncode, result.stderr)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and "reference_profile.json" in lines[0] and len(lines[0]) < 1000, lines


def test_a_model_without_a_profile_is_served_without_drift(start_server, apus, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(shipped_model(apus), model)
    (model / "reference_profile.json").unlink()
    server = start_server("--model", str(model))
    server.assert_answers()
    assert server.status()["drift"] is None
    assert not server.metrics().matching("apus_drift_psi")


def test_a_port_that_is_taken_is_one_clear_error(apus, server):
    result = subprocess.run([apus, "serve", "--port", str(server.port), "--no-self-test"], capture_output=True, text=True,
                            timeout=30)
    assert result.returncode == 2 and str(server.port) in result.stderr
    assert "--port" in result.stderr and len(result.stderr.strip().splitlines()[-1]) < 400
    server.assert_answers()
