"""A stream whose language shifts: real tweets, then the same without the vowels inside their words, as people wrote when a
message had few characters."""

from __future__ import annotations

import re
from pathlib import Path

LABELS = ("negative", "neutral", "positive")
INNER_VOWELS = re.compile(r"(?<=[a-zA-Z])[aeiou](?=[a-zA-Z])")

Row = tuple[str, str]  # text, label


def rows(data: Path, split: str) -> list[Row]:
    """Of TweetEval's sentiment task."""
    texts, labels = ((data / f"tweeteval-sentiment/{split}_{what}.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
                     for what in ("text", "labels"))
    return [(text, LABELS[int(label)]) for text, label in zip(texts, labels, strict=True)]


def without_vowels(text: str) -> str:
    return " ".join(word if word.startswith(("@", "http")) else INNER_VOWELS.sub("", word) for word in text.split(" "))
