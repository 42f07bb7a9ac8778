"""The two tokenizers of the reference, loaded as Hugging Face's own, and the texts that are put to them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from transformers import AutoTokenizer, PreTrainedTokenizerBase, RobertaConfig  # noqa: E402

from classification_data import read_lines  # noqa: E402

REPOSITORY = Path(__file__).parents[1]
FIXTURES = REPOSITORY / "Tests/EngineTests/Fixtures"
DATA = Path(os.environ.get("APUS_DATA", REPOSITORY / "../shared/data"))
TWEETEVAL = DATA / "tweeteval-sentiment"
ROBERTA_VOCABULARY = DATA / "roberta-base-tokenizer"
SHIPPED_MODEL = REPOSITORY / "Sources/Engine/Resources/Model"

SPLITS = ("train", "val", "test")
MAX_TOKENS = 512

# As on the Hub: only <mask> takes the white space before it.
ROBERTA_SPECIAL_TOKENS = {
    "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": {"content": "<mask>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False},
}


@dataclass(frozen=True)
class Reference:
    """A tokenizer and the directory it came from, which `apus` loads too."""
    name: str
    directory: Path
    tokenizer: PreTrainedTokenizerBase

    def ids(self, texts: list[str]) -> list[list[int]]:
        """With special tokens, truncated to 512."""
        return self.tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]

    def file_digests(self) -> dict[str, str]:
        """SHA-256 of the files that decide the ids, so that a stale fixture can be told from a wrong tokenizer."""
        names = ("tokenizer.json", "vocab.json", "merges.txt")
        return {name: hashlib.sha256((self.directory / name).read_bytes()).hexdigest()
                for name in names if (self.directory / name).exists()}


def write_roberta_tokenizer(directory: Path) -> None:
    """vocab.json, merges.txt and special_tokens_map.json, as the Hub's twitter-roberta has them."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(ROBERTA_VOCABULARY / name, directory / name)
    (directory / "special_tokens_map.json").write_text(json.dumps(ROBERTA_SPECIAL_TOKENS), encoding="utf-8")


def load(name: str, directory: Path) -> Reference:
    if not any((directory / file).exists() for file in ("tokenizer.json", "vocab.json")):
        raise SystemExit(f"{directory}: no tokenizer.json or vocab.json ({name}); see --bert-tokenizer.")
    # AutoTokenizer, never RobertaTokenizerFast(vocab_file=…): that one reads every text as two tokens, silently.
    reference = Reference(name, directory, AutoTokenizer.from_pretrained(directory))
    ids = reference.ids(["two words"])[0]
    if len(ids) < 4:
        raise SystemExit(f"{directory}: the {name} tokenizer did not load; it reads 'two words' as {ids}")
    return reference


@contextlib.contextmanager
def references(bert_directory: Path) -> Iterator[list[Reference]]:
    """RoBERTa's tokenizer, in a temporary directory that also has a config.json, and the BERT one of a directory."""
    with tempfile.TemporaryDirectory() as temporary:
        roberta = Path(temporary) / "roberta"
        write_roberta_tokenizer(roberta)
        config = RobertaConfig(architectures=["RobertaForSequenceClassification"], num_labels=3, vocab_size=50265,
                               max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5)
        config.save_pretrained(roberta)
        yield [load("roberta", roberta), load("bert", bert_directory)]


def nasty_texts() -> list[str]:
    """With U+FFFD for each lone surrogate, which UTF-8 cannot carry."""
    lines = (FIXTURES / "nasty_texts.jsonl").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return [re.sub("[\ud800-\udfff]", "\ufffd", json.loads(line)["text"]) for line in lines]


def tweets(split: str) -> list[str]:
    return read_lines(TWEETEVAL / f"{split}_text.txt")
