"""README's commands, run as they stand there; only the port, the binary and the data's folder are those of the test."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path

from test_protocols import curl

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.partition(" #")[0].strip() for block in re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
            for line in block.splitlines()]
SERVE, TEST, CURL, PREDICT, DOCKER, EVALUATE = COMMANDS


def test_make_has_what_the_first_two_name():
    for command in (SERVE, TEST):
        subprocess.run([*command.split(), "--dry-run"], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)


def test_curl_gets_the_answer_that_is_shown(server):
    [shown] = re.findall(r"^```json\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    program, *arguments = re.findall(r"'[^']*'|\S+", CURL)
    assert program == "curl" and arguments[-1] == "localhost:7860/predict"
    answer = curl(*[argument.strip("'") for argument in arguments[:-1]], f"127.0.0.1:{server.port}/predict")
    assert json.loads(answer) == json.loads(shown)


def test_a_file_of_texts_is_labelled(apus, tmp_path):
    with (tmp_path / "tweets.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "tweet"], ["1", "I love MLOps"], ["2", "I hate\nMondays, \"really\""]])
    subprocess.run(PREDICT.replace(".build/release/apus", str(apus)), shell=True, cwd=tmp_path, check=True)
    with (tmp_path / "labelled.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["label"]) for row in rows] == [("1", "positive"), ("2", "negative")]


def test_the_image_is_built_by_the_command_that_its_own_file_names():
    assert DOCKER in (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")


def test_the_gate_passes(apus, data):
    command = EVALUATE.replace(".build/release/apus", str(apus)).replace("../shared/data", str(data))
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)
