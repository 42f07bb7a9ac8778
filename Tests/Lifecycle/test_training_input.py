"""tools/train.py: the forms of its data, and what it refuses, before it trains."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from training_runs import (MODELS, PHRASES, contents, dataset, examples, five_files, train, write_csv,  # noqa: F401
                           write_jsonl, write_tweeteval)

from training import data  # noqa: E402


# Data

def test_csv_and_jsonl_of_the_same_texts_are_split_alike(tmp_path: Path) -> None:
    rows = [(f'{text}, "he said"\nand\u2028left é', label) for text, label in examples(100)]
    as_csv = write_csv(tmp_path / "rows.csv", rows, header=("Tweet", "mood"))
    as_csv.write_bytes(b"\xef\xbb\xbf" + as_csv.read_bytes().replace(b"\r\n", b"\r\n\r\n", 1))
    read = data.load(as_csv, data.DataOptions(text_field="Tweet", label_field="mood"))
    assert read == data.load(write_jsonl(tmp_path / "rows.jsonl", rows), data.DataOptions())
    assert sorted(sum((split.texts for split in read.splits), [])) == sorted(text for text, _ in rows)
    assert read != data.load(tmp_path / "rows.jsonl", data.DataOptions(split_seed=2))


def test_a_split_keeps_the_labels_shares(tmp_path: Path) -> None:
    rows = [(f"text {number}", label) for label, count in {"a": 100, "b": 40, "c": 3}.items()
            for number in range(1000 * ord(label), 1000 * ord(label) + count)]
    options = data.DataOptions(validation_share=0.2, test_share=0.1)
    read = data.load(write_csv(tmp_path / "rows.csv", rows), options)
    assert [Counter(split.labels) for split in read.splits] == [
        {0: 70, 1: 28, 2: 1}, {0: 20, 1: 8, 2: 1}, {0: 10, 1: 4, 2: 1}]


def test_a_text_that_stands_twice_stays_in_one_split(tmp_path: Path) -> None:
    rows = examples(60)
    copies = [(text.upper().replace(" ", "  "), label) for text, label in rows]
    users = [(f"@user{number} thanks", "neutral") for number in range(30)]
    read = data.load(write_csv(tmp_path / "rows.csv", rows + copies + users), data.DataOptions())
    found = [{data.identity(text) for text in split.texts} for split in read.splits]
    assert sum(map(len, found)) == len(set.union(*found)) == 61
    assert sum(len(split.texts) for split in read.splits) == 150


@pytest.mark.parametrize("form", ["csv", "jsonl", "tweeteval"])
def test_a_directory_of_given_splits_is_taken_as_it_is(form: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    splits = {"train": examples(30, 1), "val": examples(10, 2), "test": examples(12, 3)}
    splits["test"][0] = splits["train"][0]
    folder = tmp_path / "data"
    if form == "tweeteval":
        write_tweeteval(folder, splits, ["neutral", "positive", "negative"])
    else:
        folder.mkdir()
        for split, rows in splits.items():
            {"csv": write_csv, "jsonl": write_jsonl}[form](folder / f"{split}.{form}", rows)
    read = data.load(folder, data.DataOptions())
    assert read.labels == (["neutral", "positive", "negative"] if form == "tweeteval" else sorted(PHRASES))
    found = [[(text, read.labels[label]) for text, label in zip(split.texts, split.labels)] for split in read.splits]
    assert found == [splits["train"], splits["val"], splits["test"]]
    assert "1 of the 12 texts of test also stand in train" in capsys.readouterr().err


# What cannot be used. Each is a file's content, and what the one line says of it.

GOOD = "text,label\n" + "".join(f"good {number},yes\nbad {number},no\n" for number in range(4))
BAD_FILES = {
    "no such column": ("a.csv", GOOD.replace("text,", "tweet,"), 'line 1: has no column "text"; its columns are tweet, label'),
    "semicolons": ("a.csv", GOOD.replace(",", ";"), "Save the file with commas"),
    "a column twice": ("a.csv", "text,label,text\na,b,c\n", "line 1: has 2 columns"),
    "a cell too many": ("a.csv", GOOD + "good, very,yes\n", "line 10: has 3 cells; the header has 2"),
    "an open quote": ("a.csv", GOOD + '"good,yes\n', "line 10: unexpected end of data"),
    "text after a quote": ("a.csv", GOOD + '"good" 1,yes\n', "line 10: ',' expected after '\"'"),
    "an empty text": ("a.csv", GOOD + '"a\nb",yes\n" ",yes\n', "line 12: the text is empty"),
    "an empty label": ("a.csv", GOOD + "good,\n", "line 10: the label is empty"),
    "nothing": ("a.csv", "", "has no records"),
    "a header alone": ("a.csv", "text,label\n", "has no records"),
    "Latin-1": ("a.csv", (GOOD + "caf\xe9,yes\n").encode("latin-1"), "line 10: the byte 0xE9 is not UTF-8.*iconv"),
    "one label": ("a.csv", GOOD.replace(",no", ",yes"), 'has only the label "yes"; a classifier needs two'),
    "too few of a label": ("a.csv", GOOD + "fine,so so\nFine,so so\nokay,so so\n",
                           'label "so so" has 2 different texts; at least 3 are needed'),
    "no JSON": ("a.jsonl", '{"text":"a","label":"b"}\n{"text":\n', "line 2: is not JSON"),
    "no object": ("a.jsonl", '["a","b"]\n', "line 1: is no JSON object"),
    "no field": ("a.jsonl", '{"text":"a","mood":"b"}\n', 'line 1: has no field "label"; its fields are text, mood'),
    "a number as label": ("a.jsonl", '{"text":"a","label":1}\n', 'line 1: field "label" is 1; it must be a string'),
    "half a character": ("a.jsonl", '{"text":"\\ud83d","label":"b"}\n', "line 1: .*half a surrogate pair"),
    "another format": ("a.tsv", "a\tb\n", "ends in neither .csv nor .jsonl"),
    "no file": (None, None, "data.csv: does not exist"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_file_is_one_line_that_says_where_and_what(what: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    name, content, message = BAD_FILES[what]
    path = tmp_path / (name or "data.csv")
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(capsys, message, MODELS / "roberta-tiny", path, tmp_path / "model")


TEXTS = "one\ntwo\n"
BAD_DIRECTORIES = {
    "neither form": ({"a.txt": ""}, "has neither train.csv nor train.jsonl, and no mapping.txt"),
    "two forms of a split": ({"train.csv": GOOD, "train.jsonl": "{}"}, "has both train.csv and train.jsonl"),
    "an unknown label": ({"train.csv": GOOD, "val.csv": GOOD, "test.csv": GOOD + "a,maybe\n"},
                         'test.csv, line 10: the label "maybe" is not in train.csv, whose labels are no, yes'),
    "no labels' file": ({"mapping.txt": "0\tno\n1\tyes\n", "train_text.txt": TEXTS}, "has no train_labels.txt"),
    "lines missing": ({"mapping.txt": "0\tno\n1\tyes\n", "train_labels.txt": "0\n"},
                      "train_text.txt has 2 lines, train_labels.txt has 1"),
    "a blank line": ({"mapping.txt": "0\tno\n1\tyes\n", "val_text.txt": "one\n\n"}, "val_text.txt, line 2: the text is empty"),
    "no tab": ({"mapping.txt": "0 no\n"}, "mapping.txt, line 1: '0 no' is not a number, a tab and a label"),
    "a number that is no label's": ({"mapping.txt": "0\tno\n1\tyes\n", "val_labels.txt": "0\n2\n"},
                                    "val_labels.txt, line 2: '2' is not in mapping.txt"),
    "a label without examples": ({"mapping.txt": "0\tno\n1\tyes\n2\tmaybe\n"}, 'no example of label 2, "maybe"'),
    "an empty split": ({"mapping.txt": "0\tno\n1\tyes\n", "test_text.txt": ""}, "test_text.txt: is empty"),
}


@pytest.mark.parametrize("what", BAD_DIRECTORIES)
def test_a_bad_directory_is_one_line_that_says_where_and_what(
        what: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    files, message = BAD_DIRECTORIES[what]
    folder = tmp_path / "data"
    folder.mkdir()
    if "mapping.txt" in files and what != "no labels' file":
        files = {f"{split}_{kind}.txt": content for split in ("train", "val", "test")
                 for kind, content in (("text", TEXTS), ("labels", "0\n1\n"))} | files
    for name, content in files.items():
        (folder / name).write_text(content)
    refused(capsys, message, MODELS / "roberta-tiny", folder, tmp_path / "model")


@pytest.mark.parametrize(("file", "content", "message"), [
    ("config.json", {"model_type": "distilbert"}, "model_type distilbert is not supported; supported are roberta and bert"),
    ("config.json", {"hidden_act": "relu"}, 'hidden_act "relu" is not supported; Apus serves "gelu"'),
    ("config.json", {"quantization_config": {"quant_method": "gptq"}}, "the weights are quantized"),
    ("config.json", {"num_hidden_layers": 3}, "no tensor roberta.encoder.layer.2."),
    ("config.json", {"vocab_size": 200}, "the tokenizer does not fit the model"),
    ("config.json", None, "has no config.json"),
    ("pytorch_model.bin", None, "has no weights: neither model.safetensors nor pytorch_model.bin"),
    ("tokenizer.json", {"model": {"type": "Unigram"}}, "tokenizer.json: model Unigram is not supported"),
    ("merges.txt", None, "has no tokenizer: neither tokenizer.json nor merges.txt"),
    ("added_tokens.json", {"x": 300}, "added_tokens.json: is not supported without tokenizer.json"),
])
def test_a_base_that_apus_could_not_serve_is_refused_before_training(
        file: str, content: dict | None, message: str, five_files: Path, dataset: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    base = tmp_path / "base"
    shutil.copytree(five_files, base)
    if content is None:
        (base / file).unlink()
    else:
        config = json.loads((base / file).read_text()) if (base / file).exists() else {}
        (base / file).write_text(json.dumps(config | content))
    refused(capsys, message, base, dataset, tmp_path / "model")


def test_an_output_or_work_folder_with_something_else_in_it_is_refused_before_training(
        five_files: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output, work = tmp_path / "model", tmp_path / "model.work"
    output.mkdir()
    (output / "mine").write_text("")
    refused(capsys, "model: exists already and is not overwritten", five_files, dataset, output)
    (output / "mine").rename(tmp_path / "mine")
    work.mkdir()
    (work / "mine").write_text("")
    refused(capsys, "model.work: holds mine, but no run.json", five_files, dataset, output)
    shutil.rmtree(work)
    assert train(five_files, dataset, output, "--epochs", "1", "--min-accuracy", "1") == 1
    capsys.readouterr()
    refused(capsys, "checkpoints of another run, with seeds \\[1\\], now \\[2\\]; epochs 1, now 3.*Delete", five_files, dataset,
            output, "--seed", "2")
    other = write_csv(tmp_path / "other.csv", examples(40))
    refused(capsys, "of another run, with other data", five_files, other, output, "--epochs", "1")
    (work / "seed-1.pt").write_bytes((work / "seed-1.pt").read_bytes()[:1000])
    refused(capsys, "seed-1.pt: is damaged", five_files, dataset, output, "--epochs", "1")


def refused(capsys: pytest.CaptureFixture, message: str, base: Path, dataset: Path, output: Path, *options: str) -> None:
    before = contents(output) if output.exists() else None
    assert train(base, dataset, output, *options) == 2
    error = capsys.readouterr().err
    told, *others = [line for line in error.split("\n")[:-1] if "texts to train on" not in line]
    assert told.startswith("train.py: ") and re.search(message, told) and not others, error
    assert (contents(output) if output.exists() else None) == before


