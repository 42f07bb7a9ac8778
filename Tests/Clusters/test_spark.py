"""deploy/spark/predict.py on several workers, beside one `apus predict`: the same bytes, whatever happens on the way.

`submit` is spark-submit with two executors that are processes of their own, `spark` two workers in one process. The shipped
model over 200,000 rows takes some five minutes of two cores, and runs where APUS_TEST_SPARK=1.
"""

from __future__ import annotations

import datetime
import decimal
import json
import os
import shutil
import signal
import struct
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

import predict as job
import tweets

ROWS = 200_000


@pytest.fixture
def run(spark, apus: Path, fasttext_model: Path) -> Callable[..., dict]:
    """The script's work with the fastText model, in this process."""
    def run(*arguments: object) -> dict:
        options = ["--apus", apus, "--model", fasttext_model, *arguments]
        return job.run(spark, job.parse([str(option) for option in options]))

    return run


def finished(process: subprocess.Popen, seconds: float = 240) -> tuple[dict, str]:
    """What the job printed, and its log; fails where it did."""
    output, log = process.communicate(timeout=seconds)
    assert process.returncode == 0, log[-6000:]
    return json.loads(output), log


def failed(process: subprocess.Popen, seconds: float = 240) -> str:
    _, log = process.communicate(timeout=seconds)
    assert process.returncode not in (0, None), "the job went well"
    return log


