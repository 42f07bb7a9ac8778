"""Every kind of tokenizer: the ids of `apus tokenize` beside those of Transformers' AutoTokenizer, from the same files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tokenizer_kinds import Kinds, every_scalar, multilingual
from transformers import AutoTokenizer

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT = 512
NAMES = sorted(name.removeprefix("make_").replace("_", "-") for name in dir(Kinds) if name.startswith("make_"))


@pytest.fixture(scope="session")
def tweets(data: Path) -> list[str]:
    return (data / "tweeteval-sentiment/test_text.txt").read_text(encoding="utf-8").split("\n")[:3000]


@pytest.fixture(scope="session")
def texts(tweets: list[str]) -> list[str]:
    lines = (REPOSITORY / "Tests/EngineTests/Fixtures/nasty_texts.jsonl").read_text(encoding="utf-8")
    nasty = [json.loads(line)["text"] for line in lines.removesuffix("\n").split("\n")]
    nasty = [re.sub("[\ud800-\udfff]", "\ufffd", text) for text in nasty]
    return [text for text in [*nasty, *tweets, *multilingual(), *list(every_scalar())[::4]] if text]


@pytest.fixture(scope="session")
def kinds(tweets: list[str], tmp_path_factory: pytest.TempPathFactory) -> Kinds:
    return Kinds(tweets[:2000] + multilingual(seed=2), tmp_path_factory.mktemp("parts"))


@pytest.mark.parametrize("name", NAMES)
def test_the_ids_are_those_of_transformers(name: str, kinds: Kinds, texts: list[str], run_apus, tmp_path: Path):
    directory = tmp_path / name
    kinds.make(name, directory)
    library = AutoTokenizer.from_pretrained(directory)
    length = min(library.model_max_length, LIMIT)
    rows = tmp_path / "texts.jsonl"
    rows.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    result = run_apus("tokenize", "--model", directory, "--text-preparation", "none", "--input", rows, timeout=300)
    assert result.returncode == 0, result.stderr
    found = [json.loads(line)["ids"] for line in result.stdout.removesuffix("\n").split("\n")]
    assert len(found) == len(texts)
    different = []
    for text, ids in zip(texts, found, strict=True):
        expected = library(text, truncation=True, max_length=length)["input_ids"]
        if ids != expected:
            different.append((text, library.convert_ids_to_tokens(expected), ids))
    assert different[:3] == []
