"""Data sets in the forms that `apus evaluate` takes, and the text preparation of the model card."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path


class DatasetError(ValueError):
    """A data set that cannot be used; the message names the file, what was found and what is allowed."""


@dataclass(frozen=True)
class Split:
    texts: list[str]
    labels: list[int]


def prepare(text: str) -> str:
    """`@somebody` becomes `@user`, a link becomes `http`: what the twitter-roberta model card does before tokenizing."""
    words = []
    for word in text.split(" "):
        word = "@user" if word.startswith("@") and len(word) > 1 else word
        words.append("http" if word.startswith("http") else word)
    return " ".join(words)


def label_names(dataset: Path) -> list[str]:
    """The labels in the order of their numbers, from `mapping.txt`; from the labels found, sorted, in a single file."""
    if dataset.is_dir():
        rows = [line.split("\t") for line in _lines(dataset / "mapping.txt")]
        return [name for _, name in sorted((int(number), name) for number, name in rows)]
    return sorted({label for _, label in _records(dataset)})


def load_split(dataset: Path, split: str, labels: list[str]) -> Split:
    """One split of a TweetEval directory (`SPLIT_text.txt`, `SPLIT_labels.txt`), or all of a `.jsonl` or `.csv` file."""
    if not dataset.is_dir():
        records = _records(dataset)
        unknown = {label for _, label in records} - set(labels)
        if unknown:
            raise DatasetError(f"{dataset}: label {sorted(unknown)[0]!r} is not one of {labels}")
        return Split([text for text, _ in records], [labels.index(label) for _, label in records])
    texts = _lines(dataset / f"{split}_text.txt")
    numbers = [int(line) for line in _lines(dataset / f"{split}_labels.txt")]
    if len(texts) != len(numbers):
        raise DatasetError(f"{dataset}: {split}_text.txt has {len(texts)} lines, {split}_labels.txt has {len(numbers)}")
    return Split(texts, numbers)


def _lines(path: Path) -> list[str]:
    # Only \n ends a line: a tweet may hold U+2028 or U+0085, at which str.splitlines would cut it.
    text = path.read_text(encoding="utf-8")
    return text.removesuffix("\n").split("\n")


def _records(path: Path) -> list[tuple[str, str]]:
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in _lines(path)]
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        raise DatasetError(f"{path}: a data set is a directory in TweetEval's form, a .jsonl or a .csv file")
    for number, row in enumerate(rows, 1):
        for field in ("text", "label"):
            if not isinstance(row.get(field), str):
                raise DatasetError(f"{path}: record {number} has no text in field {field!r}")
    return [(row["text"], row["label"]) for row in rows]
