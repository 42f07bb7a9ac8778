"""What a pull that went well looks like, and one that was refused."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from cache import Cache
from hub_files import File


def assert_pulled(result: CompletedProcess, cache: Cache, id: str, commit: str) -> Path:
    """The snapshot's path is the one thing on standard output, nothing is on standard error, the cache holds no lie."""
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{cache.snapshot(id, commit).resolve()}\n"
    assert result.stderr == ""
    cache.assert_true()
    return cache.snapshot(id, commit)


def assert_holds(snapshot: Path, files: dict[str, bytes]) -> None:
    """Exactly these files, with these bytes."""
    assert {path.name for path in snapshot.iterdir()} == set(files)
    for name, content in files.items():
        assert (snapshot / name).read_bytes() == content, f"{name} holds something else"


def assert_refused(result: CompletedProcess, *words: str) -> None:
    """Exit code 2, nothing on standard output, and one line that says these things."""
    assert result.returncode == 2, f"exit code {result.returncode}: {result.stdout}{result.stderr}"
    assert result.stdout == ""
    assert result.stderr.startswith("apus: ") and result.stderr.endswith("\n"), result.stderr
    assert result.stderr[:-1].isprintable(), f"more than a line, or what changes a terminal: {result.stderr!r}"
    for word in words:
        assert word in result.stderr, f"{word!r} is not in: {result.stderr}"


def assert_not_there(cache: Cache, id: str, file: str, content: bytes) -> None:
    """Neither the file nor a part of it passes for the whole, here or in Python."""
    cache.assert_true()
    assert not list(cache.repository(id).glob(f"snapshots/*/{file}"))
    assert File(file, content).etag not in cache.blobs(id)
    for lookup in (lambda: cache.python_snapshot(id), lambda: cache.python_file(id, file)):
        with pytest.raises(LocalEntryNotFoundError):
            lookup()
