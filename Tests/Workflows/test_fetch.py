"""fetch_tweeteval.sh and fetch_test_data.sh against a local server with the real files, and with others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

MEASURED = ("mapping.txt", "test_labels.txt", "test_text.txt", "val_labels.txt", "val_text.txt")


@pytest.fixture
def origin(data: Path, tmp_path: Path) -> Path:
    """A copy of the data set, to be spoilt."""
    return Path(shutil.copytree(data / "tweeteval-sentiment", tmp_path / "origin"))


@pytest.fixture
def fetch(run_script, serve_files, origin: Path, tmp_path: Path):
    address = serve_files(origin)
    return lambda *arguments: run_script("fetch_tweeteval.sh", tmp_path / "fetched", *arguments, env={"TWEETEVAL_URL": address})


def test_the_measured_splits_come_as_they_are(fetch, data, tmp_path):
    result = fetch()
    assert result.returncode == 0 and "test, 12284 texts" in result.stdout, result.everything
    assert sorted(path.name for path in (tmp_path / "fetched").iterdir()) == sorted(MEASURED)
    for name in MEASURED:
        assert (tmp_path / "fetched" / name).read_bytes() == (data / "tweeteval-sentiment" / name).read_bytes()


def test_the_training_split_comes_too_where_it_is_asked_for(fetch, data, tmp_path):
    texts = (data / "tweeteval-sentiment/train_text.txt").read_bytes()
    rows = texts.count(b"\n")  # It depends on where the split is from.
    result = fetch("--with-train")
    assert result.returncode == 0 and f"train, {rows} texts" in result.stdout, result.everything
    assert (tmp_path / "fetched/train_text.txt").read_bytes() == texts


def test_a_label_that_somebody_changed_is_refused_and_not_kept(fetch, origin, tmp_path):
    labels = (origin / "test_labels.txt").read_bytes()
    (origin / "test_labels.txt").write_bytes(b"2" + labels[1:] if labels[:1] != b"2" else b"0" + labels[1:])
    result = fetch()
    assert result.returncode == 2 and "test_labels.txt has the SHA-256" in result.stderr, result.everything
    assert not list((tmp_path / "fetched").glob("test_labels*"))


def test_a_file_that_is_not_there_is_refused(fetch, origin):
    (origin / "val_text.txt").unlink()
    result = fetch()
    assert result.returncode == 2 and "val_text.txt cannot be fetched" in result.stderr, result.everything


def test_what_is_right_is_kept_and_what_is_damaged_is_fetched_again(fetch, data, tmp_path):
    fetch()
    kept, damaged = tmp_path / "fetched/val_text.txt", tmp_path / "fetched/test_text.txt"
    before = kept.stat().st_mtime_ns
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert fetch().returncode == 0
    assert kept.stat().st_mtime_ns == before
    assert damaged.read_bytes() == (data / "tweeteval-sentiment/test_text.txt").read_bytes()


def test_texts_without_labels_are_refused(fetch, origin):
    labels = (origin / "train_labels.txt").read_text().splitlines(keepends=True)
    (origin / "train_labels.txt").write_text("".join(labels[:-1]))
    result = fetch("--with-train")
    told = f"{len(labels)} texts of the split train, but {len(labels) - 1} labels"
    assert result.returncode == 2 and told in result.stderr, result.everything


def test_the_tests_data_are_what_apus_data_looks_like(run_script, serve_files, data, tmp_path):
    hub = tmp_path / "hub/FacebookAI/roberta-base/resolve/main"
    shutil.copytree(data / "roberta-base-tokenizer", hub)
    environment = {"TWEETEVAL_URL": serve_files(data / "tweeteval-sentiment"), "HF_ENDPOINT": serve_files(tmp_path / "hub")}
    result = run_script("fetch_test_data.sh", tmp_path / "data", env=environment)
    assert result.returncode == 0, result.everything
    # Teachers' probabilities, which stand there too, have no public origin.
    paths = [path for folder in ("roberta-base-tokenizer", "tweeteval-sentiment") for path in (data / folder).iterdir()]
    for path in paths:
        assert (tmp_path / "data" / path.relative_to(data)).read_bytes() == path.read_bytes()

    (hub / "vocab.json").write_text("{}")
    shutil.rmtree(tmp_path / "data/roberta-base-tokenizer")
    result = run_script("fetch_test_data.sh", tmp_path / "data", env=environment)
    assert result.returncode == 2 and "vocab.json" in result.stderr, result.everything
