#!/usr/bin/env python3
"""What the Hugging Face libraries answer: the fixtures that the tests hold Apus to, and comparisons with a built one.

    tools/make_reference.py tokens                       Fixtures/tokenizer_reference.json
    tools/make_reference.py models                       Fixtures/models/*
    tools/make_reference.py compare --apus PATH          logits of full-size models of each architecture, too large to commit
    tools/make_reference.py tweeteval-ids --apus PATH    the ids of every tweet

TweetEval and RoBERTa's vocabulary come from $APUS_DATA; of them only ids and digests are written.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import tokenizers
import torch
import transformers

import reference_models
import reference_shapes
from classification_data import prepare
from reference_models import bert_config, roberta_config
from reference_tokenizers import (FIXTURES, SHIPPED_MODEL, SPLITS, TWEETEVAL, Reference, nasty_texts, references,
                                  tweets, write_roberta_tokenizer)

TWEETS_A_CHUNK = 500
SCALARS_A_CHUNK = 4096
MAX_LOGIT_DIFFERENCE = 1e-4
MAX_INT8_DIFFERENCE = 1e-5
INT8_SEEDS = [1, 2, 3]  # the first with which a text has no number near the middle of two levels
# Up to 512, and a text that is cut.
TOKEN_COUNTS = [3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 63, 64, 65, 96, 127, 128, 129, 200, 256, 300, 384,
                500, 511, 512, 600]
ROBERTA_FILES = ("vocab.json", "merges.txt", "special_tokens_map.json", "config.json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bert-tokenizer", type=Path, default=SHIPPED_MODEL, help="a directory with tokenizer.json")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("tokens").set_defaults(run=write_tokens)
    commands.add_parser("models").set_defaults(run=write_models)
    compare = commands.add_parser("compare")
    compare.set_defaults(run=compare_logits)
    compare.add_argument("--threads", type=int, help="for apus")
    tweeteval_ids = commands.add_parser("tweeteval-ids")
    tweeteval_ids.set_defaults(run=compare_tweeteval_ids)
    for command in (compare, tweeteval_ids):
        command.add_argument("--apus", type=Path, required=True, help="the executable")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return arguments.run(arguments)


# Tokens

def write_tokens(arguments: argparse.Namespace) -> int:
    texts = nasty_texts()
    report = {"made_by": "tools/make_reference.py tokens", "tokenizers": tokenizers.__version__}
    with references(arguments.bert_tokenizer) as both:
        for reference in both:
            report[reference.name] = {
                "files_sha256": reference.file_digests(),
                "nasty": reference.ids([prepare(text) for text in texts]),
                "nasty_unprepared": reference.ids(texts),
                "tweeteval": {split: tweeteval_digests(reference, split) for split in SPLITS},
                "scalars": scalar_digests(reference),
            }
            print(f"{reference.name}: {len(texts)} nasty texts, "
                  + ", ".join(f"{split} {value['tokens']} tokens"
                              for split, value in report[reference.name]["tweeteval"].items()))
    path = FIXTURES / "tokenizer_reference.json"
    path.write_text(json.dumps(report, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")
    return 0


def tweeteval_digests(reference: Reference, split: str) -> dict:
    rows = reference.ids([prepare(text) for text in tweets(split)])
    return {"texts": len(rows), "tokens": sum(map(len, rows)),
            "digests": [digest(rows[start:start + TWEETS_A_CHUNK]) for start in range(0, len(rows), TWEETS_A_CHUNK)]}


def scalar_digests(reference: Reference) -> list[str]:
    """Each scalar inside a word and after a number, unprepared; chunk i has the values from 4096 i on."""
    digests = []
    for start in range(0, 0x110000, SCALARS_A_CHUNK):
        scalars = [chr(value) for value in range(start, start + SCALARS_A_CHUNK) if not 0xD800 <= value <= 0xDFFF]
        digests.append(digest(reference.ids([f"a{scalar}b 1{scalar}" for scalar in scalars])))
    return digests


def digest(rows: Iterable[list[int]]) -> str:
    """FNV-1a, 64 bits, over the ids, 4 bytes each, little-endian, and 0xFFFFFFFF after each text's."""
    value = 0xCBF29CE484222325
    for row in rows:
        for byte in b"".join(number.to_bytes(4, "little") for number in [*row, 0xFFFFFFFF]):
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def compare_tweeteval_ids(arguments: argparse.Namespace) -> int:
    with references(arguments.bert_tokenizer) as both:
        for reference in both:
            for split in SPLITS:
                texts = tweets(split)
                lines = run_apus(arguments.apus, "tokenize", "--model", reference.directory,
                                 "--input", TWEETEVAL / f"{split}_text.txt")
                expected = reference.ids([prepare(text) for text in texts])
                for number, (text, ids, line) in enumerate(zip(texts, expected, lines), 1):
                    if line["ids"] != ids:
                        print(f"{reference.name}: {split}_text.txt, line {number}: {text!r}\n"
                              f"  library {ids}\n  apus    {line['ids']}\n"
                              f"  library {reference.tokenizer.convert_ids_to_tokens(ids)}\n  apus    {line['tokens']}")
                        return 1
                if len(lines) != len(texts):
                    print(f"{reference.name}: {split}_text.txt has {len(texts)} lines, apus wrote {len(lines)}")
                    return 1
                print(f"{reference.name}: {split}_text.txt: the ids of all {len(texts)} lines agree")
    return 0


