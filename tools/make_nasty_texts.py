#!/usr/bin/env python3
"""Writes the texts on which tokenizers differ, one JSON object a line, the same on every run.

    tools/make_nasty_texts.py [--output Tests/EngineTests/Fixtures/nasty_texts.jsonl]

A line is raw UTF-8 (so U+2028, U+0085 and the like stand in it as they are, and must not end it), except where a text
holds a lone surrogate, which only a JSON escape can say: such a line is ASCII. A lone surrogate reads as U+FFFD.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from pathlib import Path

OUTPUT = Path(__file__).parents[1] / "Tests/EngineTests/Fixtures/nasty_texts.jsonl"

BLANK = ["", " ", "  ", "\t", "\n", "\r\n", "\u3000", "\u00a0", "\u200b", "\u2028", "\u0085", "\u0000", "\ufffd"]

EMOJI = [
    "😀", "😂😂😂", "I 💜 it", "good😀bad", "😀 😀  😀", "so 😭😭!!", "☺", "☺️", "☺︎", "❤ ❤️ ♥ ♥️", "👨‍👩‍👧‍👦", "👩🏽‍💻 works",
    "👍🏻👍🏼👍🏽👍🏾👍🏿", "🏻", "🇩🇪", "🇩🇪🇫🇷", "🇩🇪🇫", "🇩 🇪", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🏳️‍🌈🏴‍☠️", "1️⃣ 2️⃣ #️⃣ *️⃣", "1⃣", "🐻‍❄️🐦‍⬛🍋‍🟩",
    "newest: 🫩 🫆 🪾 🫜 🪉 🪏 🫟", "not yet: 🫪 🫍 🛘", "🧑‍🧑‍🧒", "©®™ ‼️ ⁉️ ↔️ ㊗️", "👁️‍🗨️", "a\u200db", "\u200d", "😀\u200d",
    "\ufe0f", "a\ufe0fb", "🫱🏿‍🫲🏻", "😀️😀︎", "🅰️🆎🆑", "♀♂⚧ ♀️", "¯\\_(ツ)_/¯ (╯°□°）╯︵ ┻━┻", ":-) :'( <3 XD",
]

MARKS = [
    "café", "cafe\u0301", "CAFÉ", "naïve Ångström", "A\u030angstro\u0308m", "\u212b \u2126 \u212a", "\u0301",
    " \u0301x", "a\u0301\u0327\u0323", "a\u0323\u0327\u0301", "ǖ", "u\u0308\u0304", "ṩ s\u0323\u0307 s\u0307\u0323",
    "Z̴͓͝a̷̧̕l̶̢̛g̵̨̀o̸̢͝", "x" + "\u0301" * 200 + "y", "e" + "\u0301\u0323" * 60 + " z",
    "\u0344 \u0340 \u0341 \u0343", "𝅗𝅥 𝅘𝅥𝅮 𝅝", "İstanbul ISTANBUL ıstanbul", "i̇ I̊ İ̊ Ì", "ß ẞ STRASSE Straße",
    "ΟΔΥΣΣΕΥΣ ς Σ σ", "ΣΑΣ. ΑΣ1 'ΑΣ'", "ﬁ ﬂ ﬀ ﬃ ﬆ ﬓ", "ǅ ǈ ǋ ǲ Ǆ ǆ", "ŉ ǰ ΐ և ᾳ ᾼ ΅", "Ⓐⓐ Ⅷ ⅷ ª º ᵃ", "ΆΈΉ ώ ϓ ϔ",
    "Ё Й ё й Ѓ Ї", "Ð ð Þ þ Ø ø Ł ł Đ đ", "ſ ẛ ẛ̣", "Ა ა Ꭰ ꭰ 𐐀 𐐨 Ა", "\u1c89 \ua7cb \ua7dc \ua7da",
    "\u0345\u03b1\u0345",
]

SCRIPTS = [
    "我爱你", "I love 北京 very much", "a北b京c", "日本語のテキスト、カタカナ。", "ｶﾀｶﾅ ガ が か\u3099", "豈更車 鱗", "𠀀𪜀𫝀𫠠 𬺰 丽", "㐀䶿一鿿",
    "\U0002b820\U0002b91f\U0002b920\U0002ceaf", "한국어 문장", "각 각 가\u11a8", "\u1100\u1161\u11a8", "ㄱㅏ ﾡ",
    "ภาษาไทยไม่มีช่องว่าง", "น้ำ กำ", "हिन्दी में क्षत्रिय", "क़ क\u093c", "বাংলা தமிழ் తెలుగు", "བོད་ཡིག ဗမာ ខ្មែរ",
    "\u0f43 \u0f77", "مرحبا بالعالم", "مُحَمَّد", "السلام\u200fعليكم\u200e!", "ﷺ ﻼ ﷽", "\u0627\u0653 \u0622",
    "שלום עולם", "שָׁלוֹם", "\ufb2a \ufb1d יִ", "\u202eabc\u202c \u2066x\u2069 \u061c", "\u0600\u0605\u06dd\u08e2 x",
    "Привет, мир!", "Γειά σου Κόσμε", "Tiếng Việt rất khó", "ሰላም ᠮᠣᠩᠭᠣᠯ ᠠ\u180eᠠ", "𝓗𝓮𝓵𝓵𝓸 𝕎𝕠𝕣𝕝𝕕 𝟙𝟚𝟛 𝔉", "Ｆｕｌｌ　ｗｉｄｔｈ！",
    "ᵗⁱⁿʸ ʇxǝʇ", "\U00011938 \U00011131\U00011127 \U000105c9", "𒀀𓀀\U00013430 𐎀", "漢字と한글とkana😀", "々〆〇 〱 ・ー",
]

CONTROLS = [
    "a\u0000b", "\u0000\u0000", "a\u0001b\u001fc\u007fd", "bell\u0007 esc\u001b[31m", "a\u0080b\u009fc", "a\u0085b",
    "\ufeffBOM first", "mid\ufeffdle", "a\ufffdb \ufffd", "\ufffe\uffff \U0001fffe",
    "\ue000 \uf8ff \U000f0000 \U0010fffd", "\U0010ffff", "unassigned \u0378 \u0380 \U0001ffff \U000e0080",
    "soft\u00adhyphen", "zero\u200bwidth\u200cnon\u200djoiner\u2060word", "\u034f\u115f\u1160\u3164\uffa0", "\u00ad",
    "tag\U000e0061\U000e007f", "a\u2061b\u2064c", "\ufff9a\ufffab\ufffb \ufffc", "\U000110bd \U000110cd \U0001d173",
    "\u070f \u180e", "a\bb\fc\vd",
]

SPACES = [
    " leading", "trailing ", "  two  spaces  ", "a   b    c", "tab\there\t\tthere", "line\nbreak",
    "line\r\nbreak\rold", "\n\n\nx\n\n", "a \n b", "a\n \nb", "a\u00a0b\u00a0\u00a0c", "a \u00a0b\u00a0 c", "\u00a0a",
    "a\u3000b", "a\u2028b\u2029c", "a \u2028 b", "a\u0085 b", "\u2000\u2001\u2002 x", "a\u1680b\u202fc\u205fd",
    "x \t y", "x\t y", "\ta", " \u200b ", "a\u200b b", "." + " " * 50 + ".", " " * 1000, "\n" * 300 + "end",
    "a" + "\t " * 40 + "b", "a\u001cb\u001db\u001eb\u001fb", "end\u3000", "end\n",
]

WORDS = [
    "I'm you're we've he'll she'd it's don't", "I'M YOU'RE WE'VE HE'LL SHE'D IT'S DON'T", "it’s don’t ’s",
    "'s 's's s's '", "''s '''ll 'RE 'Re", "x's1 1's 's's", "'tis 'twas rock'n'roll o'clock", " 's  'll", "'S 'T 'LL",
    "½ ² Ⅷ ١٢٣ १२३ ㊿ ①", "1²3 x² ⅔cup", "1,234.56 -7e10 0x1F 1st 2nd", "a1b2c3", "1a 2b", "٣٫١٤ ۱۲۳ ๑๒๓ 〇一二",
    "𝟎𝟏𝟐 🄀 ⒈ ⑽ ㈠", "12345678901234567890", "௧௨ ༳ Ⅻ ↁ 𐄇 𒐀 ꛦ", "!?!?!? ...", "… – — ― ‐ ‑ − ~",
    "“quotes” ‘single’ «guillemets» „low‟", "$100 €5 £3 ¥9 ₹7 ₿ +=<>|^`", "a_b __init__ snake_case",
    "(x) [y] {z} <w>", "§ ¶ † ‡ • ‣ ° ′ ″", "。、！？「」『』【】", "،؛؟ ।॥ ።", "a.b,c;d:e!f?g", "...a...b...",
    "#hashtag ##double #", "##ing ##a ##😀", "\\ / \\n %20 &amp; &lt;b&gt;", "⸮ ⹃ ⹝ 𐺭 ؝ ᙭ 𑇉", "* ** *** - -- ---",
    "C++ C# F# .NET", "antidisestablishmentarianism", "HELLO wOrLd", "asdfghjkl qwertyuiop", "Ġ Ċ ĉ Ā ġ", "Ġhello",
    "â\u0080\u0099 Ã©", "xxxxxxxxx aaaaaaaaa zzzzzz",
]

MENTIONS = [
    "@", "@ ", "@a", "@a@b", "@user", "hi @x", " @x", "\t@x", "hi\t@x", "@@", "@@a b", "a@b", "mail me@example.org",
    "@x, @y: @z!", "@\u00a0x", "\u00a0@x", "@\n", "@x\n@y", ".@x", "@é @\u0301 @😀", "@\u0301", "\u0301@x", "\u200b@x",
    "@\u200d x", "＠x", "http", "https://t.co/abc123", "see http://a.b/c?d=e&f=g#h now", "httpfoo", "HTTP://X.Y Http",
    "xhttp http", "(http://x)", "\thttp://x", "http\u0301s", "http\u200dx", "www.x.com", "http://x\nhttp://y",
    "@http http@x", "http ", " http  http ", "@x  http://y  @z",
]

ROBERTA_SPECIAL = ["<s>", "</s>", "<mask>", "<pad>", "<unk>"]
BERT_SPECIAL = ["[SEP]", "[CLS]", "[MASK]", "[PAD]", "[UNK]"]

SPECIAL = [
    *(form.replace("T", token) for token in ROBERTA_SPECIAL + BERT_SPECIAL
      for form in ("T", " T ", "aTb", "a  T  b", "TT")),
    "<s> </s> <mask> <pad> <unk>", "[SEP] [CLS] [MASK] [PAD] [UNK]", "".join(ROBERTA_SPECIAL + BERT_SPECIAL),
    "<s<s>>", "</s</s>>", "<<mask>>", "<mask<mask>>", "[SEP[SEP]]", "[[CLS]]", "[MASK[MASK]MASK]", "< s>", "<s >",
    "<mask", "mask>",
    "[sep] [cls] [mask] [pad] [unk]", "[Sep] [CLs]", "<S> </S> <MASK> <PAD> <UNK>", "</S>", "[ SEP ]",
    "[SÉP] [SE\u0301P]",
    "<mask> <mask>", "<mask>  <mask>", " \t\n<mask>\n\t ", "x\u00a0<mask>", "x\u3000\u2028<mask> y", "x\u200b<mask>",
    "x\u0085<mask>", "x\u001c<mask>", "x\u180e<mask>",
    "<s>\u0301", "[SEP]\u0301", "[SEP]\u200d", "<mask>\ufe0f", "\u200d[SEP]", "😀[SEP]😀", "[SEP]'s <s>'s",
    "@<s> @[SEP]", "http<s> http[SEP]", "<s>@x [SEP]@y", "我[SEP]爱<s>你", "[SEP]ing <s>ing", "1[SEP]2<s>3",
    "<|endoftext|> <bos> <0x41> ▁",
]

SURROGATES = [
    "\ud83d", "\ude00", "a\ud83db", "a\ude00b", "\ude00\ud83d", "\ud83d\ud83d", "\ud83d😀", "😀\ude00", "\ud83d \ude00",
    "x \ud800 y \udfff", "\udbff\ud800\udfff\udc00", "@\ud83d", "http\ud83d", "[SEP]\ud83d", "\ud83d<mask>",
    "\u0041\ud83d\u0301",
]

TEXTS = [*BLANK, *EMOJI, *MARKS, *SCRIPTS, *CONTROLS, *SPACES, *WORDS, *MENTIONS, *SPECIAL, *SURROGATES]


def long_texts() -> list[str]:
    """Texts at and past the limits: 100 characters a word for WordPiece, 512 tokens for a model."""
    choose = random.Random(1).choice
    words = ["good", "bad", "the", "Unbelievable", "don't", "😀", "北京", "naïve", "#tag", "@you", "http://t.co/x", "3.14",
             "!!"]
    letters = "".join(choose("etaoinshrdlu") for _ in range(10_000))
    return [
        "x" * 100, "x" * 101, "é" * 100, "é" * 101, "e\u0301" * 100, "e\u0301" * 101, "😀" * 100, "😀" * 101, "각" * 33,
        "각" * 34, "北" * 101,
        "x" * 99 + "😀", "x" * 100 + "😀", "x" * 100 + ".", "ok " + "z" * 101 + " ok", "\u200d".join("x" * 100),
        "ß" * 101, "İ" * 101,
        letters, letters.upper() + "!", "😀" * 10_000, "1234567890" * 1000, "." * 10_000, "a" * 10_000, "<s>" * 600,
        "[SEP]" * 600, "'s" * 700,
        "a " * 509 + "a", "a " * 510 + "a", "a " * 511 + "a", " ".join(choose(words) for _ in range(3000)),
        "".join(chr(choose(range(0x20, 0x2000))) for _ in range(1000)),
        "".join(chr(choose(range(0xE000, 0x20000))) for _ in range(1000)),
    ]


def json_line(text: str) -> str:
    lone = re.search("[\ud800-\udfff]", text) is not None
    return json.dumps({"text": text}, ensure_ascii=lone, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output: Path = parser.parse_args().output
    texts = TEXTS + long_texts()
    repeated = {text for text in texts if texts.count(text) > 1}
    if repeated:
        raise SystemExit(f"make_nasty_texts.py: listed twice: {sorted(map(ascii, repeated))}")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("".join(json_line(text) + "\n" for text in texts), encoding="utf-8")
    print(f"{output}: {len(texts)} texts")


if __name__ == "__main__":
    main()
