"""Bad data sets and bad model files, through every command that takes them: each is one line that names the file, exit code
2, nothing on standard output, no report. And what only looks bad, and must work."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from checkpoints import MODELS, copy_model
from labelled import LABELS, predictions, tweets, write_csv, write_directory, write_jsonl
from pulling import assert_refused
from small_fasttext import train, train_vectors

TINY = MODELS / "roberta-tiny"
# Longer than any of these messages; a terminal's page all the same.
LONGEST_MESSAGE = 2000


@pytest.fixture
def refused(run_apus, tmp_path: Path) -> Callable[..., None]:
    """Gives a data set to each command that takes one: to predict where it is a file whose texts are at fault."""

    def refused(dataset: Path, *words: str, predict: bool = False, options: tuple = ()) -> None:
        report = tmp_path / "report.json"
        commands = [("evaluate", "--model", TINY, "--dataset", dataset, "--report", report, "--markdown", report, *options),
                    ("compare", "--dataset", dataset, "--report", report, *options, TINY)]
        if predict:
            text_field = [option for option in options if "label" not in str(option)]
            commands.append(("predict", "--model", TINY, "--input", dataset, *text_field))
        for command in commands:
            result = run_apus(*command)
            assert_refused(result, str(dataset), *words)
            assert len(result.stderr) < LONGEST_MESSAGE, f"{command[0]}: {len(result.stderr)} letters"
            assert not report.exists()

    return refused


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return file


@pytest.fixture
def count(run_apus, tmp_path: Path) -> Callable[[Path], tuple[int, list[list[int]]]]:
    """How many texts a data set has, and what became of them."""

    def count(dataset: Path, *options: Any) -> tuple[int, list[list[int]]]:
        report = tmp_path / "good.json"
        result = run_apus("evaluate", "--model", TINY, "--dataset", dataset, "--report", report, *options)
        assert result.returncode == 0 and result.stderr == "", result.stderr
        read = json.loads(report.read_text(encoding="utf-8"))
        return read["examples"], read["confusion_matrix"]

    return count


# Fields and labels

def test_a_csv_file_without_the_column_is_told_which_it_has(refused, file):
    named = file("tweets.csv", "tweet,mood,date\nso so,neutral,today\n")
    refused(named, '"text"', "tweet, mood, date", "--text-field", predict=True)
    refused(named, '"label"', "mood, date", "--label-field", options=("--text-field", "tweet"))
    refused(named, '"feeling"', "--label-field", options=("--text-field", "tweet", "--label-field", "feeling"))
    refused(file("cases.csv", "Text,Label\nso so,neutral\n"), '"text"', "Text, Label", predict=True)
    refused(file("semicolons.csv", "text;label\nso so;neutral\n"), '"text"', "text;label", predict=True)


def test_a_json_record_without_the_field_is_told_by_its_line(refused, file):
    good = '{"text":"so so","label":"neutral"}\n'
    for name, line, words, concerns_text in (
        ("no text", '{"tweet":"so so","label":"neutral"}', ('"text"', "--text-field"), True),
        ("a number as text", '{"text":1,"label":"neutral"}', ('"text"', "string"), True),
        ("no label", '{"text":"so so"}', ('"label"', "--label-field"), False),
        ("null as label", '{"text":"so so","label":null}', ('"label"',), False),
        ("a fraction as label", '{"text":"so so","label":1.5}', ('"label"',), False),
        ("a number that no label has", '{"text":"so so","label":3}', ('label "3"',), False),
        ("half a record", '{"text":"so so","la', (), True), ("a list", '["so so","neutral"]', (), True),
        ("two in a line", good.strip() * 2, (), True),
    ):
        bad = file(f"{name}.jsonl", f"{line}\n{good}" if concerns_text else f"{good}{line}\n")
        refused(bad, "line 1" if concerns_text else "line 2", *words, predict=concerns_text)


@pytest.mark.parametrize("label", ["neutral ", "3", "-1", "LABEL_1", "", "mixed", "n\u00e9gatif", "negative\x00"])
def test_a_label_that_the_model_does_not_have_is_told_with_those_it_has(refused, file, tmp_path: Path, label: str):
    examples = [("so so", "neutral"), ("or so", label)]
    names = ", ".join(LABELS)
    refused(write_csv(tmp_path / "other.csv", examples), "line 3", names)
    refused(write_jsonl(tmp_path / "other.jsonl", examples), "line 2", names)
    if label:
        refused(write_directory(tmp_path / "other", examples, labels=["neutral", label]), "mapping.txt", names)


def test_a_label_as_long_as_a_text_is_not_told_whole(refused, tmp_path: Path):
    """As when the two columns were taken for each other."""
    refused(write_csv(tmp_path / "swapped.csv", [("neutral", "so so " * 5000)]), "line 2")


# Rows

def test_quotes_commas_and_newlines_inside_a_field_are_part_of_it(run_apus, count, tmp_path: Path):
    texts = ["so so", 'say "good", or not', "two\nlines", "two\r\nlines", "\n\nmany\n\n\nlines\n", '"', '""', ",",
             ",,\n,\"", "\t", '"quoted"', "a\rb", "'", "\\", "\\\"", " spaces "]
    examples = [(text, LABELS[number % 3]) for number, text in enumerate(texts)]
    expected = count(write_jsonl(tmp_path / "texts.jsonl", examples))
    assert expected[0] == len(texts)
    for end in ("\r\n", "\n"):
        path = write_csv(tmp_path / "texts.csv", examples, end=end)
        assert count(path) == expected
        result = run_apus("predict", "--model", TINY, "--input", path, "--output-format", "jsonl")
        records = [json.loads(line) for line in result.stdout.splitlines()]
        assert [record["text"] for record in records] == texts
        labels = [row["label"] for row in predictions(run_apus, texts, "--model", TINY)]
        assert [record["label"] for record in records] == labels
    content = path.read_bytes()
    path.write_bytes(content.removesuffix(b"\n"))
    assert count(path) == expected, "without a newline at the end"
    path.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\n\n", 1))
    assert count(path) == expected, "with a byte order mark, as Excel writes it, and a blank line"


def test_a_quote_that_is_not_closed_is_told_by_the_line_it_begins_in(refused, file):
    refused(file("first.csv", 'text,label\n"so so,neutral\nor so,neutral\n'), "line 2", "quote", predict=True)
    refused(file("header.csv", 'text,"label\nso so,neutral\n'), "line 1", "quote", predict=True)
    later = 'text,label\n"so\nso",neutral\n\n"or ""so"",neutral\ngood,positive\n'
    refused(file("later.csv", later), "line 5", "quote")
    refused(file("last.csv", 'text,label\nso so,"neutral'), "line 2", "quote", predict=True)
    # Megabytes behind the quote are not read as one text, nor told.
    refused(file("long.csv", 'text,label\n"so so,neutral\n' + "or so,neutral\n" * 10_000), "line 2", "quote", predict=True)


def test_a_row_with_more_or_less_cells_than_the_header_is_told_by_its_line(refused, file):
    refused(file("more.csv", "text,label\nso so, or so,neutral\n"), "line 2", "3 cells", "2", predict=True)
    refused(file("less.csv", 'text,label\n"so\nso",neutral\nso so\n'), "line 4", "1 cells", "2")


def test_an_empty_text_is_told_by_its_line(refused, file, tmp_path: Path):
    refused(file("empty.csv", "text,label\n,neutral\n"), "line 2", "empty", predict=True)
    refused(file("empty.jsonl", '{"text":"","label":"neutral"}\n'), "line 1", "empty", predict=True)
    folder = write_directory(tmp_path / "empty", [("so so", "neutral"), ("", "neutral")])
    refused(folder, "test_text.txt, line 2", "empty")


def test_a_text_of_a_books_length_is_told_by_its_number(refused, file, tmp_path: Path):
    examples = [("word " * 40_000, "neutral")]
    refused(write_jsonl(tmp_path / "book.jsonl", examples), "1", "200000 characters", "100000", predict=True)
    refused(write_directory(tmp_path / "book", [("so so", "neutral"), *examples]), "text 2", "200000 characters")
    refused(file("line.jsonl", '{"text":"' + "a" * (17 << 20) + '","label":"neutral"}\n'), "line 1", predict=True)


# Data sets

def test_an_empty_data_set_is_refused(refused, file, tmp_path: Path):
    refused(file("header.csv", "text,label\n"), "no examples")
    refused(file("header.jsonl", ""), "no examples")
    refused(file("nothing.csv", ""), "empty", predict=True)
    refused(file("blank.csv", "\n\n\n"), "empty", predict=True)
    refused(write_directory(tmp_path / "empty", []), "no examples", '"test"')


def test_a_directory_whose_files_differ_in_length_is_told_both_lengths(refused, tmp_path: Path):
    for name, texts, labels in (("more texts", 5, 4), ("more labels", 2, 3), ("no labels", 3, 0)):
        folder = write_directory(tmp_path / name, [("so so", "neutral")] * texts)
        (folder / "test_labels.txt").write_text("1\n" * labels)
        refused(folder, f"test_text.txt has {texts} lines", f"test_labels.txt has {labels}")


def test_a_directory_that_lacks_a_file_is_told_which(refused, tmp_path: Path):
    for name in ("mapping.txt", "test_text.txt", "test_labels.txt"):
        folder = write_directory(tmp_path / f"without {name}", [("so so", "neutral")])
        (folder / name).unlink()
        refused(folder, name, "No such file")
    refused(write_directory(tmp_path / "other split", [("so so", "neutral")], split="val"), "test_text.txt")
    refused(write_directory(tmp_path / "a split", [("so so", "neutral")]), "dev_text.txt", options=("--split", "dev"))


@pytest.mark.parametrize(("name", "content", "words"), [
    ("mapping.txt", "0 negative\n1 neutral\n2 positive\n", ("line 1", "a tab")),
    ("mapping.txt", "0\tnegative\n1\n2\tpositive\n", ("line 2", "a tab")),
    ("mapping.txt", "0\tnegative\n2\tpositive\n", ("test_labels.txt, line 1", '"1"', "mapping.txt")),
    ("test_labels.txt", "neutral\n", ("line 1", '"neutral"', "mapping.txt")),
    ("test_labels.txt", "3\n", ("line 1", '"3"', "mapping.txt")),
])
def test_labels_that_are_not_in_the_mapping_are_told_by_their_line(refused, tmp_path: Path, name: str, content: str, words):
    folder = write_directory(tmp_path / "tweets", [("so so", "neutral")])
    (folder / name).write_text(content)
    refused(folder, name, *words)


def test_what_is_no_data_set_is_told_what_one_is(refused, file, tmp_path: Path):
    refused(file("texts.txt", "so so\n"), ".jsonl", ".csv")
    refused(file("texts.parquet", "text\tlabel\nso so\tneutral\n"), "--input-format", "jsonl", "tsv")
    refused(file("texts", "text,label\n"), ".jsonl", ".csv")
    refused(tmp_path / "none", "does not exist")
    refused(tmp_path / "none.csv", "does not exist")
    (tmp_path / "folder.csv").mkdir()
    refused(tmp_path / "folder.csv", "test_text.txt")
    refused(file("a file", "") / "below", "does not exist")


# Bytes

@pytest.mark.parametrize("content", [b"caf\xe9", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"so \xe2\x82"])
def test_what_is_not_utf_8_is_told_by_its_line(refused, file, tmp_path: Path, content: bytes):
    """Latin-1, what cannot begin a character, an overlong one, half a surrogate pair, one too large, one that is cut."""
    refused(file("a.csv", b"text,label\n" + content + b",neutral\n"), "line 2", "UTF-8", predict=True)
    refused(file("quoted.csv", b'text,label\n"so\nso ' + content + b'",neutral\n'), "line 2", "UTF-8", predict=True)
    refused(file("a.jsonl", b'{"text":"' + content + b'","label":"neutral"}\n'), "line 1", predict=True)
    refused(file("label.csv", b"text,label\nso so," + content + b"\n"), "line 2", "UTF-8", predict=True)
    for name in ("test_text.txt", "test_labels.txt", "mapping.txt"):
        folder = write_directory(tmp_path / name.removesuffix(".txt"), [("so so", "neutral")])
        (folder / name).write_bytes(content + b"\n")
        refused(folder, name, "line 1", "UTF-8")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_and_32_are_refused(refused, file, encoding: str):
    refused(file("a.csv", "text,label\nso so,neutral\n".encode(encoding)), predict=True)
    refused(file("a.jsonl", '{"text":"so so","label":"neutral"}\n'.encode(encoding)), predict=True)


def test_a_file_of_zeros_is_refused_in_a_line_that_can_be_read(refused, file):
    """As a disk leaves it that lost power."""
    refused(file("zeros.csv", bytes(1 << 16)), '"text"', predict=True)
    refused(file("zeros.jsonl", bytes(1 << 16)), "line 1", predict=True)


def test_a_zero_byte_does_not_end_a_text(run_apus, count, tmp_path: Path):
    texts = ["good\x00bad", "\x00", "\x00good", "good\x00"]
    examples = [(text, "neutral") for text in texts]
    expected = count(write_jsonl(tmp_path / "zeros.jsonl", examples))
    assert expected[0] == 4
    assert count(write_csv(tmp_path / "zeros.csv", examples)) == expected
    assert count(write_directory(tmp_path / "zeros", examples)) == expected
    assert [row["text"] for row in predictions(run_apus, texts, "--model", TINY)] == texts


# fastText files

@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of some kilobytes: words, groups of two, subwords, a matrix of 5 buckets."""
    path = tmp_path_factory.mktemp("fasttext") / "dense.bin"
    examples = [("good fine day", "positive"), ("bad poor day", "negative")] * 10
    return train(path, examples, bucket=5, wordNgrams=2, minn=2, maxn=3)


