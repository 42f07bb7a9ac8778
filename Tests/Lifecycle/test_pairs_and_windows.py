"""Two texts that are judged together, with the token types and separators that each architecture has for them; and texts
longer than the model, cut, refused or read in windows. Transformers says what is right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from classifiers import CONFIGS, LABELS, OPTIONS, TEXTS, assert_near, longer_text, make_model, quiet, save  # noqa: F401
from labelled import predictions
from pulling import assert_refused

F32 = ("--precision", "f32", *OPTIONS)
PAIRS = [(first, second) for first, second in zip(TEXTS[:10], TEXTS[3:])]
LONG = longer_text(400, seed=5)
MODELS = ["bert", "roberta", "distilbert", "electra", "mpnet", "albert", "modernbert", "deberta", "xlm-roberta"]


def loaded(directory: Path) -> tuple:
    return (AutoModelForSequenceClassification.from_pretrained(directory, attn_implementation="eager").eval(),
            AutoTokenizer.from_pretrained(directory))


@torch.no_grad()
def pair_logits(directory: Path, pairs: list[tuple[str, str]], limit: int) -> list[list[float]]:
    model, tokenizer = loaded(directory)
    rows = []
    for first, second in pairs:
        inputs = tokenizer(first, second, return_tensors="pt", truncation="longest_first", max_length=limit)
        if not hasattr(model.config, "type_vocab_size") or model.config.type_vocab_size == 0:
            inputs.pop("token_type_ids", None)
        rows.append(model(**inputs).logits[0].tolist())
    return rows


def save_with_types(model, directory: Path) -> Path:
    """The tokenizer tells the model which text a token is of, as BERT's own class does and the general one does not."""
    save(model, directory)
    path = directory / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    path.write_text(json.dumps(settings), encoding="utf-8")
    return directory


def write_pairs(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.write_text("".join(json.dumps({"text": a, "text_pair": b, "id": 1}) + "\n" for a, b in pairs), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", MODELS)
def test_pairs_have_transformers_logits(run_apus, tmp_path: Path, name: str):
    # A model of one type cannot be told a second one.
    save_model = save if getattr(CONFIGS[name], "type_vocab_size", 2) == 1 else save_with_types
    directory = save_model(make_model(CONFIGS[name]), tmp_path / "model")
    limit = 158 if name in ("roberta", "mpnet", "xlm-roberta") else 160
    pairs = [*PAIRS, (LONG, TEXTS[1]), (TEXTS[2], LONG), (LONG, longer_text(300, seed=6))]
    result = run_apus("predict", "--model", directory, *F32, "--logits", "--input", write_pairs(tmp_path / "p.jsonl", pairs))
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(row["text"], row["text_pair"], row["id"]) for row in rows] == [(a, b, 1) for a, b in pairs]
    assert_near(rows, pair_logits(directory, pairs, limit))
    alone = predictions(run_apus, [first for first, _ in PAIRS], "--model", directory, *F32)
    assert all(np.abs(np.subtract(a["logits"], b["logits"])).max() > 1e-3 for a, b in zip(rows, alone)), \
        "the second text says something"


def test_a_pair_for_a_model_of_one_token_type_is_refused(run_apus, tmp_path: Path):
    config = type(CONFIGS["bert"]).from_dict(CONFIGS["bert"].to_dict() | {"type_vocab_size": 1})
    directory = save_with_types(make_model(config), tmp_path / "model")
    result = run_apus("predict", "--model", directory, *F32, "--input", write_pairs(tmp_path / "p.jsonl", PAIRS[:1]))
    assert_refused(result, "p.jsonl, line 1", "is one of a pair", "type 0 alone")


def test_a_tokenizer_that_tells_no_types_makes_all_the_same(run_apus, tmp_path: Path):
    """As Transformers' general class: the separator alone is between the texts."""
    directory = save(make_model(CONFIGS["bert"]), tmp_path / "model")
    assert "token_type_ids" not in AutoTokenizer.from_pretrained(directory)("a", "b")
    result = run_apus("predict", "--model", directory, *F32, "--logits", "--input", write_pairs(tmp_path / "p.jsonl", PAIRS))
    assert_near([json.loads(line) for line in result.stdout.splitlines()], pair_logits(directory, PAIRS, 160))


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_long_text_is_the_average_of_its_windows(run_apus, tmp_path: Path, name: str):
    directory = save(make_model(CONFIGS[name]), tmp_path / "model")
    model, tokenizer = loaded(directory)
    room = (158 if name == "roberta" else 160) - 2
    texts = [TEXTS[0], LONG, longer_text(130, seed=8)]
    result = predictions(run_apus, texts, "--model", directory, *F32, "--long-texts", "windows")
    for text, row in zip(texts, result, strict=True):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        step, windows, start = room - room // 4, [], 0
        while True:
            windows.append(ids[start:start + room])
            start += step
            if start + room // 4 >= len(ids):
                break
        with torch.no_grad():
            shares = [model(torch.tensor([tokenizer.build_inputs_with_special_tokens(window)
                                          if hasattr(tokenizer, "build_inputs_with_special_tokens")
                                          else [tokenizer.cls_token_id, *window, tokenizer.sep_token_id]])
                            ).logits.softmax(-1)[0].numpy() for window in windows]
        expected = np.average(shares, axis=0, weights=[len(window) for window in windows])
        assert row["windows"] == len(windows)
        assert [row["scores"][label] for label in LABELS] == pytest.approx(expected, abs=1e-5)
    assert result[1]["windows"] > 2 and result[0]["windows"] == 1


def test_long_texts_are_cut_or_refused_as_asked(run_apus, tmp_path: Path):
    directory = save(make_model(CONFIGS["bert"]), tmp_path / "model")
    (tmp_path / "t.jsonl").write_text(json.dumps({"text": LONG}) + "\n", encoding="utf-8")

    def predict(*options: str, **environment: str) -> object:
        return run_apus("predict", "--model", directory, *F32, "--input", tmp_path / "t.jsonl", *options, env=environment)

    cut = predict()
    assert cut.returncode == 0 and "windows" not in json.loads(cut.stdout)
    assert predict("--long-texts", "truncate").stdout == cut.stdout
    for refused in (predict("--long-texts", "refuse"), predict(APUS_LONG_TEXTS="refuse")):
        assert_refused(refused, "t.jsonl, line 1", "the limit is 160")
    assert predict("--long-texts", "windows").stdout != cut.stdout
