"""A stream whose language shifts: real tweets, then the same without the vowels inside their words, as people wrote when a
message had few characters."""

from __future__ import annotations

import re
from pathlib import Path

from classification_data import label_names, load_split

INNER_VOWELS = re.compile(r"(?<=[a-zA-Z])[aeiou](?=[a-zA-Z])")

Row = tuple[str, str]  # text, label


def rows(data: Path, split: str) -> list[Row]:
    """Of TweetEval's sentiment task."""
    names = label_names(data / "tweeteval-sentiment")
    loaded = load_split(data / "tweeteval-sentiment", split, names)
    return [(text, names[label]) for text, label in zip(loaded.texts, loaded.labels, strict=True)]


def without_vowels(text: str) -> str:
    return " ".join(word if word.startswith(("@", "http")) else INNER_VOWELS.sub("", word) for word in text.split(" "))
