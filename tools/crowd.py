#!/usr/bin/env python3
"""A crowd of connections that keep a server waiting, and what becomes of probes and of a client at work meanwhile.

    tools/crowd.py --server .build/release/apus --connections 10000 --seconds 20

For each kind it starts a server, lets one client ask over one connection for its usual rate, then opens the crowd, opens
every connection anew that the server ends, and measures again: a probe (a new connection and `GET /health/live`) every
50 ms, and the client's rate beside the usual one. A table in Markdown goes to standard output; standard library only.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import re
import resource
import select
import socket
import subprocess
import time

HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
# What a connection of the kind sends first, and once a second.
KINDS = {
    "idle": (b"", b""),
    "slow head": (b"POST /predict HTTP/1.1\r\nX: ", b"a"),
    "slow body": (HEAD, b"a"),
    "slow reader": (b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n", b""),
}


def crowd(port: int, kind: str, count: int, rate: int, opened, stop) -> None:
    """Holds `count` connections until told to stop, `rate` new ones a second; `opened` is how often one was opened."""
    first, each_second = KINDS[kind]
    poll, held = select.epoll(), {}

    def drop(descriptor: int) -> None:
        poll.unregister(descriptor)
        held.pop(descriptor).close()

    while not stop.is_set():
        second = time.monotonic() + 1
        for connection in list(held.values()):
            try:
                connection.send(each_second)
            except BlockingIOError:
                pass
            except OSError:
                drop(connection.fileno())
        new = 0
        while not stop.is_set() and time.monotonic() < second:
            if len(held) < count and new < rate:
                connection = socket.socket()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.settimeout(1)
                try:
                    connection.connect(("127.0.0.1", port))
                    connection.send(first)
                except OSError:
                    connection.close()
                    continue
                connection.setblocking(False)
                held[connection.fileno()] = connection
                poll.register(connection, select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR)
                new += 1
                opened.value += 1
            for descriptor, _ in poll.poll(0 if len(held) < count and new < rate else 0.05):
                drop(descriptor)


def ask(port: int, seconds: float, results) -> None:
    """One client's requests a second, over one connection, and how often it lost that."""
    body, headers = b'{"text": "I love it"}', {"Content-Type": "application/json"}
    connection, answers, lost, end = None, 0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/predict", body, headers)
            answer = connection.getresponse()
            answer.read()
            answers += answer.status == 200
        except (OSError, http.client.HTTPException):
            lost, connection = lost + 1, None
    results.put((answers / seconds, lost))


def probe(port: int, seconds: float, results) -> None:
    """How long each probe took in seconds; a failed one took forever."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health/live")
            times.append(time.monotonic() - begun if connection.getresponse().status == 200 else float("inf"))
            connection.close()
        except (OSError, http.client.HTTPException):
            times.append(float("inf"))
        time.sleep(0.05)
    results.put(sorted(times))


def run(*work) -> list:
    """The results of functions, each in a process of its own."""
    queues = [multiprocessing.Queue() for _ in work]
    processes = [multiprocessing.Process(target=function, args=(*rest, queue)) for (function, *rest), queue in zip(work, queues)]
    for process in processes:
        process.start()
    results = [queue.get() for queue in queues]
    for process in processes:
        process.join()
    return results


def measure(binary: str, kind: str, arguments: argparse.Namespace) -> str:
    command = [binary, "serve", "--port", "0", "--no-self-test", "--log-level", "info", *arguments.options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        line = next(line for line in server.stderr if "serving" in line)
        port = int(re.search(r"127\.0\.0\.1:(\d+)", line)[1])
        multiprocessing.Process(target=lambda: [None for _ in server.stderr], daemon=True).start()
        run((ask, port, 2))
        ((usual, _),) = run((ask, port, arguments.seconds))
        opened, stop = multiprocessing.Value("q", 0), multiprocessing.Event()
        holder = multiprocessing.Process(target=crowd, args=(port, kind, arguments.connections, arguments.rate, opened, stop))
        holder.start()
        time.sleep(arguments.fill)
        (rate, lost), times = run((ask, port, arguments.seconds), (probe, port, arguments.seconds))
        descriptors = len(os.listdir(f"/proc/{server.pid}/fd"))
        stop.set()
        holder.join()
        p50, p99 = (f"{1000 * times[int(share * (len(times) - 1))]:.1f}" for share in (0.5, 0.99))
        failed = sum(time == float("inf") for time in times)
        return f"| {kind} | {opened.value} | {descriptors} | {p50} | {p99} | {failed} of {len(times)} | {rate:.0f} of {usual:.0f} " \
               f"({rate / usual:.2f}) | {lost} |"
    finally:
        server.kill()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default=".build/release/apus", help="the binary")
    parser.add_argument("--connections", type=int, default=10_000, help="of the crowd at once")
    parser.add_argument("--rate", type=int, default=200, help="new ones a second; the crowd has the same CPUs as the server")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--fill", type=float, default=10, help="seconds before anything is measured")
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all")
    parser.add_argument("options", nargs="*", help="of apus serve, after --")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("| crowd | opened | descriptors of the server | probe p50, ms | p99 | failed | client's requests/s | its connections lost |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind in arguments.kind or KINDS:
        print(measure(arguments.server, kind, arguments), flush=True)


if __name__ == "__main__":
    main()
