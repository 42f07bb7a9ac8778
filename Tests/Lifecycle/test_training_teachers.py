"""tools/train.py with teachers: soft labels, texts without labels, what each kind of row adds to the loss."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch.nn import functional
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from training_runs import (MODELS, command, contents, dataset, examples, five_files, read_jsonl, train,  # noqa: F401
                           write_tweeteval)

from classification_data import InputError, Split, prepare, read_lines  # noqa: E402
from training import class_weights, teachers  # noqa: E402
from training.classifier import Classifier  # noqa: E402
from training.member import UNLABELLED, Member, Recipe  # noqa: E402
from training.soft_labels import SoftLabels, read_texts, text_keys  # noqa: E402
from training.work import Work  # noqa: E402

LABELS = ["negative", "neutral", "positive"]


@pytest.fixture(scope="module")
def teacher(five_files: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("teacher") / "model"
    assert train(five_files, dataset, output) == 0
    return output


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("unlabelled") / "texts.txt.gz"
    path.write_bytes(gzip.compress("".join(f"{text} again\n" for text, _ in examples(96, seed=5)).encode()))
    return path


@pytest.fixture(scope="module")
def taught(teacher: Path, unlabelled: Path, five_files: Path, dataset: Path,
           tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("taught") / "model"
    assert train(five_files, dataset, output, "--teacher", str(teacher), "--unlabelled", str(unlabelled)) == 0
    return output


# Runs

def test_a_run_with_a_teacher_leaves_its_probabilities_and_a_run_with_these_ends_in_the_same_weights(
        taught: Path, teacher: Path, unlabelled: Path, five_files: Path, dataset: Path, tmp_path: Path) -> None:
    stored = taught.with_name("model.work.soft_labels.npz")
    texts = [prepare(text) for text in read_texts(unlabelled)]
    found = SoftLabels.read(stored, LABELS).lookup(texts)
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(teacher), AutoTokenizer.from_pretrained(teacher)
    with torch.no_grad():
        expected = [model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1).tolist() for text in texts]
    assert np.abs(found - np.array(expected)).max() < 1e-3, "float16"
    for text in texts:
        assert text.encode() not in stored.read_bytes()
    output = tmp_path / "again"
    assert train(five_files, dataset, output, "--soft-labels", str(stored), "--unlabelled", str(unlabelled)) == 0
    assert (output / "model.safetensors").read_bytes() == (taught / "model.safetensors").read_bytes()
    assert json.loads((output / "training_report.json").read_text())["examples"]["unlabelled"] == len(texts)


def test_texts_without_labels_and_how_much_labels_count_change_the_weights(
        taught: Path, unlabelled: Path, five_files: Path, dataset: Path, tmp_path: Path) -> None:
    stored = str(taught.with_name("model.work.soft_labels.npz"))
    weights = {(taught / "model.safetensors").read_bytes()}
    for name, options in (("labelled", []), ("softer", ["--unlabelled", str(unlabelled), "--hard-weight", "0.1"])):
        assert train(five_files, dataset, tmp_path / name, "--soft-labels", stored, *options) == 0
        weights.add((tmp_path / name / "model.safetensors").read_bytes())
    assert len(weights) == 3


def test_a_run_with_a_teacher_that_is_killed_goes_on_to_the_same_bytes(
        taught: Path, teacher: Path, unlabelled: Path, five_files: Path, dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    arguments = command(five_files, dataset, output, "--teacher", str(teacher), "--unlabelled", str(unlabelled),
                        "--checkpoint-steps", "1")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 60
    while not (output.with_name("model.work") / "seed-1.pt").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert (output.with_name("model.work") / "teacher-1.pt").exists() and not output.exists()
    result = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert contents(output)["model.safetensors"] == contents(taught)["model.safetensors"]
    assert {path.name for path in tmp_path.iterdir()} == {"model", "model.work.soft_labels.npz"}


def test_a_tenth_of_the_real_data_and_of_the_real_soft_labels_trains_a_small_model(data: Path, tmp_path: Path) -> None:
    soft_labels = Path(__file__).resolve().parents[2] / "tools/training/tweeteval_soft_labels.npz"
    texts = read_texts(data / "unlabelled-tweets/texts.txt.gz")[::10]
    assert not np.isnan(SoftLabels.read(soft_labels, LABELS).lookup([prepare(text) for text in texts])).any()
    unlabelled = tmp_path / "texts.txt"
    unlabelled.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    small = tmp_path / "data"
    small.mkdir()
    shutil.copyfile(data / "tweeteval-sentiment/mapping.txt", small / "mapping.txt")
    for name in (f"{split}_{kind}.txt" for split in ("train", "val", "test") for kind in ("text", "labels")):
        lines = read_lines(data / "tweeteval-sentiment" / name)[::10]
        (small / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    base = tmp_path / "base"
    shutil.copytree(MODELS / "bert-tiny", base)
    AutoTokenizer.from_pretrained(base).save_pretrained(base)
    options = ("--unlabelled", str(unlabelled), "--soft-labels", str(soft_labels), "--hard-weight", "0.3", "--epochs", "1",
               "--batch-size", "128", "--add-emoji", "--emoji-batches", "5", "--min-accuracy", "0")
    assert train(base, small, tmp_path / "model", *options) == 0
    report = json.loads((tmp_path / "model/training_report.json").read_text())
    assert report["examples"] == {"train": 4808, "val": 200, "test": 1229, "unlabelled": len(texts)}
    assert report["arguments"]["hard_weight"] == 0.3 and report["arguments"]["soft_labels_sha256"]
    assert any(entry["weights"] == "shares^0.3" for entry in report["validation"])
    assert load_file(tmp_path / "model/model.safetensors")


def test_texts_of_the_held_out_splits_are_not_trained_on(
        teacher: Path, five_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = examples(60)
    folder = write_tweeteval(tmp_path / "data", {"train": rows[:40], "val": rows[40:50], "test": rows[50:]}, LABELS)
    texts = tmp_path / "texts.txt"
    texts.write_text(f"{rows[55][0].upper()}\nsomething else\n\n@you {rows[2][0]}\n")
    assert train(five_files, folder, tmp_path / "model", "--teacher", str(teacher), "--unlabelled", str(texts), "--epochs",
                 "1", "--min-accuracy", "0") == 0
    assert f"{texts}: 1 of 3 texts stand in the validation or test split and are left out" in capsys.readouterr().err
    assert json.loads((tmp_path / "model/training_report.json").read_text())["examples"]["unlabelled"] == 2


# A row's loss

@pytest.mark.parametrize("what", ["label", "teacher", "both"])
def test_a_row_learns_from_its_label_from_a_teacher_or_from_both(what: str, five_files: Path, tmp_path: Path) -> None:
    classifier = Classifier(five_files, LABELS, head_seed=1)
    weights = class_weights.parse("adjusted", LABELS, [0, 0, 1, 2])
    recipe = Recipe(1, 2, 1e-3, 1.0, 0.1, 0.3, False, 10)
    rows = classifier.encode(["good", "not so good"], limit=64)
    label = UNLABELLED if what == "teacher" else 2
    soft = [float("nan")] * 3 if what == "label" else [0.2, 0.5, 0.3]
    member = Member(1, recipe, classifier, rows, [2, label], weights, Work(tmp_path / "work", {}))
    member.model.eval()
    ids, mask = classifier.padded(rows)
    logits = member.model(input_ids=ids, attention_mask=mask).logits
    adjusted = (logits + torch.tensor(weights.log_prior)).log_softmax(-1)
    hard = -(0.9 * adjusted[:, 2] + 0.1 * adjusted.mean(-1))
    taught = -(torch.tensor([0.2, 0.5, 0.3]) * logits[1].log_softmax(-1)).sum()
    second = {"label": hard[1], "teacher": taught, "both": 0.3 * hard[1] + 0.7 * taught}[what]
    found = member.loss([0, 1], torch.tensor([[float("nan")] * 3, soft]))
    assert torch.isclose(found, (hard[0] + second) / 2, rtol=1e-5)


def test_without_teachers_the_loss_is_pytorchs_own(five_files: Path, tmp_path: Path) -> None:
    for choice in ("adjusted", "balanced", "none", "positive=3"):
        classifier = Classifier(five_files, LABELS, head_seed=1)
        weights = class_weights.parse(choice, LABELS, [0, 0, 1, 2])
        rows = classifier.encode(["good", "not so good", "bad"], limit=64)
        member = Member(1, Recipe(1, 2, 1e-3, 1.0, 0.1, 0.5, False, 10), classifier, rows, [2, 1, 0], weights,
                        Work(tmp_path / choice, {}))
        member.model.eval()
        ids, mask = classifier.padded(rows)
        logits = member.model(input_ids=ids, attention_mask=mask).logits
        expected = functional.cross_entropy(
            logits + torch.tensor(weights.log_prior or 0.0), torch.tensor([2, 1, 0]), label_smoothing=0.1,
            weight=torch.tensor(weights.weights) if weights.weights else None)
        assert torch.isclose(member.loss([0, 1, 2], None), expected, rtol=1e-5)


# Teachers

def test_a_teacher_reads_an_emoji_that_its_vocabulary_lacks_by_its_name(tmp_path: Path, data: Path) -> None:
    base = tmp_path / "wordpiece"
    shutil.copytree(MODELS / "bert-tiny", base)
    config = json.loads((base / "config.json").read_text())
    labels = list(config["id2label"].values())
    asked = teachers.Teacher(base, labels, max_length=64)
    assert asked.prepared("@me it is 😀") == "@user it is grinning face"
    byte_level = teachers.Teacher(MODELS / "roberta-odd", labels_of(MODELS / "roberta-odd"), max_length=64)
    assert byte_level.prepared("it is 😀") == "it is 😀"


def labels_of(model: Path) -> list[str]:
    return list(json.loads((model / "config.json").read_text())["id2label"].values())


def test_a_teachers_columns_follow_the_labels_names(teacher: Path, tmp_path: Path) -> None:
    other = tmp_path / "teacher"
    shutil.copytree(teacher, other)
    config = json.loads((other / "config.json").read_text())
    config["id2label"] = {"0": "positive", "1": "negative", "2": "neutral"}
    config["label2id"] = {label: int(number) for number, label in config["id2label"].items()}
    (other / "config.json").write_text(json.dumps(config))
    texts = ["good", "the bad end", "user"]
    first, second = (teachers.mean_probabilities([model], LABELS, texts, 64, Work(tmp_path / name, {}))
                     for name, model in (("one", teacher), ("two", other)))
    assert np.array_equal(first[:, [1, 2, 0]], second)
    mean = teachers.mean_probabilities([teacher, other], LABELS, texts, 64, Work(tmp_path / "both", {}))
    assert np.allclose(mean, (first + second) / 2)


# Bad input

def test_what_teachers_need_is_said_before_training(
        teacher: Path, taught: Path, unlabelled: Path, five_files: Path, dataset: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    stored = taught.with_name("model.work.soft_labels.npz")
    more, empty, latin, cut = (tmp_path / name for name in ("more.txt", "empty.txt", "latin.txt", "cut.txt.gz"))
    more.write_text("a text that nobody knows\n")
    empty.write_text("\n\n")
    latin.write_bytes(b"caf\xe9\n")
    cut.write_bytes(unlabelled.read_bytes()[:50])
    two = MODELS / "roberta-odd"
    for options, message in (
            (["--unlabelled", unlabelled], f"{unlabelled}: texts without labels need a teacher"),
            (["--unlabelled", more, "--soft-labels", stored], f"{more}: 1 of 1 texts are not in {stored}"),
            (["--unlabelled", empty, "--teacher", teacher], f"{empty}: has no texts"),
            (["--unlabelled", latin, "--teacher", teacher], f"{latin}, line 1: the byte 0xE9 is not UTF-8"),
            (["--unlabelled", cut, "--teacher", teacher], f"{cut}: cannot be read"),
            (["--unlabelled", tmp_path / "none", "--teacher", teacher], f"{tmp_path / 'none'}: does not exist"),
            (["--soft-labels", tmp_path / "none"], str(tmp_path / "none")),
            (["--teacher", tmp_path / "none"], f"{tmp_path / 'none'}: has no config.json"),
            (["--teacher", two], f"{two}: a teacher's labels must be the data set's")):
        assert train(five_files, dataset, tmp_path / "model", *map(str, options)) == 2, message
        error = capsys.readouterr().err
        assert message in error and "Traceback" not in error
        assert not (tmp_path / "model").exists() and not (tmp_path / "model.work").exists()


def damaged(what: str, path: Path) -> None:
    keys = np.array([[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 2]], np.uint8)
    arrays = {"labels": np.array(LABELS), "keys": keys,
              "probabilities": np.array([[0.25, 0.25, 0.5], [1, 0, 0]], np.float16)}
    match what:
        case "other labels":
            arrays["labels"] = np.array(["a", "b", "c"])
        case "descending keys":
            arrays["keys"] = keys[::-1]
        case "a sum of 2":
            arrays["probabilities"] = arrays["probabilities"] * np.float16(2)
        case "NaN":
            arrays["probabilities"][0, 0] = np.nan
        case "a row less":
            arrays["probabilities"] = arrays["probabilities"][:1]
        case "no keys":
            del arrays["keys"]
        case "pickled":
            arrays["keys"] = np.array([{}, {}], object)
    np.savez(path, **arrays)
    if what == "cut short":
        path.write_bytes(path.read_bytes()[:200])
    if what == "no archive":
        path.write_bytes(b"probabilities")


@pytest.mark.parametrize("what", ["other labels", "descending keys", "a sum of 2", "NaN", "a row less", "no keys", "pickled",
                                  "cut short", "no archive"])
def test_a_damaged_file_of_soft_labels_is_an_error_that_names_it(what: str, tmp_path: Path) -> None:
    path = tmp_path / "soft.npz"
    damaged("nothing", path)
    assert SoftLabels.read(path, LABELS).lookup([]).shape == (0, 3)
    damaged(what, path)
    with pytest.raises(InputError, match="soft.npz: "):
        SoftLabels.read(path, LABELS)


def test_soft_labels_are_found_by_text_and_come_in_the_order_asked_for(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(1000)] + ["text 7"]
    probabilities = np.random.default_rng(1).dirichlet([1, 1, 1], len(texts)).astype(np.float16)
    SoftLabels.of(LABELS, texts, probabilities).write(tmp_path / "soft.npz")
    read = SoftLabels.read(tmp_path / "soft.npz", LABELS[::-1])
    assert len(read.keys) == 1000 and len(set(text_keys(texts).tolist())) == 1000
    found = read.lookup([texts[7], "unknown", texts[999]])
    assert np.allclose(found[[0, 2]], probabilities[[7, 999]][:, ::-1], atol=1e-3) and np.isnan(found[1]).all()
    assert np.allclose(found[[0, 2]].sum(1), 1)
