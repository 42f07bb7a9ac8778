#!/usr/bin/env python3
"""Writes what BERTweet's normalization of tweets knows: names of emoji, HTML's entities, the word characters of `regex`.

    tools/make_tweet_tables.py [--output Sources/Engine/Tokenizer/Unicode/TweetTables.swift]

BERTweet's tokenizer in Transformers asks the packages `emoji` and `regex`, and Python's own table of entities.
"""

from __future__ import annotations

import argparse
import html.entities
from pathlib import Path

import emoji
import regex
from emoji import demojize
from make_unicode_tables import ranges, scalars, swift_array

OUTPUT = Path(__file__).parents[1] / "Sources/Engine/Tokenizer/Unicode/TweetTables.swift"
COLUMNS = 110


def swift_text(name: str, comment: str, entries: list[str]) -> list[str]:
    lines, line = [], ""
    for entry in entries:
        if line and len(line) + 1 + len(entry) > COLUMNS:
            lines.append(line)
            line = ""
        line = f"{line} {entry}" if line else entry
    lines.append(line)
    return [f"    /// {comment}", f'    static let {name}: StaticString = """',
            *(f"        {line} \\" for line in lines[:-1]), f"        {lines[-1]}", '        """']


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output: Path = parser.parse_args().output
    names = [f"{value:X}={demojize(chr(value))}" for value in scalars() if demojize(chr(value)) != chr(value)]
    entities = [f"{value:X}={name}" for name, value in sorted(html.entities.name2codepoint.items())]
    words, digits = regex.compile(r"\w"), regex.compile(r"\d")
    lines = [
        f"// Made by tools/make_tweet_tables.py from emoji {emoji.__version__} and regex {regex.__version__}; to remake it,",
        "// run that again.", "",
        "/// What BERTweet's normalization of tweets knows, as `scalar=name`, and as [low, high, low, high, …], inclusive.",
        "enum TweetTables {",
        *swift_text("emoji", "Emoji of one scalar, by name.", names), "",
        *swift_text("entities", "HTML's entities.", entities), "",
        *swift_array("words", r"What `\w` matches in Python's package regex.", ranges(lambda s: bool(words.match(s)))), "",
        *swift_array("digits", r"What `\d` matches there.", ranges(lambda s: bool(digits.match(s)))),
    ]
    output.write_text("\n".join([*lines, "}", ""]), encoding="utf-8")
    print(f"{len(names)} emoji, {len(entities)} entities: {output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
