"""`apus pull` over a bad line and from a bad Hub: it goes on where it can, gives up with one error where it cannot, and what
stands in the cache is true in any case."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from apus_server import until

import hub_faults as faults
from cache import NEEDED, Cache
from fake_hub import Answer, FakeHub, Request
from models import heavy_model, tiny_model
from pulling import assert_holds, assert_not_there, assert_pulled, assert_refused

ID = "org/heavy"
FILES = heavy_model()
WEIGHTS = "pytorch_model.bin"
HALF = len(FILES[WEIGHTS]) // 2


@pytest.fixture
def commit(hub: FakeHub) -> str:
    return hub.add(ID, FILES)


# A line that breaks

@pytest.mark.parametrize("file, after", [(WEIGHTS, HALF), (WEIGHTS, 1), ("config.json", 100), ("vocab.json", 0)])
def test_a_cut_download_goes_on_where_it_ended(run_apus, hub: FakeHub, cache: Cache, commit: str, file: str, after: int):
    hub.fault(faults.cut(after), file=file, times=1)
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), FILES)
    first, second = hub.downloads(file)
    start = len(FILES[file]) - second.sent
    assert first.sent == after and second.headers.get("range") == (f"bytes={start}-" if start else None)
    # What was in a buffer may be lost.
    assert max(min(after, 1), after - (1 << 20)) <= start <= after


def test_a_download_that_is_cut_again_and_again_but_comes_forward_ends_well(run_apus, hub: FakeHub, cache, commit: str):
    hub.fault(faults.cut(1 << 20), file=WEIGHTS)
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), FILES)
    sent = [request.sent for request in hub.downloads(WEIGHTS)]
    assert len(sent) >= 6 and sum(sent) < 2 * len(FILES[WEIGHTS])


def test_a_line_that_falls_silent_is_left_and_taken_up_again(run_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.fault(faults.stall(HALF), file=WEIGHTS, times=1)
    assert_holds(assert_pulled(run_apus("pull", ID, env={"HF_HUB_DOWNLOAD_TIMEOUT": "1"}), cache, ID, commit), FILES)
    assert [request.headers.get("range") for request in hub.downloads(WEIGHTS)] == [None, f"bytes={HALF}-"]


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_next_run_goes_on_where_one_was_ended(
    run_apus, start_apus, hub: FakeHub, cache: Cache, commit: str, signal_number: int
):
    hub.fault(faults.stall(HALF), file=WEIGHTS, times=1)
    process = start_apus("pull", ID, env={"HF_HUB_DOWNLOAD_TIMEOUT": "30"})
    assert hub.stalling.acquire(timeout=10)
    until(lambda: list(cache.incomplete(ID).values()) == [HALF], "what was sent is on disk")
    process.send_signal(signal_number)
    output, _ = process.communicate(timeout=10)
    assert output == "" and process.returncode != 0
    assert_not_there(cache, ID, WEIGHTS, FILES[WEIGHTS])
    hub.forget()
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), FILES)
    assert [(request.file, request.headers["range"]) for request in hub.downloads()] == [(WEIGHTS, f"bytes={HALF}-")]
    assert not cache.incomplete(ID)


def test_python_is_not_misled_by_half_a_file(start_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.fault(faults.stall(HALF), file=WEIGHTS, times=1)
    process = start_apus("pull", ID, env={"HF_HUB_DOWNLOAD_TIMEOUT": "30"})
    assert hub.stalling.acquire(timeout=10)
    process.kill()
    process.wait()
    assert_holds(cache.python_snapshot(ID, hub.url, allow_patterns=NEEDED), FILES)


def test_a_hub_that_ignores_ranges_sends_the_file_anew_within_a_run(run_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.fault(faults.cut(HALF), file=WEIGHTS, times=1)
    hub.fault(faults.ignore_range, file=WEIGHTS)
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), FILES)
    assert [(request.status, request.sent) for request in hub.downloads(WEIGHTS)] == [
        (200, HALF), (200, len(FILES[WEIGHTS]))]


@pytest.mark.parametrize("left", [
    FILES[WEIGHTS][:HALF], FILES[WEIGHTS], FILES[WEIGHTS] + b"more", bytes(HALF), bytes(len(FILES[WEIGHTS])), b"",
], ids=["half", "whole", "more", "another half", "another whole", "nothing"])
@pytest.mark.parametrize("ranges", ["are honoured", "are ignored"])
def test_whatever_an_earlier_run_left_the_bytes_are_right_in_the_end(
    run_apus, hub: FakeHub, cache: Cache, commit: str, left: bytes, ranges: str
):
    if ranges == "are ignored":
        hub.fault(faults.ignore_range)
    blobs = cache.repository(ID) / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hub.repositories[ID].commits[commit][WEIGHTS].etag}.incomplete").write_bytes(left)
    result = run_apus("pull", ID)
    if result.returncode != 0:
        # A file that is wrong from its beginning shows only at its end; then it must not stay.
        assert_refused(result, WEIGHTS)
        assert_not_there(cache, ID, WEIGHTS, FILES[WEIGHTS])
        result = run_apus("pull", ID)
    assert_holds(assert_pulled(result, cache, ID, commit), FILES)


def test_another_part_than_was_asked_for_is_not_taken_for_it(run_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.fault(faults.cut(HALF), file=WEIGHTS, times=1)
    hub.fault(faults.wrong_range, file=WEIGHTS, times=1)
    result = run_apus("pull", ID)
    if result.returncode != 0:
        assert_refused(result, WEIGHTS)
        result = run_apus("pull", ID)
    assert_holds(assert_pulled(result, cache, ID, commit), FILES)


# A Hub that asks for patience

@pytest.mark.parametrize("kind, file", [
    ("info", None), ("resolve", WEIGHTS), ("resolve", "vocab.json"), ("file", WEIGHTS)])
def test_a_pause_that_the_hub_asks_for_is_kept(run_apus, hub: FakeHub, cache: Cache, commit: str, kind, file):
    hub.fault(faults.rate_limited(1), kind, file=file, times=1)
    start = time.monotonic()
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), FILES)
    assert time.monotonic() - start >= 1


def test_a_pause_that_nobody_would_wait_for_is_an_error(run_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.fault(faults.rate_limited(86_400), "info")
    assert_refused(run_apus("pull", ID, timeout=10), ID, "86400")


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize("kind", ["info", "resolve", "file"])
def test_an_error_that_passes_is_waited_out(run_apus, hub: FakeHub, cache: Cache, commit: str, status: int, kind: str):
    # Without a Retry-After the pauses are the client's own; with 0 they cost the test nothing.
    passing = hub.fault(faults.status(status, {"Retry-After": "0"}), kind, times=2)
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), FILES)
    assert passing.hits == 2


def test_tries_are_farther_and_farther_apart(run_apus, hub: FakeHub, cache: Cache, commit: str):
    times = []
    hub.fault(lambda answer, request: (times.append(time.monotonic()), faults.status(503)(answer, request)), "info", times=3)
    assert_pulled(run_apus("pull", ID), cache, ID, commit)
    first, second = (after - before for before, after in zip(times, times[1:]))
    assert 0.2 < first < second


def test_an_address_that_has_run_out_is_asked_for_anew(run_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.fault(faults.status(403, {"Retry-After": "0"}), file=WEIGHTS, times=1)
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), FILES)
    assert len(hub.asked("resolve", WEIGHTS)) == 2


# A Hub that is wrong

def test_wrong_bytes_are_refused_with_both_hashes(run_apus, hub: FakeHub, cache: Cache, commit: str):
    wrong = hub.fault(faults.other_bytes, file=WEIGHTS)
    right = hub.repositories[ID].commits[commit][WEIGHTS].sha256
    result = run_apus("pull", ID)
    assert_refused(result, ID, WEIGHTS, right, "SHA-256")
    found = {word.strip(".,;") for word in result.stderr.split() if len(word.strip(".,;")) == 64} - {right}
    assert len(found) == 1, result.stderr
    assert wrong.hits <= 5
    assert_not_there(cache, ID, WEIGHTS, FILES[WEIGHTS])
    assert not cache.incomplete(ID), "what is known to be wrong stays"
    hub.faults.clear()
    assert_holds(assert_pulled(run_apus("pull", ID), cache, ID, commit), FILES)


def test_a_small_file_is_checked_as_well(run_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.fault(faults.other_bytes, file="merges.txt")
    assert_refused(run_apus("pull", ID), "merges.txt", hub.repositories[ID].commits[commit]["merges.txt"].blob_id)
    assert_not_there(cache, ID, "merges.txt", FILES["merges.txt"])


@pytest.mark.parametrize("alter", [faults.additional_bytes(10), faults.announced_length(10), faults.announced_length(-10)])
def test_a_length_that_is_wrong_once_does_no_harm(run_apus, hub: FakeHub, cache: Cache, commit: str, alter: faults.Alter):
    hub.fault(alter, file=WEIGHTS, times=1)
    result = run_apus("pull", ID)
    if result.returncode != 0:
        assert_refused(result, WEIGHTS)
        assert_not_there(cache, ID, WEIGHTS, FILES[WEIGHTS])
        result = run_apus("pull", ID)
    assert_holds(assert_pulled(result, cache, ID, commit), FILES)


@pytest.fixture
def lasting(start_apus, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a pull from a Hub of its own into a cache of its own, so that what takes its time does so beside others."""
    with ExitStack() as stack:
        def start(name: str, *fault, closed: bool = False) -> tuple[subprocess.Popen, FakeHub, Cache]:
            hub = stack.enter_context(FakeHub())
            hub.add(ID, FILES)
            if fault:
                hub.fault(*fault)
            if closed:
                hub.close()
            cache = Cache(tmp_path / name / "hub")
            return start_apus("pull", ID, env={"HF_ENDPOINT": hub.url, "HF_HOME": str(cache.path.parent)}), hub, cache
        yield start


