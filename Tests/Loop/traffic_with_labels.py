"""Clients whose texts have known labels, which they tell the server."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict

import requests

from streams import Row

TEXTS = 8  # a request


class Traffic(threading.Thread):
    """Sends a stream of texts, over and over, and says of each answer which labels were right. What fails ends it, and is in
    `failure`; `right` and `judged` count by the stream's name and the model that answered."""

    def __init__(self, url: str, streams: dict[str, list[Row]]):
        super().__init__(daemon=True)
        self.url = url
        self.streams = {name: itertools.cycle(rows) for name, rows in streams.items()}
        self.stream = next(iter(streams))
        self.pause = 0.05
        self.requests = 0
        self.failure: Exception | None = None
        self.right: dict[tuple[str, str], int] = defaultdict(int)
        self.judged: dict[tuple[str, str], int] = defaultdict(int)
        self._stopping = threading.Event()
        self._session = requests.Session()
        self.start()

    def run(self) -> None:
        try:
            while not self._stopping.wait(self.pause):
                self._ask()
        except Exception as error:  # whatever it is, the test must see it
            self.failure = error

    def _ask(self) -> None:
        stream = self.stream
        rows = list(itertools.islice(self.streams[stream], TEXTS))
        self.requests += 1
        answer = self._session.post(self.url + "/predict", json={"texts": [text for text, _ in rows]},
                                    headers={"X-Apus-Key": f"user-{self.requests}"}, timeout=60)
        assert answer.status_code == 200, answer.text
        model = answer.headers["X-Apus-Model"]
        identifier = answer.headers["X-Request-Id"]
        told = self._session.post(self.url + "/feedback", timeout=60, json=[
            {"request_id": identifier, "index": index, "label": label} for index, (_, label) in enumerate(rows)])
        assert told.status_code == 200 and told.json()["accepted"] == TEXTS, told.text
        for prediction, (_, label) in zip(answer.json()["predictions"], rows, strict=True):
            self.right[stream, model] += prediction["label"] == label
            self.judged[stream, model] += 1

    def accuracy(self, stream: str, name: str) -> float:
        """Of the model of this name."""
        keys = [key for key in self.judged if key[0] == stream and key[1].split("@")[0] == name]
        return sum(self.right[key] for key in keys) / sum(self.judged[key] for key in keys)

    def stop(self) -> None:
        self._stopping.set()
        self.join(90)
        assert not self.is_alive(), "a request never got its answer"