@pytest.fixture(scope="module")
def quantized(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in a .ftz file, for which the library needs more words."""
    import fasttext

    folder = tmp_path_factory.mktemp("fasttext")
    train(folder / "dense.bin", tweets(data, 300, "train"), bucket=1000, wordNgrams=2, dim=10)
    model = fasttext.load_model(str(folder / "dense.bin"))
    model.quantize(cutoff=300, dsub=2)
    model.save_model(str(folder / "quantized.ftz"))
    return folder / "quantized.ftz"


COMMANDS = ("predict", "evaluate", "compare", "serve")


def model_refused(run_apus, model: Path, dataset: Path, *words: str, commands: tuple[str, ...] = COMMANDS) -> None:
    """By each of these commands."""
    report = dataset.parent / "report.json"
    arguments = {
        "predict": ("predict", "--model", model, "so so"),
        "evaluate": ("evaluate", "--model", model, "--dataset", dataset, "--report", report),
        "compare": ("compare", "--dataset", dataset, "--report", report, model),
        "serve": ("serve", "--model", model, "--port", 0, "--no-self-test"),
        "tokenize": ("tokenize", "--model", model, "so so"),
        "self-test": ("self-test", "--model", model),
        "quantize": ("quantize", "--model", model, "--output", dataset.parent / "int8"),
    }
    for command in commands:
        result = run_apus(*arguments[command], timeout=20)
        assert_refused(result, model.name, *words)
        assert len(result.stderr) < LONGEST_MESSAGE, f"{command}: {len(result.stderr)} letters"
        assert not report.exists() and not (dataset.parent / "int8").exists()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "texts.jsonl", [("good", "positive"), ("bad", "negative")])


@pytest.mark.parametrize("form", ["dense", "quantized"])
def test_a_fasttext_file_cut_anywhere_is_refused(run_apus, request, dataset: Path, tmp_path: Path, form: str):
    whole = request.getfixturevalue(form)
    content = whole.read_bytes()
    assert run_apus("predict", "--model", whole, "good").returncode == 0
    cut = tmp_path / f"cut{whole.suffix}"
    # The settings are 64 bytes, the dictionary's sizes 32 more, its first entries follow; the matrices stand at the end.
    lengths = {*range(1, 100, 3), *range(100, 400, 23), *range(400, len(content), max(1, len(content) // 25)),
               *(len(content) - less for less in (1, 2, 4, 40, 160))}
    for number, length in enumerate(sorted(lengths)):
        cut.write_bytes(content[:length])
        model_refused(run_apus, cut, dataset, commands=COMMANDS if number % 8 == 0 else COMMANDS[:1])
    cut.write_bytes(content + b"\x00")
    model_refused(run_apus, cut, dataset)


@pytest.mark.parametrize("kind", ["cbow", "skipgram"])
def test_word_vectors_are_no_classifier(run_apus, dataset: Path, tmp_path: Path, kind: str):
    model_refused(run_apus, train_vectors(tmp_path / "vectors.bin", kind), dataset, kind, "supervised")


def test_pytorchs_file_is_known_for_what_it_is(run_apus, dataset: Path, tmp_path: Path):
    """The file inside a model directory, in both forms that PyTorch ever wrote."""
    new, old = tmp_path / "pytorch_model.bin", tmp_path / "old.bin"
    torch.save({"weight": torch.zeros(3)}, new)
    torch.save({"weight": torch.zeros(3)}, old, _use_new_zipfile_serialization=False)
    for file in (new, old, MODELS / "roberta-odd/pytorch_model.bin"):
        model_refused(run_apus, file, dataset, "PyTorch", "directory")


def test_a_file_that_is_no_model_at_all_is_refused(run_apus, dataset: Path, tmp_path: Path):
    path = tmp_path / "model.bin"
    for content in (b"", b"\x00", bytes(4096), b"<!DOCTYPE html><title>Sign in</title>", struct.pack("<i", 793712314),
                    struct.pack("<ii", 793712314, 99) + bytes(100), b"version https://git-lfs.github.com/spec/v1\n"):
        path.write_bytes(content)
        model_refused(run_apus, path, dataset, commands=(*COMMANDS, "tokenize", "self-test", "quantize"))
    model_refused(run_apus, TINY / "model.safetensors", dataset, "directory")


def test_a_directory_with_a_files_name_is_taken_as_one(run_apus, dataset: Path, dense: Path, tmp_path: Path):
    folder = tmp_path / "x.bin"
    folder.mkdir()
    model_refused(run_apus, folder, dataset, str(folder), "config.json")
    (folder / "model.bin").mkdir()
    model_refused(run_apus, folder / "model.bin", dataset, "config.json")
    (folder / "model.bin").rmdir()
    (folder / "model.bin").write_bytes(dense.read_bytes())
    assert run_apus("predict", "--model", folder, "good").returncode == 0
    model = copy_model(TINY, tmp_path / "y.bin")
    assert run_apus("evaluate", "--model", model, "--dataset", dataset).returncode == 0


def test_a_directory_in_place_of_the_models_file_is_refused(run_apus, dataset: Path, tmp_path: Path):
    folder = tmp_path / "model"
    (folder / "model.bin").mkdir(parents=True)
    model_refused(run_apus, folder, dataset)


def test_a_fasttext_model_with_labels_that_the_data_set_does_not_have_is_refused(run_apus, dense: Path, tmp_path: Path):
    texts = write_jsonl(tmp_path / "texts.jsonl", [("good", "positive"), ("so so", "neutral")])
    for command in (("evaluate", "--model", dense, "--dataset", texts), ("compare", "--dataset", texts, dense)):
        assert_refused(run_apus(*command), f"{texts}, line 2", '"neutral"', "positive", "negative")
