#!/usr/bin/env python3
"""Writes the Unicode ranges that the tokenizers need, as the `tokenizers` library sees them.

    tools/make_unicode_tables.py [--output Sources/Engine/Tokenizer/Unicode]

Each scalar is shown to the real library, which carries Unicode tables of several ages (its regex engine's, its
normalizer's, its punctuation's). So the ids are the library's, whatever Unicode version the Swift runtime has.
"""

from __future__ import annotations

import argparse
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import tokenizers
from tokenizers import Regex
from tokenizers.normalizers import NFC, NFD, NFKD, BertNormalizer, StripAccents
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel, Digits, Split, Whitespace

OUTPUT = Path(__file__).parents[1] / "Sources/Engine/Tokenizer/Unicode"
COLUMNS = 120

BYTE_LEVEL = ByteLevel(add_prefix_space=False, use_regex=True)
BERT_WORDS = BertPreTokenizer()
DECOMPOSE, DECOMPOSE_COMPATIBLY, COMPOSE = NFD(), NFKD(), NFC()
STRIP_MARKS = StripAccents()
DIGITS = Digits(individual_digits=True)
WORDS = Whitespace()
REGEX_MARKS = Split(Regex(r"\p{M}"), "isolated")
REGEX_PUNCTUATION = Split(Regex(r"\p{P}"), "isolated")
REGEX_DIGITS = Split(Regex(r"\d"), "isolated")
REGEX_WORDS = Split(Regex(r"\w"), "isolated")
CLEAN = BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
STRIP_ACCENTS = BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)


def is_letter(scalar: str) -> bool:
    return len(BYTE_LEVEL.pre_tokenize_str(f"a{scalar}a")) == 1


def is_number(scalar: str) -> bool:
    return len(BYTE_LEVEL.pre_tokenize_str(f"1{scalar}1")) == 1


def is_bert_removed(scalar: str) -> bool:
    return CLEAN.normalize_str(f"a{scalar}b") == "ab"


def is_bert_punctuation(scalar: str) -> bool:
    return [piece for piece, _ in BERT_WORDS.pre_tokenize_str(f"a{scalar}b")] == ["a", scalar, "b"]


def is_nonspacing_mark(scalar: str) -> bool:
    return STRIP_ACCENTS.normalize_str(f"a{scalar}b") == "ab" and DECOMPOSE.normalize_str(scalar) == scalar


def is_combining_mark(scalar: str) -> bool:
    return STRIP_MARKS.normalize_str(f"a{scalar}b") == "ab"


def is_numeric(scalar: str) -> bool:
    return len(DIGITS.pre_tokenize_str(f"a{scalar}b")) == 3


def is_word(scalar: str) -> bool:
    return len(WORDS.pre_tokenize_str(f"a{scalar}b")) == 1


def matches(split: Split) -> Callable[[str], bool]:
    return lambda scalar: len(split.pre_tokenize_str(f"\u20ac{scalar}\u20ac")) == 3


TABLES: list[tuple[str, str, Callable[[str], bool]]] = [
    ("letters", r"What `\p{L}` matches in the byte-level BPE's regular expression.", is_letter),
    ("numbers", r"What `\p{N}` matches there.", is_number),
    ("bertRemoved", "What BertNormalizer deletes with `clean_text`: controls, format characters, private use, U+FFFD.",
     is_bert_removed),
    ("bertPunctuation", "What BertPreTokenizer makes a word of its own.", is_bert_punctuation),
    ("nonspacingMarks", "What BertNormalizer deletes with `strip_accents`, once the text is decomposed (NFD).",
     is_nonspacing_mark),
    ("combiningMarks", "What StripAccents deletes.", is_combining_mark),
    ("numeric", "What Digits makes a piece of its own.", is_numeric),
    ("words", r"What `\w` matches in the pre-tokenizer Whitespace and beside an added token of a single word.", is_word),
    ("regexMarks", r"What `\p{M}` matches in a regular expression of a tokenizer.json.", matches(REGEX_MARKS)),
    ("regexPunctuation", r"What `\p{P}` matches there.", matches(REGEX_PUNCTUATION)),
    ("regexDigits", r"What `\d` matches there.", matches(REGEX_DIGITS)),
    ("regexWords", r"What `\w` matches there.", matches(REGEX_WORDS)),
]


def scalars() -> Iterator[int]:
    yield from range(0xD800)
    yield from range(0xE000, 0x110000)


def ranges(member: Callable[[str], bool]) -> list[tuple[int, int]]:
    """Sorted inclusive ranges of the scalars that are members; two that only touch at the surrogates stay apart."""
    found: list[tuple[int, int]] = []
    for value in scalars():
        if not member(chr(value)):
            continue
        if found and found[-1][1] == value - 1:
            found[-1] = (found[-1][0], value)
        else:
            found.append((value, value))
    return found