def running(binary: Path, model: str) -> list[int]:
    """The processes that run the binary with exactly this model."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == os.fsencode(binary) and os.fsencode(model) in words:
            found.append(int(place.name))
    return found


def written(process: int) -> int:
    """How many bytes a process has written; 0 where it is gone."""
    try:
        return int(dict(line.split(": ") for line in Path(f"/proc/{process}/io").read_text().splitlines())["wchar"])
    except (OSError, KeyError):
        return 0


# The same bytes

def test_200_000_rows_on_two_workers_are_the_bytes_of_one_process(submit, predict, apus, data, fasttext_model, tmp_path):
    rows = tweets.write(tmp_path / "tweets.jsonl", tweets.records(data, ROWS))
    expected = predict(rows, "--model", fasttext_model)
    said, _ = finished(submit(
        "--input", rows, "--output", tmp_path / "out", "--apus", apus, "--model", fasttext_model, "--task-bytes", "2m"))
    assert said["rows"] == ROWS and said["bad_rows"] == 0
    parts = tweets.parts(tmp_path / "out")
    assert len(parts) >= 10 and min(map(len, parts)) > 0
    assert [line for part in parts for line in part] == expected
    assert len({json.dumps(json.loads(line)["scores"]) for line in expected}) > ROWS / 2, "a mix-up could go unnoticed"


def test_a_killed_process_is_reported_and_its_task_done_again(submit, predict, apus, data, tmp_path):
    """The shipped model, and the processes of both workers shot in the middle of their work."""
    rows = tweets.write(tmp_path / "tweets.jsonl", tweets.records(data, 6000))
    model = tmp_path / "model-to-be-shot"
    model.symlink_to(shipped_model(apus))
    expected = predict(rows, "--model", model)
    process = submit("--input", rows, "--output", tmp_path / "out", "--apus", apus, "--model", model, "--task-bytes", "256k")
    shot: list[int] = []
    end = time.monotonic() + 120
    while len(shot) < 3:
        assert process.poll() is None, f"the job ended before three processes were shot: {process.communicate()[1][-4000:]}"
        assert time.monotonic() < end, "no process of the job was seen at work"
        for number in running(apus, str(model)):
            if number not in shot and written(number) > 10_000 and len(shot) < 3:
                os.kill(number, signal.SIGKILL)
                shot.append(number)
        time.sleep(0.02)
    said, log = finished(process)
    assert said["rows"] == 6000
    assert tweets.lines(tmp_path / "out") == expected
    assert log.count("ended by SIGKILL after ") >= 3 and "Lost task" in log, log[-4000:]
    assert running(apus, str(model)) == []


@pytest.mark.skipif(os.environ.get("APUS_TEST_SPARK") != "1", reason="some five minutes of two cores; APUS_TEST_SPARK=1")
def test_200_000_rows_of_the_shipped_model_are_the_bytes_of_one_process(submit, predict, apus, data, tmp_path):
    rows = tweets.write(tmp_path / "tweets.jsonl", tweets.records(data, ROWS))
    start = time.monotonic()
    expected = predict(rows)
    alone = time.monotonic() - start
    said, _ = finished(submit("--input", rows, "--output", tmp_path / "out", "--apus", apus), seconds=1800)
    print(f"one process with its threads {alone:.0f} s, Spark with a process a core {said['seconds']:.0f} s")
    assert tweets.lines(tmp_path / "out") == expected


def shipped_model(apus: Path) -> Path:
    found = sorted(apus.parent.glob("apus_Engine.*/**/Model"))
    assert found, f"the shipped model is not beside {apus}"
    return found[0]


def test_order_holds_over_many_files_part_by_part_and_no_row_is_lost_or_doubled(
        run, predict, data, fasttext_model, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    everything = list(tweets.records(data, 3000))
    for number, (start, end) in enumerate([(0, 10), (10, 2000), (2000, 2001), (2001, 2600), (2600, 3000)]):
        tweets.write(folder / f"{9 - number}.jsonl", iter(everything[start:end]))
    (folder / "empty.jsonl").touch()
    answers = [line for path in folder.glob("[0-9]*") for line in predict(path, "--model", fasttext_model)]
    expected = {tweets.key(line): line for line in answers}
    assert run("--input", folder, "--input-format", "jsonl", "--output", tmp_path / "out")["rows"] == 3000
    parts = tweets.parts(tmp_path / "out")
    for part in parts:
        keys = [tweets.key(line) for line in part]
        assert keys == list(range(keys[0], keys[0] + len(keys))), "a part is not a piece of one file, in its order"
    assert {tweets.key(line): line for part in parts for line in part} == expected
    assert sum(map(len, parts)) == 3000


def test_rows_dealt_out_anew_keep_their_predictions(run, predict, data, fasttext_model, tmp_path):
    rows = tweets.write(tmp_path / "in.jsonl", tweets.records(data, 1000))
    run("--input", rows, "--output", tmp_path / "out", "--partitions", 7)
    assert sum(1 for part in tweets.parts(tmp_path / "out") if part) == 7
    assert sorted(tweets.lines(tmp_path / "out"), key=tweets.key) == predict(rows, "--model", fasttext_model)


def test_options_reach_apus(run, predict, data, fasttext_model, tmp_path):
    records = ({"id": row["id"], "tweet": row["text"]} for row in tweets.records(data, 100))
    rows = tweets.write(tmp_path / "in.jsonl", records)
    run("--input", rows, "--output", tmp_path / "out", "--text-field", "tweet", "--logits", "--text-preparation", "tweet")
    expected = predict(rows, "--model", fasttext_model, "--text-field", "tweet", "--logits", "--text-preparation", "tweet")
    assert tweets.lines(tmp_path / "out") == expected and b'"logits":' in expected[0]


# Tables

def table(data: Path, count: int) -> pa.Table:
    """Columns of every kind, some of which no JSON could carry there and back."""
    rows = list(tweets.records(data, count))
    moment = datetime.datetime(2026, 1, 1, 12, 30, 0, 123456, datetime.timezone.utc)
    return pa.table({
        "id": pa.array([row["id"] for row in rows], pa.int64()),
        "text": pa.array([row["text"] for row in rows], pa.string()),
        "at": pa.array([moment + datetime.timedelta(microseconds=row["id"]) for row in rows], pa.timestamp("us", "UTC")),
        "price": pa.array([decimal.Decimal(row["id"]) / 100 for row in rows], pa.decimal128(20, 2)),
        "share": pa.array([row["id"] / 3 if row["id"] % 2 else None for row in rows], pa.float64()),
        "tags": pa.array([["a"] * (row["id"] % 3) for row in rows], pa.list_(pa.string())),
        "raw": pa.array([bytes([row["id"] % 256, 255]) for row in rows], pa.binary()),
        "place": pa.array([{"x": row["id"], "y": None} for row in rows], pa.struct([("x", pa.int32()), ("y", pa.string())])),
        "score": pa.array(["gives way"] * count, pa.string()),
        "a `b`.c": pa.array([row["id"] for row in rows], pa.int32()),
    })


def bits(number: float) -> bytes:
    return struct.pack("<f", number)


def test_parquet_to_parquet_leaves_columns_alone_and_adds_floats_bit_for_bit(
        run, predict, data, fasttext_model, tmp_path):
    given = table(data, 2000)
    pyarrow.parquet.write_table(given, tmp_path / "in.parquet", row_group_size=500)
    assert run("--input", tmp_path / "in.parquet", "--output", tmp_path / "out", "--output-format", "parquet",
               "--task-bytes", "32k")["rows"] == 2000
    out = pyarrow.parquet.read_table(tmp_path / "out").sort_by("id")
    kept = [name for name in given.column_names if name != "score"]
    assert out.column_names == [*kept, "label", "score", "scores"]
    for name in kept:
        assert out[name].to_pylist() == given[name].to_pylist(), name
    rows = tweets.write(tmp_path / "rows.jsonl", ({"id": n, "text": t} for n, t in enumerate(given["text"].to_pylist())))
    expected = [json.loads(line) for line in predict(rows, "--model", fasttext_model)]
    assert out["label"].to_pylist() == [row["label"] for row in expected]
    assert out.schema.field("score").type == pa.float32()
    assert list(map(bits, out["score"].to_pylist())) == [bits(row["score"]) for row in expected]
    for scores, row in zip(out["scores"].to_pylist(), expected, strict=True):
        assert {name: bits(value) for name, value in scores} == {name: bits(value) for name, value in row["scores"].items()}


def test_a_row_group_is_one_tasks_work_unless_rows_are_dealt_out_anew(run, data, tmp_path):
    """What README says of --task-bytes and parquet."""
    for rows_a_group, options, tasks in ((500, (), 4), (2000, (), 1), (2000, ("--partitions", 4), 4)):
        pyarrow.parquet.write_table(table(data, 2000), tmp_path / "in.parquet", row_group_size=rows_a_group)
        run("--input", tmp_path / "in.parquet", "--output", tmp_path / "out", "--task-bytes", "8k", "--overwrite", *options)
        assert sum(1 for part in tweets.parts(tmp_path / "out") if part) == tasks


def test_jsonl_to_parquet_and_parquet_to_jsonl(run, predict, data, fasttext_model, tmp_path):
    rows = tweets.write(tmp_path / "in.jsonl", tweets.records(data, 500))
    expected = [json.loads(line) for line in predict(rows, "--model", fasttext_model)]
    for options in ((), ("--schema", "id long, text string, weight double")):
        run("--input", rows, "--output", tmp_path / "table", "--output-format", "parquet", "--overwrite", *options)
        out = pyarrow.parquet.read_table(tmp_path / "table").to_pylist()
        assert [{**row, "score": bits(row["score"]), "scores": None} for row in out] == [
            {**row, "score": bits(row["score"]), "scores": None} for row in expected]
    run("--input", tmp_path / "table", "--input-format", "parquet", "--output", tmp_path / "out")
    assert [json.loads(line) for line in tweets.lines(tmp_path / "out")] == expected


@pytest.mark.parametrize("options", [(), ("--schema", "id long, text string, weight double")], ids=["inferred", "schema"])
def test_a_line_is_a_row_of_a_table_only_where_apus_takes_it(run, with_bad_rows, tmp_path, options):
    """Lines of which Spark's JSON reader makes no row, two rows, or a row of nulls."""
    mixed, good = with_bad_rows
    with mixed.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in NOT_ONE_OBJECT))
    said = run("--input", mixed, "--output", tmp_path / "out", "--output-format", "parquet", "--bad-rows", tmp_path / "bad",
               "--task-bytes", "8k", *options)
    bad_lines = [*BAD.values(), *NOT_ONE_OBJECT]
    assert (said["rows"], said["bad_rows"]) == (300 + len(NOT_ONE_OBJECT), len(bad_lines))
    out = pyarrow.parquet.read_table(tmp_path / "out")
    assert out.column_names == ["id", "text", "weight", "label", "score", "scores"]
    assert [(row["id"], row["text"], row["weight"]) for row in out.to_pylist()] == [
        (row["id"], row["text"], row["weight"]) for row in map(json.loads, good.read_bytes().splitlines())]
    bad = pyarrow.parquet.read_table(tmp_path / "bad")
    assert bad.column_names == ["line", "reason"] and sorted(bad["line"].to_pylist()) == sorted(bad_lines)
    assert all(bad["reason"].to_pylist())


