"""Labelled texts in a .csv (RFC 4180, with a header) or .jsonl file (an object a line), read as `apus` reads them."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

from classification_data import DatasetError, read_lines, read_text

SUFFIXES = (".csv", ".jsonl")
LONGEST_FIELD = 16 << 20  # characters; apus refuses longer lines
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Record:
    text: str
    label: str
    line: int  # where it begins, from 1


def read(path: Path, text_field: str, label_field: str) -> list[Record]:
    """All records of a file; a text or label that is missing or empty is an error that names the line."""
    reader = read_csv if path.suffix == ".csv" else read_jsonl
    records = reader(path, text_field, label_field) if path.stat().st_size else []
    if not records:
        raise DatasetError(f"{path}: has no records; give lines with a text and a label")
    for record in records:
        if not record.text.strip():
            raise DatasetError(f"{path}, line {record.line}: the text is empty; give one or more characters, or take the "
                               "line out")
        if not record.label.strip():
            raise DatasetError(f"{path}, line {record.line}: the label is empty; name one, or take the line out")
    return records


def read_csv(path: Path, text_field: str, label_field: str) -> list[Record]:
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    header: list[str] = []
    records = []
    line = 1
    try:
        for row in reader:
            start, line = line, reader.line_num + 1
            if not row:
                continue
            if not header:
                header = row
                text, label = (column(path, header, *field) for field in (
                    (text_field, "--text-field"), (label_field, "--label-field")))
            elif len(row) != len(header):
                raise DatasetError(f"{path}, line {start}: has {len(row)} cells; the header has {len(header)}. A text with "
                                   "commas, quotes or new lines stands in quotes")
            else:
                records.append(Record(row[text], row[label], start))
    except csv.Error as error:
        raise DatasetError(f"{path}, line {line}: {error}. A text with commas, quotes or new lines stands in quotes, and a "
                           "quote in it is doubled") from None
    return records


def column(path: Path, header: list[str], name: str, option: str) -> int:
    if header.count(name) == 1:
        return header.index(name)
    if name in header:
        raise DatasetError(f'{path}, line 1: has {header.count(name)} columns "{name}"; rename all but one')
    advice = f"Name the right one by {option}"
    if len(header) == 1 and any(separator in header[0] for separator in ";\t"):
        advice = "Save the file with commas between the columns"
    raise DatasetError(f'{path}, line 1: has no column "{name}"; its columns are {", ".join(header)}. {advice}')


def read_jsonl(path: Path, text_field: str, label_field: str) -> list[Record]:
    records = []
    for number, line in enumerate(read_lines(path), 1):
        place = f"{path}, line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{place}: is not JSON: {error}. Each line is an object with a text and a label") from None
        if not isinstance(value, dict):
            raise DatasetError(f"{place}: is no JSON object; each line is one, with a text and a label")
        records.append(Record(string(place, value, text_field, "--text-field"),
                              string(place, value, label_field, "--label-field"), number))
    return records


def string(place: str, record: dict, name: str, option: str) -> str:
    if name not in record:
        raise DatasetError(f'{place}: has no field "{name}"; its fields are {", ".join(record)}. Name the right one by '
                           f"{option}")
    value = record[name]
    if not isinstance(value, str):
        raise DatasetError(f'{place}: field "{name}" is {json.dumps(value)[:100]}; it must be a string, in quotes')
    if LONE_SURROGATE.search(value):
        raise DatasetError(f'{place}: field "{name}" has half a surrogate pair (\\uD800 to \\uDFFF), which is no '
                           "character; replace it, for example by \\uFFFD")
    return value