def run_apus(apus: Path, *arguments: str | Path) -> list[dict]:
    """The JSON lines that apus writes."""
    finished = subprocess.run([apus.resolve(), *arguments], stdout=subprocess.PIPE, check=False)
    if finished.returncode != 0:
        raise SystemExit(f"apus {' '.join(map(str, arguments))}: exit code {finished.returncode}")
    return [json.loads(line) for line in finished.stdout.decode("utf-8").removesuffix("\n").split("\n")]


# Models

def write_models(_: argparse.Namespace) -> int:
    total = 0
    for seed, case in enumerate(reference_models.cases(), 1):
        directory = FIXTURES / "models" / case.name
        reference_models.write_case(case, directory, seed)
        sizes = {path.name: path.stat().st_size for path in sorted(directory.iterdir())}
        total += sum(sizes.values())
        print(f"{case.name}: {sizes}")
    print(f"{total} bytes")
    return 0


def compare_logits(arguments: argparse.Namespace) -> int:
    """RoBERTa base from both kinds of weights file, MiniLM, and a base model of each other architecture; 1 if a logit is
    further off than 1e-4, or int8 is not what its arithmetic says."""
    print(f"{'model':<28}{'texts':>6}{'tokens':>8}{'largest logit':>15}{'max difference':>16}")
    passed = True
    with tempfile.TemporaryDirectory() as temporary, references(arguments.bert_tokenizer) as (roberta, bert):
        for name, reference, make in (("roberta-base", roberta, make_roberta_base), ("minilm-l6", bert, make_minilm)):
            texts = Texts(Path(temporary) / f"{name}.jsonl", reference, TOKEN_COUNTS)
            model, directories = make(Path(temporary), reference)
            expected = torch.tensor(reference_models.logits(model, texts.ids))
            for directory in directories:
                passed &= is_close(directory.name, texts, predicted(arguments, directory, texts, "f32"), expected)
                shutil.rmtree(directory)
        texts = Texts(Path(temporary) / "few.jsonl", bert, reference_shapes.TOKEN_COUNTS)
        for seed, (name, config) in enumerate(reference_shapes.SHAPES.items(), 3):
            passed &= compare_shape(arguments, name, config, seed, texts, Path(temporary) / name)
    print("passed" if passed else f"failed: more than {MAX_LOGIT_DIFFERENCE} apart, or int8 is")
    return 0 if passed else 1


class Texts:
    """What both are asked: a file of texts for apus, and the ids that the library makes of them."""

    def __init__(self, path: Path, reference: Reference, token_counts: list[int]) -> None:
        texts = texts_of_many_lengths(reference, token_counts)
        self.path = path
        self.reference = reference
        self.ids = reference.ids([prepare(text) for text in texts])
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")


def predicted(arguments: argparse.Namespace, directory: Path, texts: Texts, precision: str) -> torch.Tensor:
    threads = ["--threads", str(arguments.threads)] if arguments.threads else []
    lines = run_apus(arguments.apus, "predict", "--model", directory, "--precision", precision, "--logits",
                     "--input", texts.path, "--input-format", "jsonl", "--output-format", "jsonl", *threads)
    return torch.tensor([line["logits"] for line in lines])


def is_close(name: str, texts: Texts, found: torch.Tensor, expected: torch.Tensor) -> bool:
    if found.shape != expected.shape:
        raise SystemExit(f"{name}: apus gave {[*found.shape]} logits, not {[*expected.shape]}")
    difference = (found - expected).abs().max().item()
    print(f"{name:<28}{len(texts.ids):>6}{sum(map(len, texts.ids)):>8}{expected.abs().max().item():>15.3f}"
          f"{difference:>16.2e}", flush=True)
    return difference <= MAX_LOGIT_DIFFERENCE


