"""Texts to send, and clients that send many of them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from apus_server import Server, until
from raw_http import Answer, Connection, CutAnswer, request

WORDS = (
    "love hate monday friday coffee rain sun train late happy sad angry calm new old phone broken works great awful okay "
    "never always today tomorrow team boss friend dinner movie song concert delayed lost won game goal price cheap bad good"
).split()


def different_texts(count: int, seed: int = 1) -> list[str]:
    generator = random.Random(seed)
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[" ".join(generator.choices(WORDS, k=generator.randint(3, 24)))] = None
    return list(texts)


def long_texts(count: int) -> list[str]:
    """Texts that fill the model (512 tokens), to keep it busy."""
    return [f"{number} " + "tweet after tweet " * 250 for number in range(count)]


class Background:
    """A function in a thread; `result` waits for it."""

    def __init__(self, function: Callable, *arguments):
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(function, *arguments)
        self._pool.shutdown(wait=False)

    def result(self, seconds: float = 60):
        return self._future.result(seconds)


def send_batch(port: int, texts: list[str]) -> Answer:
    with Connection(port, timeout=60) as connection:
        return connection.exchange(request(body={"texts": texts}))


def keep_busy(server: Server, texts: int = 32) -> Background:
    """A client whose batch of long texts the engine is at work on when this returns; its answer is the result."""
    def batches() -> float:
        return server.metrics().value("apus_batch_texts_count")

    before = batches()
    client = Background(send_batch, server.port, long_texts(texts))
    until(lambda: batches() > before, "the engine is at work on the long texts")
    return client


def hammer(port: int, texts: list[str], connections: int, body: Callable[[str], dict] = lambda text: {"text": text}) \
        -> list[Answer]:
    """One request a text over so many kept-alive connections at once; the answers in the texts' order."""
    answers: list[Answer | None] = [None] * len(texts)

    def client(start: int) -> None:
        with Connection(port, timeout=60) as connection:
            for index in range(start, len(texts), connections):
                answers[index] = connection.exchange(request(body=body(texts[index])))

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(client, range(connections)))
    return answers


@dataclass
class Load:
    """Clients that ask one after the other, each over its own connection, until they are told to stop or the server ends
    their connections. `sent` counts whole requests; one that got no answer at all is in `unanswered`, by its id."""

    port: int
    texts: list[str]
    connections: int = 16
    answers: list[tuple[str, str, Answer]] = field(default_factory=list)  # request id, text, answer
    unanswered: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(self.connections)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self, seconds: float = 60) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "a client never got its answer"

    def _client(self, number: int) -> None:
        with Connection(self.port, timeout=60) as connection:
            turn = 0
            while not self._stopping.is_set():
                text, identifier = self.texts[(turn * self.connections + number) % len(self.texts)], f"load-{number}-{turn}"
                connection.send(request(body={"text": text}, headers={"X-Request-Id": identifier}))
                try:
                    answer = connection.answer()
                except CutAnswer as error:
                    self.cut.append(f"{identifier}: {error}")
                    return
                if answer is None:
                    self.unanswered.append(identifier)
                    return
                self.answers.append((identifier, text, answer))
                if "close" in answer.headers.get("connection", ""):
                    return
                turn += 1