def test_what_stays_wrong_is_given_up_with_one_error(lasting):
    cases = {
        "cut at once": (faults.cut(0), "file", WEIGHTS),
        "cut behind the first bytes": (lambda answer, request: (
            faults.ignore_range(answer, request), faults.cut(1000)(answer, request)), "file", WEIGHTS),
        "too short": (faults.missing_bytes(10), "file", WEIGHTS),
        "too long": (faults.additional_bytes(10), "file", WEIGHTS),
        "a page in place of the weights": (faults.login_page, "file", WEIGHTS),
        "the Hub is down": (faults.status(503), "info"),
        "the Hub's files are down": (faults.status(500), "resolve", "config.json"),
        "the CDN is down": (faults.status(503), "file", WEIGHTS),
        "the CDN refuses": (faults.status(403), "file", WEIGHTS),
        "nobody is there": (),
    }
    running = {name: lasting(name, *fault, closed=not fault) for name, fault in cases.items()}
    complaints = []
    for name, (process, hub, cache) in running.items():
        output, errors = process.communicate(timeout=60)
        subject = [ID, *cases[name][2:]]
        try:
            assert_refused(subprocess.CompletedProcess(name, process.returncode, output, errors), *subject)
            assert_not_there(cache, ID, WEIGHTS, FILES[WEIGHTS])
            asked = max(len(hub.asked(kind, file)) for kind in ("info", "resolve", "file") for file in ["", *FILES])
            assert asked <= 10, f"asked {asked} times"
        except AssertionError as complaint:
            complaints.append(f"{name}: {complaint}")
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("kind, file", [
    ("info", None), ("resolve", "config.json"), ("file", "config.json"), ("resolve", WEIGHTS)])
