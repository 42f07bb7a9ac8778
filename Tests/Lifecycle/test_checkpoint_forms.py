"""One BERT and one RoBERTa in every form in which people have a model's files: each predicts as its control, or is refused
with one line that says why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import (AutoConfig, AutoModelForMaskedLM, AutoModelForQuestionAnswering,
                          AutoModelForTokenClassification)

from broken_checkpoints import BROKEN, BROKEN_OF, lfs_pointer, shard
from checkpoint_forms import FORMS, ONLY_OF, Form, edit_config, without_defaults
from checkpoints import copy_model, read_state, write_state
from classifiers import (CONFIGS, LABELS, OPTIONS, SMALL_DEFAULTS, TEXTS, assert_near, logits, make_model,
                         quiet, save, tokenizer, transformers_logits)  # noqa: F401
from labelled import predictions
from pulling import assert_refused

F32 = ("--precision", "f32", *OPTIONS)
CONTROLS = ["bert", "roberta"]


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory):
    """The directory that a form is made of: a model as save_pretrained writes it."""
    place = tmp_path_factory.mktemp("controls")

    def control(name: str) -> Path:
        directory = place / name
        return directory if directory.exists() else save(make_model(CONFIGS[name]), directory)

    return control


@pytest.fixture(scope="module")
def expected_of(control, tmp_path_factory: pytest.TempPathFactory):
    """Transformers' logits of a form's control, each found once."""
    found: dict[tuple, list[list[float]]] = {}

    def expected_of(name: str, form: Form) -> list[list[float]]:
        # Not of the form itself: tensors that have the prefix of a wrapper Transformers silently makes up.
        if (name, form.control) not in found:
            place = tmp_path_factory.mktemp("control") / name
            found[name, form.control] = transformers_logits(form.make_control(control(name), place))
        return found[name, form.control]

    return expected_of


@pytest.fixture
def rows(run_apus):
    def rows(directory: Path) -> list[dict]:
        return predictions(run_apus, TEXTS, "--model", directory, *F32)

    return rows


# Weights

@pytest.mark.parametrize(("name", "form"), [
    (name, form) for name in CONTROLS for form in FORMS if ONLY_OF.get(form, name) == name])
def test_a_form_predicts_as_its_control(run_apus, expected_of, control, tmp_path: Path, name: str, form: str):
    made = FORMS[form].make(control(name), tmp_path / "form")
    result = run_apus("predict", "--model", made, *F32, "--logits", "--output-format", "jsonl", *TEXTS)
    assert result.returncode == 0 and result.stderr == "", f"nothing to warn of: {result.stderr}"
    assert_near([json.loads(line) for line in result.stdout.splitlines()], expected_of(name, FORMS[form]))


def test_every_form_is_quantized_to_the_bytes_of_its_control(run_apus, control, tmp_path: Path):
    """What a tensor says counts, and not how it lies: one form of each kind."""

    def int8(directory: Path) -> bytes:
        output = directory.with_name(directory.name + "-int8")
        result = run_apus("quantize", "--model", directory, "--output", output)
        assert result.returncode == 0, f"{directory.name}: {result.stderr}"
        return (output / "model.safetensors").read_bytes()

    for form in ("safetensors-shards", "bin-shards", "legacy-transposed", "zip-strided", "zip-one-storage", "legacy-fused",
                 "gamma-beta", "prefix-module", "prefix-none", "f64", "bf16-zip", "f16-legacy"):
        made = FORMS[form].make(control("roberta"), tmp_path / form)
        same = FORMS[form].make_control(control("roberta"), tmp_path / f"{form}-control")
        assert int8(made) == int8(same), form


def test_one_file_wins_over_shards_as_in_transformers(rows, control, tmp_path: Path):
    """Who saves a model again, and smaller, into its old directory leaves the old shards there."""
    directory = copy_model(control("bert"), tmp_path / "model", lambda state: state["classifier.bias"].add_(1))
    whole = (directory / "model.safetensors").read_bytes()
    write_state(directory, read_state(control("bert")))
    shard(directory)
    (directory / "model.safetensors").write_bytes(whole)
    expected = transformers_logits(directory)
    assert np.allclose(np.subtract(expected, 1), transformers_logits(control("bert")), atol=1e-5)
    assert_near(rows(directory), expected)


def test_safetensors_shards_win_over_a_bin_file_as_in_transformers(rows, control, tmp_path: Path):
    directory = copy_model(control("bert"), tmp_path / "model")
    shard(directory)
    (directory / "pytorch_model.bin").write_bytes(b"not read")
    assert_near(rows(directory), transformers_logits(control("bert")))


def test_a_pointer_beside_weights_that_are_there_is_not_read(rows, control, tmp_path: Path):
    """As when only one of a repository's files was fetched with `git lfs pull --include`."""
    directory = copy_model(control("bert"), tmp_path / "model")
    shutil.copyfile(directory / "model.safetensors", directory / "pytorch_model.bin")
    lfs_pointer(directory / "pytorch_model.bin")
    assert_near(rows(directory), transformers_logits(control("bert")))


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_is_refused_and_named(run_apus, control, tmp_path: Path, kind: str):
    directory = copy_model(control("bert"), tmp_path / "model")
    assert_refused_and_named(run_apus, directory, BROKEN[kind](directory))


@pytest.mark.parametrize("kind", BROKEN_OF)
def test_settings_that_no_model_can_have_are_refused_and_named(run_apus, control, tmp_path: Path, kind: str):
    name, change = BROKEN_OF[kind]
    directory = copy_model(control(name), tmp_path / "model")
    assert_refused_and_named(run_apus, directory, change(directory))