def test_a_line_that_is_no_row_fails_the_job_where_there_is_no_place_for_bad_rows(run, data, tmp_path):
    for number, line in enumerate([b"", *NOT_ONE_OBJECT]):
        rows = tweets.write(tmp_path / "in.jsonl", tweets.records(data, 10))
        rows.write_bytes(rows.read_bytes() + line + b"\n")
        with pytest.raises(Exception, match="refused 1 of the task's rows"):
            run("--input", rows, "--output", tmp_path / f"out{number}", "--output-format", "parquet")


def test_a_value_that_does_not_fit_the_schema_fails_the_job(run, data, tmp_path):
    rows = tweets.write(tmp_path / "in.jsonl", tweets.records(data, 10))
    rows.write_bytes(rows.read_bytes() + b'{"id": "eleven", "text": "as good as any"}\n')
    with pytest.raises(Exception, match="MALFORMED_RECORD"):
        run("--input", rows, "--output", tmp_path / "out", "--output-format", "parquet", "--schema", "id long, text string")


# Bad rows

BAD = {3: b'{"id": 3, "text": ""}', 40: b"", 41: b'{"id": 41, "text": null}', 250: b'{"id": 250, "text": "\xff"}',
       299: b'{"id": 299, "tex'}

# JSON of which Spark's own reader makes rows.
NOT_ONE_OBJECT = [b'[{"id": 1, "text": "one"}, {"id": 2, "text": "two"}]', b'{"id": 3, "text": "three"} and more',
                  b'{"id": 4, "text": "four"}{"id": 5, "text": "five"}']


