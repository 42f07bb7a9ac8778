"""The model directory that is written: what Transformers' from_pretrained and `apus --model` load."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import save

import int8_checkpoint
from classification_data import Split
from training.base import MODEL_TYPES, tokenizer_files
from training.classifier import Classifier, State

REFERENCE_TEXTS = 8
REFERENCE_LENGTH = 200  # characters


def write(output: Path, classifier: Classifier, state: State, text_preparation: str, report: dict,
          texts: dict[str, list[dict]]) -> None:
    """Everything under a temporary name first, so that OUTPUT is complete or not there.

    - texts: files of labelled texts, by name.
    """
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    weights = {name: value.float().contiguous() for name, value in state.items()}
    int8_checkpoint.replace(partial / "model.safetensors", save(weights, {"format": "pt"}))
    int8_checkpoint.replace(partial / "config.json", as_json(config(classifier, text_preparation)))
    for name in tokenizer_files(classifier.base):
        int8_checkpoint.replace(partial / name, (classifier.base / name).read_bytes())
    int8_checkpoint.replace(partial / "training_report.json", as_json(report))
    for name, records in texts.items():
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        int8_checkpoint.replace(partial / name, lines.encode())
    partial.replace(output)
    folder = os.open(output.absolute().parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def config(classifier: Classifier, text_preparation: str) -> dict:
    config = classifier.config.to_diff_dict() | {
        "architectures": [MODEL_TYPES[classifier.config.model_type]], "dtype": "float32"}
    for name in ("_name_or_path", "text_preparation"):
        config.pop(name, None)
    # Apus' default is tweet.
    return config if text_preparation == "tweet" else config | {"text_preparation": text_preparation}


def labelled(split: Split, labels: list[str]) -> list[dict]:
    return [{"text": text, "label": labels[label]} for text, label in zip(split.texts, split.labels)]


def reference_texts(split: Split, probabilities: torch.Tensor, labels: list[str]) -> list[dict]:
    """The texts of each label that the model labels right with most confidence: `apus serve` tests itself with them."""
    count = max(1, REFERENCE_TEXTS // len(labels))
    best, predicted = (values.tolist() for values in probabilities.max(-1))
    chosen = []
    for label in range(len(labels)):
        right = [index for index, text in enumerate(split.texts)
                 if predicted[index] == label == split.labels[index] and len(text) <= REFERENCE_LENGTH]
        chosen += sorted(right, key=lambda index: -best[index])[:count]
    return [{"text": split.texts[index], "label": labels[split.labels[index]]} for index in chosen]


def as_json(value: dict) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
