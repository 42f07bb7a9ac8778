"""Data sets in TweetEval's form, and the text preparation of the model card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class InputError(ValueError):
    """Something given that cannot be used; the message names the file, what was found, what is allowed, what to do."""


class DatasetError(InputError):
    """A data set that cannot be used."""


@dataclass(frozen=True)
class Split:
    texts: list[str]
    labels: list[int]

    def prepared(self) -> Split:
        return Split([prepare(text) for text in self.texts], self.labels)


def prepare(text: str) -> str:
    """`@somebody` becomes `@user`, a link becomes `http`: what the twitter-roberta model card does before tokenizing."""
    words = []
    for word in text.split(" "):
        word = "@user" if word.startswith("@") and len(word) > 1 else word
        words.append("http" if word.startswith("http") else word)
    return " ".join(words)


def label_names(dataset: Path) -> list[str]:
    """The labels of `mapping.txt` (`0<tab>negative` a line) in the order of their numbers."""
    names: dict[int, str] = {}
    for number, line in enumerate(read_lines(dataset / "mapping.txt"), 1):
        label, _, name = line.partition("\t")
        if not label.isdecimal() or not name:
            raise DatasetError(f"{dataset / 'mapping.txt'}, line {number}: {line!r} is not a number, a tab and a label")
        names[int(label)] = name
    if sorted(names) != list(range(len(names))):
        raise DatasetError(f"{dataset / 'mapping.txt'}: the labels' numbers are {sorted(names)}; they must count from 0")
    return [names[number] for number in range(len(names))]


def load_split(dataset: Path, split: str, labels: list[str]) -> Split:
    """`SPLIT_text.txt` and `SPLIT_labels.txt`, a text and a label's number a line."""
    texts = read_lines(dataset / f"{split}_text.txt")
    numbers = read_lines(dataset / f"{split}_labels.txt")
    if len(texts) != len(numbers):
        raise DatasetError(f"{dataset}: {split}_text.txt has {len(texts)} lines, {split}_labels.txt has {len(numbers)}")
    known = {str(number) for number in range(len(labels))}
    for line, number in enumerate(numbers, 1):
        if number not in known:
            raise DatasetError(f"{dataset}/{split}_labels.txt, line {line}: {number!r} is not in mapping.txt")
    return Split(texts, [int(number) for number in numbers])


def read_lines(path: Path) -> list[str]:
    """Lines that end at \\n or \\r\\n only: a tweet may hold U+2028 or U+0085, at which str.splitlines would cut it."""
    return lines_of(path.read_bytes(), path)


def lines_of(content: bytes, path: Path) -> list[str]:
    lines = decode(content, path).removesuffix("\n").split("\n")
    return [line.removesuffix("\r") for line in lines]


def read_text(path: Path) -> str:
    """A UTF-8 file's text as it stands; a byte order mark is left out."""
    return decode(path.read_bytes(), path)


def decode(content: bytes, path: Path) -> str:
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DatasetError(f"{path}, line {line}: the byte 0x{content[error.start]:02X} is not UTF-8; convert the file, "
                           "for example with iconv -f LATIN1 -t UTF-8") from None
