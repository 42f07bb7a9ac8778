"""`apus pull`: what it fetches, what it leaves in the cache that it shares with Python, and what it says."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from subprocess import TimeoutExpired

import pytest
from apus_server import until
from huggingface_hub import scan_cache_dir

import hub_faults as faults
from cache import NEEDED, Cache
from fake_hub import FakeHub
from models import UNNEEDED, heavy_model, sharded, tiny_model
from pulling import assert_holds, assert_pulled, assert_refused
from terminal import Terminal, without_control_sequences

ID = "org/tiny"
FILES = tiny_model()
OF_OURS = {"evaluation_report.json": b'{"accuracy": 0.7}', "reference_profile.json": b"{}", "reference_texts.jsonl": b"{}\n",
           "calibration.json": b"{}"}


@pytest.fixture
def commit(hub: FakeHub) -> str:
    return hub.add(ID, FILES | UNNEEDED)


# What is fetched

def test_a_model_comes_into_the_standard_cache_and_its_path_is_printed(run_apus, hub: FakeHub, cache: Cache, commit: str):
    snapshot = assert_pulled(run_apus("pull", ID), cache, ID, commit)
    assert_holds(snapshot, FILES)
    assert (cache.repository(ID) / "refs/main").read_text() == commit
    assert {path.name for path in cache.repository(ID).iterdir()} == {"blobs", "refs", "snapshots"}
    for name in FILES:
        assert os.readlink(snapshot / name) == f"../../blobs/{hub.repositories[ID].commits[commit][name].etag}"


def test_only_what_a_model_needs_is_fetched_once_and_whole(run_apus, hub: FakeHub, commit: str):
    run_apus("pull", ID)
    assert sorted(request.file for request in hub.downloads()) == sorted(FILES)
    assert {request.file for request in hub.asked() if request.file} == set(FILES)
    assert all("range" not in request.headers for request in hub.asked())


@pytest.mark.parametrize("names", [
    ["model.safetensors", "pytorch_model.bin", "tokenizer.json", "tokenizer_config.json"],
    ["pytorch_model.bin", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"],
    ["model.safetensors", "tokenizer.json", *OF_OURS],
])
def test_safetensors_are_preferred_and_what_describes_a_model_comes_along(run_apus, hub: FakeHub, cache: Cache, names):
    files = {name: OF_OURS.get(name, f"the content of {name}".encode()) for name in ["config.json", *names]}
    commit = hub.add(ID, files | UNNEEDED)
    needed = {name: content for name, content in files.items()
              if name != "pytorch_model.bin" or "model.safetensors" not in files}
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), needed)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_all_shards_come_with_their_index(run_apus, hub: FakeHub, cache: Cache, tmp_path: Path, kind: str):
    """As Transformers splits what is large; the model that they make says what the one file's does."""
    files = sharded(kind)
    names = [name for name in files if "-of-" in name]
    assert len(names) == 2
    commit = hub.add(ID, files | UNNEEDED | {f"old/{names[0]}": b"another model's"})
    snapshot = assert_pulled(run_apus("pull", ID), cache, ID, commit)
    assert_holds(snapshot, files)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    options = ("--precision", "f32", "--output-format", "jsonl", "--logits", "good", "bad")
    whole, shards = run_apus("predict", "--model", tmp_path, *options), run_apus("predict", "--model", ID, *options)
    assert shards.returncode == whole.returncode == 0 and shards.stderr == ""
    assert shards.stdout == whole.stdout


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_one_file_is_fetched_where_shards_are_there_too(run_apus, hub: FakeHub, cache: Cache, kind: str):
    shards = {name: content for name, content in sharded(kind).items() if name not in FILES}
    commit = hub.add(ID, FILES | shards)
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), FILES)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_shard_that_the_repository_lacks_is_named(run_apus, hub: FakeHub, cache: Cache, kind: str):
    """Somebody's upload broke off."""
    files = sharded(kind)
    missing = sorted(name for name in files if "-of-" in name)[1]
    del files[missing]
    hub.add(ID, files)
    for command in (("pull", ID), ("predict", "--model", ID, "good")):
        assert_refused(run_apus(*command), missing)