def assert_refused_and_named(run_apus, directory: Path, words: list[str]) -> None:
    result = run_apus("predict", "--model", directory, *F32, TEXTS[0])
    assert_refused(result, *words)
    assert len(result.stderr) < 1000
    output = directory.with_name("int8")
    assert_refused(run_apus("quantize", "--model", directory, "--output", output), *words)
    assert not output.exists()


# config.json

@pytest.mark.parametrize("name", SMALL_DEFAULTS)
def test_settings_left_out_are_the_defaults_of_the_configurations_class(run_apus, tmp_path: Path, name: str):
    """As people trim config.json; every default that a small model can have stands in it."""
    texts = [TEXTS[0], TEXTS[4], TEXTS[-1]]
    model = make_model(SMALL_DEFAULTS[name], keeps_sizes=True, texts=texts)
    directory = save(model, tmp_path / "model")
    settings = without_defaults(directory)
    kept = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    assert len(kept) < len(settings) - 8, f"too little is left out: {sorted(kept)}"
    expected = transformers_logits(directory, texts)
    assert np.allclose(logits(model, tokenizer(), texts), expected, atol=1e-5), "Transformers reads it otherwise"
    assert_near(predictions(run_apus, texts, "--model", directory, *F32), expected)


@pytest.mark.parametrize("name", CONTROLS)
def test_without_model_type_the_architecture_decides(rows, control, tmp_path: Path, name: str):
    directory = copy_model(control(name), tmp_path / "model")
    edit_config(directory, model_type=...)
    assert_near(rows(directory), transformers_logits(control(name)))


@pytest.mark.parametrize("task", ["MaskedLM", "TokenClassification", "QuestionAnswering"])
def test_a_classifier_that_is_called_another_tasks_is_one_and_said_to_be(run_apus, control, tmp_path: Path, task: str):
    """As with Transformers, the tensors decide."""
    directory = copy_model(control("bert"), tmp_path / "model")
    edit_config(directory, architectures=[f"BertFor{task}"])
    result = run_apus("predict", "--model", directory, *F32, "--logits", "--output-format", "jsonl", *TEXTS)
    assert result.returncode == 0
    assert_near([json.loads(line) for line in result.stdout.splitlines()], transformers_logits(control("bert")))
    assert result.stderr.count("\n") == 1
    assert f"config.json says BertFor{task}, but the weights are those of BertForSequenceClassification" in result.stderr


@pytest.mark.parametrize(("name", "kind"), [
    *((name, kind) for kind in (AutoModelForMaskedLM, AutoModelForTokenClassification, AutoModelForQuestionAnswering)
      for name in ("bert", "roberta", "distilbert", "electra")),
    ("modernbert", AutoModelForMaskedLM),  # its other heads have the classifier's tensors
])
def test_a_model_of_another_task_is_refused_by_its_class(run_apus, control, tmp_path: Path, name: str, kind: type):
    """Transformers would make up a classifier's weights, and say so."""
    directory = copy_model(control(name), tmp_path / "model")
    model = kind.from_config(AutoConfig.from_pretrained(directory, num_labels=2))
    model.save_pretrained(directory)
    assert_refused_and_named(run_apus, directory, [f"config.json says that it is a {type(model).__name__}", "has no tensor"])


# Labels

@pytest.mark.parametrize(("mapping", "labels"), [
    ({"0": 0, "1": 1, "2": 2}, ["0", "1", "2"]),
    ({"0": -1, "1": 0, "2": 1}, ["-1", "0", "1"]),
    ({"2": "sadness", "0": "anger", "1": "joy"}, LABELS),
    ({"0": "very bad", "1": "\u00e9t\u00e9 \U0001f600", "2": "a,\"b\""}, ["very bad", "\u00e9t\u00e9 \U0001f600", "a,\"b\""]),
], ids=["numbers", "numbers-from-minus-1", "in-another-order", "not-plain-words"])
def test_labels_are_named_as_id2label_says(rows, control, tmp_path: Path, mapping: dict[str, Any], labels: list[str]):
    directory = copy_model(control("bert"), tmp_path / "model")
    edit_config(directory, id2label=mapping, label2id=...)
    expected = transformers_logits(control("bert"))
    found = rows(directory)
    assert_near(found, expected)
    for row, best in zip(found, np.argmax(expected, axis=1)):
        assert list(row["scores"]) == labels and row["label"] == labels[best]


@pytest.mark.parametrize(("labels", "settings"), [
    (2, {}), (2, {"id2label": None}), (3, {"num_labels": 3}), (5, {"num_labels": 5, "id2label": None})])
def test_labels_without_names_are_numbered_as_in_transformers(rows, tmp_path: Path, labels: int, settings: dict):
    directory = save(make_model(CONFIGS["bert"], labels=[f"name {number}" for number in range(labels)]), tmp_path / "model")
    expected = transformers_logits(directory)
    edit_config(directory, **{"id2label": ..., "label2id": ...} | settings)
    assert AutoConfig.from_pretrained(directory).id2label == {i: f"LABEL_{i}" for i in range(labels)}
    found = rows(directory)
    assert_near(found, expected)
    assert all(list(row["scores"]) == [f"LABEL_{number}" for number in range(labels)] for row in found)


def test_two_labels_of_one_name_both_have_their_scores(rows, control, tmp_path: Path):
    directory = copy_model(control("bert"), tmp_path / "model")
    edit_config(directory, id2label={"0": "good", "1": "bad", "2": "good"}, label2id=...)
    expected = transformers_logits(control("bert"))
    found = rows(directory)
    assert_near(found, expected)
    for row, best in zip(found, np.argmax(expected, axis=1)):
        assert len(row["scores"]) == 3 and sum(row["scores"].values()) == pytest.approx(1, abs=1e-5)
        names = list(row["scores"])
        assert names[1] == "bad" and "good" in names[0] and "good" in names[2] and row["label"] == names[best]
