"""Draws panels of the Grafana dashboard from a Prometheus, for reports and for where no Grafana runs.

    python3 tools/plot_dashboard.py --prometheus http://127.0.0.1:9090 --minutes 30 --panel "Live accuracy" --output round.png
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import EngFormatter, PercentFormatter  # noqa: E402

DASHBOARD = Path(__file__).resolve().parents[1] / "deploy/grafana/dashboards/apus.json"
POINTS = 300  # a line; Prometheus gives up at 11,000
COLUMNS = 3
UNITS = {"percentunit": PercentFormatter(1), "s": EngFormatter("s"), "bytes": EngFormatter("B")}

Series = tuple[str, list[float], list[float]]  # what the legend calls it, seconds since 1970, values
Query = Callable[[str], list[dict]]


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prometheus", required=True, metavar="URL")
    parser.add_argument("--minutes", type=float, default=30, help="back from now (default: 30)")
    parser.add_argument("--panel", action="append", dest="panels", metavar="TITLE", help="again for each (default: all lines)")
    parser.add_argument("--rate-interval", default="1m", help="what rates are taken over (default: 1m)")
    parser.add_argument("--output", type=Path, required=True, help="a .png, .svg or .pdf file")
    return parser.parse_args(arguments)


def expression(target: dict, rate_interval: str) -> str:
    """A target's, for every job and instance."""
    text = re.sub(r"\$(job|instance)\b", ".*", target["expr"])
    return re.sub(r"\$__(rate_interval|range|interval)\b", rate_interval, text)


def legend(target: dict, metric: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda name: metric.get(name[1], ""), target.get("legendFormat") or "")


def query_range(url: str, start: float, end: float) -> Query:
    def query(text: str) -> list[dict]:
        parameters = urllib.parse.urlencode(
            {"query": text, "start": start, "end": end, "step": max((end - start) / POINTS, 1)})
        with urllib.request.urlopen(f"{url.rstrip('/')}/api/v1/query_range?{parameters}", timeout=30) as answer:
            return json.load(answer)["data"]["result"]

    return query


def series(panel: dict, query: Query, rate_interval: str) -> list[Series]:
    """The lines of a panel."""
    lines: list[Series] = []
    for target in panel["targets"]:
        for found in query(expression(target, rate_interval)):
            times, values = zip(*((time, float(value)) for time, value in found["values"]), strict=True)
            lines.append((legend(target, found["metric"]), list(times), list(values)))
    return lines


def draw_panel(axes: Axes, panel: dict, lines: list[Series]) -> None:
    axes.set_title(panel["title"], fontsize=9, loc="left")
    for label, times, values in lines:
        axes.plot([datetime.fromtimestamp(time) for time in times], values, label=label, linewidth=1)
    defaults = panel["fieldConfig"]["defaults"]
    if defaults.get("unit") in UNITS:
        axes.yaxis.set_major_formatter(UNITS[defaults["unit"]])
    locator = AutoDateLocator(maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=.3)
    if any(label for label, _, _ in lines):
        axes.legend(fontsize=6, frameon=False)


def draw(panels: list[tuple[dict, list[Series]]]) -> Figure:
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(4.2 * COLUMNS, 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, (panel, lines) in zip(grid, panels, strict=False):
        draw_panel(axes, panel, lines)
    for axes in grid[len(panels):]:
        axes.axis("off")
    return figure


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0 drawn, 1 a panel that was asked for has no data, 2 what was given cannot be used."""
    arguments = parse_arguments(argv)
    known = {panel["title"]: panel for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
             if panel["type"] == "timeseries"}
    titles = arguments.panels or list(known)
    if missing := [title for title in titles if title not in known]:
        print(f"plot_dashboard.py: no panel of lines is called {missing[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    end = time.time()
    query = query_range(arguments.prometheus, end - 60 * arguments.minutes, end)
    try:
        panels = [(known[title], series(known[title], query, arguments.rate_interval)) for title in titles]
    except (OSError, ValueError) as error:
        print(f"plot_dashboard.py: {arguments.prometheus} does not answer as Prometheus does: {error}", file=sys.stderr)
        return 2
    try:
        draw(panels).savefig(arguments.output, dpi=100)
    except (ValueError, OSError) as error:
        print(f"plot_dashboard.py: {arguments.output} cannot be written: {error}", file=sys.stderr)
        return 2
    empty = [panel["title"] for panel, lines in panels if not lines]
    if arguments.panels and empty:
        print(f"plot_dashboard.py: no data for {', '.join(empty)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