def test_a_shard_that_somebody_deleted_from_the_cache_is_fetched_again(run_apus, hub: FakeHub, cache: Cache):
    files = sharded("safetensors")
    commit = hub.add(ID, files)
    snapshot = assert_pulled(run_apus("pull", ID), cache, ID, commit)
    name = sorted(name for name in files if "-of-" in name)[1]
    (snapshot / name).resolve().unlink()
    hub.forget()
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), files)
    assert [request.file for request in hub.downloads()] == [name]


def test_an_empty_file_is_a_file(run_apus, hub: FakeHub, cache: Cache):
    files = FILES | {"added_tokens.json": b""}
    commit = hub.add(ID, files)
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), files)


def test_two_files_with_the_same_content_share_a_blob(run_apus, hub: FakeHub, cache: Cache):
    files = FILES | {"added_tokens.json": b"{}", "tokenizer_config.json": b"{}"}
    commit = hub.add(ID, files)
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), files)
    assert len(cache.blobs(ID)) == len(files) - 1


def test_a_repository_without_a_model_is_refused_by_what_it_lacks(run_apus, hub: FakeHub, cache: Cache):
    hub.add("org/data", {"README.md": b"# Data", "train.csv": b"text,label\n", "tf_model.h5": b"weights"})
    assert_refused(run_apus("pull", "org/data"), "org/data", "config.json", "pytorch_model.bin")
    assert not hub.downloads() and not cache.files()


def test_a_model_without_an_organisation_has_its_folder_too(run_apus, hub: FakeHub, cache: Cache):
    commit = hub.add("tiny", FILES)
    assert assert_pulled(run_apus("pull", "tiny"), cache, "tiny", commit).parts[-3] == "models--tiny"


# Revisions

@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/1", "feature/new-labels", "a#b+c%d"])
def test_a_branch_or_tag_is_fetched_and_remembered_by_its_name(run_apus, hub: FakeHub, cache: Cache, commit: str, revision):
    other = hub.add(ID, FILES | {"config.json": b"{}"}, branch=revision)
    snapshot = assert_pulled(run_apus("pull", ID, "--revision", revision), cache, ID, other)
    assert (snapshot / "config.json").read_bytes() == b"{}"
    assert (cache.repository(ID) / "refs" / revision).read_text() == other
    assert cache.python_snapshot(ID, revision=revision) == snapshot
    assert not (cache.repository(ID) / "refs/main").exists()


def test_a_commit_that_is_there_is_not_asked_for(run_apus, hub: FakeHub, cache: Cache, commit: str):
    run_apus("pull", ID)
    hub.forget()
    assert_pulled(run_apus("pull", ID, "--revision", commit), cache, ID, commit)
    assert not hub.asked()


def test_a_commit_that_is_not_there_is_fetched_and_makes_no_ref(run_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.add(ID, FILES | {"config.json": b"{}"})
    assert_holds(assert_pulled(run_apus("pull", ID, "--revision", commit), cache, ID, commit), FILES)
    assert not (cache.repository(ID) / "refs").exists() or not list((cache.repository(ID) / "refs").iterdir())


def test_a_second_pull_fetches_nothing(run_apus, hub: FakeHub, cache: Cache, commit: str):
    run_apus("pull", ID)
    before = {path: path.lstat().st_mtime_ns for path in cache.files()}
    hub.forget()
    assert_pulled(run_apus("pull", ID), cache, ID, commit)
    assert not hub.downloads()
    assert {path: path.lstat().st_mtime_ns for path in cache.files()}.keys() == before.keys()


def test_when_main_has_moved_only_what_changed_is_fetched(run_apus, hub: FakeHub, cache: Cache, commit: str):
    old = assert_pulled(run_apus("pull", ID), cache, ID, commit)
    hub.forget()
    files = FILES | {"config.json": FILES["config.json"] + b"\n"}
    commit = hub.add(ID, files)
    new = assert_pulled(run_apus("pull", ID), cache, ID, commit)
    assert [request.file for request in hub.downloads()] == ["config.json"]
    assert_holds(new, files)
    assert_holds(old, FILES)
    assert (cache.repository(ID) / "refs/main").read_text() == new.name


def test_files_that_were_deleted_from_the_cache_come_back(run_apus, hub: FakeHub, cache: Cache, commit: str):
    snapshot = assert_pulled(run_apus("pull", ID), cache, ID, commit)
    hub.forget()
    (snapshot / "vocab.json").unlink()  # the link alone
    (snapshot / "merges.txt").resolve().unlink()  # what a link leads to
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), FILES)
    assert [request.file for request in hub.downloads()] == ["merges.txt"]


