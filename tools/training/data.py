"""What is trained on: texts and labels in three splits, given as such or made of one file."""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from classification_data import DatasetError, Split, label_names, load_split, prepare
from training import records
from training.records import Record

FORMS = ("a directory with mapping.txt, train_text.txt, train_labels.txt and so on for val and test; a directory with "
         "train.csv, val.csv and test.csv (or .jsonl); or one .csv or .jsonl file with text and label")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataOptions:
    """How a .csv or .jsonl is read, and split where it is one file."""
    text_field: str = "text"
    label_field: str = "label"
    validation_share: float = 0.1
    test_share: float = 0.1
    split_seed: int = 1


@dataclass(frozen=True)
class TrainingData:
    """Texts as they stand in the data set; labels as indices of `labels`."""
    labels: list[str]
    train: Split
    validation: Split
    test: Split
    is_tweeteval: bool  # whose test split `apus evaluate` reads where it is

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        return self.train, self.validation, self.test

    def description(self) -> str:
        counts = Counter(self.train.labels)
        labels = ", ".join(f"{label} {counts[index]}" for index, label in enumerate(self.labels[:20]))
        more = ", …" if len(self.labels) > 20 else ""
        return (f"{len(self.train.texts)} texts to train on ({labels}{more}), {len(self.validation.texts)} to choose by, "
                f"{len(self.test.texts)} to test with")

    def digest(self) -> str:
        """SHA-256 of everything in it."""
        content = [self.labels, *([split.texts, split.labels] for split in self.splits)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def texts_digest(texts: list[str]) -> str | None:
    """SHA-256 of texts without labels, if there are any."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest() if texts else None


def load(path: Path, options: DataOptions) -> TrainingData:
    if path.is_dir():
        is_tweeteval = (path / "mapping.txt").exists()
        data = tweeteval(path) if is_tweeteval else given_splits(path, options)
        warn_of_leaks(path, data)
        return data
    if not path.exists():
        raise DatasetError(f"{path}: does not exist. A data set is {FORMS}")
    if path.suffix not in records.SUFFIXES:
        raise DatasetError(f"{path}: ends in neither .csv nor .jsonl. A data set is {FORMS}")
    return one_file(path, options)


def tweeteval(path: Path) -> TrainingData:
    for split in SPLITS:
        for name in (f"{split}_text.txt", f"{split}_labels.txt"):
            if not (path / name).exists():
                raise DatasetError(f"{path}: has no {name}, which belongs to mapping.txt. A data set is {FORMS}")
            if not (path / name).stat().st_size:
                raise DatasetError(f"{path / name}: is empty; give a line for each text")
    labels = label_names(path)
    splits = [load_split(path, split, labels) for split in SPLITS]
    for name, split in zip(SPLITS, splits):
        for line, text in enumerate(split.texts, 1):
            if not text.strip():
                raise DatasetError(f"{path}/{name}_text.txt, line {line}: the text is empty; give one or more characters, "
                                   f"or take the line out here and in {name}_labels.txt")
    check_labels(path / "mapping.txt", labels)
    counts = Counter(splits[0].labels)
    for index, label in enumerate(labels):
        if not counts[index]:
            raise DatasetError(f'{path}/train_labels.txt: has no example of label {index}, "{label}" in mapping.txt; add '
                               "some, or take the label out")
    return TrainingData(labels, *splits, is_tweeteval=True)


def given_splits(path: Path, options: DataOptions) -> TrainingData:
    files = {split: [path / (split + suffix) for suffix in records.SUFFIXES if (path / (split + suffix)).exists()]
             for split in SPLITS}
    for split, found in files.items():
        if len(found) != 1:
            what = f"both {split}.csv and {split}.jsonl" if found else f"neither {split}.csv nor {split}.jsonl"
            raise DatasetError(f"{path}: has {what}, and no mapping.txt. A data set is {FORMS}")
    read = {split: records.read(found[0], options.text_field, options.label_field) for split, found in files.items()}
    labels = sorted({record.label for record in read["train"]})
    check_labels(files["train"][0], labels)
    for split in ("val", "test"):
        for record in read[split]:
            if record.label not in labels:
                raise DatasetError(f'{files[split][0]}, line {record.line}: the label "{record.label}" is not in '
                                   f"{files['train'][0].name}, whose labels are {', '.join(labels)}. Mend it, or add "
                                   "examples there")
    return TrainingData(labels, *(as_split(read[split], labels) for split in SPLITS), is_tweeteval=False)


def one_file(path: Path, options: DataOptions) -> TrainingData:
    """Splits a file by `split_seed`, the labels' shares alike in each part; all examples of one text fall into one part."""
    read = records.read(path, options.text_field, options.label_field)
    labels = sorted({record.label for record in read})
    check_labels(path, labels)
    texts: dict[str, list[int]] = {}
    for index, record in enumerate(read):
        texts.setdefault(identity(record.text), []).append(index)
    parts: dict[str, list[int]] = {split: [] for split in SPLITS}
    for label in labels:
        # A text with two labels counts for the first.
        groups = [indices for indices in texts.values() if read[indices[0]].label == label]
        if len(groups) < len(SPLITS):
            raise DatasetError(f'{path}: the label "{label}" has {len(groups)} different '
                               f"text{'' if len(groups) == 1 else 's'}; at least 3 are needed, one each for training, "
                               "validation and test. Add examples, or take the label out")
        random.Random(f"{options.split_seed} {label}").shuffle(groups)
        test = min(max(1, round(options.test_share * len(groups))), len(groups) - 2)
        validation = min(max(1, round(options.validation_share * len(groups))), len(groups) - 1 - test)
        for split, chosen in (("test", groups[:test]), ("val", groups[test:test + validation]),
                              ("train", groups[test + validation:])):
            parts[split] += [index for indices in chosen for index in indices]
    splits = [as_split([read[index] for index in sorted(parts[split])], labels) for split in SPLITS]
    return TrainingData(labels, *splits, is_tweeteval=False)


def as_split(read: list[Record], labels: list[str]) -> Split:
    numbers = {label: number for number, label in enumerate(labels)}
    return Split([record.text for record in read], [numbers[record.label] for record in read])


def check_labels(path: Path, labels: list[str]) -> None:
    if len(labels) < 2:
        raise DatasetError(f'{path}: has only the label "{labels[0]}"; a classifier needs two or more')
    for label, count in Counter(labels).items():
        if count > 1:
            raise DatasetError(f'{path}: has {count} labels "{label}"; each needs a name of its own')


def identity(text: str) -> str:
    """What makes two texts the same to a model: not the user or link they name, not case, not spaces."""
    return " ".join(prepare(text).casefold().split())


def warn_of_leaks(path: Path, data: TrainingData) -> None:
    known = {identity(text) for text in data.train.texts}
    for name, split in (("val", data.validation), ("test", data.test)):
        count = sum(identity(text) in known for text in split.texts)
        if count:
            print(f"train.py: {path}: {count} of the {len(split.texts)} texts of {name} also stand in train, which "
                  "flatters the figures", file=sys.stderr)
