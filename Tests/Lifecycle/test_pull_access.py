"""`apus pull` and who may have what: tokens, gated and private repositories, names that are wrong, work without the Hub."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

import hub_faults as faults
from cache import Cache
from fake_hub import STRANGERS_TOKEN, TOKEN, FakeHub
from models import tiny_model
from pulling import assert_holds, assert_pulled, assert_refused

ID = "org/tiny"
GATED = "org/gated"
FILES = tiny_model()


@pytest.fixture
def commit(hub: FakeHub) -> str:
    return hub.add(ID, FILES)


@pytest.fixture
def gated(hub: FakeHub) -> str:
    return hub.add(GATED, FILES, gated=True)


def tokens(hub: FakeHub, host: str) -> set[str | None]:
    """What came as a token, or as anything in its place."""
    return {request.headers.get("authorization", "").removeprefix("Bearer ") or None
            for request in hub.asked() if request.host == host}


# Tokens

def test_a_gated_repository_is_called_that_and_the_way_in_is_named(run_apus, hub: FakeHub, cache: Cache, gated: str):
    assert_refused(run_apus("pull", GATED), GATED, "gated", "HF_TOKEN", hub.url)
    refused = run_apus("pull", GATED, env={"HF_TOKEN": STRANGERS_TOKEN})
    assert_refused(refused, GATED, "gated", "HF_TOKEN")
    assert STRANGERS_TOKEN not in refused.stderr
    cache.assert_true()


@pytest.mark.parametrize("variables, file", [
    ({"HF_TOKEN": TOKEN}, None),
    ({"HF_TOKEN": f"  {TOKEN}\n"}, None),
    ({"HUGGING_FACE_HUB_TOKEN": TOKEN}, None),
    ({"HF_TOKEN": TOKEN, "HUGGING_FACE_HUB_TOKEN": STRANGERS_TOKEN}, None),
    ({"HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": TOKEN}, None),
    ({}, "home/huggingface/token"),
    ({"HF_TOKEN": ""}, "home/huggingface/token"),
    ({"HF_TOKEN_PATH": "{tmp}/my token"}, "my token"),
    ({"HF_TOKEN_PATH": "~/my-token"}, "home/my-token"),
], ids=str)
def test_a_token_opens_what_it_may_and_goes_to_the_hub_alone(
    run_apus, hub: FakeHub, cache: Cache, gated: str, tmp_path: Path, variables, file
):
    if file:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(TOKEN + "\n", encoding="utf-8")
    env = {"HOME": str(tmp_path / "home")} | {name: value.format(tmp=tmp_path) for name, value in variables.items()}
    assert_holds(assert_pulled(run_apus("pull", GATED, env=env), cache, GATED, gated), FILES)
    assert tokens(hub, "hub") == {TOKEN}
    assert tokens(hub, "cdn") == {None}


def test_the_environment_has_precedence_over_the_file(run_apus, hub: FakeHub, cache: Cache, gated: str):
    cache.path.parent.mkdir(parents=True)
    (cache.path.parent / "token").write_text(STRANGERS_TOKEN, encoding="utf-8")
    assert_pulled(run_apus("pull", GATED, env={"HF_TOKEN": TOKEN}), cache, GATED, gated)


def test_a_token_can_be_kept_back(run_apus, hub: FakeHub, cache: Cache, commit: str):
    env = {"HF_TOKEN": TOKEN, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    assert_pulled(run_apus("pull", ID, env=env), cache, ID, commit)
    assert tokens(hub, "hub") == {None}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_token_does_not_follow_a_small_file_to_another_host(run_apus, hub: FakeHub, cache: Cache, gated: str, status: int):
    """The Hub sends small files itself as a rule; should it send elsewhere, the token stays."""
    with FakeHub() as elsewhere:
        elsewhere.add(GATED, FILES)
        place = elsewhere.url.replace("127.0.0.1", "localhost") + f"/{GATED}/resolve/main/vocab.json"
        hub.fault(faults.redirect(place, status), "resolve", file="vocab.json")
        result = run_apus("pull", GATED, env={"HF_TOKEN": TOKEN})
        assert elsewhere.asked() and tokens(elsewhere, "hub") == {None}
    if result.returncode != 0:
        assert_refused(result, "vocab.json")


def test_a_wrong_token_is_called_that_and_not_shown(run_apus, hub: FakeHub, commit: str):
    for command in (("pull", ID), ("predict", "--model", ID, "good")):
        result = run_apus(*command, env={"HF_TOKEN": "hf_mistyped"})
        assert_refused(result, "token", "HF_TOKEN")
        assert "hf_mistyped" not in result.stderr


@pytest.mark.parametrize("token", ["hf_two words", "hf_na\u00efve", "hf_a\tb", "hf_a\x01b"])
def test_what_can_be_no_token_is_not_sent(run_apus, hub: FakeHub, commit: str, token: str):
    result = run_apus("pull", ID, env={"HF_TOKEN": token})
    assert_refused(result, "HF_TOKEN")
    assert token not in result.stderr and not hub.asked()


def test_a_private_repository_opens_for_its_owner(run_apus, hub: FakeHub, cache: Cache):
    commit = hub.add("org/private", FILES, private=True)
    assert_refused(run_apus("pull", "org/private"), "org/private", "private", "HF_TOKEN")
    assert_refused(run_apus("pull", "org/private", env={"HF_TOKEN": STRANGERS_TOKEN}), "org/private", "private")
    assert_pulled(run_apus("pull", "org/private", env={"HF_TOKEN": TOKEN}), cache, "org/private", commit)


# Names

def test_what_is_missing_is_named(run_apus, hub: FakeHub, cache: Cache, commit: str):
    assert_refused(run_apus("pull", "org/none"), "org/none", hub.url)
    assert_refused(run_apus("pull", "org/none", env={"HF_TOKEN": TOKEN}), "org/none", hub.url)
    assert_refused(run_apus("pull", ID, "--revision", "v9"), ID, "v9")
    assert_refused(run_apus("pull", ID, "--revision", "f" * 40), ID, "f" * 40)
    assert not cache.files()


@pytest.mark.parametrize("id", [
    "", "a/b/c", "../x", "a/..", "..", ".", "/", "a/", "/a", "a b", "a/b c", "a--b/c", "a/b..c", "-a/b", "a/b-", ".a/b",
    "a/b.git", "a/" + "b" * 97,
    "a/b?c", "a/b#c", "a/b%2e", "a\\b", "na\u00efve/b", "a/\u0661", "a/b\n", "a@b/c", "http://a/b",
])
def test_a_name_that_can_be_none_is_refused_without_a_request(run_apus, hub: FakeHub, cache: Cache, id: str):
    result = run_apus("pull", "--", id)
    assert result.returncode in (2, 64) and result.stdout == "", result.stderr
    assert result.stderr and "Fatal" not in result.stderr
    assert not hub.asked() and not cache.files()


def test_a_pull_of_nothing_is_a_usage_error(run_apus):
    result = run_apus("pull")
    assert result.returncode == 64 and "<id>" in result.stderr


@pytest.mark.parametrize("revision", [
    "", "../../main", "..", "a/../b", "/main", "main/", "a//b", "a b", "a\nb", "a~1", "main^", "a:b", "a\\b", "a?b",
    ".a", "a.lock", "x" * 300,
])
def test_a_revision_that_can_be_none_is_refused_without_a_request(run_apus, hub: FakeHub, cache, commit, revision: str):
    result = run_apus("pull", ID, "--revision", revision)
    assert result.returncode in (2, 64) and result.stdout == "", result.stderr
    assert "--revision" in result.stderr
    assert not hub.asked() and not cache.files()


@pytest.mark.parametrize("endpoint", ["127.0.0.1", "ftp://127.0.0.1", "http://", "not a url", "http://127.0.0.1:99999"])
def test_an_endpoint_that_is_none_is_named(run_apus, cache: Cache, endpoint: str):
    assert_refused(run_apus("pull", ID, env={"HF_ENDPOINT": endpoint}), "HF_ENDPOINT")
    assert not cache.files()


# Without the Hub

TRUE = ["1", "ON", "on", "YES", "yes", "TRUE", "true", "True"]


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize("value", TRUE)
def test_offline_nothing_is_asked_and_what_is_missing_is_explained(run_apus, hub, cache, commit, variable, value):
    for command in (("pull", ID), ("predict", "--model", ID, "good")):
        assert_refused(run_apus(*command, env={variable: value}), ID, str(cache.path), "HF_HUB_OFFLINE", "apus pull")
    assert not hub.asked() and not cache.files()


@pytest.mark.parametrize("value", ["", "0", "false", "off", "no", "y", "2"])
def test_other_values_do_not_mean_offline(run_apus, hub: FakeHub, cache: Cache, commit: str, value: str):
    assert_pulled(run_apus("pull", ID, env={"HF_HUB_OFFLINE": value}), cache, ID, commit)


def test_offline_a_revision_that_is_not_there_is_explained_too(run_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.tag(ID, "v1", commit)
    run_apus("pull", ID)
    offline = {"HF_HUB_OFFLINE": "1"}
    assert_refused(run_apus("pull", ID, "--revision", "v1", env=offline), ID, "v1")
    assert_pulled(run_apus("pull", ID, "--revision", commit, env=offline), cache, ID, commit)


def test_without_a_hub_what_is_there_is_used_with_a_warning(run_apus, hub: FakeHub, cache: Cache, commit: str):
    run_apus("pull", ID)
    hub.close()
    start = time.monotonic()
    result = run_apus("predict", "--model", ID, "good", env={"HF_HUB_ETAG_TIMEOUT": None})
    assert time.monotonic() - start < 5, "a connection that is refused is known to be at once"
    assert result.returncode == 0 and result.stdout.endswith("\tgood\n")
    assert len(result.stderr.splitlines()) == 1
    assert hub.url in result.stderr and ID in result.stderr and commit in result.stderr
    # A pull is asked for what the Hub has now.
    assert_refused(run_apus("pull", ID), ID)


@pytest.mark.parametrize("alter", [faults.status(503), faults.stall(0), faults.cut(0)], ids=["down", "silent", "cut"])
def test_a_hub_that_fails_is_no_obstacle_to_what_is_there(run_apus, hub: FakeHub, cache: Cache, commit: str, alter):
    run_apus("pull", ID)
    hub.fault(alter, "info")
    result = run_apus("predict", "--model", ID, "good", timeout=10)
    assert result.returncode == 0 and commit in result.stderr


def test_a_hub_whose_files_fail_is_no_obstacle_either(run_apus, hub: FakeHub, cache: Cache, commit: str):
    run_apus("pull", ID)
    hub.add(ID, FILES | {"config.json": b"{}"})
    hub.fault(faults.status(503, {"Retry-After": "0"}), "resolve")
    result = run_apus("predict", "--model", ID, "good", timeout=10)
    assert result.returncode == 0 and commit in result.stderr
    assert (cache.repository(ID) / "refs/main").read_text() == commit


def test_a_name_whose_line_was_ended_is_read(run_apus, hub: FakeHub, cache: Cache, commit: str):
    run_apus("pull", ID)
    (cache.repository(ID) / "refs/main").write_text(commit + "\r\n")
    result = run_apus("pull", ID, env={"HF_HUB_OFFLINE": "1"})
    assert (result.returncode, result.stderr) == (0, "") and commit in result.stdout


def test_a_copy_without_names_is_its_only_snapshot_and_that_is_said(run_apus, hub: FakeHub, cache: Cache, commit: str):
    run_apus("pull", ID)
    shutil.rmtree(cache.repository(ID) / "refs")
    offline = {"HF_HUB_OFFLINE": "1"}
    for command, output in ((["pull", ID], commit), (["predict", "--model", ID, "good"], "good")):
        result = run_apus(*command, env=offline)
        assert result.returncode == 0 and output in result.stdout
        assert len(result.stderr.splitlines()) == 1 and "only snapshot" in result.stderr and commit in result.stderr
    assert_refused(run_apus("pull", ID, "--revision", "v1", env=offline), "v1")
    # Of two, nobody can say which one was meant.
    shutil.copytree(cache.snapshot(ID, commit), cache.snapshot(ID, "f" * 40), symlinks=True)
    assert_refused(run_apus("pull", ID, env=offline), ID, "HF_HUB_OFFLINE")


def test_half_a_model_is_no_model(run_apus, hub: FakeHub, cache: Cache, commit: str):
    """Python writes the ref first, so that what was cut short looks like a snapshot."""
    cache.python_file(ID, "config.json", hub.url)
    cache.python_file(ID, "model.safetensors", hub.url)
    offline = {"HF_HUB_OFFLINE": "1"}
    assert_refused(run_apus("predict", "--model", ID, "good", env=offline), "vocab.json")
    assert_refused(run_apus("pull", ID, env=offline), "HF_HUB_OFFLINE")
    assert_refused(run_apus("pull", ID, "--revision", commit, env=offline), "HF_HUB_OFFLINE")
    assert_holds(assert_pulled(run_apus("pull", ID, "--revision", commit), cache, ID, commit), FILES)
