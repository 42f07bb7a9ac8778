"""--record and `apus export-records`: what of it outlives a kill and a full disk, and that its data sets can be used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import requests

from apus_server import Server, until
from supplies import tweets
from test_feedback import LABELS, judge, judge_one
from traffic import Load, different_texts, hammer, send_batch

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))

from training import data as training_data  # noqa: E402


def export(apus: Path, folder: Path, output: Path, *options: str) -> tuple[list[dict], str]:
    """The data set, and what was said of it."""
    ran = subprocess.run([apus, "export-records", folder, "--output", output, *options], capture_output=True, text=True,
                         timeout=60)
    assert ran.returncode == 0 and ran.stderr.count("\n") == 1, ran.stderr
    # str.splitlines would cut at line ends that a text may have.
    return [json.loads(line) for line in output.read_text(encoding="utf-8").removesuffix("\n").split("\n")], ran.stderr


def refused(apus: Path, *arguments: str | Path) -> str:
    ran = subprocess.run([apus, *arguments], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1, ran.stderr
    return ran.stderr


def written(server: Server) -> float:
    return server.metrics().value("apus_records_total", result="written")


def lines(folder: Path) -> list[str]:
    files = sorted(folder.glob("records-*.jsonl"))
    return [line for file in files for line in file.read_text(encoding="utf-8").removesuffix("\n").split("\n")]


def test_a_kill_in_the_middle_of_a_stream_loses_a_second_and_the_next_start_goes_on(apus, start_server, tmp_path):
    folder = tmp_path / "new" / "records"
    texts = different_texts(300)
    server = Server(apus, "--no-self-test", "--record", str(folder), "--record-file-bytes", "20000")
    hammer(server.port, texts[:200], connections=4)
    until(lambda: written(server) == 200, "all that was answered is written")
    assert folder.stat().st_mode & 0o777 == 0o700
    with Load(server.port, texts[:200], connections=4):
        until(lambda: written(server) > 300, "more comes")
        server.process.kill()
        server.process.wait()
    files = sorted(folder.glob("records-*.jsonl"))
    assert len(files) > 3 and all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert all(file.stat().st_size <= 20_000 for file in files)
    # What a crash of the machine, or a kill between two writes of a line, leaves.
    with files[-1].open("r+b") as file:
        file.truncate(files[-1].stat().st_size - 20)
    server = start_server("--record", str(folder), self_test=True)
    assert "texts of requests are kept for training" in server.log()
    hammer(server.port, texts[200:], connections=4)
    until(lambda: server.status()["records"]["written"] == 100, "it goes on, without the self-test's texts")
    assert len(lines(folder)) > 400
    found, said = export(apus, folder, tmp_path / "data.jsonl", "--min-confidence", "0")
    assert sorted(record["text"] for record in found) == sorted(texts)
    assert f"1 damaged, the first at {files[-1]}, line" in said and "300 of" in said


def test_a_full_disk_drops_records_and_no_answer(apus, start_server, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "apus-test", folder], capture_output=True).returncode:
        pytest.skip("nobody may mount a file system here")
    try:
        filler = folder / "filler"
        filler.write_bytes(bytes(56 << 10))  # two pages are left
        server = start_server("--record", str(folder), "--log-format", "json")
        assert server.predict("this one fits").status_code == 200
        until(lambda: written(server) == 1, "it is written")
        for number in range(1, 21):
            # A request's lines are written together, and have no room.
            assert send_batch(server.port, [f"short {number}"] * 128).status == 200
            if number % 5 == 0:
                until(lambda: server.metrics().value("apus_records_total", result="dropped") == 128 * number,
                      "all are dropped")
        assert sum("records cannot be written: No space left" in record["message"] for record in server.log_records()) == 1
        [line] = lines(folder)
        assert json.loads(line)["text"] == "this one fits"
        filler.unlink()
        assert server.predict("there is room again", headers={"X-Request-Id": "room"}).status_code == 200
        until(lambda: "records are written again" in server.log(), "there is room")
        assert judge_one(server, "room", "neutral") == 200
        until(lambda: len(lines(folder)) == 3, "the feedback is written")
        [found], said = export(apus, folder, tmp_path / "data.jsonl", "--labelled")
        assert (found["text"], found["label"], found["source"]) == ("there is room again", "neutral", "feedback")
        assert server.status()["records"]["dropped"] == 20 * 128
        server.terminate()
        assert server.wait(30) == 0
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_feedback_after_a_restart_is_joined_with_its_text(apus, start_server, tmp_path):
    options = ("--record", str(tmp_path / "records"), "--state", str(tmp_path / "state"))
    server = start_server(*options)
    assert server.predict("I love it", headers={"X-Request-Id": "mine"}).status_code == 200
    assert server.predict("I hate it", headers={"X-Request-Id": "other"}).status_code == 200
    assert judge_one(server, "other", "neutral") == 200
    server.terminate()
    assert server.wait(30) == 0
    server = start_server(*options)
    assert judge_one(server, "mine", "negative") == 200
    server.terminate()  # what is not written yet is written at the end
    assert server.wait(30) == 0
    found, said = export(apus, tmp_path / "records", tmp_path / "data.jsonl", "--labelled")
    assert [(record["id"], record["text"], record["label"], record["source"], record["predicted"]) for record in found] == [
        ("mine", "I love it", "negative", "feedback", "positive"),
        ("other", "I hate it", "neutral", "feedback", "negative")]
    assert said == f"apus: {tmp_path}/data.jsonl: 2 of 2 texts, 2 with feedback's label and 0 with the model's\n"


def test_the_data_set_is_what_evaluate_and_the_training_read(apus, data, start_server, tmp_path):
    server = start_server("--record", str(tmp_path / "records"))
    texts = list(dict.fromkeys(tweets(data)))[:400] + ["a\u2028b \x85 c\x0bd", " \t", "\\ud83d \"x\""]
    truth = [LABELS[len(text) % 3] for text in texts]
    for start in range(0, len(texts), 100):
        identifier = str(uuid.uuid4())
        answer = requests.post(server.url + "/predict", json={"texts": texts[start:start + 100]}, timeout=60,
                               headers={"X-Request-Id": identifier})
        assert answer.status_code == 200
        body = [{"request_id": identifier, "index": index, "label": label}
                for index, label in enumerate(truth[start:start + 100])]
        assert judge(server, body).status_code == 200
    until(lambda: written(server) == 2 * len(texts), "all is written")
    output = tmp_path / "data.jsonl"
    found, said = export(apus, tmp_path / "records", output, "--labelled")
    expected = [pair for pair in zip(texts, truth) if pair[0].strip()]
    assert [(record["text"], record["label"]) for record in found] == expected
    assert len(expected) == len(texts) - 1 and "left out: 1 blank" in said
    read = training_data.load(output, training_data.DataOptions())
    assert read.labels == list(LABELS)
    assert sorted((text, read.labels[label]) for split in read.splits
                  for text, label in zip(split.texts, split.labels)) == sorted(expected)
    report = tmp_path / "report.json"
    subprocess.run([apus, "evaluate", "--dataset", output, "--report", report], check=True, capture_output=True, timeout=120)
    measured = json.loads(report.read_text())
    assert measured["examples"] == len(expected)
    right = sum(record["predicted"] == record["label"] for record in found)
    assert measured["accuracy"] == pytest.approx(right / len(expected))


def test_old_texts_are_deleted_while_it_runs_and_at_the_next_start(start_server, tmp_path):
    old = tmp_path / "records-1700000000000.jsonl"
    old.write_text("{}\n")
    server = start_server("--record", str(tmp_path), "--record-ttl", "3")
    until(lambda: not old.exists(), "what is older is deleted")
    server.assert_answers()
    until(lambda: lines(tmp_path), "it is written")
    until(lambda: not lines(tmp_path), "it is deleted when its time is over", 10)
    assert server.status()["records"]["written"] == 1


def test_a_share_is_a_number_or_a_percentage_and_a_directory_may_look_like_one(apus, start_server, tmp_path):
    named = tmp_path / "a=0.5"
    named.mkdir()
    for given, directory, share in ((f"{tmp_path}/new=25%", f"{tmp_path}/new", 0.25), (f"{named}", f"{named}", 1),
                                    (f"{named}=0.125", f"{named}", 0.125)):
        for server in (start_server("--record", given), start_server(env={"APUS_RECORD": given})):
            records = server.status()["records"]
            assert (records["directory"], records["share"]) == (directory, share)
    for share in ("0", "1.5", "101%", "-1", "nan", "some", ""):
        assert "ends in no share" in refused(apus, "serve", "--port", "0", "--record", f"{tmp_path}/new={share}"), share


def test_a_directory_that_cannot_be_used_is_one_clear_error(apus, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for directory in (file, file / "below"):
        assert "cannot be made" in refused(apus, "serve", "--port", "0", "--no-self-test", "--record", directory)
    for directory in (file, tmp_path, tmp_path / "none"):
        assert "has no records" in refused(apus, "export-records", directory, "--output", tmp_path / "out")
    (tmp_path / "records-1.jsonl").write_text('{"id":\n')
    assert "no text of its records fits: 1 damaged" in refused(apus, "export-records", tmp_path, "--output", tmp_path / "out")
    assert "is not a time" in refused(apus, "export-records", tmp_path, "--output", tmp_path / "out", "--since", "yesterday")
    assert not (tmp_path / "out").exists()
    assert sorted(os.listdir(tmp_path)) == ["file", "records-1.jsonl"]


def test_nothing_is_kept_unless_it_is_asked_for(server):
    server.assert_answers()
    assert server.status()["records"] is None
    assert [sample.value for sample in server.metrics().matching("apus_records_total")] == [0, 0]
