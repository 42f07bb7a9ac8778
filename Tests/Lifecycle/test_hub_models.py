"""A model's name on the Hub where a directory could stand, in every command; and RoBERTa-base from the Hub's five files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from cache import Cache
from fake_hub import TOKEN, FakeHub
from models import ROBERTA_FILES, UNNEEDED, prepared, tiny_model
from pulling import assert_pulled, assert_refused

ID = "org/tiny"
FILES = tiny_model()


@pytest.fixture
def commit(hub: FakeHub) -> str:
    return hub.add(ID, FILES | UNNEEDED)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three texts, as far as the small model's vocabulary goes."""
    path = tmp_path / "texts.jsonl"
    texts = [("good", "positive"), ("bad", "negative"), ("so so", "neutral")]
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in texts), encoding="utf-8")
    return path


def test_predict_fetches_the_model_and_says_what_the_directory_says(run_apus, hub: FakeHub, cache: Cache, commit, tmp_path):
    directory = tmp_path / "directory"
    directory.mkdir()
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    options = ("--precision", "f32", "--output-format", "jsonl", "--logits", "good", "bad")
    of_hub = run_apus("predict", "--model", ID, *options)
    of_directory = run_apus("predict", "--model", directory, *options)
    assert of_hub.returncode == of_directory.returncode == 0, of_hub.stderr
    assert of_hub.stdout == of_directory.stdout and len(of_hub.stdout.splitlines()) == 2
    assert of_hub.stderr == ""
    cache.assert_true()
    hub.forget()
    assert run_apus("predict", "--model", ID, *options).stdout == of_directory.stdout
    assert not hub.downloads()


def test_every_command_takes_a_name_and_a_revision(run_apus, hub: FakeHub, dataset: Path, commit: str, tmp_path: Path):
    old = hub.add(ID, FILES, branch="v1")
    hub.tag(ID, "v1", old)
    for name, command in {
        "predict": ("predict", "good"),
        "tokenize": ("tokenize", "good"),
        "evaluate": ("evaluate", "--precision", "f32", "--dataset", dataset, "--report", tmp_path / "report.json"),
        "self-test": ("self-test",),
        "quantize": ("quantize", "--output", tmp_path / "int8"),
    }.items():
        hub.forget()
        result = run_apus(command[0], "--model", ID, "--revision", "v1", *command[1:])
        assert result.returncode == 0, f"{name}: {result.stderr}"
        assert [request.path for request in hub.asked("info")] == [f"/api/models/{ID}/revision/v1?blobs=true"], name
    assert json.loads((tmp_path / "report.json").read_text())["model"].startswith(ID)
    assert {path.name for path in (tmp_path / "int8").iterdir()} >= {"config.json", "model.safetensors", "vocab.json"}


def test_compare_takes_names_and_directories(run_apus, hub: FakeHub, dataset: Path, commit: str, tmp_path: Path):
    assert run_apus("quantize", "--model", ID, "--output", tmp_path / "int8").returncode == 0
    report = tmp_path / "comparison.json"
    result = run_apus("compare", "--dataset", dataset, ID, tmp_path / "int8", "--report", report)
    assert result.returncode == 0, result.stderr
    assert ID in result.stdout and str(tmp_path / "int8") in result.stdout


def test_the_environment_may_name_the_model(run_apus, hub: FakeHub, commit: str):
    hub.tag(ID, "v1", commit)
    result = run_apus("predict", "good", env={"APUS_MODEL": ID, "APUS_REVISION": "v1"})
    assert result.returncode == 0, result.stderr
    assert [request.path for request in hub.asked("info")] == [f"/api/models/{ID}/revision/v1?blobs=true"]


def test_a_directory_of_that_name_is_meant_first(run_apus, hub: FakeHub, commit: str, tmp_path: Path):
    directory = tmp_path / ID  # the working directory is tmp_path
    directory.mkdir(parents=True)
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    assert run_apus("predict", "--model", ID, "good").returncode == 0
    assert not hub.asked()


def test_a_name_that_is_neither_is_explained_as_both(run_apus, hub: FakeHub, commit: str):
    assert_refused(run_apus("predict", "--model", "org/none", "good"), "org/none", "directory", "Hub")


@pytest.mark.parametrize("path", ["./org/tiny", "/org/tiny", "org/tiny/", "tiny", "models/org/tiny"])
def test_a_path_is_not_taken_for_a_name(run_apus, hub: FakeHub, commit: str, path: str):
    assert_refused(run_apus("predict", "--model", path, "good"), path.rstrip("/"))
    assert not hub.asked()


def test_a_server_tells_the_models_name_and_commit(start_server, hub: FakeHub, commit: str):
    server = start_server("--model", ID, "--no-self-test")
    status = server.status()
    assert ID in json.dumps(status["model"]) and commit in json.dumps(status), status
    sample, = server.metrics().matching("apus_model_info")
    assert (sample.labels["id"], sample.labels["revision"]) == (ID, commit)
    assert server.predict("good").status_code == 200


def test_a_server_goes_on_when_the_hub_is_gone(start_server, hub: FakeHub, commit: str):
    server = start_server("--model", ID, "--no-self-test")
    hub.close()
    assert server.predict("good").status_code == 200


def test_a_server_fetches_a_gated_model_with_the_token(start_server, hub: FakeHub, environment):
    hub.add("org/gated", FILES, gated=True)
    environment["HF_TOKEN"] = TOKEN
    server = start_server("--model", "org/gated", "--no-self-test")
    assert server.predict("good").status_code == 200
    assert TOKEN not in server.log()
    assert TOKEN not in requests.get(server.url + "/status", timeout=5).text


# RoBERTa-base

@pytest.fixture
def roberta(hub: FakeHub, roberta_base: Path) -> str:
    files = {name: roberta_base / name for name in sorted(ROBERTA_FILES)}
    return hub.add("org/roberta", files | UNNEEDED)


def test_robertas_five_files_give_transformers_logits(run_apus, hub: FakeHub, cache: Cache, roberta: str, data: Path):
    snapshot = assert_pulled(run_apus("pull", "org/roberta"), cache, "org/roberta", roberta)
    assert {path.name for path in snapshot.iterdir()} == ROBERTA_FILES
    assert cache.python_snapshot("org/roberta") == snapshot
    tweets = (data / "tweeteval-sentiment/test_text.txt").read_text(encoding="utf-8").split("\n")
    texts = tweets[:6] + ["ok", "@someone see https://example.org/x \N{SMILING FACE WITH SUNGLASSES}", "so long " * 400]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (cache.path.parent / "texts.jsonl").write_text(lines, encoding="utf-8")
    result = run_apus("predict", "--model", "org/roberta", "--precision", "f32", "--logits", "--input",
                      cache.path.parent / "texts.jsonl", timeout=120)
    assert result.returncode == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["text"] for record in records] == texts
    expected = transformers_logits(snapshot, texts)
    assert len({max(range(3), key=row.__getitem__) for row in expected}) > 1, "one label for all proves little"
    for record, row in zip(records, expected):
        assert max(abs(a - b) for a, b in zip(record["logits"], row)) < 1e-4, (record, row)
        assert record["label"] == ["negative", "neutral", "positive"][max(range(3), key=row.__getitem__)]


def transformers_logits(directory: Path, texts: list[str]) -> list[list[float]]:
    """f32, each text alone, prepared as the model card says, cut to the 512 tokens that have positions."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    rows = []
    with torch.no_grad():
        for text in texts:
            inputs = tokenizer(prepared(text), return_tensors="pt", truncation=True, max_length=512)
            rows.append(model(**inputs).logits[0].tolist())
    return rows
