"""The fake Hub itself: Python's client takes it for the real one, and each fault is the one that it is called."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from huggingface_hub.errors import (GatedRepoError, HfHubHTTPError, IncompleteSnapshotError, LocalEntryNotFoundError,
                                    RemoteEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError)

import hub_faults as faults
from cache import NEEDED, Cache
from fake_hub import SIGNATURE, STRANGERS_TOKEN, TOKEN, FakeHub
from models import UNNEEDED, tiny_model

ID = "org/tiny"
WEIGHTS = random.Random(7).randbytes(400_000)
FILES = {"config.json": b'{"model_type": "roberta"}\n' * 50, "pytorch_model.bin": WEIGHTS, "sub folder/a b.txt": b"text\n"}


@pytest.fixture
def commit(hub: FakeHub) -> str:
    return hub.add(ID, FILES)


def get(hub: FakeHub, path: str, **headers: str) -> requests.Response:
    headers = {"Accept-Encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(hub.url + path, headers=headers, timeout=5)


def weights_url(hub: FakeHub) -> str:
    """The signed address at the CDN."""
    return requests.head(f"{hub.url}/{ID}/resolve/main/pytorch_model.bin", timeout=5).headers["Location"]


# Python's client

def test_pythons_client_downloads_a_snapshot_into_a_true_cache(hub: FakeHub, cache: Cache, commit: str):
    snapshot = cache.python_snapshot(ID, hub.url)
    assert snapshot == cache.snapshot(ID, commit)
    assert {str(path.relative_to(snapshot)): path.read_bytes() for path in snapshot.rglob("*") if path.is_file()} == FILES
    assert (cache.repository(ID) / "refs/main").read_text() == commit
    cache.assert_true()
    assert cache.python_snapshot(ID) == snapshot


def test_pythons_client_downloads_single_files(hub: FakeHub, cache: Cache, commit: str):
    for name, content in FILES.items():
        assert cache.python_file(ID, name, hub.url).read_bytes() == content
        assert cache.python_file(ID, name).read_bytes() == content


def test_pythons_client_takes_branches_tags_and_commits(hub: FakeHub, cache: Cache, commit: str):
    old = hub.add(ID, {"config.json": b"{}"}, branch="refs/pr/1")
    hub.tag(ID, "v1.0", old)
    for revision in ("refs/pr/1", "v1.0", old):
        assert cache.python_snapshot(ID, hub.url, revision=revision) == cache.snapshot(ID, old)
    assert cache.python_snapshot(ID, hub.url) == cache.snapshot(ID, commit)
    assert (cache.repository(ID) / "refs/refs/pr/1").read_text() == old


def test_when_main_has_moved_pythons_client_downloads_what_changed(hub: FakeHub, cache: Cache, commit: str):
    cache.python_snapshot(ID, hub.url)
    hub.forget()
    new = hub.add(ID, FILES | {"config.json": b"{}"})
    assert cache.python_snapshot(ID, hub.url) == cache.snapshot(ID, new)
    assert [request.file for request in hub.downloads()] == ["config.json"]
    assert (cache.snapshot(ID, commit) / "config.json").read_bytes() == FILES["config.json"]


def test_pythons_client_leaves_out_what_it_is_not_asked_for(hub: FakeHub, cache: Cache):
    hub.add(ID, tiny_model() | UNNEEDED)
    snapshot = cache.python_snapshot(ID, hub.url, allow_patterns=NEEDED)
    assert {path.name for path in snapshot.iterdir()} == set(tiny_model())
    # Once it has stored the list of files, it knows what is missing, which is why apus stores none.
    assert cache.python_snapshot(ID, allow_patterns=NEEDED) == snapshot
    with pytest.raises(IncompleteSnapshotError):
        cache.python_snapshot(ID)


def test_pythons_client_names_what_is_missing(hub: FakeHub, cache: Cache, commit: str):
    with pytest.raises(RepositoryNotFoundError, match="401"):
        cache.python_snapshot("org/none", hub.url)
    with pytest.raises(RepositoryNotFoundError, match="404"):
        cache.python_snapshot("org/none", hub.url, token=TOKEN)
    with pytest.raises(RevisionNotFoundError):
        cache.python_snapshot(ID, hub.url, revision="v9")
    with pytest.raises(RemoteEntryNotFoundError):
        cache.python_file(ID, "tokenizer.json", hub.url)
    with pytest.raises(LocalEntryNotFoundError):
        cache.python_snapshot("org/none")


def test_a_gated_repository_opens_for_the_token_that_never_reaches_the_cdn(hub: FakeHub, cache: Cache):
    commit = hub.add("org/gated", FILES, gated=True)
    assert get(hub, "/api/models/org/gated").json()["gated"] == "manual"
    for token, status in ((False, 401), (STRANGERS_TOKEN, 403)):
        with pytest.raises(GatedRepoError, match=str(status)):
            cache.python_snapshot("org/gated", hub.url, token=token)
    assert cache.python_snapshot("org/gated", hub.url, token=TOKEN) == cache.snapshot("org/gated", commit)
    at_cdn = [request for request in hub.asked() if request.host == "cdn"]
    assert at_cdn and not any("authorization" in request.headers for request in at_cdn)


def test_a_private_repository_looks_like_a_missing_one(hub: FakeHub, cache: Cache):
    hub.add("org/private", FILES, private=True)
    for token in (False, STRANGERS_TOKEN):
        with pytest.raises(RepositoryNotFoundError):
            cache.python_file("org/private", "config.json", hub.url, token=token)
    with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
        cache.python_file("org/private", "config.json", hub.url, token="hf_mistyped")
    assert cache.python_file("org/private", "config.json", hub.url, token=TOKEN).read_bytes() == FILES["config.json"]


def test_pythons_client_resumes_after_a_cut_and_waits_when_told(hub: FakeHub, cache: Cache):
    weights = random.Random(8).randbytes(11 << 20)
    hub.add(ID, {"pytorch_model.bin": weights, "config.json": b"{}"})
    hub.fault(faults.cut(len(weights) - 1000), file="pytorch_model.bin", times=1)
    limit = hub.fault(faults.rate_limited(0), file="config.json", times=1)
    assert cache.python_file(ID, "pytorch_model.bin", hub.url).read_bytes() == weights
    assert cache.python_file(ID, "config.json", hub.url).read_bytes() == b"{}" and limit.hits == 1
    first, second = hub.downloads("pytorch_model.bin")
    # It reads 10 MiB at a time, and loses what it has of a piece.
    assert (first.sent, second.status, second.headers["range"]) == (len(weights) - 1000, 206, f"bytes={10 << 20}-")


# The protocol, without a client that would hide it

def test_a_small_file_is_a_relative_redirect_that_carries_the_commit(hub: FakeHub, commit: str):
    answer = requests.head(f"{hub.url}/{ID}/resolve/main/config.json", timeout=5)
    assert answer.status_code == 307 and answer.headers["X-Repo-Commit"] == commit
    assert answer.headers["Location"].startswith(f"/api/resolve-cache/models/{ID}/{commit}/config.json?")
    file = get(hub, f"/{ID}/resolve/main/config.json")
    assert file.headers["ETag"] == f'"{hub.repositories[ID].commits[commit]["config.json"].blob_id}"'
    assert file.headers["X-Repo-Commit"] == commit and file.content == FILES["config.json"]


def test_a_large_file_is_a_redirect_to_a_signed_address_on_another_host(hub: FakeHub, commit: str):
    answer = requests.head(f"{hub.url}/{ID}/resolve/main/pytorch_model.bin", timeout=5)
    file = hub.repositories[ID].commits[commit]["pytorch_model.bin"]
    assert answer.status_code == 302 and answer.headers["Location"].startswith(hub.cdn_url)
    assert answer.headers["X-Linked-Etag"] == f'"{file.sha256}"'
    assert answer.headers["X-Linked-Size"] == "400000"
    assert answer.headers["X-Repo-Commit"] == commit
    at_cdn = requests.get(answer.headers["Location"], timeout=5)
    assert at_cdn.content == WEIGHTS and file.sha256 not in at_cdn.headers["ETag"]
    assert requests.get(answer.headers["Location"].replace(SIGNATURE, ""), timeout=5).status_code == 403


def test_hashes_are_gits_and_lfss(hub: FakeHub, commit: str, tmp_path: Path):
    listing = get(hub, f"/api/models/{ID}/revision/main?blobs=true").json()
    assert (listing["id"], listing["sha"], listing["gated"]) == (ID, commit, False)
    by_name = {entry["rfilename"]: entry for entry in listing["siblings"]}
    for name, content in FILES.items():
        by_git = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True).stdout
        assert by_name[name]["size"] == len(content)
        assert (by_name[name]["blobId"] == by_git.decode().strip()) == ("lfs" not in by_name[name])
    by_tool = subprocess.run(["sha256sum"], input=WEIGHTS, capture_output=True, check=True).stdout.decode().split()[0]
    assert by_name["pytorch_model.bin"]["lfs"]["sha256"] == by_tool
    assert "size" not in get(hub, f"/api/models/{ID}").json()["siblings"][0]


def test_a_range_is_answered_with_that_part(hub: FakeHub, commit: str):
    url = weights_url(hub)
    part = requests.get(url, headers={"Range": "bytes=399990-"}, timeout=5)
    assert (part.status_code, part.headers["Content-Range"]) == (206, "bytes 399990-399999/400000")
    assert part.content == WEIGHTS[-10:]
    assert requests.get(url, headers={"Range": "bytes=10-19"}, timeout=5).content == WEIGHTS[10:20]
    assert requests.get(url, headers={"Range": "bytes=400000-"}, timeout=5).status_code == 416
    hub.fault(faults.ignore_range)
    whole = requests.get(url, headers={"Range": "bytes=399990-"}, timeout=5)
    assert (whole.status_code, whole.content) == (200, WEIGHTS) and "Content-Range" not in whole.headers


def test_small_files_are_compressed_for_clients_that_take_it(hub: FakeHub, commit: str):
    answer = get(hub, f"/{ID}/resolve/main/config.json", Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "gzip" and "Content-Length" not in answer.headers
    assert answer.content == FILES["config.json"]


def test_a_token_that_reaches_the_cdn_is_noticed(hub: FakeHub, commit: str):
    requests.get(weights_url(hub), headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)
    assert hub.asked()[-1].host == "cdn" and hub.asked()[-1].token == TOKEN


# The faults

def test_a_fault_concerns_what_it_names_as_often_as_it_says(hub: FakeHub, commit: str):
    hub.fault(faults.status(503), "resolve", file="config.json", times=2)
    path = f"/{ID}/resolve/main/config.json"
    assert [get(hub, path).status_code for _ in range(3)] == [503, 503, 200]
    assert get(hub, f"/{ID}/resolve/main/sub%20folder/a%20b.txt").status_code == 200


@pytest.mark.parametrize("alter", [faults.cut(1000), faults.announced_length(5)])
def test_a_body_that_ends_early_is_an_error_to_a_client(hub: FakeHub, commit: str, alter: faults.Alter):
    hub.fault(alter)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(weights_url(hub), timeout=5)


def test_a_whole_answer_can_be_of_another_file(hub: FakeHub, commit: str):
    for alter, expected in ((faults.missing_bytes(3), WEIGHTS[:-3]), (faults.additional_bytes(3), WEIGHTS + bytes(3))):
        hub.fault(alter, times=1)
        assert requests.get(weights_url(hub), timeout=5).content == expected
    hub.fault(faults.other_bytes, times=1)
    other = requests.get(weights_url(hub), timeout=5).content
    assert len(other) == len(WEIGHTS) and [a == b for a, b in zip(other, WEIGHTS)].count(False) == 1
    hub.fault(faults.wrong_range, times=1)
    assert requests.get(weights_url(hub), headers={"Range": "bytes=100-"}, timeout=5).content == WEIGHTS[:-100]


def test_a_stall_lasts_until_it_is_ended(hub: FakeHub, commit: str):
    resume = threading.Event()
    hub.fault(faults.stall(100_000, resume), times=1)
    received = []
    url = weights_url(hub)
    client = threading.Thread(target=lambda: received.append(requests.get(url, timeout=5).content))
    client.start()
    assert hub.stalling.acquire(timeout=5) and hub.downloads("pytorch_model.bin")[0].sent == 100_000
    resume.set()
    client.join(5)
    assert received == [WEIGHTS]


def test_a_stall_ends_with_the_client_or_with_the_hub(commit: str, hub: FakeHub):
    hub.fault(faults.stall(10))
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(weights_url(hub), timeout=0.2)
    assert hub.stalling.acquire(timeout=5)


def test_a_slow_answer_takes_its_time(hub: FakeHub, commit: str):
    hub.fault(faults.slow(0.3))
    start = time.monotonic()
    assert requests.get(weights_url(hub), timeout=5).content == WEIGHTS
    assert time.monotonic() - start > 0.25


def test_errors_pages_redirects_and_headers_are_what_they_say(hub: FakeHub, commit: str):
    path = f"/{ID}/resolve/main/config.json"
    hub.fault(faults.rate_limited(7), "resolve", times=1)
    assert get(hub, path).headers["Retry-After"] == "7"
    hub.fault(faults.login_page, "info", times=1)
    assert get(hub, f"/api/models/{ID}").headers["Content-Type"].startswith("text/html")
    hub.fault(faults.login_page, times=1)
    assert get(hub, path).text == faults.LOGIN_PAGE
    loop = hub.fault(faults.redirect(), "resolve")
    with pytest.raises(requests.exceptions.TooManyRedirects):
        get(hub, path)
    hub.faults.remove(loop)
    hub.fault(faults.redirect("file:///etc/passwd"), times=1)
    with pytest.raises(requests.exceptions.InvalidSchema):
        get(hub, path)
    hub.fault(faults.header("ETag", '"../../evil"'), times=1)
    assert get(hub, path).headers["ETag"] == '"../../evil"'
    hub.fault(faults.edited(lambda listing: listing.update(sha="../evil")), "info", times=1)
    assert get(hub, f"/api/models/{ID}").json()["sha"] == "../evil"


def test_hostile_names_are_listed_as_they_are(hub: FakeHub):
    hub.add("org/hostile", {"../../evil": b"x", "/etc/evil": b"x", "..\\evil": b"x"})
    names = [entry["rfilename"] for entry in get(hub, "/api/models/org/hostile").json()["siblings"]]
    assert names == ["../../evil", "/etc/evil", "..\\evil"]


def test_a_closed_hub_refuses_connections(commit: str, hub: FakeHub):
    hub.close()
    with pytest.raises(requests.exceptions.ConnectionError):
        get(hub, f"/api/models/{ID}")


def test_it_runs_by_hand(tmp_path: Path):
    for name, content in tiny_model().items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, Path(__file__).with_name("fake_hub.py"), f"org/by-hand={tmp_path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            commit = process.stdout.readline().split()[-1]
            url = process.stdout.readline().strip().removeprefix("HF_ENDPOINT=")
            assert requests.get(f"{url}/api/models/org/by-hand", timeout=5).json()["sha"] == commit
        finally:
            process.terminate()
