"""Threads where the system gives little: no shared memory, few threads, one CPU. Labels stay what they are, and nothing aborts.

libomp ends the process (134, 135) in the first two; APUS_TEAM=openmp must say so in one line instead.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

TEXTS = ["I love MLOps", "I hate Mondays", "a table"]
TEAMS = ["pthreads", "openmp"]
# What becomes of /dev/shm, in a mount namespace of the process' own.
SHARED_MEMORY = {
    "read-only": "mount -t tmpfs -o ro none /dev/shm",
    "absent": "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && [ ! -e /dev/shm ]",
    "full": "mount -t tmpfs -o size=4k none /dev/shm && head -c 4096 /dev/zero > /dev/shm/full",
}


def missing() -> str:
    """Why mounts cannot be changed here; empty where they can."""
    probe = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    return "" if probe.returncode == 0 else "root may not mount on this machine"


MISSING = missing()
OPENMP = ctypes.util.find_library("omp") or any(Path("/usr/lib").glob("*/libomp.so.5"))


def predict(binary: Path, *before: str, team: str | None = None, threads: int = 4) -> subprocess.CompletedProcess:
    if team == "openmp" and not OPENMP:
        pytest.skip("libomp5 is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "APUS_TEAM"}
    environment |= {"APUS_TEAM": team} if team else {}
    command = [*before, str(binary), "predict", "--threads", str(threads), "--logits", "--output-format", "jsonl", *TEXTS]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def expected(apus: Path) -> str:
    finished = predict(apus, threads=1)
    assert finished.returncode == 0
    return finished.stdout


@pytest.mark.parametrize("team", [None, *TEAMS])
def test_both_teams_give_the_same_bits(apus, expected, team):
    finished = predict(apus, team=team)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, expected, "")


@pytest.mark.parametrize("team", TEAMS)
@pytest.mark.parametrize("state", SHARED_MEMORY)
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_shared_memory_is_needed_by_openmp_alone_which_says_so(apus, expected, state, team):
    script = f'{SHARED_MEMORY[state]} && exec "$@"'
    finished = predict(apus, "unshare", "--mount", "bash", "-c", script, "bash", team=team)
    if team == "pthreads":
        assert (finished.returncode, finished.stdout, finished.stderr) == (0, expected, "")
    else:
        assert finished.returncode == 2, finished.stderr
        assert finished.stdout == "" and len(finished.stderr.splitlines()) == 1
        assert finished.stderr.startswith("apus: APUS_TEAM: openmp cannot start here: shared memory in /dev/shm: ")


@pytest.fixture
def readable(apus: Path, tmp_path_factory) -> Path:
    """The binary and its resources where a user without rights can read them."""
    folder = tmp_path_factory.mktemp("apus")
    for path in [apus, *apus.parent.glob("apus_*.resources")]:
        (shutil.copytree if path.is_dir() else shutil.copy2)(path, folder / path.name)
    for path in [folder, *folder.parents]:
        if path.stat().st_uid == os.getuid() and not path.stat().st_mode & 0o005:
            path.chmod(path.stat().st_mode | 0o055)
    return folder / apus.name


@pytest.mark.parametrize("team", TEAMS)
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user that has no other processes")
def test_with_few_threads_to_be_had_work_is_done_by_those_there_are(readable, expected, team):
    outcomes = []
    for limit in range(1, 40):
        finished = predict(readable, "setpriv", "--reuid=64321", "--regid=64321", "--clear-groups", "prlimit",
                           f"--nproc={limit}", team=team)
        outcomes.append(finished.returncode)
        if finished.stderr == "":
            break
        assert len(finished.stderr.splitlines()) == 1 and "pthread_create: " in finished.stderr, finished.stderr
        if finished.returncode == 0:
            assert finished.stderr.startswith("apus: asked for 4 threads, the system gave ")
        assert (finished.returncode, finished.stdout) in [(0, expected), (2, ""), (70, "")]
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, expected, "")
    assert sorted(set(outcomes)) == ([0, 70] if team == "pthreads" else [0, 2, 70])


@pytest.mark.parametrize("team", TEAMS)
def test_more_threads_than_cpus_are_no_fault(apus, expected, team):
    finished = predict(apus, "taskset", "-c", "0", team=team)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, expected, "")


def test_an_unknown_team_is_refused_with_those_there_are(apus):
    finished = predict(apus, team="tbb")
    assert finished.returncode == 2
    assert finished.stderr == "apus: APUS_TEAM: tbb is unknown; known are pthreads, openmp\n"
