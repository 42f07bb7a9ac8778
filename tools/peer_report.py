"""What compare_peers.py writes: Markdown tables and the plot of latency over length."""

from __future__ import annotations

import math
import statistics
from itertools import groupby
from pathlib import Path

from peer_runtimes import IN_BF16

AIMS = {"int8": (0.77, 0.70), "f32": (0.88, None)}  # Apus' time over the best peer's: in every cell, geometric mean
COLOURS = {"PyTorch": "#b8860b", "ONNX Runtime": "#4477aa", "ONNX Runtime, fused": "#88bbdd", "OpenVINO": "#8855aa",
           "OpenVINO, rest bf16": "#bb99cc", IN_BF16: "#bb99cc", "Apus": "#cc3311"}
PLACE = ("architecture", "precision", "threads", "length")
LABEL_GAP = 0.055  # of a panel's height


def add_ratios(report: dict) -> None:
    """`ratios`: for each cell Apus' p50 over the lowest one of a peer; empty without Apus.

    `ratio_of_fastest` is that of everybody's fastest round, which a disturbance of some rounds does not reach.
    `ratio_to_bf16` is that to OpenVINO's own choice of bf16 for an f32 model, which is no f32 and so no peer of it.
    """
    report["ratios"] = []
    places: dict[tuple, list[dict]] = {}
    for cell in report["cells"]:
        places.setdefault(tuple(cell[name] for name in PLACE), []).append(cell)
    for place, cells in places.items():
        peers = [cell for cell in cells if cell["runtime"] not in ("Apus", IN_BF16)]
        bf16 = [cell["p50_ms"] for cell in cells if cell["runtime"] == IN_BF16]
        best = min(peers, key=lambda cell: cell["p50_ms"])
        for apus in (cell for cell in cells if cell["runtime"] == "Apus"):
            fastest_peer = min(min(cell["rounds_p50_ms"]) for cell in peers)
            report["ratios"].append(dict(zip(PLACE, place)) | {
                "best_peer": best["runtime"], "ratio": apus["p50_ms"] / best["p50_ms"],
                "ratio_of_fastest": min(apus["rounds_p50_ms"]) / fastest_peer}
                | {"ratio_to_bf16": apus["p50_ms"] / milliseconds for milliseconds in bf16})


def panels(report: dict) -> list[tuple[tuple, dict[str, dict[int, float]]]]:
    """((architecture, precision, threads), {runtime: {length: p50}}), in the order of the cells, Apus last."""
    result: dict[tuple, dict] = {}
    for cell in sorted(report["cells"], key=lambda cell: cell["runtime"] == "Apus"):
        key = (cell["architecture"], cell["precision"], cell["threads"])
        result.setdefault(key, {}).setdefault(cell["runtime"], {})[cell["length"]] = cell["p50_ms"]
    return list(result.items())


# Markdown

def latency_markdown(report: dict) -> str:
    lines = ["# Latency of one text, Apus and its peers", "", *machine_lines(report),
             "p50 in ms, the median of the rounds; columns are tokens. Same weights and threads for all; the peers "
             "have the same ids, too (`apus bench` draws its own).", ""]
    for (architecture, precision, threads), runtimes in panels(report):
        lengths = list(next(iter(runtimes.values())))
        lines += [f"## {architecture}, {precision}, {count(threads, 'thread')}", "",
                  row("", *lengths, "geometric mean"), row("---", *["---:"] * (len(lengths) + 1))]
        best = {length: min(values[length] for values in runtimes.values()) for length in lengths}
        for runtime, values in runtimes.items():
            cells = [bold(f"{values[length]:.3g}" if values[length] < 100 else f"{values[length]:.0f}",
                          values[length] == best[length]) for length in lengths]
            lines.append(row(bold(runtime, runtime == "Apus"), *cells,
                             f"{statistics.geometric_mean(values.values()):.3g}"))
        for title, name in (("Apus / best peer", "ratio"), ("the same of the fastest rounds", "ratio_of_fastest"),
                            (f"Apus / {IN_BF16}", "ratio_to_bf16")):
            ratios = [ratio[name] for ratio in report["ratios"] if ratio["architecture"] == architecture
                      and (ratio["precision"], ratio["threads"]) == (precision, threads) and name in ratio]
            if ratios:
                lines.append(row(title, *(f"{ratio:.2f}" for ratio in ratios),
                                 f"{statistics.geometric_mean(ratios):.2f}"))
        lines.append("")
    return "\n".join([*lines, "## Aims", "", *aim_lines(report), "", "## Spread and answers", "", spread_line(report),
                      *difference_lines(report), ""])


def machine_lines(report: dict) -> list[str]:
    machine = report["machine"]
    lines = [f"{machine['cpu']} ({', '.join(machine['flags'])}), {count(machine['cores'], 'core')}, "
             f"{machine['date']}.", "",
             ", ".join(f"{name} {version}" for name, version in machine["versions"].items()) + ".", ""]
    if report.get("apus"):
        apus = report["apus"]
        lines += [f"Apus {apus['version']}, {apus['isa']}; peak in the same run: "
                  + ", ".join(f"{name} {value:.0f}" for name, value in apus["peak"].items() if value) + ".", ""]
    return [*lines, f"`{machine['command']}`", ""]


