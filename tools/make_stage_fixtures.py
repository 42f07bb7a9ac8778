#!/usr/bin/env python3
"""Writes what the `tokenizers` library makes of the nasty texts, stage by stage.

    tools/make_stage_fixtures.py [--output Tests/EngineTests/Fixtures/tokenizer_stages.json]

The model is a WordPiece of single characters, so that the ids tell every character that a normalizer writes and every
place where a pre-tokenizer cuts. Of the ids a digest stands in the file, as in tokenizer_reference.json.
"""

from __future__ import annotations

import argparse
import json
import unicodedata
from pathlib import Path
from typing import Any

import tokenizers
from make_reference import digest
from reference_tokenizers import FIXTURES, nasty_texts
from tokenizers import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "<s>", "</s>"]
ROOM = 128

NORMALIZERS: dict[str, Any] = {
    **{form: {"type": form} for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")},
    "BertNormalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": True},
    "BertNormalizer, cased": {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False,
                              "strip_accents": True, "lowercase": False},
    "Strip": {"type": "Strip", "strip_left": True, "strip_right": True},
    "Strip, right": {"type": "Strip", "strip_left": False, "strip_right": True},
    "Prepend": {"type": "Prepend", "prepend": "▁"},
    "Replace": {"type": "Replace", "pattern": {"String": "''"}, "content": "\""},
    "Replace, white space": {"type": "Replace", "pattern": {"Regex": r"\s{2,}|[\n\r\t]"}, "content": " "},
    "Replace, ends": {"type": "Replace", "pattern": {"Regex": r"\A +| +\z"}, "content": ""},
    "Replace, lazy": {"type": "Replace", "pattern": {"Regex": r"\[.*?\]|(?<!a)b(?=c)|\bx+?y*"}, "content": "<>"},
    "Sequence": {"type": "Sequence", "normalizers": [
        {"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}, {"type": "Strip", "strip_left": True,
                                                                            "strip_right": False}]},
}
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)"
          r"|\s+")
BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
PRE_TOKENIZERS: dict[str, Any] = {
    **{name: {"type": name} for name in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")},
    **{f"Metaspace, {scheme}": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": scheme != "never"}
       for scheme in ("always", "first", "never")},
    "Metaspace of old": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True, "str_rep": "▁"},
    "ByteLevel": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "ByteLevel, whole": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False},
    **{f"Digits, {flag}": {"type": "Digits", "individual_digits": flag} for flag in (True, False)},
    **{f"Punctuation, {name}": {"type": "Punctuation", "behavior": name} for name in BEHAVIORS},
    **{f"Split, {name}": {"type": "Split", "pattern": {"Regex": r"[\p{P}\s]|\d+"}, "behavior": name, "invert": False}
       for name in BEHAVIORS},
    "Split, inverted": {"type": "Split", "pattern": {"Regex": r"\w+"}, "behavior": "Removed", "invert": True},
    "Split, text": {"type": "Split", "pattern": {"String": "a"}, "behavior": "MergedWithNext", "invert": False},
    "Split, GPT-2": {"type": "Split", "pattern": {"Regex": GPT2}, "behavior": "Isolated", "invert": False},
    "Split, cl100k": {"type": "Split", "pattern": {"Regex": CL100K}, "behavior": "Isolated", "invert": False},
    "Sequence": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Digits",
                                                                                     "individual_digits": True}]},
}


def template(first: str, last: str) -> dict[str, Any]:
    def token(name: str, kind: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": kind}}

    def text(name: str, kind: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": kind}}

    ids = {name: {"id": name, "ids": [SPECIAL.index(name)], "tokens": [name]} for name in (first, last)}
    return {"type": "TemplateProcessing", "special_tokens": ids,
            "single": [token(first, 0), text("A", 0), token(last, 0)],
            "pair": [token(first, 0), text("A", 0), token(last, 0), text("B", 1), token(last, 1)]}


POST_PROCESSORS: dict[str, Any] = {
    "TemplateProcessing": template("[CLS]", "[SEP]"),
    "BertProcessing": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    "RobertaProcessing": {"type": "RobertaProcessing", "sep": ["</s>", 5], "cls": ["<s>", 4], "trim_offsets": True,
                          "add_prefix_space": False},
    "Sequence": {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}, template("<s>", "</s>")]},
}


def added(content: str, number: int, **settings: bool) -> dict[str, Any]:
    standard = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return {"id": number, "content": content} | standard | settings


def stages(size: int) -> list[dict[str, Any]]:
    words, plain = {"type": "WhitespaceSplit"}, template("[CLS]", "[SEP]")
    found = [{"name": f"normalizer {name}", "normalizer": value, "pre_tokenizer": words, "post_processor": plain}
             for name, value in NORMALIZERS.items()]
    found += [{"name": f"pre_tokenizer {name}", "normalizer": None, "pre_tokenizer": value, "post_processor": plain}
              for name, value in PRE_TOKENIZERS.items()]
    found += [{"name": f"post_processor {name}", "normalizer": None, "pre_tokenizer": words, "post_processor": value}
              for name, value in POST_PROCESSORS.items()]
    found.append({"name": "added_tokens", "normalizer": {"type": "Lowercase"}, "pre_tokenizer": words, "post_processor": plain,
                  "added_tokens": [
                      added("[SEP]", 3, special=True, rstrip=True), added("[MASK]", size, special=True, lstrip=True),
                      added("GOOD", size + 1, normalized=True), added("x", size + 2, single_word=True),
                      added("'s", size + 3, normalized=True, lstrip=True, rstrip=True)]})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=FIXTURES / "tokenizer_stages.json")
    output: Path = parser.parse_args().output
    texts = [text for text in nasty_texts() if len(text) < 500]
    shown = [form for text in texts for form in (text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFKD")))]
    characters = sorted({scalar for form in shown for scalar in form + form.lower()} | {chr(value) for value in range(0x180)})
    characters = [scalar for scalar in characters if not scalar.isspace() or scalar == " "]
    tokens = SPECIAL + characters + ["##" + scalar for scalar in characters]
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 600,
             "vocab": {token: number for number, token in enumerate(tokens)}}
    found = stages(len(tokens))
    for stage in found:
        file = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "decoder": None, **stage,
                "model": model}
        del file["name"]
        tokenizer = Tokenizer.from_str(json.dumps(file))
        tokenizer.enable_truncation(ROOM)
        stage["ids"] = digest(encoding.ids for encoding in tokenizer.encode_batch(texts))
        pairs = tokenizer.encode_batch(list(zip(texts, texts[1:], strict=False)))
        stage["pairs"] = digest(encoding.ids + encoding.type_ids for encoding in pairs)
    report = {"made_by": "tools/make_stage_fixtures.py", "tokenizers": tokenizers.__version__, "max_length": ROOM,
              "characters": "".join(characters), "special": SPECIAL, "stages": found}
    output.write_text(json.dumps(report, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{output}: {len(found)} stages, {len(texts)} texts, {output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
