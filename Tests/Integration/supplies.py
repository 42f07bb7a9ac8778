"""What several of the tests need: texts, their tokens, the shipped model, tools."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from binary_and_data import REPOSITORY

SHIPPED = "apus/minilm-l6-tweet-sentiment"
# With the shipped model's labels.
TINY = REPOSITORY / "Tests/EngineTests/Fixtures/models/bert-tiny"
FEATURES = {"label", "confidence", "tokens", "unknown_tokens", "emoji", "script"}


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (apt-get install prometheus)")
    return path


def tweets(data: Path, split: str = "val") -> list[str]:
    text = data.joinpath(f"tweeteval-sentiment/{split}_text.txt").read_text(encoding="utf-8")
    return text.removesuffix("\n").split("\n")


def token_counts(apus: Path, texts: list[str]) -> list[int]:
    return [len(tokens) for tokens in tokens_of(apus, texts)]


def tokens_of(apus: Path, texts: list[str]) -> list[list[str]]:
    """As the model sees them, cut off and with special tokens."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    command = [apus, "tokenize", "--input", "-", "--input-format", "jsonl"]
    output = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
    return [json.loads(line)["tokens"] for line in output.removesuffix("\n").split("\n")]


def resources(apus: Path) -> Path:
    return apus.resolve().parent / "apus_Engine.resources/Model"


def copy_of_shipped_model(apus: Path, directory: Path) -> Path:
    """Without what was found out about the model: profile and evaluation."""
    directory.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (directory / name).symlink_to(resources(apus) / name)
    return directory


def change_tensor(path: Path, name: str, edit: Callable[[np.ndarray], np.ndarray]) -> None:
    """Puts another float32 tensor where one is in a file of safetensors."""
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[:8], "little")
    tensor = json.loads(data[8:8 + length])[name]
    start, end = (8 + length + offset for offset in tensor["data_offsets"])
    values = np.frombuffer(bytes(data[start:end]), np.float32).reshape(tensor["shape"])
    data[start:end] = edit(values).astype(np.float32).tobytes()
    path.write_bytes(data)