# The cache that Python shares

def test_python_finds_what_apus_pulled(run_apus, hub: FakeHub, cache: Cache, commit: str):
    snapshot = assert_pulled(run_apus("pull", ID), cache, ID, commit)
    assert cache.python_snapshot(ID) == snapshot
    assert cache.python_snapshot(ID, revision=commit) == snapshot
    for name, content in FILES.items():
        assert cache.python_file(ID, name).read_bytes() == content
    cached = scan_cache_dir(cache.path)
    assert not cached.warnings and not cached.incomplete_files
    assert [(repository.repo_id, repository.refs.keys()) for repository in cached.repos] == [(ID, {"main"})]


def test_python_downloads_nothing_of_what_apus_pulled(run_apus, hub: FakeHub, cache: Cache, commit: str):
    run_apus("pull", ID)
    hub.forget()
    assert_holds(cache.python_snapshot(ID, hub.url, allow_patterns=NEEDED), FILES)
    assert not hub.downloads()


def test_apus_finds_what_python_downloaded(run_apus, hub: FakeHub, cache: Cache, commit: str):
    cache.python_snapshot(ID, hub.url, allow_patterns=NEEDED)
    hub.forget()
    offline = {"HF_HUB_OFFLINE": "1"}
    assert_holds(assert_pulled(run_apus("pull", ID, env=offline), cache, ID, commit), FILES)
    prediction = run_apus("predict", "--model", ID, "good", env=offline)
    assert prediction.returncode == 0 and prediction.stdout.endswith("\tgood\n"), prediction.stderr
    assert not hub.asked(), "something was asked for, offline"
    assert_pulled(run_apus("pull", ID), cache, ID, commit)
    assert not hub.downloads(), "something was fetched again"


def test_what_python_lacks_is_fetched_and_no_more(run_apus, hub: FakeHub, cache: Cache, commit: str):
    cache.python_file(ID, "model.safetensors", hub.url)
    hub.forget()
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), FILES)
    assert sorted(request.file for request in hub.downloads()) == sorted(set(FILES) - {"model.safetensors"})


def test_a_blob_that_python_shares_between_repositories_is_taken_as_it_is(
    run_apus, hub: FakeHub, cache: Cache, commit: str
):
    """huggingface_hub 2 keeps what came from Xet once for all repositories, and makes the blob a link."""
    snapshot = cache.python_snapshot(ID, hub.url, allow_patterns=NEEDED)
    hub.forget()
    blob = (snapshot / "model.safetensors").resolve()
    shared = cache.path / "blobs/ab" / ("ab" * 32)
    shared.parent.mkdir(parents=True)
    blob.rename(shared)
    blob.symlink_to(f"../../blobs/ab/{shared.name}")
    result = run_apus("pull", ID)
    assert (result.returncode, result.stdout) == (0, f"{snapshot}\n"), result.stderr
    assert not hub.downloads() and blob.is_symlink()
    assert run_apus("predict", "--model", ID, "good").returncode == 0


@pytest.mark.parametrize("variables, place", [
    ({"HF_HUB_CACHE": "{tmp}/a"}, "a"),
    ({"HUGGINGFACE_HUB_CACHE": "{tmp}/b"}, "b"),
    ({"HF_HUB_CACHE": "{tmp}/c", "HUGGINGFACE_HUB_CACHE": "{tmp}/no"}, "c"),
    ({"HF_HOME": "{tmp}/d"}, "d/hub"),
    ({"HF_HOME": "~/e"}, "home/e/hub"),
    ({"HF_HOME": "$PLACE/f", "PLACE": "{tmp}"}, "f/hub"),
    ({"HF_HOME": None, "XDG_CACHE_HOME": "{tmp}/g"}, "g/huggingface/hub"),
    ({"HF_HOME": None}, "home/.cache/huggingface/hub"),
    ({"HF_HOME": "{tmp}/two words", "HF_HUB_CACHE": None}, "two words/hub"),
])
def test_the_cache_is_where_python_would_have_it(run_apus, hub: FakeHub, commit: str, tmp_path: Path, variables, place):
    env = {name: value and value.format(tmp=tmp_path) for name, value in variables.items()}
    assert_pulled(run_apus("pull", ID, env=env), Cache(tmp_path / place), ID, commit)


def test_an_endpoint_may_end_in_a_slash(run_apus, hub: FakeHub, cache: Cache, commit: str):
    assert_pulled(run_apus("pull", ID, env={"HF_ENDPOINT": hub.url + "/"}), cache, ID, commit)


