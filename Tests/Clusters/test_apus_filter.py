"""The filter under Spark, alone: what a process may do wrong, and which of a task's lines were bad."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from apus_filter import ApusFailed, ApusFilter, ApusProcess, BadLine

GOOD = [json.dumps({"text": f"I love number {number}", "id": number}).encode() for number in range(200)]
BAD = [b"", b"{", b'{"text":""}', b'{"text":null}', b'{"other":"x"}', b'{"text":"\xff"}', b'{"text":"' + b"x" * 100_001 + b'"}']


@pytest.fixture
def command(apus: Path, fasttext_model: Path) -> list[str]:
    return [str(apus), "predict", "--input", "-", "--input-format", "jsonl", "--output-format", "jsonl",
            "--model", str(fasttext_model), "--threads", "1"]


def in_batches(lines: list[bytes], size: int) -> list[list[bytes]]:
    return [lines[start:start + size] for start in range(0, len(lines), size)]


def flat(batches) -> list:
    return [answer for batch in batches for answer in batch]


def numbers(answers: list) -> list[int | None]:
    return [None if isinstance(answer, BadLine) else json.loads(answer)["id"] for answer in answers]


@pytest.mark.parametrize("size", [1, 3, 32, 33, 200])
def test_every_line_is_answered_in_its_place_however_they_come(command, size):
    batches = list(ApusFilter(command).answers(in_batches(GOOD, size)))
    assert [len(batch) for batch in batches] == [len(batch) for batch in in_batches(GOOD, size)]
    assert numbers(flat(batches)) == list(range(200))


def test_no_lines_start_no_process():
    assert list(ApusFilter(["/nowhere"]).answers([])) == []
    assert list(ApusFilter(["/nowhere"]).answers([[], []])) == [[], []]


@pytest.mark.parametrize("places", [[0], [199], [0, 1, 2], [31, 32, 33], [197, 198, 199], [5, 77, 150], range(0, 200, 40)],
                         ids=lambda places: ",".join(map(str, places)))
@pytest.mark.parametrize("size", [7, 64, 200])
def test_bad_lines_keep_their_places_and_the_others_their_answers(command, places, size):
    lines = [BAD[number % len(BAD)] if number in places else line for number, line in enumerate(GOOD)]
    answers = flat(ApusFilter(command, most_bad_lines=len(lines)).answers(in_batches(lines, size)))
    assert numbers(answers) == [None if number in places else number for number in range(200)]
    expected = flat(ApusFilter(command).answers([GOOD]))
    assert [answer for answer in answers if not isinstance(answer, BadLine)] == [
        answer for number, answer in enumerate(expected) if number not in places]


def test_each_kind_of_bad_line_has_its_own_reason(command):
    answers = flat(ApusFilter(command, most_bad_lines=len(BAD)).answers([BAD]))
    assert all(isinstance(answer, BadLine) for answer in answers)
    said = ["is not a JSON object", "ends too early", "is empty", "is not a string", 'no field "text"', "not valid UTF-8", "100000"]
    assert [words in answer.reason for words, answer in zip(said, answers, strict=True)] == [True] * len(BAD)


def test_one_bad_line_more_than_allowed_fails_with_the_reason(command):
    lines = [*GOOD[:10], b'{"text":""}', *GOOD[10:20], b'{"text":null}']
    with pytest.raises(ApusFailed, match="refused 1 .*the text is empty"):
        flat(ApusFilter(command).answers([lines]))
    with pytest.raises(ApusFailed, match="refused 2 .*more than the 1 .*is not a string"):
        flat(ApusFilter(command, most_bad_lines=1).answers([lines]))


def test_a_process_that_is_killed_is_a_failure_that_says_so(command):
    started: list[ApusProcess] = []

    def start(command):
        started.append(ApusProcess(command))
        return started[-1]

    answers = ApusFilter(command, most_bad_lines=100, start=start).answers(GOOD[:20] for _ in range(10_000))
    with pytest.raises(ApusFailed, match=r"ended by SIGKILL after \d+ answers"):
        for number, _ in enumerate(answers):
            if number == 50:
                os.kill(started[0].process.pid, signal.SIGKILL)
    assert len(started) == 1


def test_a_process_is_gone_when_nobody_wants_its_answers(command):
    started: list[ApusProcess] = []

    def start(command):
        started.append(ApusProcess(command))
        return started[-1]

    answers = ApusFilter(command, start=start).answers(GOOD[:20] for _ in range(10_000))
    next(answers)
    answers.close()
    assert started[0].process.returncode is not None


def test_wrong_options_are_a_failure_with_what_apus_said_of_them(command):
    with pytest.raises(ApusFailed, match=r"exit status 64 after 0 answers.*--threads must be from 1"):
        flat(ApusFilter([*command[:-1], "0"], most_bad_lines=100).answers([GOOD]))
    with pytest.raises(ApusFailed, match="/nowhere/model: this model directory does not exist"):
        flat(ApusFilter([*command, "--model", "/nowhere/model"], most_bad_lines=100).answers([GOOD]))
    with pytest.raises(ApusFailed, match="/nowhere/apus cannot be started: .*No such file"):
        flat(ApusFilter(["/nowhere/apus"]).answers([GOOD]))


@pytest.mark.parametrize("code", [
    "print(sys.stdin.readline(), end='', flush=True)",
    "print(sys.stdin.readline(), end='', flush=True); sys.stderr.write('apus: standard input, line 7: no\\n'); sys.exit(2)",
    "[print(line, end='') for line in sys.stdin]; print('more')",
    "[print(line, end='') for line in sys.stdin]; sys.exit(1)",
    "[print(line.rstrip(), end='') for line in sys.stdin]",
    "[print(line, end='') for line in sys.stdin]; sys.stderr.write('apus: standard input, line 201: no\\n'); sys.exit(2)",
], ids=["ends early", "refuses a line it did not get to", "answers too much", "fails at the end", "no line ends",
        "refuses after the end"])
def test_a_process_that_does_not_keep_to_the_rules_is_a_failure(code):
    with pytest.raises(ApusFailed):
        flat(ApusFilter([sys.executable, "-c", f"import sys; {code}"], most_bad_lines=1000).answers([GOOD]))


def test_messages_are_kept_from_their_end(command):
    code = "import sys; sys.stderr.write('x' * 1_000_000 + 'the reason'); sys.exit(70)"
    with pytest.raises(ApusFailed, match="the reason$") as failure:
        flat(ApusFilter([sys.executable, "-c", code]).answers([GOOD]))
    assert len(str(failure.value)) < 20_000
