"""`apus pull` from a Hub that is an enemy: nothing is written outside the cache, nothing in it lies, nothing crashes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import hub_faults as faults
from cache import Cache
from fake_hub import FakeHub
from models import tiny_model
from pulling import assert_holds, assert_pulled, assert_refused

ID = "org/tiny"
FILES = tiny_model()
WEIGHTS = "model.safetensors"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def commit(hub: FakeHub) -> str:
    return hub.add(ID, FILES)


@pytest.fixture
def nothing_outside(cache: Cache, tmp_path: Path) -> Iterator[None]:
    """Fails where a test has left anything outside its cache."""
    yield
    outside = [path for path in tmp_path.rglob("*") if cache.path not in (path, *path.parents)]
    assert set(outside) <= set(cache.path.parents)
    assert {path.name for path in cache.path.glob("*")} <= {".locks", f"models--{ID.replace('/', '--')}", "CACHEDIR.TAG"}


@pytest.mark.parametrize("evil", [
    "../../evil", "../../../../evil", "snapshots/../../../evil", "..\\..\\evil", "./config.json/../../evil", "{tmp}/evil",
    "", "..", ".", "/", "evil\0name", "evil\nname", "evil\x1b[2Jname", "evil\u202ename",
])
def test_hostile_names_are_never_written(run_apus, hub: FakeHub, cache: Cache, nothing_outside, tmp_path: Path, evil: str):
    evil = evil.format(tmp=tmp_path)
    hub.add(ID, {evil: b"evil"})
    assert_refused(run_apus("pull", ID), ID)
    commit = hub.add(ID, {**FILES, evil: b"evil", f"{evil}/config.json": b"{}", f"{evil}/../model.safetensors": b"evil"})
    result = run_apus("pull", ID)
    # Beside a model they may be passed over.
    if result.returncode == 0:
        assert_holds(assert_pulled(result, cache, ID, commit), FILES)
    else:
        assert_refused(result, ID)


EVIL_HASHES = ["../../evil", "..", "", "/", "a" * 39 + "/", "a" * 41, "g" * 40, "A" * 40, ("..%2f" * 13)[:64],
               "e\u0301" * 20, "\u0661" * 40, None, 7, ["a" * 40], {"a": 1}]


@pytest.mark.parametrize("evil", EVIL_HASHES, ids=repr)
def test_hostile_commits_are_refused(run_apus, hub: FakeHub, cache: Cache, commit: str, nothing_outside, evil):
    hub.fault(faults.edited(lambda listing: listing.update(sha=evil)), "info")
    assert_refused(run_apus("pull", ID), ID)
    assert not cache.files()


@pytest.mark.parametrize("evil", EVIL_HASHES, ids=repr)
@pytest.mark.parametrize("file", ["config.json", WEIGHTS])
def test_hostile_hashes_in_the_list_of_files_are_refused(run_apus, hub: FakeHub, cache, commit, nothing_outside, evil, file):
    def change(listing: dict) -> None:
        sibling = next(sibling for sibling in listing["siblings"] if sibling["rfilename"] == file)
        if file == WEIGHTS:
            sibling["lfs"].update(sha256=evil, oid=evil)
        else:
            sibling["blobId"] = evil

    hub.fault(faults.edited(change), "info")
    assert_refused(run_apus("pull", ID), file)
    assert not cache.snapshot(ID, commit).exists() or not (cache.snapshot(ID, commit) / file).exists()


@pytest.mark.parametrize("evil", [-1, 10**30, 2**63 - 1, 2**40 + 1, 1.5, "12", None, [], True], ids=repr)
def test_hostile_sizes_in_the_list_of_files_are_refused(run_apus, hub: FakeHub, cache, commit, nothing_outside, evil):
    def change(listing: dict) -> None:
        for sibling in listing["siblings"]:
            sibling["size"] = evil
            sibling.get("lfs", {})["size"] = evil

    hub.fault(faults.edited(change), "info")
    assert_refused(run_apus("pull", ID), ID)


@pytest.mark.parametrize("change", [
    lambda listing: listing.clear(), lambda listing: listing.pop("siblings"), lambda listing: listing.update(siblings={}),
    lambda listing: listing.update(siblings=[None, 7, "config.json", {}, {"rfilename": 7}]),
    lambda listing: listing["siblings"].extend(listing["siblings"] * 2000),
], ids=["nothing", "no siblings", "an object", "no names", "many times"])
def test_a_strange_list_of_files_does_not_crash_it(run_apus, hub: FakeHub, cache: Cache, commit, nothing_outside, change):
    hub.fault(faults.edited(change), "info")
    result = run_apus("pull", ID)
    if result.returncode == 0:
        assert_holds(assert_pulled(result, cache, ID, commit), FILES)
    else:
        assert_refused(result, ID)


@pytest.mark.parametrize("name, value", [
    ("ETag", '"../../evil"'), ("ETag", 'W/"../../evil"'), ("ETag", ""), ("ETag", '"' + "0" * 40 + '"'),
    ("X-Linked-Etag", '"../../evil"'), ("X-Linked-Etag", '"' + "0" * 64 + '"'),
    ("X-Linked-Size", "-1"), ("X-Linked-Size", "9" * 30),
    ("X-Repo-Commit", "../../evil"), ("X-Repo-Commit", COMMIT), ("X-Repo-Commit", ""),
    ("Content-Range", "bytes 9-1/2"),
])
def test_hostile_headers_lead_nowhere(run_apus, hub: FakeHub, cache: Cache, commit: str, nothing_outside, name, value):
    for kind in ("resolve", "file"):
        hub.fault(faults.header(name, value), kind)
    result = run_apus("pull", ID)
    # What the list of files says may be enough for it; what the headers say must not become a path.
    if result.returncode == 0:
        assert_holds(assert_pulled(result, cache, ID, commit), FILES)
    else:
        assert_refused(result, ID)
        cache.assert_true()


def test_links_that_somebody_put_into_the_cache_are_not_written_through(
    run_apus, hub: FakeHub, cache: Cache, commit: str, tmp_path: Path
):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    etag = hub.repositories[ID].commits[commit][WEIGHTS].etag
    blobs, locks = cache.repository(ID) / "blobs", cache.path / ".locks" / cache.repository(ID).name
    for folder in (blobs, locks):
        folder.mkdir(parents=True)
    (blobs / f"{etag}.incomplete").symlink_to(victim)
    assert_refused(run_apus("pull", ID), etag)
    (blobs / f"{etag}.incomplete").unlink()
    (locks / f"{etag}.lock").unlink(missing_ok=True)
    (locks / f"{etag}.lock").symlink_to(victim)
    assert_refused(run_apus("pull", ID), etag)
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("location", [
    None, "file:///etc/passwd", "ftp://127.0.0.1/weights", "//", "http://", "http:///weights", "", "http://[::1",
    "\\\\host\\share", "http://127.0.0.1:99999/weights", "http://127.0.0.1:-1/weights",
])
@pytest.mark.parametrize("kind", ["info", "resolve"])
def test_redirects_that_lead_nowhere_are_refused(run_apus, hub: FakeHub, cache: Cache, commit: str, kind: str, location):
    hub.fault(faults.redirect(location), kind)
    assert_refused(run_apus("pull", ID), ID)
    assert len(hub.asked(kind)) <= 25, "a redirect in a circle has no end"
    assert not [path for path in cache.files() if b"root:" in path.read_bytes()]
