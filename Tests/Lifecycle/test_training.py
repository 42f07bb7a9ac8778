"""tools/train.py: what it writes, that it repeats itself and goes on after a kill, what weighs in its loss, the Hub."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import shutil
import subprocess
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file as numpy_file
from safetensors.numpy import save_file
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from checkpoints import copy_model, int8_checkpoint
from fake_hub import FakeHub
from training_runs import (MODELS, PHRASES, command, contents, dataset, five_files, read_jsonl, train,  # noqa: F401
                           write_csv)

from classification_data import InputError, Split, read_lines  # noqa: E402
from training import base, class_weights  # noqa: E402
from training.classifier import Classifier  # noqa: E402


@pytest.fixture(scope="module")
def trained(five_files: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained") / "models/texts"
    assert train(five_files, dataset, output) == 0
    return output


# What it begins with

def test_an_int8_model_is_trained_from_the_values_that_its_int8_stands_for(
        five_files: Path, dataset: Path, run_apus: Callable, tmp_path: Path) -> None:
    quantized = tmp_path / "int8"
    result = run_apus("quantize", "--model", five_files, "--output", quantized)
    assert result.returncode == 0, result.stderr
    plain = copy_model(five_files, tmp_path / "f32")
    (plain / "pytorch_model.bin").unlink(missing_ok=True)
    save_file(int8_checkpoint.dequantize(numpy_file(quantized / "model.safetensors")), plain / "model.safetensors")
    arguments = ("--epochs", "1", "--min-accuracy", "0")
    assert train(quantized, dataset, tmp_path / "from-int8", *arguments) == 0
    assert train(plain, dataset, tmp_path / "from-f32", *arguments) == 0
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("from-int8", "from-f32"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert "quantization_config" not in json.loads((tmp_path / "from-int8/config.json").read_text())
    assert not (tmp_path / "from-int8.work").exists()
    damaged = quantized / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be read"):
        base.in_f32(quantized, tmp_path / "nothing")


# What is written

def test_the_directory_holds_float32_weights_and_nothing_that_is_not_needed(trained: Path) -> None:
    files = {"model.safetensors", "vocab.json", "merges.txt", "special_tokens_map.json", "config.json",
             "training_report.json", "reference_texts.jsonl", "held_out.jsonl"}
    assert set(contents(trained)) == files
    assert list(trained.parent.iterdir()) == [trained], "the checkpoints are gone"
    assert {tensor.dtype for tensor in load_file(trained / "model.safetensors").values()} == {torch.float32}
    config = json.loads((trained / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "neutral", "2": "positive"}
    assert "quantization_config" not in config and "text_preparation" not in config
    report = json.loads((trained / "training_report.json").read_text())
    assert report["test"]["accuracy"] >= 0.5 and report["examples"] == {"train": 254, "val": 33, "test": 33}
    assert str(trained.parent) not in json.dumps(report)


def test_transformers_and_apus_load_it_and_find_the_same_logits(trained: Path, run_apus: Callable) -> None:
    rows = read_jsonl(trained / "held_out.jsonl")
    model = AutoModelForSequenceClassification.from_pretrained(trained).eval()
    tokenizer = AutoTokenizer.from_pretrained(trained)
    with torch.no_grad():
        expected = [model(**tokenizer(row["text"], return_tensors="pt")).logits[0].tolist() for row in rows]
    predicted = run_apus("predict", "--model", trained, "--precision", "f32", "--input", trained / "held_out.jsonl",
                         "--output-format", "jsonl", "--logits")
    assert predicted.returncode == 0, predicted.stderr
    found = [json.loads(line)["logits"] for line in predicted.stdout.splitlines()]
    assert len(found) == len(expected)
    assert max(abs(a - b) for row, other in zip(expected, found) for a, b in zip(row, other)) < 1e-4


def test_apus_measures_the_accuracy_of_the_report_on_the_held_out_texts(
        trained: Path, run_apus: Callable, tmp_path: Path) -> None:
    result = run_apus("evaluate", "--model", trained, "--precision", "f32", "--dataset", trained / "held_out.jsonl",
                      "--report", tmp_path / "report.json")
    assert result.returncode == 0, result.stderr
    test = json.loads((trained / "training_report.json").read_text())["test"]
    found = json.loads((tmp_path / "report.json").read_text())
    assert {name: found[name] for name in ("accuracy", "macro_recall", "examples")} == {
        name: pytest.approx(test[name], abs=1e-6) for name in ("accuracy", "macro_recall", "examples")}


def test_the_servers_self_test_checks_a_text_of_each_label(trained: Path, run_apus: Callable) -> None:
    references = read_jsonl(trained / "reference_texts.jsonl")
    held_out = read_jsonl(trained / "held_out.jsonl")
    recalls = json.loads((trained / "training_report.json").read_text())["test"]["recall"]
    assert {row["label"] for row in references} == {label for label, recall in zip(sorted(PHRASES), recalls) if recall}
    assert len(references) <= 8 and all(row in held_out for row in references)
    result = run_apus("self-test", "--model", trained, "--precision", "f32")
    assert result.returncode == 0, result.stdout + result.stderr
    assert all(f'ok: "{row["text"]}" is {row["label"]}' in result.stdout for row in references)


@pytest.mark.parametrize("preparation", ["tweet", "none"])
def test_training_sees_the_ids_that_apus_sees_from_five_files(
        preparation: str, five_files: Path, run_apus: Callable, tmp_path: Path) -> None:
    nasty = [re.sub("[\ud800-\udfff]", "\ufffd", row["text"]) for row in read_jsonl(MODELS.parent / "nasty_texts.jsonl")]
    texts = ["two words", "@somebody http://a.b good", *(text for text in nasty if text)]
    classifier = Classifier(five_files, ["no", "yes"], head_seed=1)
    split = Split(texts, [0] * len(texts))
    ids = classifier.encode((split.prepared() if preparation == "tweet" else split).texts, limit=classifier.max_tokens)
    assert len(ids[0]) >= 4
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    result = run_apus("tokenize", "--model", five_files, "--text-preparation", preparation, "--input",
                      tmp_path / "texts.jsonl")
    assert result.returncode == 0, result.stderr
    assert [json.loads(line)["ids"] for line in result.stdout.splitlines()] == ids


def test_texts_that_are_not_prepared_are_not_prepared_by_apus_either(
        five_files: Path, dataset: Path, run_apus: Callable, tmp_path: Path) -> None:
    assert train(five_files, dataset, tmp_path / "model", "--text-preparation", "none", "--epochs", "1",
                 "--min-accuracy", "0") == 0
    assert json.loads((tmp_path / "model/config.json").read_text())["text_preparation"] == "none"
    text = "@me https://a.b"
    ids = json.loads(run_apus("tokenize", "--model", tmp_path / "model", text).stdout)["ids"]
    assert ids == AutoTokenizer.from_pretrained(five_files)(text)["input_ids"]


def test_of_a_bases_weights_is_kept_what_is_best_on_the_validation_split(
        trained: Path, dataset: Path, tmp_path: Path) -> None:
    arguments = ("--epochs", "1", "--learning-rate", "2e-3", "--class-weights", "negative=1000", "--min-accuracy", "0")
    assert train(trained, dataset, tmp_path / "all-new", *arguments) == 0
    assert train(trained, dataset, tmp_path / "mixed", *arguments, "--keep-base") == 0
    log = json.loads((tmp_path / "mixed/training_report.json").read_text())["validation"]
    tried = {float(entry["weights"].removeprefix("base^")): entry["accuracy"] + entry["macro_recall"]
             for entry in log if entry["weights"].startswith("base^")}
    assert list(tried) == [0, .25, .5, .75]
    kept = max(tried, key=tried.get)
    assert kept > 0
    old, new, mixed = (load_file(folder / "model.safetensors") for folder in (trained, tmp_path / "all-new", tmp_path / "mixed"))
    for name, value in mixed.items():
        torch.testing.assert_close(value, kept * old[name] + (1 - kept) * new[name])



def test_a_soup_with_emoji_on_real_tweets_has_the_accuracy_that_apus_measures(
        data: Path, run_apus: Callable, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(MODELS / "bert-tiny", base)
    AutoTokenizer.from_pretrained(base).save_pretrained(base)
    small = tmp_path / "data"
    small.mkdir()
    shutil.copyfile(data / "tweeteval-sentiment/mapping.txt", small / "mapping.txt")
    for name in (f"{split}_{kind}.txt" for split in ("train", "val", "test") for kind in ("text", "labels")):
        lines = read_lines(data / "tweeteval-sentiment" / name)[:200]
        (small / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    output = tmp_path / "model"
    assert train(base, small, output, "--seeds", "1", "2", "--distill", "--add-emoji", "--emoji-batches", "5",
                 "--epochs", "1", "--min-accuracy", "0") == 0
    assert not (output / "held_out.jsonl").exists(), "apus evaluate reads the data set itself"
    result = run_apus("evaluate", "--model", output, "--precision", "f32", "--dataset", small, "--report",
                      tmp_path / "report.json")
    assert result.returncode == 0, result.stderr
    expected = json.loads((output / "training_report.json").read_text())["test"]["accuracy"]
    assert json.loads((tmp_path / "report.json").read_text())["accuracy"] == pytest.approx(expected, abs=0.006)
    tokens = json.loads(run_apus("tokenize", "--model", output, "no 😀").stdout)["tokens"]
    assert "😀" in tokens and "[UNK]" not in tokens


# The same again

def test_the_same_seed_and_data_give_the_same_bytes_however_often_checkpoints_are_made(
        trained: Path, five_files: Path, dataset: Path, tmp_path: Path) -> None:
    assert train(five_files, dataset, tmp_path / "again", "--checkpoint-steps", "7") == 0
    assert contents(tmp_path / "again") == contents(trained)


def test_another_seed_gives_other_weights_and_the_same_split(
        trained: Path, five_files: Path, dataset: Path, tmp_path: Path) -> None:
    assert train(five_files, dataset, tmp_path / "other", "--seed", "2", "--min-accuracy", "0") == 0
    differing = {name for name, content in contents(tmp_path / "other").items() if content != contents(trained)[name]}
    assert "model.safetensors" in differing and "held_out.jsonl" not in differing


def test_a_run_killed_within_an_epoch_goes_on_to_the_same_bytes(
        trained: Path, five_files: Path, dataset: Path, tmp_path: Path) -> None:
    output, checkpoint = tmp_path / "resumed", tmp_path / "resumed.work/seed-1.pt"
    terminal, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(five_files, dataset, output, "--checkpoint-steps", "1"), stderr=theirs,
                               stdout=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    shown: list[str] = []
    reader = threading.Thread(target=lambda: shown.append(what_it_showed(terminal)))
    reader.start()
    deadline = time.monotonic() + 60
    state = {"epoch": 0, "batch": 0}
    while state["epoch"] < 1 or state["batch"] < 5:
        assert process.poll() is None and time.monotonic() < deadline
        if checkpoint.exists():
            state = torch.load(checkpoint)
    process.kill()
    process.wait()
    reader.join()
    assert not output.exists()
    assert re.search(r"seed 1, epoch 1/3: 100%\|.*loss \d\.\d{3}", shown[0]), "a progress bar on a terminal"

    process = subprocess.run(command(five_files, dataset, output), capture_output=True, text=True, env=environment)
    assert process.returncode == 0, process.stderr
    assert "epoch 1," not in process.stderr and f"epoch {state['epoch'] + 1}," in process.stderr
    assert "%|" not in process.stderr, "no progress bar in a pipe"
    assert contents(output) == contents(trained)


def what_it_showed(terminal: int) -> str:
    shown = b""
    try:
        while part := os.read(terminal, 1 << 16):
            shown += part
    except OSError:  # nobody has the other end any more
        os.close(terminal)
    return shown.decode()


def test_under_the_gate_nothing_is_written_and_a_lower_gate_needs_no_new_training(
        five_files: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "model"
    assert train(five_files, dataset, output, "--min-accuracy", "1", "--epochs", "1") == 1
    assert re.search(r"the gate failed: accuracy 0\.\d{4} on the test split is under --min-accuracy 1",
                     capsys.readouterr().err)
    assert not output.exists()
    assert train(five_files, dataset, output, "--min-accuracy", "0", "--epochs", "1") == 0
    assert "epoch 1" not in capsys.readouterr().err
    assert output.exists() and not output.with_name("model.work").exists()


# Class weights

def test_class_weights_are_what_they_are_called() -> None:
    labels, counts = ["bad", "so, so", "good"], [0] * 6 + [1] * 3 + [2]
    assert class_weights.parse("none", labels, counts) == class_weights.ClassWeights()
    assert class_weights.parse("balanced", labels, counts).weights == pytest.approx([10 / 18, 10 / 9, 10 / 3])
    assert class_weights.parse('good=2.5, "so, so=3"', labels, counts).weights == [1, 3, 2.5]
    assert class_weights.parse("adjusted", labels, counts).log_prior == pytest.approx([-0.5108, -1.2040, -2.3026], abs=1e-4)
    for choice in ("best=2", "good", "good=0", "good=-1", "good=nan", "good=much", ""):
        with pytest.raises(InputError, match="--class-weights: .*weight"):
            class_weights.parse(choice, labels, counts)


@pytest.mark.parametrize(("choice", "label"), [("none", "often"), ("seldom=40", "seldom")])
def test_the_loss_weighs_labels_by_them(choice: str, label: str, five_files: Path, tmp_path: Path) -> None:
    # The texts tell nothing, so that the shares and weights decide.
    generator = random.Random(1)
    rows = [(f"the end {generator.randrange(10**6)}", "seldom" if index % 5 == 0 else "often") for index in range(200)]
    output = tmp_path / "model"
    assert train(five_files, write_csv(tmp_path / "rows.csv", rows), output, "--class-weights", choice, "--epochs", "2",
                 "--min-accuracy", "0") == 0
    recall = json.loads((output / "training_report.json").read_text())["test"]["recall"]
    assert recall == ([1, 0] if label == "often" else [0, 1])


# The Hub

def test_a_base_may_be_a_hub_id(
        hub: FakeHub, environment: dict[str, str], five_files: Path, dataset: Path, trained: Path, tmp_path: Path) -> None:
    commit = hub.add("somebody/roberta", five_files, branch="good")
    hub.add("somebody/roberta", {"README.md": b"No model."})
    options = {"capture_output": True, "text": True, "env": environment | {"OMP_NUM_THREADS": "1"}}
    call = command("somebody/roberta", dataset, tmp_path / "model")
    found = subprocess.run([*call, "--revision", "good"], **options)
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "model/model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    assert json.loads((tmp_path / "model/training_report.json").read_text())["base"] == f"somebody/roberta@{commit}"
    for base, message in (("somebody/roberta", "has no config.json"), ("nobody/nothing", "the Hub .* did not give it"),
                          ("./nothing", "neither a directory nor a Hub id")):
        failed = subprocess.run(command(base, dataset, tmp_path / "other"), **options)
        assert failed.returncode == 2 and len(failed.stderr.split("\n")) == 3, failed.stderr
        assert re.search(message, failed.stderr), failed.stderr