def compare_shape(arguments: argparse.Namespace, name: str, config: transformers.PreTrainedConfig, seed: int, texts: Texts,
                  directory: Path) -> bool:
    """All layers in f32, two of them in int8."""
    config.vocab_size = max(config.vocab_size, len(texts.reference.tokenizer))
    model = save_random_model(config, seed, texts, directory)
    expected = torch.tensor(reference_models.logits(model, texts.ids))
    passed = is_close(name, texts, predicted(arguments, directory, texts, "f32"), expected)
    shutil.rmtree(directory)

    config.vocab_size = max(len(texts.reference.tokenizer), config.pad_token_id + 1)
    config.num_hidden_layers = 2
    if hasattr(config, "layer_types"):
        config.layer_types = config.layer_types[:2]
    return passed and any(int8_is_simulated(arguments, config, seed, texts, directory) for seed in INT8_SEEDS)


def int8_is_simulated(arguments: argparse.Namespace, config: transformers.PreTrainedConfig, seed: int, texts: Texts,
                      directory: Path) -> bool:
    """Beside PyTorch with simulated int8 products, of texts so short that attention is f32.

    The last bit of a sum, which is not the same in both, decides how a number half way between two levels is rounded, and
    each layer makes more of the next one's differ: 3e-7 more or less in a norm's weights changes PyTorch's own logits by a
    third of what int8 does. But in the shortest texts mostly no number is so near the middle."""
    model = save_random_model(config, seed, texts, directory)
    found = predicted(arguments, directory, texts, "int8")
    shutil.rmtree(directory)
    short = [number for number, ids in enumerate(texts.ids) if len(ids) < reference_models.INT8_KEYS]
    ids = [texts.ids[number] for number in short]
    unquantized = torch.tensor(reference_models.logits(model, ids))
    simulated = torch.tensor(reference_models.logits(reference_models.quantize_linear_layers(model), ids))
    off, moved = ((rows - simulated).abs().amax(dim=1) for rows in (found[short], unquantized))
    best = off.argmin().item()
    print(f"{f'  int8, 2 layers, seed {seed}':<28}{1:>6}{len(ids[best]):>8}{f'moves {moved[best].item():.1e}':>15}"
          f"{off[best].item():>16.2e}", flush=True)
    return off[best].item() < MAX_INT8_DIFFERENCE and moved[best].item() > 100 * MAX_INT8_DIFFERENCE


def save_random_model(config: transformers.PreTrainedConfig, seed: int, texts: Texts,
                      directory: Path) -> transformers.PreTrainedModel:
    model = reference_models.random_model(config, seed, matrix=0.04, bias=0.05, norm=0.1)
    model.save_pretrained(directory)
    shutil.copyfile(texts.reference.directory / "tokenizer.json", directory / "tokenizer.json")
    (directory / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}', encoding="utf-8")
    return model


def texts_of_many_lengths(reference: Reference, token_counts: list[int]) -> list[str]:
    """Tweets' words until there are as many tokens as wanted."""
    words = iter(" ".join(tweets("test")).split(" "))
    texts = []
    for count in token_counts:
        text = "good"
        while len(reference.tokenizer(prepare(text), verbose=False)["input_ids"]) < count:
            text += " " + next(words)
        texts.append(text)
    return texts


def make_roberta_base(parent: Path, reference: Reference) -> tuple[transformers.PreTrainedModel, list[Path]]:
    config = roberta_config(3, vocab_size=50265, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                            intermediate_size=3072, max_position_embeddings=514)
    model = reference_models.random_model(config, 1, matrix=0.04, bias=0.05, norm=0.1)
    safetensors, pickled = parent / "roberta-base (safetensors)", parent / "roberta-base (bin)"
    model.save_pretrained(safetensors)
    write_roberta_tokenizer(safetensors)
    pickled.mkdir()
    torch.save(model.state_dict(), pickled / "pytorch_model.bin")
    for name in ROBERTA_FILES:
        shutil.copyfile(safetensors / name, pickled / name)
    return model, [safetensors, pickled]


def make_minilm(parent: Path, reference: Reference) -> tuple[transformers.PreTrainedModel, list[Path]]:
    config = bert_config(3, vocab_size=len(reference.tokenizer), hidden_size=384, num_hidden_layers=6,
                         num_attention_heads=12, intermediate_size=1536)
    model = reference_models.random_model(config, 2, matrix=0.05, bias=0.05, norm=0.1)
    directory = parent / "minilm-l6"
    model.save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (reference.directory / name).exists():
            shutil.copyfile(reference.directory / name, directory / name)
    return model, [directory]


if __name__ == "__main__":
    sys.exit(main())