# Several at once

def test_two_pulls_at_once_download_each_file_once(start_apus, hub: FakeHub, cache: Cache, commit: str):
    go_on = threading.Event()
    hub.fault(faults.stall(100_000, go_on), file="model.safetensors", times=1)
    first = start_apus("pull", ID, env={"HF_HUB_DOWNLOAD_TIMEOUT": "30"})
    assert hub.stalling.acquire(timeout=10)
    second = start_apus("pull", ID, env={"HF_HUB_DOWNLOAD_TIMEOUT": "30"})
    until(lambda: len(hub.asked("info")) == 2, "the second has asked for the list of files")
    with pytest.raises(TimeoutExpired):
        second.wait(0.3)
    go_on.set()
    for process in (first, second):
        output, errors = process.communicate(timeout=20)
        assert (process.returncode, output) == (0, f"{cache.snapshot(ID, commit)}\n"), errors
    assert sorted(request.file for request in hub.downloads()) == sorted(FILES)
    cache.assert_true()


def test_apus_waits_for_python(start_apus, hub: FakeHub, cache: Cache, commit: str):
    go_on = threading.Event()
    hub.fault(faults.stall(100_000, go_on), file="model.safetensors", times=1)
    python = threading.Thread(target=cache.python_file, args=(ID, "model.safetensors", hub.url))
    python.start()
    assert hub.stalling.acquire(timeout=10)
    process = start_apus("pull", ID)
    until(lambda: len(hub.downloads()) == len(FILES), "apus has fetched the other files")
    with pytest.raises(TimeoutExpired):
        process.wait(0.3)
    go_on.set()
    python.join(10)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, f"{cache.snapshot(ID, commit)}\n"), errors
    assert len(hub.downloads("model.safetensors")) == 1
    assert_holds(cache.snapshot(ID, commit), FILES)
    cache.assert_true()


def test_python_waits_for_apus(start_apus, hub: FakeHub, cache: Cache, commit: str):
    go_on = threading.Event()
    hub.fault(faults.stall(100_000, go_on), file="model.safetensors", times=1)
    process = start_apus("pull", ID, env={"HF_HUB_DOWNLOAD_TIMEOUT": "30"})
    assert hub.stalling.acquire(timeout=10)
    found = []
    python = threading.Thread(target=lambda: found.append(cache.python_snapshot(ID, hub.url, allow_patterns=NEEDED)))
    python.start()
    python.join(0.5)
    assert python.is_alive()
    go_on.set()
    python.join(10)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert f"{found[0]}\n" == output and len(hub.downloads("model.safetensors")) == 1
    assert_holds(found[0], FILES)


# What is shown

def test_a_terminal_shows_the_rate_and_the_time_left(run_apus, hub: FakeHub, cache: Cache):
    commit = hub.add("org/heavy", heavy_model())
    hub.fault(faults.slow(1), file="pytorch_model.bin")
    terminal = Terminal()
    result = run_apus("pull", "org/heavy", stderr=terminal.slave)
    shown = terminal.close()
    assert (result.returncode, result.stdout) == (0, f"{cache.snapshot('org/heavy', commit)}\n")
    states = [without_control_sequences(state) for state in shown.split("\r")]
    rates = [float(match[1]) for state in states if (match := re.search(r"([\d.]+) MB/s", state))]
    shares = [float(match[1]) for state in states if (match := re.search(r"([\d.]+) ?%", state))]
    assert len(rates) >= 3 and any(3 < rate < 10 for rate in rates), "6.3 MB came in about a second"
    assert shares == sorted(shares) and shares[-1] <= 100 and any(20 < share < 80 for share in shares)
    assert any(re.search(r"\d+ s left", state) for state in states)
    assert states[-1].strip() == "", "the bar is left behind"


def test_a_pipe_gets_no_progress_bar(run_apus, hub: FakeHub, cache: Cache):
    commit = hub.add("org/heavy", heavy_model())
    hub.fault(faults.slow(0.3), file="pytorch_model.bin")
    assert_pulled(run_apus("pull", "org/heavy"), cache, "org/heavy", commit)


def test_the_help_names_the_variables_and_the_cache(run_apus):
    text = run_apus("pull", "--help").stdout
    assert all(word in text for word in ("HF_HOME", "HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "--revision"))
