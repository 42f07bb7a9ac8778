"""The loop of a model's life, on real parts: a server, Prometheus, Alertmanager, the scripts of deploy/.

    APUS_BINARY=.build/release/apus APUS_DATA=../shared/data python -m pytest Tests/Loop
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path += [str(REPOSITORY / "Tests/Integration"), str(REPOSITORY / "tools")]

pytest.register_assert_rewrite("apus_server")

from binary_and_data import apus, data  # noqa: E402, F401
