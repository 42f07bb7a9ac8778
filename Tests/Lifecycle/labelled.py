"""Labelled texts in each form that a data set may have, and what a model says of them."""

from __future__ import annotations

import csv
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

LABELS = ["negative", "neutral", "positive"]  # of TweetEval, and in this order of the models
Examples = Sequence[tuple[str, str]]


def tweets(data: Path, count: int, split: str = "val") -> list[tuple[str, str]]:
    """The beginning of a split of TweetEval: texts with their labels."""
    texts, numbers = (
        (data / f"tweeteval-sentiment/{split}_{kind}.txt").read_text(encoding="utf-8").split("\n")[:count]
        for kind in ("text", "labels"))
    return [(text, LABELS[int(number)]) for text, number in zip(texts, numbers, strict=True)]


def write_jsonl(path: Path, examples: Examples, text: str = "text", label: str = "label") -> Path:
    path.write_text("".join(json.dumps({text: a, label: b}) + "\n" for a, b in examples), encoding="utf-8")
    return path


def write_csv(path: Path, examples: Examples, text: str = "text", label: str = "label", end: str = "\r\n") -> Path:
    """As Python's csv module writes it: quotes where they are needed."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator=end).writerows([(text, label), *examples])
    return path


def write_directory(path: Path, examples: Examples, split: str = "test", labels: Sequence[str] = LABELS) -> Path:
    path.mkdir(exist_ok=True)
    mapping = "".join(f"{number}\t{label}\n" for number, label in enumerate(labels))
    (path / "mapping.txt").write_text(mapping, encoding="utf-8")
    (path / f"{split}_text.txt").write_text("".join(text + "\n" for text, _ in examples), encoding="utf-8")
    numbers = "".join(f"{labels.index(label)}\n" for _, label in examples)
    (path / f"{split}_labels.txt").write_text(numbers, encoding="utf-8")
    return path


def predictions(run_apus: Callable[..., subprocess.CompletedProcess], texts: Sequence[str], *options) -> list[dict]:
    """What `apus predict --logits` says of each text."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        file.flush()
        result = run_apus("predict", "--input", file.name, "--logits", *options)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]
