"""`apus evaluate`: its figures are those of `apus predict`'s labels, its gate tells all that was missed, its reports are
whole or not there, and `apus serve --require-gate` believes none that is about something else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkpoints import MODELS, copy_model, labels_of
from figures import assert_figures, assert_tables, figures, numpy_intervals
from labelled import LABELS, predictions, tweets, write_csv, write_directory, write_jsonl
from pulling import assert_refused
from small_fasttext import train
from terminal import Terminal, without_control_sequences

TINY = MODELS / "roberta-tiny"
SHIPPED = ()  # no --model


@pytest.fixture
def dataset(data: Path, tmp_path: Path) -> Callable[..., Path]:
    """The beginning of TweetEval's validation split, a directory of the same form."""
    return lambda count, name="tweets": write_directory(tmp_path / name, tweets(data, count))


@pytest.fixture
def evaluate(run_apus, tmp_path: Path) -> Callable[..., dict]:
    """Evaluates and returns the report; a gate that fails is right where `fails` says so."""

    def evaluate(dataset: Path, *options: Any, fails: bool = False) -> dict:
        report = tmp_path / "report.json"
        result = run_apus("evaluate", "--dataset", dataset, "--report", report, *options)
        assert result.returncode == (1 if fails else 0), f"exit code {result.returncode}: {result.stderr}"
        assert bool(result.stderr) == fails, result.stderr
        return json.loads(report.read_text(encoding="utf-8"))

    return evaluate


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A fastText model that says positive of "good" and "odd", negative of "bad"."""
    return train(tmp_path / "words.bin", [("good", "positive"), ("odd", "positive"), ("bad", "negative")] * 20)


# The figures

@pytest.mark.parametrize("model", ["the shipped one", "roberta-tiny", "fastText"])
def test_the_figures_are_those_of_what_predict_says(run_apus, evaluate, dataset, data: Path, tmp_path: Path, model: str):
    options = {
        "the shipped one": lambda: SHIPPED, "roberta-tiny": lambda: ("--model", TINY, "--precision", "f32"),
        "fastText": lambda: ("--model", train(tmp_path / "tweets.bin", tweets(data, 1000, "train"), dim=8)),
    }[model]()
    examples = tweets(data, 400)
    rows = predictions(run_apus, [text for text, _ in examples], *options)
    labels = list(rows[0]["scores"])  # the model's order
    assert set(labels) == set(LABELS)
    report = evaluate(dataset(400), *options)
    truth, predicted = (np.array([labels.index(label) for label in column])
                        for column in ([label for _, label in examples], [row["label"] for row in rows]))
    assert len(set(predicted)) > 1
    assert_figures(report, figures(truth, predicted, labels))
    assert (report["examples"], report["split"], report["gate"], report["reference"]) == (400, "test", None, None)
    latency = report["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
    assert report["texts_per_second"] == pytest.approx(1000 / latency["mean"])


@pytest.mark.parametrize("kept", [{"negative"}, {"negative", "positive"}])
def test_labels_without_an_example_count_where_they_are_predicted(run_apus, evaluate, data: Path, tmp_path: Path, kept):
    examples = [(text, label) for text, label in tweets(data, 400) if label in kept]
    rows = predictions(run_apus, [text for text, _ in examples])
    assert {row["label"] for row in rows} == set(LABELS)
    truth, predicted = (np.array([LABELS.index(label) for label in column])
                        for column in ([label for _, label in examples], [row["label"] for row in rows]))
    expected = figures(truth, predicted, LABELS)
    assert expected["macro_recall"] < np.mean([expected["per_class"][label]["recall"] for label in kept])
    assert_figures(evaluate(write_jsonl(tmp_path / "some.jsonl", examples)), expected)


def test_a_label_that_neither_has_nor_gets_a_text_does_not_count(evaluate, tmp_path: Path):
    trained = train(tmp_path / "three.bin", [("good", "positive"), ("bad", "negative"), ("so", "neutral")] * 20)
    examples = write_csv(tmp_path / "some.csv", [("good", "positive"), ("bad", "negative"), ("bad", "positive")])
    report = evaluate(examples, "--model", trained)
    assert report["macro_recall"] == pytest.approx((1 / 2 + 1) / 2)
    assert report["per_class"]["neutral"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}


# The intervals

def test_figures_beside_a_reference_are_those_of_predicts_logits_and_of_a_bootstrap_in_numpy(
    run_apus, evaluate, dataset, data: Path
):
    examples = tweets(data, 1000)
    of_int8, of_f32 = (predictions(run_apus, [text for text, _ in examples], "--precision", precision)
                       for precision in ("int8", "f32"))
    truth = np.array([LABELS.index(label) for _, label in examples])
    predicted, reference = (np.array([LABELS.index(row["label"]) for row in rows]) for rows in (of_int8, of_f32))
    assert 0 < np.mean(predicted != reference) < 0.1
    report = evaluate(dataset(1000), "--reference-precision", "f32")
    beside = report["reference"]
    assert (report["precision"], beside["precision"], beside["model"]) == ("int8", "f32", report["model"])
    assert report["accuracy"] == pytest.approx(np.mean(predicted == truth), abs=1e-12)
    assert beside["accuracy"] == pytest.approx(np.mean(reference == truth), abs=1e-12)
    assert beside["agreement"] == pytest.approx(np.mean(predicted == reference), abs=1e-12)
    assert beside["accuracy_drop"] == pytest.approx(np.mean(reference == truth) - np.mean(predicted == truth), abs=1e-12)
    logits = np.array([[row["logits"] for row in rows] for rows in (of_int8, of_f32)], np.float32)
    assert beside["max_abs_logit_difference"] == pytest.approx(np.abs(logits[0] - logits[1]).max(), abs=1e-6)
    found = report | {"accuracy_drop_interval": beside["accuracy_drop_interval"]}
    for name, expected in numpy_intervals(truth, predicted, reference).items():
        # Quantiles of 2,000 and 4,000 resamples: about 0.1 points off each by chance.
        assert np.abs(np.array(found[name]) - expected).max() < 0.004, (name, found[name], expected)
    for name in ("accuracy", "macro_recall"):
        low, high = report[f"{name}_interval"]
        assert low < report[name] < high
    low, high = beside["accuracy_drop_interval"]
    assert low <= beside["accuracy_drop"] <= high


def test_intervals_widen_as_the_data_set_shrinks(evaluate, dataset):
    widths = {}
    for count in (2000, 500, 125):
        report = evaluate(dataset(count, f"first {count}"), "--model", TINY)
        widths[count] = [np.ptp(report[f"{name}_interval"]) for name in ("accuracy", "macro_recall")]
    # A fourth of the texts: twice as wide, and what the shares themselves change.
    for large, small in ((2000, 500), (500, 125)):
        assert all(1.5 < b / a < 2.7 for a, b in zip(widths[large], widths[small])), widths


def test_the_same_command_gives_the_same_report_but_for_the_time_it_took(evaluate, dataset):
    tweets = dataset(300)
    first, second = (evaluate(tweets, "--model", TINY, "--reference-precision", "f32") for _ in range(2))
    alone = evaluate(tweets, "--model", TINY, "--threads", 1)
    for report in (first, second, alone):
        assert report.pop("latency_ms") and report.pop("texts_per_second") and report.pop("threads")
    assert first == second
    assert first.pop("reference") and alone.pop("reference") is None
    assert first == alone


# References

def permuted(directory: Path, order: list[int]) -> Path:
    """The same classifier with its labels in another order."""
    labels = [labels_of(TINY)[index] for index in order]

    def change(state):
        for name in ("classifier.out_proj.weight", "classifier.out_proj.bias"):
            state[name] = state[name][order]

    settings = {"id2label": {str(index): label for index, label in enumerate(labels)},
                "label2id": {label: index for index, label in enumerate(labels)}}
    return copy_model(TINY, directory, change, settings)


@pytest.mark.parametrize("order", [[1, 2, 0], [2, 1, 0]])
def test_a_reference_with_its_labels_in_another_order_is_the_same_model(evaluate, dataset, tmp_path: Path, order: list[int]):
    other = permuted(tmp_path / "other", order)
    for model, reference in ((TINY, other), (other, TINY)):
        report = evaluate(dataset(200), "--model", model, "--precision", "f32", "--reference-model", reference,
                          "--min-agreement", 1, "--max-accuracy-drop", 0)
        assert list(report["per_class"]) == labels_of(model)
        beside = report["reference"]
        assert (beside["model"], beside["precision"]) == (str(reference), "f32")
        assert (beside["agreement"], beside["accuracy_drop"], beside["accuracy_drop_interval"]) == (1, 0, [0, 0])
        assert beside["accuracy"] == report["accuracy"]
        assert beside["max_abs_logit_difference"] < 1e-6


def test_a_reference_of_another_kind_has_labels_in_common_but_no_logits(run_apus, evaluate, dataset, data: Path, tmp_path):
    cheap = train(tmp_path / "tweets.bin", tweets(data, 1000, "train"), dim=8)
    examples = tweets(data, 200)
    said = [[row["label"] for row in predictions(run_apus, [text for text, _ in examples], *options)]
            for options in ((), ("--model", cheap))]
    agreement = np.mean([a == b for a, b in zip(*said)])
    assert 0.3 < agreement < 1
    for options, precisions in ((("--reference-model", cheap, "--reference-precision", "f32"), ("int8", "f32")),
                                (("--model", cheap, "--reference-model", MODELS / "roberta-tiny"), ("f32", "int8"))):
        report = evaluate(dataset(200), *options)
        assert (report["precision"], report["reference"]["precision"]) == precisions
        assert report["reference"]["max_abs_logit_difference"] is None
        if "--model" not in options:
            assert report["reference"]["agreement"] == pytest.approx(agreement)


def test_a_reference_with_other_labels_is_refused(run_apus, dataset, tmp_path: Path):
    names = {str(index): label for index, label in enumerate(["negative", "neutral", "joyful"])}
    other = copy_model(TINY, tmp_path / "other", settings={"id2label": names})
    fewer = MODELS / "roberta-odd"
    for model, reference in ((TINY, other), (TINY, fewer), (other, TINY)):
        report = tmp_path / "report.json"
        result = run_apus("evaluate", "--model", TINY if model == TINY else other, "--dataset",
                          write_jsonl(tmp_path / "one.jsonl", [("so so", "neutral")]), "--reference-model", reference,
                          "--report", report)
        assert_refused(result, str(reference), *labels_of(model), *labels_of(reference))
        assert not report.exists()


# The gate

def test_all_that_was_missed_is_told_at_once_and_stands_in_the_report(run_apus, dataset, tmp_path: Path):
    report = tmp_path / "report.json"
    result = run_apus("evaluate", "--dataset", dataset(400), "--reference-precision", "f32", "--min-accuracy", 0.99,
                      "--min-macro-recall", 0.98, "--min-agreement", 1, "--max-accuracy-drop", 0, "--report", report)
    assert result.returncode == 1
    read = json.loads(report.read_text(encoding="utf-8"))
    if read["reference"]["accuracy_drop"] <= 0:
        pytest.fail("int8 lost nothing on these texts; take others")
    gate = read["gate"]
    assert gate["passed"] is False and len(gate["failures"]) == 4
    assert result.stderr == "".join(f"apus: the gate failed: {failure}\n" for failure in gate["failures"])
    for failure, *parts in zip(
        gate["failures"], ("accuracy", "macro recall", "agreement", "accuracy fell"),
        (read["accuracy"], read["macro_recall"], read["reference"]["agreement"], read["reference"]["accuracy_drop"]),
        (0.99, 0.98, 1, 0),
    ):
        assert all(str(part) in failure for part in parts), (failure, parts)
    assert "accuracy " in result.stdout and "macro recall" in result.stdout, "the figures are told all the same"


def test_what_was_reached_is_not_told(evaluate, dataset):
    report = evaluate(dataset(100), "--min-accuracy", 0.1, "--min-macro-recall", 1, fails=True)
    assert [failure.split()[0] for failure in report["gate"]["failures"]] == ["macro"]


def test_a_gate_that_is_reached_exactly_passes(evaluate, words: Path, tmp_path: Path):
    """761 and 763 of 1,000 right: 0.763 - 0.761 is more than 0.002 in doubles."""
    other = train(tmp_path / "other.bin", [("good", "positive"), ("odd", "negative"), ("bad", "negative")] * 20)
    examples = [("good", "positive")] * 761 + [("good", "negative")] * 237 + [("odd", "negative")] * 2
    texts = write_csv(tmp_path / "texts.csv", examples)
    beside = ("--model", words, "--reference-model", other)
    report = evaluate(texts, *beside)
    assert (report["accuracy"], report["reference"]["accuracy"]) == (0.761, 0.763)
    evaluate(texts, *beside, "--min-accuracy", 0.761, "--min-macro-recall", repr(report["macro_recall"]),
             "--min-agreement", 0.998)
    report = evaluate(texts, *beside, "--max-accuracy-drop", 0.002)
    assert report["gate"] == {"passed": True, "failures": []}
    assert evaluate(texts, *beside, "--max-accuracy-drop", 0.0019, fails=True)["gate"]["passed"] is False


def test_a_drop_inside_the_noise_is_told_to_be_so(evaluate, words: Path, tmp_path: Path):
    other = train(tmp_path / "other.bin", [("good", "positive"), ("odd", "negative"), ("bad", "negative")] * 20)
    beside = ("--model", words, "--reference-model", other, "--max-accuracy-drop", 0.01)
    for wrong, is_noise in ((2, True), (60, False)):
        examples = write_csv(tmp_path / "texts.csv", [("good", "positive")] * (100 - wrong) + [("odd", "negative")] * wrong)
        failure, = evaluate(examples, *beside, fails=True)["gate"]["failures"]
        assert ("by chance" in failure) == is_noise, failure


@pytest.mark.parametrize("options", [
    *[(name, value) for name in ("--min-accuracy", "--min-macro-recall", "--max-accuracy-drop", "--min-agreement")
      for value in ("1.01", "-0.01", "70", "nan", "much")],
    ("--max-accuracy-drop", "0.01"), ("--min-agreement", "0.99"), ("--reference-precision", "int4"),
])
def test_a_gate_that_cannot_be_meant_is_a_usage_error(run_apus, tmp_path: Path, options):
    if options[1] in ("1.01", "-0.01", "70", "nan", "much"):
        options += ("--reference-precision", "f32")
    result = run_apus("evaluate", "--dataset", tmp_path / "none", "--report", tmp_path / "report.json",
                      *[f"{name}={value}" for name, value in zip(options[::2], options[1::2])])
    assert result.returncode == 64 and result.stdout == "" and options[0] in result.stderr
    assert not (tmp_path / "report.json").exists()


# Its output

@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_other_names_of_the_fields_may_be_given(evaluate, data: Path, tmp_path: Path, form: str):
    write = {"csv": write_csv, "jsonl": write_jsonl}[form]
    examples = tweets(data, 60)
    usual = evaluate(write(tmp_path / f"usual.{form}", examples), "--model", TINY)
    other = evaluate(write(tmp_path / f"other.{form}", examples, "what was said", "mood"), "--model", TINY, "--text-field",
                     "what was said", "--label-field", "mood")
    assert other["examples"] == 60
    assert (other["confusion_matrix"], other["accuracy"]) == (usual["confusion_matrix"], usual["accuracy"])


def test_a_terminal_sees_how_far_it_is_and_a_pipe_sees_only_figures(run_apus, dataset):
    options = ("--model", TINY, "--reference-precision", "f32", "--dataset", dataset(2000))
    piped = run_apus("evaluate", *options)
    assert piped.returncode == 0 and piped.stderr == ""
    assert re.match(r"model +\S+roberta-tiny \(.*\)\ndata +\S+, test: 2000 texts\naccuracy +\d+\.\d\d %", piped.stdout)
    terminal = Terminal()
    shown = run_apus("evaluate", *options, stderr=terminal.slave)
    states = [without_control_sequences(state) for state in terminal.close().split("\r")]
    shares = [float(match[1]) for state in states if (match := re.search(r"evaluate \[[#.]+\] ([\d.]+) %", state))]
    assert len(shares) >= 2 and shares == sorted(shares) and shares[0] < 50 and shares[-1] == 100
    assert any(re.search(r"\d+ s left", state) for state in states)
    assert states[-1].strip() == "", "the bar is left behind"

    def without_times(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith("latency")]

    assert without_times(shown.stdout) == without_times(piped.stdout)


def test_a_report_that_cannot_be_written_is_refused_and_leaves_nothing(run_apus, tmp_path: Path, disk):
    texts = write_jsonl(tmp_path / "one.jsonl", [("so so", "neutral")])
    place = disk("size=4k")
    (place / "filler").write_bytes(bytes(4096))
    (tmp_path / "folder").mkdir()
    for path, words in ((tmp_path / "none/report.json", "No such file"), (tmp_path / "folder", "directory"),
                        (place / "report.json", "No space left"), (texts / "report.json", "Not a directory")):
        for option in ("--report", "--markdown"):
            before = {path for path in tmp_path.rglob("*")}
            assert_refused(run_apus("evaluate", "--model", TINY, "--dataset", texts, option, path), str(path), words)
            assert {path for path in tmp_path.rglob("*")} == before


def test_a_report_that_stood_there_stays_when_there_is_no_room_for_another(run_apus, tmp_path: Path, disk):
    texts = write_jsonl(tmp_path / "one.jsonl", [("so so", "neutral")])
    place = disk("size=8k")
    (place / "filler").write_bytes(bytes(4096))
    (place / "report.json").write_text("an older one")
    result = run_apus("evaluate", "--model", TINY, "--dataset", texts, "--report", place / "report.json")
    assert_refused(result, "No space left")
    assert (place / "report.json").read_text() == "an older one"
    assert {path.name for path in place.iterdir()} == {"filler", "report.json"}


# The summary in Markdown

def test_summaries_in_markdown_are_appended(run_apus, tmp_path: Path):
    """As steps of a CI job write to $GITHUB_STEP_SUMMARY."""
    page = tmp_path / "page.md"
    texts = write_jsonl(tmp_path / "two.jsonl", [("so so", "neutral"), ("good", "positive")])
    before = "# A step before\n\nwhich wrote no newline at its end"
    page.write_text(before, encoding="utf-8")
    for minimum, status in ((0, 0), (1, 1)):
        assert run_apus("evaluate", "--model", TINY, "--dataset", texts, "--min-accuracy", minimum, "--reference-precision",
                        "f32", "--markdown", page).returncode == status
    text = page.read_text(encoding="utf-8")
    kept, *summaries = re.split("^### ", text, flags=re.MULTILINE)
    assert kept.rstrip() == before and len(summaries) == 2, "a heading begins a line"
    passed, failed = summaries
    assert "The gate passed" in passed and "The gate failed" in failed
    assert re.search(r"^- accuracy .* is under the minimum 1", failed, re.MULTILINE)
    for summary in (passed, failed):
        assert_tables(summary, 2, 3)


@pytest.mark.parametrize("letters", ["a|b", "<b>x", "</td>", "a\\|b", "a\nb", "a\r\nb", "a\rb", "| --- |"])
def test_no_name_breaks_a_table_or_begins_a_tag(run_apus, tmp_path: Path, letters: str):
    labels = ["negative", letters, "positive"]
    folder = tmp_path / letters.replace("/", "")
    model = copy_model(TINY, folder / "model", settings={"id2label": {str(i): label for i, label in enumerate(labels)}})
    texts = write_jsonl(folder / "texts.jsonl", [("so so", letters), ("good", "positive")])
    page = tmp_path / "page.md"
    result = run_apus("evaluate", "--model", model, "--dataset", texts, "--reference-precision", "f32", "--markdown",
                      page)
    assert result.returncode == 0, result.stderr
    text = page.read_bytes().decode()
    assert "<" not in text and "\r" not in text
    assert_tables(text, 2, 3)
    # What is no table has its own lines: the heading, and one that names model and data.
    assert len([line for line in text.split("\n") if line and not line.startswith("|")]) == 2


@pytest.mark.parametrize(("option", "beginning"), [("--report", "{\n"), ("--markdown", "### Evaluation\n")])
@pytest.mark.parametrize("output", ["a pipe", "a file"])
def test_a_report_may_go_to_the_standard_output(run_apus, tmp_path: Path, option: str, beginning: str, output: str):
    texts = write_jsonl(tmp_path / "one.jsonl", [("so so", "neutral")])
    command = ("evaluate", "--model", TINY, "--dataset", texts, option, "/dev/stdout")
    if output == "a pipe":
        result = run_apus(*command, timeout=10)
        text = result.stdout
    else:
        with (tmp_path / "output").open("w") as file:
            result = run_apus(*command, stdout=file)
        text = (tmp_path / "output").read_text(encoding="utf-8")
    assert result.returncode == 0, result.stderr
    assert text.startswith(beginning) and re.search("^macro F1 ", text, re.MULTILINE), "the report, then the figures"


# apus serve --require-gate

REPORT = "evaluation_report.json"


@pytest.fixture
def gated(run_apus, tmp_path: Path) -> Path:
    """A model directory with the report of a gate that it passed, at int8."""
    model = copy_model(TINY, tmp_path / "gated")
    texts = write_jsonl(tmp_path / "texts.jsonl", [("so so", "neutral"), ("good", "positive")])
    result = run_apus("evaluate", "--model", model, "--dataset", texts, "--min-accuracy", 0, "--report", model / REPORT)
    assert result.returncode == 0, result.stderr
    return model


def serve_refused(run_apus, model: Path, *words: str, options: tuple = ("--require-gate",), **more) -> None:
    result = run_apus("serve", "--model", model, "--port", 0, "--no-self-test", *options, timeout=20, **more)
    assert_refused(result, REPORT, *words)


@pytest.mark.parametrize("by", ["the option", "the environment"])
def test_a_server_starts_with_a_gate_that_was_passed(start_server, environment, gated: Path, by: str):
    options = ("--require-gate",) if by == "the option" else ()
    if not options:
        environment["APUS_REQUIRE_GATE"] = "1"
    server = start_server("--model", gated, "--no-self-test", *options)
    assert server.status()["gate"]["passed"] is True
    assert server.predict("good").status_code == 200


def test_the_model_in_the_package_has_passed_its_gate(start_server):
    assert start_server("--no-self-test", "--require-gate").status()["gate"]["passed"] is True


def test_a_server_refuses_a_model_without_a_report_or_without_a_gate(run_apus, gated: Path):
    report = json.loads((gated / REPORT).read_text())
    (gated / REPORT).write_text(json.dumps(report | {"gate": None}))
    serve_refused(run_apus, gated, "without a gate", "apus evaluate")
    (gated / REPORT).unlink()
    serve_refused(run_apus, gated, "missing", "apus evaluate")
    serve_refused(run_apus, gated, "missing", options=(), env={"APUS_REQUIRE_GATE": "1"})
    assert run_apus("serve", "--model", gated, "--port", 0, env={"APUS_REQUIRE_GATE": "perhaps"}).returncode == 2


def test_a_server_refuses_a_gate_that_was_failed_with_exit_code_1(run_apus, evaluate, gated: Path, tmp_path: Path):
    report = evaluate(tmp_path / "texts.jsonl", "--model", gated, "--min-accuracy", 1, "--min-macro-recall", 1, fails=True)
    (gated / REPORT).write_text(json.dumps(report))
    result = run_apus("serve", "--model", gated, "--require-gate", "--port", 0, "--no-self-test", timeout=20)
    assert (result.returncode, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 2 and all(line.startswith("apus: ") for line in lines)
    assert [failure in line for failure, line in zip(report["gate"]["failures"], lines)] == [True, True]


def test_a_server_refuses_a_gate_of_other_weights_and_names_both_hashes(run_apus, gated: Path):
    stored = json.loads((gated / REPORT).read_text())["weights_sha256"]
    weights = bytearray((gated / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (gated / "model.safetensors").write_bytes(weights)
    digest = subprocess.run(["sha256sum", gated / "model.safetensors"], capture_output=True, text=True).stdout.split()[0]
    assert stored != digest
    serve_refused(run_apus, gated, stored, digest, "apus evaluate")


def test_a_server_refuses_a_gate_of_another_precision(run_apus, start_server, gated: Path):
    serve_refused(run_apus, gated, "int8", "f32", options=("--require-gate", "--precision", "f32"))
    start_server("--model", gated, "--no-self-test", "--require-gate", "--precision", "int8")


def test_a_server_refuses_a_report_that_is_damaged_or_made_up(run_apus, gated: Path):
    whole = (gated / REPORT).read_bytes()
    report = json.loads(whole)
    for content in (b"", whole[:len(whole) // 2], b"<html>", b"\xff" + whole, b"[]", b"{}"):
        (gated / REPORT).write_bytes(content)
        serve_refused(run_apus, gated)
    for change in ({"gate": {"passed": True}}, {"gate": True}, {"gate": {"passed": True, "failures": ["accuracy"]}},
                   {"gate": {"passed": False, "failures": []}}, {"accuracy": "high"}, {"weights_sha256": None},
                   {"weights_sha256": ""}, {"precision": None}):
        (gated / REPORT).write_text(json.dumps(report | change))
        serve_refused(run_apus, gated)


def test_a_fasttext_file_has_its_report_beside_it(run_apus, start_server, words: Path, tmp_path: Path):
    texts = write_csv(tmp_path / "texts.csv", [("good", "positive"), ("bad", "negative")])
    gate = ("evaluate", "--model", words, "--dataset", texts, "--min-accuracy", 1, "--report", f"{words}.{REPORT}")
    serve_refused(run_apus, words, "missing", f"{words}.{REPORT}")
    assert run_apus(*gate).returncode == 0
    server = start_server("--model", words, "--no-self-test", "--require-gate")
    assert server.predict("good").json()["label"] == "positive"
    # By its name alone, in the folder that it is in.
    other = train(tmp_path / "other.bin", [("good", "negative"), ("bad", "positive")] * 20)
    (tmp_path / f"other.bin.{REPORT}").write_bytes(Path(f"{words}.{REPORT}").read_bytes())
    serve_refused(run_apus, Path(other.name), "sha256")
