#!/usr/bin/env python3
"""Makes a data set of an old one and of new labelled texts, so that training learns these and does not forget those.

    tools/mix_datasets.py --old DIR|FILE --new records.jsonl --output DIR [--replay 3]

OUTPUT gets train.jsonl, val.jsonl and test.jsonl, which tools/train.py takes: the new texts' training part with so many old
ones a new one (--replay); both validation parts; the old test part alone, so that figures stay comparable. new_test.jsonl is
the new texts' own test part. Which part a new text falls into depends on nothing but the text: one that was tested with is
never trained on in a later round. Exit codes: 0 written, 2 an input was bad, 64 wrong usage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from pathlib import Path

from classification_data import DatasetError, InputError, Split
from int8_checkpoint import replace
from training import data, records
from training.records import Record

TENTHS = {0: "new_test", 1: "val"}  # of the new texts; the others are trained on


def part(text: str) -> str:
    return TENTHS.get(hashlib.sha256(data.identity(text).encode()).digest()[0] % 10, "train")


def mix(old: data.TrainingData, new: list[Record], replay: float, seed: int) -> dict[str, list[dict]]:
    """Rows of a text, a label and where it is from, by the file's name."""
    def rows(split: Split) -> list[dict]:
        return [{"text": text, "label": old.labels[label], "origin": "old"} for text, label in zip(split.texts, split.labels)]

    held_out = {data.identity(text) for split in (old.validation, old.test) for text in split.texts}
    parts: dict[str, list[dict]] = {"train": [], "val": [], "test": rows(old.test), "new_test": []}
    seen = set()
    # What was said of a text last is at the end.
    for record in reversed(new):
        identity = data.identity(record.text)
        if identity in seen or identity in held_out:
            continue
        seen.add(identity)
        parts[part(record.text)].append({"text": record.text, "label": record.label, "origin": "new"})
    kept = [row for row in rows(old.train) if data.identity(row["text"]) not in seen]
    generator = random.Random(seed)
    count = min(len(kept), round(replay * len(parts["train"])))
    parts["train"] += generator.sample(kept, count)
    parts["val"] += [row for row in rows(old.validation) if data.identity(row["text"]) not in seen]
    generator.shuffle(parts["train"])
    return parts


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="mix_datasets.py", description=__doc__.split("\n")[0])
    parser.error = lambda message: parser.exit(64, f"mix_datasets.py: {message}. See mix_datasets.py --help\n")
    parser.add_argument("--old", required=True, type=Path, metavar="DIR|FILE", help=data.FORMS)
    parser.add_argument("--new", required=True, type=Path, metavar="FILE", help="a .jsonl or .csv file with text and label")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="what is there already is replaced")
    parser.add_argument("--replay", type=float, default=3, metavar="N", help="old texts for each new one (default: 3)")
    parser.add_argument("--seed", type=int, default=1, help="which old texts those are (default: 1)")
    arguments = parser.parse_args(argv)
    try:
        if not 0 <= arguments.replay <= 1000:
            raise InputError(f"--replay {arguments.replay}: must be from 0 to 1000")
        old = data.load(arguments.old, data.DataOptions())
        if not arguments.new.exists() or arguments.new.suffix not in records.SUFFIXES:
            raise DatasetError(f"{arguments.new}: is no .jsonl or .csv file that is there")
        new = records.read(arguments.new, "text", "label")
        for record in new:
            if record.label not in old.labels:
                raise DatasetError(f'{arguments.new}, line {record.line}: the label "{record.label}" is none of the old data '
                                   f"set's, which are {', '.join(old.labels)}")
        parts = mix(old, new, arguments.replay, arguments.seed)
        for name in ("train", "new_test"):
            if not any(row["origin"] == "new" for row in parts[name]):
                raise DatasetError(f"{arguments.new}: its {len(new)} texts leave none for {name}.jsonl; give more")
        arguments.output.mkdir(parents=True, exist_ok=True)
        for name, rows in parts.items():
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            replace(arguments.output / f"{name}.jsonl", lines.encode())
    except (InputError, OSError) as error:
        print(f"mix_datasets.py: {error}", file=sys.stderr)
        return 2
    counts = ", ".join(f"{len(rows)} in {name}.jsonl ({sum(row['origin'] == 'new' for row in rows)} new)"
                       for name, rows in parts.items())
    print(f"mix_datasets.py: {counts}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
