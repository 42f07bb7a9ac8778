"""model_gate.sh: a model from a fake Hub, measured on the beginning of TweetEval's real test split."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from f32_checkpoint import write_f32_model
from fake_hub import FakeHub

MODEL, RUINED = "org/sentiment", "org/ruined-by-int8"
TEXTS = 600
F32, INT8 = "model-gate-f32.json", "model-gate-int8.json"


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[FakeHub]:
    folder = tmp_path_factory.mktemp("models")
    with FakeHub() as hub:
        hub.add(MODEL, write_f32_model(folder / "good"))
        hub.add(RUINED, write_f32_model(folder / "ruined", survives_int8=False))
        yield hub


@pytest.fixture(scope="module")
def dataset(data: Path, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("tweets")
    (directory / "mapping.txt").write_bytes((data / "tweeteval-sentiment/mapping.txt").read_bytes())
    for name in ("test_text.txt", "test_labels.txt"):
        lines = (data / "tweeteval-sentiment" / name).read_bytes().split(b"\n")[:TEXTS]
        (directory / name).write_bytes(b"\n".join(lines) + b"\n")
    return directory


@pytest.fixture
def gate(run_script, apus: Path, hub: FakeHub, dataset: Path, tmp_path: Path) -> Callable:
    environment = {"APUS": apus, "HF_ENDPOINT": hub.url, "HF_HOME": tmp_path / "hf", "MODEL": MODEL}
    return lambda **env: run_script("model_gate.sh", dataset, tmp_path / "gate", env=environment | env, timeout=300)


def report(tmp_path: Path, name: str) -> dict:
    return json.loads((tmp_path / "gate" / name).read_text())


def write_previous(tmp_path: Path, f32: object, int8: object) -> Path:
    for name, accuracy in ((F32, f32), (INT8, int8)):
        (tmp_path / "previous").mkdir(exist_ok=True)
        (tmp_path / "previous" / name).write_text(json.dumps({"accuracy": accuracy}))
    return tmp_path / "previous"


def test_a_good_model_passes_and_says_which_one_it_was(gate, hub, outputs, tmp_path):
    result = gate()
    assert result.returncode == 0, result.everything
    f32, int8 = report(tmp_path, F32), report(tmp_path, INT8)
    assert f32["precision"] == "f32" and int8["precision"] == int8["reference"]["precision"].replace("f32", "int8") == "int8"
    assert f32["examples"] == int8["examples"] == TEXTS
    assert 0.6 < f32["accuracy"] == int8["reference"]["accuracy"]
    assert int8["reference"]["agreement"] >= 0.99 and int8["gate"]["passed"]
    assert (tmp_path / "gate/int8/model.safetensors").exists()
    assert outputs() == {"model": MODEL, "commit": hub.repositories[MODEL].refs["main"], "weights_sha256": f32["weights_sha256"]}
    page = (tmp_path / "summary.md").read_text()
    assert page.count("The gate passed") == 2 and page == (tmp_path / "gate/model-gate.md").read_text()

    # The same model again, held against its own figures to the last bit.
    again = gate(PREVIOUS=write_previous(tmp_path, f32["accuracy"], int8["accuracy"]))
    assert again.returncode == 0, again.everything


@pytest.mark.parametrize(("f32", "int8", "failed"), [(0.99, 0.1, "f32"), (0.1, 0.99, "int8"), (0.99, 0.99, "f32 int8")])
def test_a_model_behind_the_last_release_is_refused(gate, tmp_path, f32, int8, failed):
    result = gate(PREVIOUS=write_previous(tmp_path, f32, int8))
    assert result.returncode == 1 and result.stderr.rstrip().endswith(f"failed its gate in: {failed}"), result.everything
    assert report(tmp_path, F32)["gate"]["passed"] == ("f32" not in failed)
    assert report(tmp_path, INT8)["gate"]["passed"] == ("int8" not in failed)


def test_the_floor_holds_below_the_last_releases_figure_too(gate, tmp_path):
    result = gate(PREVIOUS=write_previous(tmp_path, 0.3, 0.3), MIN_ACCURACY=0.95)
    assert result.returncode == 1 and "at least 0.95 in f32, 0.95 in int8" in result.stdout, result.everything


def test_a_model_that_int8_ruins_is_refused_though_f32_is_fine(gate, tmp_path):
    result = gate(MODEL=RUINED)
    assert result.returncode == 1 and result.stderr.rstrip().endswith("failed its gate in: int8"), result.everything
    assert report(tmp_path, F32)["gate"]["passed"]
    failures = " ".join(report(tmp_path, INT8)["gate"]["failures"])
    assert "agreement" in failures or "same label" in failures, failures


def test_a_figure_that_is_none_is_no_pass(gate, tmp_path):
    result = gate(PREVIOUS=write_previous(tmp_path, "high", 0.5))
    assert result.returncode == 2 and "tells no accuracy" in result.stderr, result.everything


def test_a_model_that_is_not_there_is_no_failed_gate(gate):
    result = gate(MODEL="org/nothing")
    assert result.returncode == 2 and "org/nothing" in result.stderr, result.everything
