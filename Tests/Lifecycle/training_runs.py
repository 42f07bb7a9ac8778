"""Runs of tools/train.py on small models, with texts that are easy to tell apart."""

from __future__ import annotations

import csv
import json
import random
import shutil
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = REPOSITORY / "Tests/EngineTests/Fixtures/models"
TRAIN = REPOSITORY / "tools/train.py"
sys.path.append(str(TRAIN.parent))

import torch  # noqa: E402

import train as train_tool  # noqa: E402
from classification_data import read_lines  # noqa: E402

PHRASES = {"negative": ["bad", "not good", "the bad end", "no love"], "neutral": ["the end", "it is in", "user", "http .."],
           "positive": ["good", "I love it", "the best", "so good"]}
QUICK = ["--batch-size", "8", "--learning-rate", "3e-3", "--min-accuracy", "0.5"]
FIVE_FILES = {"pytorch_model.bin", "vocab.json", "merges.txt", "special_tokens_map.json", "config.json"}


def examples(count: int, seed: int = 0) -> list[tuple[str, str]]:
    generator = random.Random(seed)
    labels = [generator.choice(list(PHRASES)) for _ in range(count)]
    return [(" ".join(generator.choices(PHRASES[label], k=2)) + f" {index}", label) for index, label in enumerate(labels)]


def write_csv(path: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("text", "label")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_jsonl(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("".join(json.dumps({"id": 1, "text": text, "label": label}) + "\n" for text, label in rows))
    return path


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in read_lines(path)]


def write_tweeteval(folder: Path, splits: dict[str, list[tuple[str, str]]], labels: list[str]) -> Path:
    folder.mkdir()
    (folder / "mapping.txt").write_text("".join(f"{number}\t{label}\n" for number, label in enumerate(labels)))
    for split, rows in splits.items():
        (folder / f"{split}_text.txt").write_text("".join(text + "\n" for text, _ in rows), encoding="utf-8")
        (folder / f"{split}_labels.txt").write_text("".join(f"{labels.index(label)}\n" for _, label in rows))
    return folder


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def train(base: Path | str, dataset: Path, output: Path, *options: str) -> int:
    """In this process: PyTorch takes seconds to import."""
    torch.set_num_threads(1)
    return train_tool.main(["--base", str(base), "--dataset", str(dataset), "--output", str(output), *QUICK, *options])


def command(base: Path | str, dataset: Path, output: Path, *options: str) -> list[str]:
    return [sys.executable, str(TRAIN), "--base", str(base), "--dataset", str(dataset), "--output", str(output), *QUICK,
            *options]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("data") / "texts.csv", examples(320))


@pytest.fixture(scope="module")
def five_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa for two labels in the five files that twitter-roberta-base-sentiment-latest has."""
    base = tmp_path_factory.mktemp("base") / "five-files"
    base.mkdir()
    for name in FIVE_FILES:
        shutil.copyfile(MODELS / "roberta-odd" / name, base / name)
    return base
