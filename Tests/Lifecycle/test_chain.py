"""A model's life in one go: fetched, evaluated, quantized, gated, compared, served; refused once a byte is not its own."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open

from cache import Cache
from fake_hub import FakeHub
from models import ROBERTA_FILES
from pulling import assert_pulled, assert_refused

ID = "org/roberta"
TEXTS = 60
SPLIT = "test"


@pytest.fixture
def commit(hub: FakeHub, roberta_base: Path) -> str:
    return hub.add(ID, {name: roberta_base / name for name in sorted(ROBERTA_FILES)})


@pytest.fixture
def dataset(data: Path, tmp_path: Path) -> Path:
    """The beginning of TweetEval's test split, a directory of the same form."""
    directory = tmp_path / "tweets"
    directory.mkdir()
    shutil.copyfile(data / "tweeteval-sentiment/mapping.txt", directory / "mapping.txt")
    for name in (f"{SPLIT}_text.txt", f"{SPLIT}_labels.txt"):
        lines = (data / "tweeteval-sentiment" / name).read_text(encoding="utf-8").split("\n")[:TEXTS]
        (directory / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


def test_a_model_from_the_hub_to_the_server(
    run_apus, start_server, hub: FakeHub, cache: Cache, commit: str, dataset: Path, tmp_path: Path
):
    def run(*arguments, timeout=300):
        result = run_apus(*arguments, timeout=timeout)
        assert result.returncode == 0, f"apus {arguments}: exit code {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout

    # fetched
    snapshot = assert_pulled(run_apus("pull", ID), cache, ID, commit)
    hub.forget()

    # evaluated
    report = tmp_path / "f32.json"
    run("evaluate", "--model", ID, "--precision", "f32", "--dataset", dataset, "--min-accuracy", 0, "--report", report)
    f32 = json.loads(report.read_text())
    assert (f32["precision"], f32["examples"], f32["split"]) == ("f32", TEXTS, SPLIT)
    assert f32["gate"]["passed"] is True and f32["reference"] is None
    assert 0 < f32["accuracy"] < 1 and sum(map(sum, f32["confusion_matrix"])) == TEXTS

    # quantized
    output = tmp_path / "int8"
    run("quantize", "--model", ID, "--output", output)
    assert {path.name for path in output.iterdir()} == ROBERTA_FILES - {"pytorch_model.bin"} | {"model.safetensors"}
    assert not any(path.is_symlink() for path in output.iterdir())
    share = (output / "model.safetensors").stat().st_size / (snapshot / "pytorch_model.bin").stat().st_size
    assert 0.24 < share < 0.27, f"{share:.3f} of the size"
    assert "quantization_config" in json.loads((output / "config.json").read_text())
    assert_int8_of(output / "model.safetensors", snapshot)

    # gated against the model that it came from
    gate = ("evaluate", "--model", output, "--dataset", dataset, "--reference-model", ID, "--reference-precision", "f32",
            "--min-agreement", 0.5, "--max-accuracy-drop", 0.2, "--min-accuracy", 0)
    run(*gate, "--report", output / "evaluation_report.json")
    int8 = json.loads((output / "evaluation_report.json").read_text())
    assert int8["precision"] == "int8" and int8["gate"] == {"passed": True, "failures": []}
    assert int8["reference"]["precision"] == "f32"
    assert int8["reference"]["accuracy"] == pytest.approx(f32["accuracy"])
    assert 0.8 < int8["reference"]["agreement"] <= 1
    assert 0 < int8["reference"]["max_abs_logit_difference"] < 1

    # a gate that is out of reach is exit code 1, and says by how much
    failed = run_apus(*gate, "--min-macro-recall", 0.99, timeout=300)
    assert failed.returncode == 1 and "macro recall" in failed.stderr, failed.stderr

    # compared
    comparison = run("compare", "--dataset", dataset, output, ID, "--report", tmp_path / "comparison.json")
    assert str(output) in comparison and ID in comparison
    assert json.loads((tmp_path / "comparison.json").read_text())

    # served
    server = start_server("--model", output, "--require-gate", "--no-self-test")
    answer = server.predict("I love MLOps")
    assert answer.status_code == 200 and answer.json()["label"] in ("negative", "neutral", "positive")
    assert server.status()["gate"]
    assert re.search(r"[0-9a-f]{64}", json.dumps(server.status()))
    server.terminate()
    assert server.wait(20) == 0

    assert not hub.downloads(), "what was pulled is there, for every command"

    # refused once it is another
    flip_byte(output / "model.safetensors")
    refused = run_apus("serve", "--model", output, "--require-gate", "--port", 0, "--no-self-test")
    assert_refused(refused, "evaluation_report.json", "sha256")


def test_a_server_that_requires_a_gate_refuses_a_model_without_one(run_apus, hub: FakeHub, commit: str):
    refused = run_apus("serve", "--model", ID, "--require-gate", "--port", 0, "--no-self-test")
    assert_refused(refused, "evaluation_report.json", "missing")


def flip_byte(path: Path) -> None:
    """One bit of it, in the middle of the file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))


def assert_int8_of(file: Path, snapshot: Path) -> None:
    """Python reads the int8 checkpoint, and its matrices times their scales are the original's, to half a step."""
    import torch

    original = torch.load(snapshot / "pytorch_model.bin", weights_only=True)
    with safe_open(file, "pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}
    matrices = [name for name, tensor in tensors.items() if tensor.dtype == torch.int8]
    assert len(matrices) >= 12 * 6
    assert all(tensor.dtype == torch.float32 for name, tensor in tensors.items() if name not in matrices)
    for name in matrices:
        scale = tensors[f"{name}_scale"]
        assert scale.shape == (len(original[name]), 1)
        difference = (tensors[name] * scale - original[name]).abs()
        assert (difference <= scale * 0.5001).all(), name
