#!/usr/bin/env python3
"""Asks a server for more than it can do: how much it still answers, how long that takes, and who waits longest.

    tools/overload.py --server .build/release/apus [--connections 1000] [--seconds 10] [OPTIONS of apus serve]

First 32 connections that ask again as soon as they are answered: the best that this machine does. Then, on the same server,
so many connections that do the same (closed loop), and requests at random times over idle ones of as many connections, at
multiples of the best (open loop). Nobody heeds Retry-After, but for a share of the closed loop's connections
(--obedient). A table in Markdown goes to standard output; `--plot FILE` draws it. One process without threads is all
clients, on the server's machine: it takes some 20 µs for a request.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import socket
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from classification_data import label_names, load_split
from local_server import LocalServer

DATA = Path(os.environ.get("APUS_DATA", Path(__file__).parents[1] / "../shared/data"))
HEAD = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


@dataclass(eq=False)
class Client:
    socket: socket.socket
    obeys: bool = False
    sent: float | None = None  # when; None while it is idle
    received: bytes = b""
    answers: list[float] = field(default_factory=list)  # when each 200 came


class Crowd:
    """Connections to one server, and what came back over them."""

    def __init__(self, port: int, count: int, requests: list[bytes], obedient: float = 0):
        self.requests, self.poll = requests, select.epoll()
        self.clients = {}
        for number in range(count):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(False)
            self.clients[connection.fileno()] = Client(connection, obeys=number < obedient * count)
            self.poll.register(connection, select.EPOLLIN)
        self.later: list[tuple[float, Client]] = []  # those who heed Retry-After, by the time
        self.answered, self.refused, self.others = [], [], 0  # seconds that 200s and 429s took

    def ask(self, client: Client) -> None:
        client.sent, client.received = time.monotonic(), b""
        client.socket.send(random.choice(self.requests))

    def receive(self, seconds: float) -> list[Client]:
        """Who has got an answer."""
        done = []
        for descriptor, _ in self.poll.poll(max(0, seconds)):
            client = self.clients[descriptor]
            client.received += client.socket.recv(65536)
            if not client.received.endswith(b"}"):
                if not client.received:
                    raise SystemExit("overload.py: the server closed a connection")
                continue
            now, status = time.monotonic(), client.received[9:12]
            if status == b"200":
                self.answered.append(now - client.sent)
                client.answers.append(now)
            elif status == b"429":
                self.refused.append(now - client.sent)
            else:
                self.others += 1
            client.sent = None
            if client.obeys and status == b"429":
                self.later.append((now + 1, client))
            else:
                done.append(client)
        return done

    def closed_loop(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for client in self.clients.values():
            self.ask(client)
        while (now := time.monotonic()) < end:
            while self.later and self.later[0][0] <= now:
                self.ask(self.later.pop(0)[1])
            for client in self.receive(0.01):
                self.ask(client)

    def open_loop(self, seconds: float, rate: float) -> int:
        """Returns how many requests found no idle connection, and were not made."""
        idle, unasked = list(self.clients.values()), 0
        random.shuffle(idle)
        now = due = time.monotonic()
        end = now + seconds
        while (now := time.monotonic()) < end:
            while due <= now:
                due += random.expovariate(rate)
                if idle:
                    self.ask(idle.pop())
                else:
                    unasked += 1
            for client in self.receive(min(due - now, 0.01)):
                idle.insert(random.randrange(len(idle) + 1), client)
        return unasked

    def close(self) -> None:
        for client in self.clients.values():
            client.socket.close()


def event_loop_seconds(server: LocalServer) -> float:
    """CPU time of the threads that read requests."""
    ticks = 0
    for thread in Path(f"/proc/{server.process.pid}/task").iterdir():
        name, _, rest = (thread / "stat").read_text().partition("(")[2].rpartition(")")
        if name.startswith("NIO"):
            ticks += sum(map(int, rest.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def row(name: str, server: LocalServer, crowd: Crowd, seconds: float, run) -> dict:
    before, begun = event_loop_seconds(server), time.monotonic()
    unasked = run(seconds) or 0
    took, cpu = time.monotonic() - begun, event_loop_seconds(server) - before
    crowd.close()
    answered, refused = sorted(crowd.answered), sorted(crowd.refused)
    waits = []  # of each connection, the seconds for one answer
    for obeys in (False, True):
        group = [took / max(1, len(client.answers)) for client in crowd.clients.values() if client.obeys == obeys]
        if group:
            waits.append((min(group), statistics.median(group), max(group)))
    return {"name": name, "seconds": took, "answered": len(answered) / took, "refused": len(refused) / took,
            "unasked": unasked / took, "others": crowd.others, "p50": percentile(answered, 0.5), "p99": percentile(answered, 0.99),
            "refusal_p50": percentile(refused, 0.5), "refusal_p99": percentile(refused, 0.99), "waits": waits,
            "loop_us": 1e6 * cpu / max(1, len(answered) + len(refused))}


def percentile(values: list[float], share: float) -> float:
    return 1e3 * values[int(share * (len(values) - 1))] if values else float("nan")


def table(rows: list[dict]) -> str:
    lines = ["| load | 200 a second | of the best | 429 a second | p50, ms | p99 | 429s' p50 | p99 | a connection's wait for a 200, s "
             "| not 200 or 429 | event loops, µs a request |", "| --- |" + " ---: |" * 10]
    for it in rows:
        waits = "; ".join(" to ".join(f"{wait:.2f}" for wait in group) for group in it["waits"])
        lines.append(f"| {it['name']} | {it['answered']:.0f} | {it['answered'] / rows[0]['answered']:.2f} | {it['refused']:.0f} "
                     f"| {it['p50']:.0f} | {it['p99']:.0f} | {it['refusal_p50']:.1f} | {it['refusal_p99']:.1f} "
                     f"| {waits} | {it['others']} | {it['loop_us']:.0f} |")
    return "\n".join(lines)


def draw(rows: list[dict], path: Path) -> None:
    from plotting import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [it["name"] for it in rows]
    left.barh(names, [it["answered"] for it in rows], label="answered")
    left.barh(names, [it["refused"] + it["unasked"] for it in rows], left=[it["answered"] for it in rows], label="not answered",
              color="lightgray")
    left.set(xlabel="requests a second")
    left.legend()
    right.barh(names, [it["p99"] for it in rows], label="p99", color="lightgray")
    right.barh(names, [it["p50"] for it in rows], label="p50")
    right.set(xlabel="ms to an answer", yticks=[])
    right.legend()
    for axes in (left, right):
        axes.invert_yaxis()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default=".build/release/apus", help="the binary")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10, help="for each load")
    parser.add_argument("--times", type=float, nargs="*", default=[2, 5, 20], help="the best, that the open loop offers")
    parser.add_argument("--obedient", type=float, default=0, help="share of the closed loop's connections")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--report", type=Path, help="the figures as JSON")
    parser.add_argument("options", nargs="*", help="of apus serve, after --")
    arguments = parser.parse_args()
    dataset = DATA / "tweeteval-sentiment"
    texts = [text for text in load_split(dataset, "test", label_names(dataset)).texts if text.strip()]
    bodies = [json.dumps({"text": text}).encode() for text in random.Random(1).sample(texts, 4000)]
    requests = [HEAD.format(len(body)).encode() + body for body in bodies]
    command = [arguments.server, "serve", "--port", 0, "--no-self-test", "--log-level", "info", "--max-queue", 64,
               "--max-client-batch", 64, "--max-connections", arguments.connections + 100, *arguments.options]
    rows = []
    with LocalServer(command) as server:
        port = int(server.url.rpartition(":")[2])

        def measure(name: str, count: int, run, seconds: float = arguments.seconds, obedient: float = 0) -> dict:
            crowd = Crowd(port, count, requests, obedient)
            rows.append(row(name, server, crowd, seconds, lambda seconds: run(crowd, seconds)))
            return rows[-1]

        measure("warm-up", 32, Crowd.closed_loop, 2)
        rows.clear()
        best = measure("32 connections", 32, Crowd.closed_loop)["answered"]
        measure(f"{arguments.connections} connections", arguments.connections, Crowd.closed_loop, obedient=arguments.obedient)
        for times in arguments.times:
            measure(f"{times:g} × the best", arguments.connections,
                    lambda crowd, seconds: crowd.open_loop(seconds, times * best))
    print(table(rows))
    if arguments.report:
        arguments.report.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if arguments.plot:
        draw(rows, arguments.plot)


if __name__ == "__main__":
    main()
