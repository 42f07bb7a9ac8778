"""Data sets of any size, made of TweetEval's tweets; and what a job wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path


def read(data: Path, split: str) -> list[str]:
    return (data / "tweeteval-sentiment" / f"{split}_text.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")


def labelled(data: Path, split: str, count: int) -> Iterator[tuple[str, str]]:
    labels = (data / "tweeteval-sentiment" / f"{split}_labels.txt").read_text().split()
    return islice(zip(read(data, split), labels), count)


def records(data: Path, count: int) -> Iterator[dict]:
    """Tweets, and when there are no more the same ones with other words behind them, so that scores differ again."""
    texts = read(data, "train") + read(data, "test")
    words = sorted({word for text in texts[:2000] for word in text.split() if word.isalpha()})
    for number in range(count):
        again, index = divmod(number, len(texts))
        more = "" if again == 0 else " " + " ".join(words[(number * step) % len(words)] for step in (7, 13)[:again])
        yield {"id": number, "text": texts[index].strip() + more}


def write(path: Path, rows: Iterator[dict]) -> Path:
    """As JSON lines with a number that Python, Java and Swift would each write in their own way."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, row in enumerate(rows):
            line = json.dumps(row, ensure_ascii=number % 2 == 0)
            file.write(line.removesuffix("}") + f', "weight": {number % 100}.50e+07}}\n')
    return path


def parts(folder: Path) -> list[list[bytes]]:
    """The lines of a job's parts, in order."""
    assert (folder / "_SUCCESS").exists(), f"the job did not finish {folder}"
    return [path.read_bytes().splitlines(keepends=True) for path in sorted(folder.glob("part-*"))]


def lines(folder: Path) -> list[bytes]:
    return [line for part in parts(folder) for line in part]


def key(line: bytes) -> int:
    return json.loads(line)["id"]