@pytest.fixture
def with_bad_rows(data: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Three hundred rows, five of them bad; and the good ones alone."""
    good = tweets.write(tmp_path / "good.jsonl", tweets.records(data, 300))
    lines = good.read_bytes().splitlines(keepends=True)
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_bytes(b"".join(BAD[number] + b"\n" if number in BAD else line for number, line in enumerate(lines)))
    good.write_bytes(b"".join(line for number, line in enumerate(lines) if number not in BAD))
    return mixed, good


def test_a_bad_row_fails_the_job_with_its_reason_after_four_tries(submit, apus, with_bad_rows, fasttext_model, tmp_path):
    log = failed(submit(
        "--input", with_bad_rows[0], "--output", tmp_path / "out", "--apus", apus, "--model", fasttext_model))
    assert "refused 1 of the task's rows; the last because the text is empty" in log
    assert "Task 0 in stage 0.0 failed 4 times" in log
    assert not (tmp_path / "out/_SUCCESS").exists()


def test_bad_rows_go_to_a_table_with_their_reasons_and_the_others_are_as_ever(
        run, predict, with_bad_rows, fasttext_model, tmp_path):
    mixed, good = with_bad_rows
    said = run("--input", mixed, "--output", tmp_path / "out", "--bad-rows", tmp_path / "bad", "--task-bytes", "8k")
    assert (said["rows"], said["bad_rows"]) == (300, 5)
    assert tweets.lines(tmp_path / "out") == predict(good, "--model", fasttext_model)
    bad = {row["line"]: row["reason"] for row in pyarrow.parquet.read_table(tmp_path / "bad").to_pylist()}
    assert bad.keys() == set(BAD.values())
    assert "is empty" in bad[BAD[3]] and "not a string" in bad[BAD[41]] and "UTF-8" in bad[BAD[250]]


def test_bad_rows_of_a_table_keep_their_columns(run, data, tmp_path):
    given = table(data, 20)
    texts = given["text"].to_pylist()
    texts[4], texts[9] = None, ""
    given = given.set_column(1, "text", pa.array(texts, pa.string()))
    pyarrow.parquet.write_table(given, tmp_path / "in.parquet")
    run("--input", tmp_path / "in.parquet", "--output", tmp_path / "out", "--output-format", "parquet",
        "--bad-rows", tmp_path / "bad")
    bad = pyarrow.parquet.read_table(tmp_path / "bad").sort_by("id").to_pylist()
    assert [(row["id"], row["text"]) for row in bad] == [(4, None), (9, "")]
    assert "is not a string" in bad[0]["reason"] and "is empty" in bad[1]["reason"]
    assert bad[1]["at"] == given["at"][9].as_py()
    assert pyarrow.parquet.read_table(tmp_path / "out").num_rows == 18


def test_where_every_row_is_bad_the_job_fails_soon(run, data, tmp_path):
    rows = tweets.write(tmp_path / "in.jsonl", tweets.records(data, 100))
    with pytest.raises(Exception, match='refused 11 .*more than the 10 .*has no field "tweet"'):
        run("--input", rows, "--output", tmp_path / "out", "--bad-rows", tmp_path / "bad", "--text-field", "tweet",
            "--most-bad-rows", 10)


# Whatever else is wrong

def test_a_wrong_model_or_binary_fails_with_what_it_says(run, data, tmp_path):
    rows = tweets.write(tmp_path / "in.jsonl", tweets.records(data, 10))
    for options, said in ((("--model", "/nowhere/model"), "/nowhere/model: this model directory does not exist"),
                          (("--apus", "/nowhere/apus"), "/nowhere/apus cannot be started")):
        with pytest.raises(Exception, match=said):
            run("--input", rows, "--output", tmp_path / f"out{options[0]}", "--bad-rows", tmp_path / "bad", *options)


@pytest.mark.parametrize("there", ["out", "bad"])
def test_what_is_there_is_only_replaced_when_asked_and_found_before_the_work(run, data, tmp_path, there):
    rows = tweets.write(tmp_path / "in.jsonl", tweets.records(data, 10))
    (tmp_path / there).mkdir()
    arguments = ["--input", rows, "--output", tmp_path / "out", "--bad-rows", tmp_path / "bad"]
    with pytest.raises(SystemExit, match=f"{tmp_path}/{there} already exists.*--overwrite"):
        run(*arguments)
    assert not {path.name for path in tmp_path.iterdir()} - {"in.jsonl", there} and not list((tmp_path / there).iterdir())
    run(*arguments, "--overwrite")
    assert len(tweets.lines(tmp_path / "out")) == 10


def test_a_column_with_the_name_of_the_reason_is_refused_before_the_work(run, data, tmp_path):
    given = table(data, 5).rename_columns({"share": "Reason"})
    pyarrow.parquet.write_table(given, tmp_path / "in.parquet")
    arguments = ["--input", tmp_path / "in.parquet", "--output", tmp_path / "out"]
    with pytest.raises(SystemExit, match='a column "reason", which --bad-rows adds'):
        run(*arguments, "--output-format", "parquet", "--bad-rows", tmp_path / "bad")
    assert not (tmp_path / "out").exists()
    run(*arguments, "--bad-rows", tmp_path / "bad")
    run(*arguments, "--output-format", "parquet", "--overwrite")
    assert pyarrow.parquet.read_table(tmp_path / "out").sort_by("id")["Reason"].to_pylist() == given["Reason"].to_pylist()


def test_a_missing_column_is_named_with_those_there_are(run, data, tmp_path):
    pyarrow.parquet.write_table(table(data, 5), tmp_path / "in.parquet")
    with pytest.raises(SystemExit, match='no column "tweet"; its columns are id, text, .*--text-field'):
        run("--input", tmp_path / "in.parquet", "--output", tmp_path / "out", "--text-field", "tweet")


@pytest.mark.parametrize("options", [
    ("--input", "x.txt"), ("--input", "x.jsonl", "--threads", "0"), ("--input", "x.jsonl", "--most-bad-rows", "0"),
    ("--input", "x.jsonl", "--output-format", "parquet", "--logits"), ("--input", "x.parquet", "--schema", "text string"),
    ("--input", "x.jsonl", "--bad-rows", "out/"),
], ids=" ".join)
def test_options_that_make_no_sense_are_refused_before_spark_starts(options, capsys):
    with pytest.raises(SystemExit) as refused:
        job.parse([*options, "--output", "out"])
    assert refused.value.code == 2 and options[-2].removeprefix("--output-format") in capsys.readouterr().err


def test_csv_is_refused_and_what_reads_it_is_named(capsys):
    """Spark's reader takes a file with a quote that is not closed, Windows' line ends in cells, and what is no UTF-8."""
    for options, said in ((["x.csv"], "CSV, too, which Spark's reader takes otherwise than apus predict does"),
                          (["x", "--input-format", "csv"], "invalid choice: 'csv'")):
        with pytest.raises(SystemExit) as refused:
            job.parse(["--input", *options, "--output", "out"])
        assert refused.value.code == 2 and said in capsys.readouterr().err


def test_binary_and_model_may_come_in_an_archive(submit, predict, apus, data, fasttext_model, tmp_path):
    """As on a cluster where nothing is installed. The binary proper stays where it is: a script that starts it travels."""
    script = tmp_path / "start"
    script.write_text(f'#!/bin/sh\nexec {apus} "$@"\n')
    script.chmod(0o755)
    with tarfile.open(tmp_path / "apus.tar.gz", "w:gz") as archive:
        archive.add(script, "bin/apus")
        archive.add(fasttext_model, "tweets.bin")
    rows = tweets.write(tmp_path / "in.jsonl", tweets.records(data, 200))
    finished(submit("--input", rows, "--output", tmp_path / "out", "--apus", "apus/bin/apus", "--model", "apus/tweets.bin",
                    "--threads", 1, archives=tmp_path / "apus.tar.gz"))
    assert tweets.lines(tmp_path / "out") == predict(rows, "--model", fasttext_model)


def test_the_other_half_may_come_by_py_files_as_to_a_cluster_that_runs_the_driver_too(
        spark_home, predict, apus, data, fasttext_model, tmp_path):
    """YARN and Kubernetes send the script alone; here it is alone in its folder, and the driver stays."""
    script = shutil.copy(job.__file__, tmp_path / "predict.py")
    half = shutil.copytree(Path(job.__file__).parent, tmp_path / "elsewhere") / "apus_filter.py"
    rows = tweets.write(tmp_path / "in.jsonl", tweets.records(data, 200))
    command = [spark_home / "bin/spark-submit", "--master", "local-cluster[1,1,1024]", "--executor-memory", "1g",
               "--conf", "spark.ui.enabled=false", "--py-files", half, script, "--input", rows, "--output", tmp_path / "out",
               "--apus", apus, "--model", fasttext_model]
    finished(subprocess.Popen(
        [str(part) for part in command], cwd=tmp_path, env=os.environ | {"SPARK_HOME": str(spark_home)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    assert tweets.lines(tmp_path / "out") == predict(rows, "--model", fasttext_model)
