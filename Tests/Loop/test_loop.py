"""All the way round: a stream shifts, the alert fires, a model is trained on what was recorded, judged, tried in the shadow and on
a share of the requests, and takes the old one's place. Then a spoiled one is turned back at each of these places. The tests
are steps, in order; each needs those before it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import requests
import yaml

import plot_dashboard  # in tools/
from apus_server import Server, free_port, until
from conftest import REPOSITORY
from monitoring import faster_rules, read_yaml
from prometheus_server import Prometheus
from streams import rows, without_vowels
from supplies import change_tensor, resources, tool
from traffic_with_labels import TEXTS, Traffic

SCRIPTS = REPOSITORY / "deploy/scripts"
ROUND_SECONDS = 1500  # on a machine that does much else
SETTINGS = {"TRAINING": "--epochs 2 --learning-rate 2e-4 --batch-size 32", "REPLAY": "1", "MAX_DROP": "0.03", "MIN_GAIN": "0.02",
            "SHADOW_TEXTS": "200", "MIN_AGREEMENT": "0.3", "SHARES": "20% 50%", "CANARY_REQUESTS": "60", "WAIT": "300"}
# What a round is seen by, in the order of the picture in docs/operations.md.
PANELS = ["Requests by status", "Percentiles", "Sentiment", "Drift: population stability index", "Drift: embeddings",
          "Live accuracy", "Shadow: agreement", "Canary: share", "Feedback"]


@dataclass
class World:
    folder: Path
    server: Server
    traffic: Traffic
    prometheus: Prometheus
    hook: str  # the web hook's address
    environment: dict[str, str]
    known_models: set[str] = field(default_factory=set)
    began: float = field(default_factory=time.time)

    def retrain(self, work: Path, *steps: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run([SCRIPTS / "retrain.sh", work, *steps], env=self.environment | environment, text=True,
                              capture_output=True, timeout=ROUND_SECONDS)

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.prometheus.alerts() if alert["state"] == "firing"}

    def models(self) -> list[str]:
        status = self.server.status()
        self.known_models |= {f"{model['name']}@{model['model_digest'][:12]}" for model in status["models"]}
        return [model["name"] for model in status["models"]]

    def round_is_over(self) -> bool:
        assert self.traffic.failure is None, self.traffic.failure
        self.models()
        time.sleep(0.5)  # the machine has better to do than to answer this
        return requests.get(self.hook, timeout=10).json()["running"] is None

    def answered(self, texts: int) -> None:
        """Waits until so many more texts are answered."""
        before = self.traffic.requests

        def are_answered() -> bool:
            assert self.traffic.failure is None, self.traffic.failure
            return (self.traffic.requests - before) * TEXTS > texts

        until(are_answered, f"{texts} answers", 240)


def write_dataset(folder: Path, data: Path) -> Path:
    folder.mkdir()
    for name, split, count in (("train", "train", 8000), ("val", "val", 600), ("test", "test", 1000)):
        lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in rows(data, split)[:count]]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def alertmanager(folder: Path, hook: str) -> tuple[subprocess.Popen, str]:
    """deploy/'s configuration, with the web hook of this run, and seconds for its minutes."""
    config = read_yaml("alertmanager/alertmanager.yml")
    config["route"] |= {"group_wait": "10s", "group_interval": "10s"}
    [receiver] = [receiver for receiver in config["receivers"] if receiver["name"] == "retrain"]
    receiver["webhook_configs"][0]["url"] = hook
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    with (folder / "alertmanager.log").open("w") as log:
        process = subprocess.Popen(
            [tool("prometheus-alertmanager"), f"--config.file={folder / 'alertmanager.yml'}",
             f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address={address}", "--cluster.listen-address="],
            stdout=log, stderr=log, cwd=folder)
    return process, address


def prometheus(folder: Path, server: Server, alertmanager: str) -> Prometheus:
    rules = folder / "alerts.yml"
    rules.write_text(json.dumps(faster_rules(read_yaml("prometheus/alerts.yml"))), encoding="utf-8")
    config = read_yaml("prometheus/prometheus.yml")
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    [job] = [job for job in config["scrape_configs"] if job["job_name"] == "apus"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{server.port}"]}]
    config |= {"scrape_configs": [job], "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}}
    return Prometheus(folder, config)


@pytest.fixture(scope="module")
def world(apus: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("loop")
    model = shutil.copytree(resources(apus), folder / "model")
    server = Server(apus, "--no-self-test", "--model", f"first={model}", "--allow-load", "--record", str(folder / "records"),
                    "--state", str(folder / "state"), "--drift-window", "400", "--drift-min-samples", "200",
                    "--feedback-window-time", "60")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("APUS_")} | SETTINGS | {
        "APUS": str(apus), "PYTHON": sys.executable, "RECORDS": str(folder / "records"), "MODEL": str(model),
        "DATASET": str(write_dataset(folder / "old", data)), "URL": server.url}
    # The server's own texts: those that the reference profile was made of. The shifted ones were never seen by anybody.
    traffic = Traffic(server.url, {
        "usual": rows(data, "val"), "shifted": [(without_vowels(text), label) for text, label in rows(data, "test")[2000:6000]]})
    log = folder / "hook.log"
    with log.open("w") as output:
        hook = subprocess.Popen([SCRIPTS / "retrain_hook.py", "--work", folder / "rounds", "--port", "0"], env=environment,
                                stderr=output)
    processes = [hook]
    watching = None
    try:
        address = until(lambda: re.search(r"http://\S+", log.read_text()), "the hook listens", 20)[0]
        manager, manager_address = alertmanager(folder, address)
        processes.append(manager)
        watching = prometheus(folder, server, manager_address)
        yield World(folder, server, traffic, watching, address, environment)
    finally:
        traffic.stop()
        for process in processes:
            process.terminate()
            process.wait(30)
        if watching:
            watching.stop()
        server.stop()


def test_the_usual_stream_raises_no_alert(world: World) -> None:
    world.answered(1200)
    assert not world.firing() & {"ApusDrift", "ApusAccuracyFalling"}
    assert requests.get(world.hook, timeout=10).json() == {"running": None, "rounds": {}}


def test_a_shift_is_told_of_and_a_round_begins_by_itself(world: World) -> None:
    world.traffic.stream = "shifted"
    until(lambda: world.firing() & {"ApusDrift", "ApusAccuracyFalling"}, "the alert fires", 120)
    until(lambda: requests.get(world.hook, timeout=10).json()["running"] == "round-1", "Alertmanager has told the hook", 120)
    # From here on the machine is for the training.
    world.traffic.pause = 0.5
    told = set(json.loads((world.folder / "rounds/round-1/alerts.json").read_text()))
    assert told and told <= {"ApusDrift", "ApusAccuracyFalling"}


def test_the_round_ends_with_the_new_model_in_the_old_ones_place_and_no_request_is_lost(world: World) -> None:
    log = world.folder / "rounds/round-1/log"
    until(lambda: world.round_is_over() or "== shadow" in log.read_text(), "the training ends", ROUND_SECONDS)
    world.traffic.pause = 0.05
    until(world.round_is_over, "the round ends", ROUND_SECONDS)
    assert (log.parent / "status").read_text() == "0\n", log.read_text()
    new = world.server.status()["name"]
    assert new.startswith("retrained-") and world.models() == ["first", new]
    world.answered(800)
    for step in ("records", "data", "train", "quantize", "gate", "shadow", "canary", "promote"):
        assert f"== {step}" in log.read_text()


def test_live_accuracy_on_the_shifted_stream_rose(world: World) -> None:
    new = world.server.status()["name"]
    before, after = world.traffic.accuracy("shifted", "first"), world.traffic.accuracy("shifted", new)
    live = world.server.status()["feedback"]["live"][new]
    print(f"live accuracy {before:.3f} -> {after:.3f}; the server's {live}")
    assert after > before + .02
    assert live["accuracy"] > before and live["macro_recall"] > .45


def test_the_dashboard_shows_the_round(world: World, tmp_path: Path) -> None:
    picture = tmp_path / "round.png"
    minutes = (time.time() - world.began) / 60
    panels = [argument for title in PANELS for argument in ("--panel", title)]
    assert plot_dashboard.main(["--prometheus", world.prometheus.url, "--minutes", str(minutes), "--rate-interval", "15s",
                                *panels, "--output", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    if "APUS_LOOP_PICTURE" in os.environ:
        shutil.copyfile(picture, os.environ["APUS_LOOP_PICTURE"])


@pytest.fixture
def spoiled(world: World, tmp_path: Path) -> Path:
    """A work folder whose model calls everything positive, as the fewest of these texts are."""
    work = tmp_path / "spoiled"
    shutil.copytree(world.folder / "rounds/round-1", work)
    for done in [*work.glob("*.done"), work / "name"]:
        done.unlink()
    (work / "name").write_text(f"spoiled-{tmp_path.name[-8:]}\n")
    change_tensor(work / "int8/model.safetensors", "classifier.bias", lambda bias: bias + np.array([0, 0, 20]))
    return work


def test_a_spoiled_model_is_turned_back_at_the_gate(world: World, spoiled: Path) -> None:
    result = world.retrain(spoiled, "gate")
    assert result.returncode == 1 and "turned back by the gate" in result.stderr, result.stdout + result.stderr
    assert "the old test split" in result.stderr and "the new texts" in result.stderr


def test_one_that_passed_the_gate_all_the_same_is_turned_back_by_the_servers_self_test(world: World, spoiled: Path) -> None:
    before = world.models()
    result = world.retrain(spoiled, "shadow")
    assert result.returncode == 2 and "its self-test failed" in result.stderr, result.stdout + result.stderr
    assert world.models() == before


def test_one_that_has_no_texts_to_test_itself_with_is_turned_back_in_the_shadow(world: World, spoiled: Path) -> None:
    before = world.models()
    (spoiled / "int8/reference_texts.jsonl").unlink()
    result = world.retrain(spoiled, "shadow")
    assert result.returncode == 1 and "as the shadow it called" in result.stderr, result.stdout + result.stderr
    assert world.models() == before and world.server.status()["shadow"] is None


def test_and_one_that_passed_there_as_the_canary(world: World, spoiled: Path) -> None:
    name = world.server.status()["name"]
    before = world.models()
    (spoiled / "int8/reference_texts.jsonl").unlink()
    assert world.retrain(spoiled, "shadow", MIN_AGREEMENT="0").returncode == 0
    result = world.retrain(spoiled, "canary", CANARY_REQUESTS="100000")
    assert result.returncode == 1 and "as the canary, its" in result.stderr, result.stdout + result.stderr
    status = world.server.status()
    assert world.models() == before and status["canary"] is None and status["name"] == name
    assert sum(world.server.metrics().value("apus_canary_rollbacks_total", reason=reason) for reason in ("labels", "accuracy")) == 1


def test_every_answer_is_of_a_model_that_was_served(world: World) -> None:
    assert world.traffic.failure is None
    answered = {model for _, model in world.traffic.judged}
    assert {model.split("@")[0].split("-")[0] for model in answered} <= {"first", "retrained", "spoiled"}
    assert {model for model in answered if not model.startswith("spoiled")} <= world.known_models