def test_a_page_in_place_of_an_answer_is_called_one(run_apus, hub: FakeHub, cache: Cache, commit: str, kind, file):
    hub.fault(faults.login_page, kind, file=file)
    assert_refused(run_apus("pull", ID), ID, file or ID, "HF_ENDPOINT")
    assert_not_there(cache, ID, WEIGHTS, FILES[WEIGHTS])


def test_redirects_that_lead_on_are_followed(run_apus, hub: FakeHub, cache: Cache, commit: str):
    """As the Hub does for a repository that was renamed."""
    def renamed(answer: Answer, request: Request) -> None:
        if "old/name" in request.path:
            faults.redirect(request.path.replace("old/name", ID))(answer, request)

    hub.add("old/name", FILES)
    for kind in ("info", "resolve"):
        hub.fault(renamed, kind)
    assert_holds(assert_pulled(run_apus("pull", "old/name"), cache, "old/name", commit), FILES)


# A disk that is full, or may not be written

def test_a_full_disk_is_named_and_leaves_no_half_file(run_apus, hub: FakeHub, commit: str, disk):
    cache = Cache(disk("size=3m") / "hub")
    assert_refused(run_apus("pull", ID, env={"HF_HOME": str(cache.path.parent)}), WEIGHTS, "No space left on device")
    assert_not_there(cache, ID, WEIGHTS, FILES[WEIGHTS])


def test_a_disk_without_room_for_one_file_more_is_named(run_apus, hub: FakeHub, commit: str, disk):
    cache = Cache(disk("size=20m", "nr_inodes=12") / "hub")
    assert_refused(run_apus("pull", ID, env={"HF_HOME": str(cache.path.parent)}), str(cache.path), "No space left on device")
    cache.assert_true()


def test_a_cache_that_may_not_be_written_serves_what_it_holds(run_apus, hub: FakeHub, disk):
    """As a container has it, with the models mounted read-only."""
    cache = Cache(disk("size=20m") / "hub")
    env = {"HF_HOME": str(cache.path.parent)}
    commit = hub.add("org/tiny", tiny_model())
    assert_pulled(run_apus("pull", "org/tiny", env=env), cache, "org/tiny", commit)
    subprocess.run(["mount", "-o", "remount,ro", cache.path.parent], check=True)
    assert_pulled(run_apus("pull", "org/tiny", env=env), cache, "org/tiny", commit)
    assert run_apus("predict", "--model", "org/tiny", "good", env=env).returncode == 0
    hub.add(ID, FILES)
    assert_refused(run_apus("pull", ID, env=env), str(cache.path), "read")
