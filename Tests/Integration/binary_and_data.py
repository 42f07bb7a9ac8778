"""Where the binary and the data are: fixtures for the tests in this folder and in its neighbours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def apus() -> Path:
    """The binary."""
    path = REPOSITORY / os.environ.get("APUS_BINARY", ".build/release/apus")
    if not path.exists():
        pytest.exit(f"there is no {path}; build it (make build), or name another with APUS_BINARY", returncode=2)
    return path


@pytest.fixture(scope="session")
def data() -> Path:
    path = REPOSITORY / os.environ.get("APUS_DATA", "../shared/data")
    if not (path / "tweeteval-sentiment").is_dir():
        pytest.skip(f"there is no {path / 'tweeteval-sentiment'}; APUS_DATA names another place")
    return path
