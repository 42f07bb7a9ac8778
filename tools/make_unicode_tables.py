#!/usr/bin/env python3
"""Writes the Unicode ranges that the tokenizers need, as the `tokenizers` library sees them.

    tools/make_unicode_tables.py [--output Sources/Engine/Tokenizer/UnicodeTables.swift]

Each scalar is shown to the real library, which carries Unicode tables of several ages (its regex engine's, its
normalizer's, its punctuation's). So the ids are the library's, whatever Unicode version the Swift runtime has.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import tokenizers
from tokenizers.normalizers import NFD, BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel

OUTPUT = Path(__file__).parents[1] / "Sources/Engine/Tokenizer/UnicodeTables.swift"
COLUMNS = 120

BYTE_LEVEL = ByteLevel(add_prefix_space=False, use_regex=True)
BERT_WORDS = BertPreTokenizer()
DECOMPOSE = NFD()
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


TABLES: list[tuple[str, str, Callable[[str], bool]]] = [
    ("letters", r"What `\p{L}` matches in the byte-level BPE's regular expression.", is_letter),
    ("numbers", r"What `\p{N}` matches there.", is_number),
    ("bertRemoved", "What BertNormalizer deletes with `clean_text`: controls, format characters, private use, U+FFFD.",
     is_bert_removed),
    ("bertPunctuation", "What BertPreTokenizer makes a word of its own.", is_bert_punctuation),
    ("nonspacingMarks", "What BertNormalizer deletes with `strip_accents`, once the text is decomposed (NFD).",
     is_nonspacing_mark),
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output: Path = parser.parse_args().output
    lines = [
        f"// Made by tools/make_unicode_tables.py from tokenizers {tokenizers.__version__}. Run that to remake it.",
        "",
        "/// Which scalars the Hugging Face tokenizers take for what: [low, high, low, high, …], inclusive, ascending,",
        "/// none of them a surrogate. Found by asking the library, as its parts follow several Unicode versions.",
        "enum UnicodeTables {",
    ]
    for number, (name, comment, member) in enumerate(TABLES):
        bounds = ranges(member)
        lines += ([""] if number else []) + swift_array(name, comment, bounds)
        print(f"{name}: {len(bounds)} ranges, {sum(high - low + 1 for low, high in bounds)} scalars")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join([*lines, "}", ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
