"""What the tools that draw a report have in common."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib.figure import Figure  # noqa: E402


def draw_report(program: str, report: Path, output: Path, draw: Callable[[dict], Figure], *, what: str, command: str) -> int:
    """The exit code: 0 drawn, 2 a file was bad, which a line says.

    - what: is drawn, as "report of apus compare"; `command` writes one.
    """
    try:
        figure = draw(json.loads(report.read_text(encoding="utf-8")))
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        print(f"{program}: {report} is no {what} ({error}). Write one: {command}", file=sys.stderr)
        return 2
    try:
        figure.savefig(output, dpi=150)
    except (ValueError, OSError) as error:
        print(f"{program}: {output} cannot be written: {error}", file=sys.stderr)
        return 2
    return 0
