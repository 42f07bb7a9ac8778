"""int8 that others open: what `apus quantize` writes, beside Transformers and compressed-tensors; and what these write, read."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from checkpoints import read_state
from classifiers import (CONFIGS, OPTIONS, SENTENCES, TEXTS, logits, make_model, quiet, save, tokenizer,  # noqa: F401
                         transformers_logits)
from compressed import TOKENS, WEIGHTS, compress, group
from labelled import predictions
from pulling import assert_refused

import verify_export  # in tools/

# One of each architecture, and variants whose tensors are others.
NAMES = ["bert", "roberta", "distilbert", "xlm-roberta", "camembert", "electra", "electra-projected", "mpnet", "albert",
         "albert-inner-groups", "modernbert", "modernbert-biases", "deberta", "deberta-own-keys", "deberta-positions"]
COUNT = 500
# The logits' deviation from text to text. What int8 does to them grows with it: here it is some 0.04 at most.
SPREAD = 0.2
MARGIN = 0.1


def random_texts() -> Iterator[str]:
    """Up to 30 words, so that they have less tokens than int8 attention begins with."""
    pool, generator = " ".join(SENTENCES).split(), random.Random(3)
    while True:
        yield " ".join(generator.choices(pool, k=generator.randint(1, 30)))


@torch.no_grad()
def decided(name: str, directory: Path) -> list[str]:
    """Saves the model, its logits SPREAD apart, and returns texts whose best label it finds by MARGIN, twice the tolerance:
    of random weights most others are near ties, which say nothing of int8."""
    generator, tokens = random_texts(), tokenizer()
    sample = list(islice(generator, 100))
    model = make_model(CONFIGS[name], texts=sample)
    last = model.classifier if isinstance(model.classifier, nn.Linear) else model.classifier.out_proj
    factor = SPREAD / torch.tensor(logits(model, tokens, sample)).std(dim=0).mean()
    last.weight *= factor
    last.bias *= factor
    save(model, directory)
    texts: list[str] = []
    for text in islice(generator, 5000):
        best = sorted(logits(model, tokens, [text])[0])
        texts += [text] if best[-1] - best[-2] > MARGIN else []
        if len(texts) == COUNT:
            break
    return texts


def verify(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, *arguments) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["verify_export.py", *map(str, arguments)])
    return verify_export.main(), *capsys.readouterr()


# What Apus writes

@pytest.mark.parametrize("name", NAMES)
def test_transformers_opens_an_export_of_each_architecture_and_says_what_apus_says(
    apus: Path, run_apus, capsys, monkeypatch, tmp_path: Path, name: str
):
    texts = decided(name, tmp_path / "model")
    assert len(texts) == COUNT
    (tmp_path / "texts").write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    result = run_apus("quantize", "--model", tmp_path / "model", "--output", tmp_path / "int8")
    assert result.returncode == 0, result.stderr
    status, output, errors = verify(capsys, monkeypatch, "--original", tmp_path / "model", "--export", tmp_path / "int8",
                                    "--apus", apus, "--texts", tmp_path / "texts")
    assert status == 0 and "500 texts" in output, output + errors
    # Most texts meet no number between two levels, and then it is the same arithmetic.
    middle = float(output.split("in int8, Transformers and apus: ")[1].split(" apart at most, ")[1].split()[0])
    assert middle < 0.002, output


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_an_export_of_weights_of_two_bytes_is_f32_beside_the_int8(run_apus, tmp_path: Path, dtype: str):
    """Transformers makes everything of the type that config.json names: in that one it would round the scales."""
    model = make_model(CONFIGS["bert"])
    save(model.to(getattr(torch, dtype)), tmp_path / "model")
    assert run_apus("quantize", "--model", tmp_path / "model", "--output", tmp_path / "int8").returncode == 0
    assert {tensor.dtype for tensor in read_state(tmp_path / "int8").values()} == {torch.int8, torch.float32}
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "int8").dtype == torch.float32
    assert_same_weights(run_apus, tmp_path / "int8")


# What llm-compressor writes

def of_transformers(directory: Path, with_activations: bool = False) -> np.ndarray:
    model = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32).eval()
    if not with_activations:
        verify_export.leave_activations(model)
    with torch.no_grad():
        return np.array(logits(model, AutoTokenizer.from_pretrained(directory), TEXTS))


def of_apus(run_apus, directory: Path, precision: str) -> np.ndarray:
    rows = predictions(run_apus, TEXTS, "--model", directory, "--precision", precision, *OPTIONS)
    return np.array([row["logits"] for row in rows])


def assert_same_weights(run_apus, directory: Path) -> None:
    difference = np.abs(of_apus(run_apus, directory, "f32") - of_transformers(directory)).max()
    assert difference < 1e-4, f"{difference:.2e}"


FORMS: dict[str, Callable[[Path, Path], Path]] = {
    "by channel": lambda model, path: compress(model, path, {"group_0": group()}, ["classifier"]),
    "by tensor": lambda model, path: compress(model, path, {"group_0": group(weights={"strategy": "tensor"})}, ["classifier"]),
    "in bfloat16": lambda model, path: compress(model, path, {"group_0": group()}, ["classifier"], torch.bfloat16),
    "in float16": lambda model, path: compress(model, path, {"group_0": group()}, ["classifier"], torch.float16),
    "the scheme by its name": lambda model, path: compress(model, path, {"W8A8": ["Linear"]}, ["classifier"]),
    "with the classifier": lambda model, path: compress(model, path, {"group_0": group()}, []),
    "without some layers": lambda model, path: compress(model, path, {"group_0": group()}, ["re:.*(layer|layers)[._]1.*"]),
    "layers by a pattern": lambda model, path: compress(model, path, {"group_0": group(["re:.*(dense|Wi|ffn)$"])}, []),
    "two groups": lambda model, path: compress(
        model, path, {"group_0": group(["re:.*attention.*|.*attn.*"]), "group_1": group(weights={"strategy": "tensor"})},
        ["classifier"]),
    "an older name": lambda model, path: compress(
        model, path, {"group_0": group(format="naive-quantized")}, ["classifier"]),
    "weights alone": lambda model, path: compress(
        model, path, {"group_0": group(input_activations=None, format="int-quantized")}, ["classifier"]),
    "embeddings too": lambda model, path: compress(
        model, path, {"linear": group(), "words": {"targets": ["Embedding"], "weights": WEIGHTS, "format": "int-quantized"}},
        ["classifier"]),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    place = tmp_path_factory.mktemp("models")
    return lambda name: place / name if (place / name).exists() else save(make_model(CONFIGS[name]), place / name)


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert", "deberta", "albert"])
@pytest.mark.parametrize("form", FORMS)
def test_what_the_library_writes_has_the_weights_that_transformers_finds(run_apus, models, tmp_path: Path, form: str, name: str):
    directory = FORMS[form](models(name), tmp_path / "int8")
    assert_same_weights(run_apus, directory)
    # Symmetric activations there, with a zero point here: as near as either is to f32.
    int8, theirs = of_apus(run_apus, directory, "int8"), of_transformers(directory, with_activations=True)
    f32 = np.array(transformers_logits(models(name)))
    assert np.abs(int8 - f32).mean() < 2 * np.abs(theirs - f32).mean() + 0.01


@pytest.mark.parametrize(("groups", "words"), [
    ({"group_0": group(weights={"strategy": "group", "group_size": 16})}, ["weights.strategy \"group\"", "channel, tensor"]),
    ({"group_0": group(weights={"symmetric": False})}, ["weights.symmetric false"]),
    ({"group_0": group(weights={"num_bits": 4}, format="int-quantized")}, ["weights.num_bits 4"]),
    ({"W4A16": ["Linear"]}, ["pack-quantized", "int-quantized"]),
    ({"group_0": group(input_activations=TOKENS | {"dynamic": False, "strategy": "tensor"})},
     ["input_activations.dynamic false"]),
    ({"FP8_DYNAMIC": ["Linear"]}, ["float-quantized", "int-quantized"]),
    ({"words": {"targets": ["Embedding"], "weights": WEIGHTS}}, ["pack-quantized"]),
], ids=["groups", "asymmetric", "four bits", "packed", "static", "fp8", "packed embeddings"])
def test_what_apus_does_not_compute_is_refused_by_its_name(run_apus, tmp_path: Path, groups: dict, words: list[str]):
    save(make_model(type(CONFIGS["bert"]).from_dict(CONFIGS["bert"].to_dict() | {"hidden_size": 128, "intermediate_size": 128})),
         tmp_path / "model")
    directory = compress(tmp_path / "model", tmp_path / "other", groups, ["classifier"])
    assert_refused(run_apus("predict", "--model", directory, "good"), "config.json", "quantization_config", *words,
                   "unquantized weights")


def test_a_model_that_the_library_quantized_is_not_quantized_again(run_apus, models, tmp_path: Path):
    directory = FORMS["by channel"](models("bert"), tmp_path / "int8")
    assert_refused(run_apus("quantize", "--model", directory, "--output", tmp_path / "again"), "quantized already")
    assert not (tmp_path / "again").exists()
