"""fastText models of a few hundred bytes to a few hundred kilobytes, trained by the PyPI package `fasttext`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import fasttext

# With fewer than eleven threads, or very small matrices, the library leaves some of them as it finds the memory.
SMALL = {"dim": 40, "minCount": 1, "epoch": 25, "lr": 0.5, "bucket": 0, "thread": 12, "verbose": 0}


def train(path: Path, examples: Iterable[tuple[str, str]], **options: Any) -> Path:
    """A supervised model of texts with their labels; each text is one line for fastText."""
    lines = (f"__label__{label} {' '.join(text.split())}\n" for text, label in examples)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        fasttext.train_supervised(file.name, **(SMALL | options)).save_model(str(path))
    return path


def train_vectors(path: Path, kind: str) -> Path:
    """Word vectors, which no classifier can be made of: kind is cbow or skipgram."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write("good fine nice bad poor awful\n" * 5)
        file.flush()
        options = {"dim": 40, "minCount": 1, "epoch": 1, "bucket": 10, "thread": 12, "verbose": 0}
        fasttext.train_unsupervised(file.name, model=kind, **options).save_model(str(path))
    return path