def swift_array(name: str, comment: str, bounds: list[tuple[int, int]]) -> list[str]:
    lines = [f"    /// {comment}", f"    static let {name}: [UInt32] = ["]
    line = ""
    for low, high in bounds:
        pair = f"0x{low:04X}, 0x{high:04X},"
        if line and len(line) + 1 + len(pair) > COLUMNS:
            lines.append(line)
            line = ""
        line = f"{line} {pair}" if line else f"        {pair}"
    return [*lines, line, "    ]"]


def hexadecimal(text: str) -> str:
    return "+".join(f"{ord(scalar):X}" for scalar in text)


def decompositions() -> tuple[list[str], list[str]]:
    """Canonical ones, with a ! where the parts compose to the scalar again, and those that only NFKD makes."""
    canonical, compatible = [], []
    for value in scalars():
        if 0xAC00 <= value <= 0xD7A3:  # Hangul, by arithmetic
            continue
        scalar = chr(value)
        parts = DECOMPOSE.normalize_str(scalar)
        if parts != scalar:
            canonical.append(f"{value:X}={hexadecimal(parts)}{'!' if COMPOSE.normalize_str(parts) == scalar else ''}")
        if (other := DECOMPOSE_COMPATIBLY.normalize_str(scalar)) != parts:
            compatible.append(f"{value:X}={hexadecimal(other)}")
    return canonical, compatible


def combining_classes() -> list[str]:
    """Of the scalars that the library sorts: those that pass U+0345, whose class is the highest."""
    found: list[list[int]] = []
    for value in scalars():
        scalar = chr(value)
        is_sorted = scalar == "\u0345" or DECOMPOSE.normalize_str(f"a\u0345{scalar}") == f"a{scalar}\u0345"
        combining = unicodedata.combining(scalar)
        if not is_sorted or not combining:
            continue
        if found and found[-1][1] == value - 1 and found[-1][2] == combining:
            found[-1][1] = value
        else:
            found.append([value, value, combining])
    return [f"{low:X}-{high:X}={combining}" for low, high, combining in found]


def swift_string(name: str, comment: str, entries: list[str]) -> list[str]:
    lines, line = [], ""
    for entry in entries:
        if line and len(line) + 1 + len(entry) > COLUMNS - 10:
            lines.append(line)
            line = ""
        line = f"{line} {entry}" if line else entry
    lines.append(line)
    return [f"    /// {comment}", f'    static let {name}: StaticString = """',
            *(f"        {line} \\" for line in lines[:-1]), f"        {lines[-1]}", '        """']


def write_tables(directory: Path) -> None:
    lines = [
        f"// Made by tools/make_unicode_tables.py from tokenizers {tokenizers.__version__}; to remake it, run that again.",
        "",
        "/// Which scalars the Hugging Face tokenizers take for what: [low, high, low, high, …], inclusive, ascending,",
        "/// none of them a surrogate. Found by asking the library, as its parts follow several Unicode versions.",
        "enum UnicodeTables {",
    ]
    for number, (name, comment, member) in enumerate(TABLES):
        bounds = ranges(member)
        lines += ([""] if number else []) + swift_array(name, comment, bounds)
        print(f"{name}: {len(bounds)} ranges, {sum(high - low + 1 for low, high in bounds)} scalars")
    (directory / "UnicodeTables.swift").write_text("\n".join([*lines, "}", ""]), encoding="utf-8")


def write_decompositions(directory: Path) -> None:
    canonical, compatible = decompositions()
    classes = combining_classes()
    lines = [
        f"// Made by tools/make_unicode_tables.py from tokenizers {tokenizers.__version__}; to remake it, run that again.",
        "",
        "/// The library's decompositions, which are those of an older Unicode version than a Swift runtime's. As text, in",
        "/// hexadecimal, since arrays of arrays take the compiler minutes.",
        "enum UnicodeDecompositions {",
        *swift_string("canonical", "`scalar=parts`, whole; with a ! where the parts compose to the scalar.", canonical), "",
        *swift_string("compatible", "Where NFKD goes beyond.", compatible), "",
        *swift_string("combiningClasses", "`first-last=class`; others have class 0.", classes),
    ]
    print(f"{len(canonical)} canonical and {len(compatible)} compatibility decompositions, {len(classes)} ranges of classes")
    (directory / "UnicodeDecompositions.swift").write_text("\n".join([*lines, "}", ""]), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the directory")
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    write_tables(output)
    write_decompositions(output)


if __name__ == "__main__":
    main()