def aim_lines(report: dict) -> list[str]:
    """Whether each aim is met, and where it is not."""
    if not report["ratios"]:
        return ["Apus was not timed."]
    lines = []
    for precision, group in groupby(sorted(report["ratios"], key=lambda ratio: ratio["precision"]),
                                    key=lambda ratio: ratio["precision"]):
        ratios = list(group)
        every, mean_aim = AIMS[precision]
        missed = [ratio for ratio in ratios if ratio["ratio"] > every]
        line = f"- {precision}: aim of {every} met in {len(ratios) - len(missed)} of {count(len(ratios), 'cell')}"
        if missed:
            line += "; missed: " + ", ".join(
                f"{ratio['architecture']} L{ratio['length']} {count(ratio['threads'], 'thread')} {ratio['ratio']:.3f}"
                for ratio in missed)
        mean = statistics.geometric_mean(ratio["ratio"] for ratio in ratios)
        verdict = "" if mean_aim is None else f", aim of {mean_aim:.2f} {'met' if mean <= mean_aim else 'missed'}"
        lines.append(f"{line}. Geometric mean {mean:.3f}{verdict}.")
    return lines


def spread_line(report: dict) -> str:
    taken = report["machine"]["cores_taken_by_others"]
    line = f"Meanwhile other processes kept {taken:.2f} of the machine's cores busy. "
    spreads = [(max(cell["rounds_p50_ms"]) / min(cell["rounds_p50_ms"]), cell) for cell in report["cells"]]
    rounds = len(report["cells"][0]["rounds_p50_ms"])
    if rounds == 1:
        return line + "One round: the spread is not known."
    worst, cell = max(spreads, key=lambda spread: spread[0])
    median = statistics.median(spread for spread, _ in spreads)
    return (f"{line}{rounds} rounds; a cell's slowest round took {median:.2f} times its fastest (median of the cells), "
            f"at worst {worst:.2f} ({cell['runtime']}, {cell['architecture']} {cell['precision']} L{cell['length']} "
            f"{count(cell['threads'], 'thread')}).")


def difference_lines(report: dict) -> list[str]:
    """Largest absolute difference of a logit from PyTorch's f32."""
    lines = ["", "Largest difference of a logit from PyTorch's f32 (f32 must stay within 1e-3; int8, on random "
             "weights, is for information):", ""]
    return lines + [f"- {entry['architecture']}, {entry['runtime']}, {entry['precision']}: {entry['value']:.1e}"
                    for entry in report["max_abs_logit_difference"] if entry["runtime"] != "PyTorch"]


def accuracy_markdown(report: dict) -> str:
    lines = ["# What int8 costs", "", *machine_lines(report),
             f"{report['model']} on {report['dataset']}, {report['split']}: {report['examples']} texts, each alone, "
             f"without padding. NNCF is calibrated on {report['calibration']}.", "",
             row("runtime", "precision", "accuracy", "macro recall", "labels as PyTorch f32", "accuracy points lost"),
             row("---", "---", *["---:"] * 4)]
    for run in report["runs"]:
        lines.append(row(bold(run["runtime"], run["runtime"] == "Apus"), run["precision"], f"{run['accuracy']:.2%}",
                         f"{run['macro_recall']:.2%}", f"{run['agreement']:.2%}", f"{run['points_lost']:+.2f}"))
    return "\n".join([*lines, ""])


def row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def bold(text: str, applies: bool) -> str:
    return f"**{text}**" if applies else text


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# The plot

def plot_latency(report: dict, path: Path) -> None:
    """A row an architecture, a column a precision and thread count; a band from the fastest to the slowest round."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    data = dict(panels(report))
    rows = list(dict.fromkeys(key[0] for key in data))
    columns = sorted(dict.fromkeys(key[1:] for key in data), key=lambda column: (column[0] != "int8", column))
    figure, axes = pyplot.subplots(len(rows), len(columns), figsize=(4.6 * len(columns), 4.2 * len(rows)),
                                   squeeze=False, layout="constrained")
    for (architecture, precision, threads), runtimes in data.items():
        panel = axes[rows.index(architecture)][columns.index((precision, threads))]
        draw_panel(panel, runtimes, [cell for cell in report["cells"] if architecture == cell["architecture"]
                                     and (precision, threads) == (cell["precision"], cell["threads"])])
        panel.set_title(f"{architecture}, {precision}, {count(threads, 'thread')}", loc="left", fontsize=10)
    for panel in axes[-1]:
        panel.set_xlabel("tokens")
    for panel in axes[:, 0]:
        panel.set_ylabel("p50, ms")
    figure.suptitle(f"Latency of one text on {report['machine']['cpu']}", x=0.01, ha="left")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def draw_panel(panel, runtimes: dict[str, dict[int, float]], cells: list[dict]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    lengths = sorted(next(iter(runtimes.values())))
    for runtime, values in runtimes.items():
        is_apus = runtime == "Apus"
        panel.plot(lengths, [values[length] for length in lengths], color=COLOURS[runtime], marker="o",
                   linewidth=2.8 if is_apus else 1.3, markersize=5 if is_apus else 3, zorder=3 if is_apus else 2)
        own = {cell["length"]: cell["rounds_p50_ms"] for cell in cells if cell["runtime"] == runtime}
        panel.fill_between(lengths, [min(own[length]) for length in lengths], [max(own[length]) for length in lengths],
                           color=COLOURS[runtime], alpha=0.15, linewidth=0)
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xlim(lengths[0] / 1.15, lengths[-1] * 1.15)
    panel.set_xticks(lengths, labels=lengths)
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_ylim(panel.get_ylim())
    low, high = map(math.log, panel.get_ylim())
    ends = sorted(((math.log(values[lengths[-1]]) - low) / (high - low), runtime)
                  for runtime, values in runtimes.items())
    height = -math.inf
    for end, runtime in ends:  # Names at the lines' ends, pushed up where two would overlap.
        height = max(end, height + LABEL_GAP)
        panel.annotate(runtime, xy=(1.01, height), xycoords="axes fraction", va="center", color=COLOURS[runtime],
                       fontsize=8, fontweight="bold" if runtime == "Apus" else "normal", annotation_clip=False)
