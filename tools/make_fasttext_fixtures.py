#!/usr/bin/env python3
"""Trains small models with the `fasttext` package, a form each, and writes what it predicts with them.

    pip install fasttext==0.9.3 'numpy>=2,<3'
    tools/make_fasttext_fixtures.py [--output Tests/EngineTests/Fixtures/fasttext]

`predictions.jsonl`: texts, given or by their line in nasty_texts.jsonl, each with {model: [[label, probability], …]}, the
most probable labels of a model by number. `models.jsonl`: what the library says of each model, and the rows of some words.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import fasttext

FIXTURES = Path(__file__).parents[1] / "Tests/EngineTests/Fixtures"
VERSION = struct.Struct("<i")
VERSION_OFFSET = 4
TOP_LABELS = 3
# The library leaves most of a matrix as it finds the memory where it has fewer than eleven; so no run gives the same models.
THREADS = 12
# A nasty text is given to every so manieth model, in turn.
NASTY_SHARE = 5

WORDS = {
    "negative": "bad awful sad hate worst boring ugly broken 😭 грустно 悪い schlecht",
    "neutral": "today monday table report street train weather 🚆 обычно 普通 heute",
    "positive": "good great love happy best fun nice thanks 😀 хорошо 良い schön",
}
COMMON = "the a is was and it this my café naïve @user http".split()

TEXTS = [
    "", " ", "good", "bad", "this is good", "this is so bad 😭", "I love it and it is the best", "GOOD Good good.",
    "unknown wörds ẞ only", "zzz qqq", "das ist schön", "хорошо и грустно", "良い 悪い 普通", "😀😭", "😀 😭", "a", "é", "éé",
    "good\tbad\vnice\ffun\rbest", "good\nbad", "good\r\n\r\nbad\n", "good\0bad", "\0", "\x1fgood\x1f", "good\u00a0bad",
    "__label__positive bad bad", "bad __label__unknown bad", "__label__", "__label__negative", "#one good", "</s>",
    "good </s> bad bad", "</s> good", "</s>x good", "good </S> bad", "<s> good </s", "<good>", "good> <bad", "< > << >>",
    "the the the the the the the the", "good " * 40 + "bad " * 40, "x" * 300, "hello" * 50 + " good", "this is a report",
    "train street monday weather table today report", "love love hate", "nice fun http @user it was", "cafe\u0301 café",
]
# The library says which rows these words have.
ROW_TEXTS = ["this is so good", "café ẞ 良い 😀x a", "zzz zzz good"]


class Model:
    """One form: how it is trained, and what becomes of it."""

    def __init__(
        self, name: str, label_count: int = 3, prefix: str = "__label__", repeat: int = 1,
        edit: Callable[[bytes], bytes] | None = None, quantize: dict | None = None, **settings: object,
    ) -> None:
        self.name = name
        self.labels = list(WORDS) if label_count == 3 else [f"topic{number}" for number in range(label_count)]
        self.prefix = prefix
        self.edit = edit
        self.quantize = quantize
        self.repeat = repeat
        self.settings = {"dim": 8, "epoch": 8, "lr": 0.5, "minCount": 1, "bucket": 200, "seed": 7} | settings

    def write(self, folder: Path, work: Path) -> fasttext.FastText._FastText:
        lines = self.lines()
        (work / "train.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        model = fasttext.train_supervised(
            str(work / "train.txt"), label=self.prefix, thread=THREADS, verbose=0, **self.settings)
        if self.quantize is not None:
            model.quantize(str(work / "train.txt"), thread=THREADS, verbose=0, **self.quantize)
        path = folder / self.name
        model.save_model(str(path))
        if self.edit:
            path.write_bytes(self.edit(path.read_bytes()))
        return fasttext.load_model(str(path))

    def lines(self) -> list[str]:
        """Frequent labels and rare ones, so that a tree over them is not balanced."""
        generator = random.Random(self.name)
        lines = []
        for number, label in enumerate(self.labels):
            own = WORDS[label].split() if label in WORDS else [f"word{number}", f"term{number % 7}", f"Wort{number % 11}"]
            for _ in range(max(2, 40 // (number + 1))):
                words = generator.choices(own, k=generator.randint(1, 5))
                words += generator.choices(COMMON, k=generator.randint(0, 4))
                generator.shuffle(words)
                lines.append(f"{self.prefix}{label} {' '.join(words * self.repeat)}")
        generator.shuffle(lines)
        return lines


def version_11(file: bytes) -> bytes:
    """As an early release wrote it: its supervised models have no subwords, whatever they say."""
    return file[:VERSION_OFFSET] + VERSION.pack(11) + file[VERSION_OFFSET + VERSION.size:]


MODELS = [
    Model("softmax.bin", loss="softmax"),
    Model("ngrams.bin", loss="softmax", wordNgrams=3, dim=10),
    Model("subwords.bin", loss="softmax", wordNgrams=2, minn=2, maxn=4, bucket=300),
    Model("characters.bin", loss="softmax", minn=1, maxn=1, bucket=50, dim=5),
    Model("version11.bin", loss="softmax", wordNgrams=2, minn=2, maxn=4, edit=version_11),
    Model("tree.bin", label_count=12, loss="hs", wordNgrams=2, lr=0.2),
    Model("one_label.bin", label_count=1, loss="hs"),
    Model("one_vs_all.bin", loss="ova", wordNgrams=2, minn=1, maxn=3, epoch=4),
    Model("negative_sampling.bin", loss="ns", epoch=4),
    # No line's end among the words, so there are texts of which nothing is known.
    Model("no_end.bin", loss="softmax", minCount=100, repeat=10, prefix="#", dim=17),
    Model("quantized.ftz", loss="softmax", wordNgrams=2, bucket=400, quantize={"qnorm": False}),
    Model("pruned.ftz", loss="hs", label_count=12, wordNgrams=2, minn=2, maxn=4, bucket=600,
          quantize={"qnorm": True, "cutoff": 300, "retrain": True, "epoch": 2, "lr": 0.1}),
    # Labels' matrices are quantized from 256 rows on. An odd dim leaves a shorter last part.
    Model("labels.ftz", loss="ova", label_count=260, dim=7, epoch=2,
          quantize={"qnorm": True, "qout": True, "dsub": 4}),
    Model("labels_no_norm.ftz", loss="softmax", label_count=260, dim=6, epoch=2,
          quantize={"qnorm": False, "qout": True, "dsub": 3}),
    # No bucket is kept, for there are none.
    Model("words.ftz", loss="softmax", label_count=340, dim=4, quantize={"qnorm": True, "cutoff": 270}),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=FIXTURES / "fasttext")
    folder = parser.parse_args().output
    fasttext.FastText.eprint = lambda *_: None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as work:
        models = {model.name: model.write(folder, Path(work)) for model in MODELS}
    write_jsonl(folder / "models.jsonl", [{"name": name} | description(model) for name, model in models.items()])
    predictions = [{"text": text, "scores": scores(models, text)} for text in TEXTS]
    for number, text in enumerate(nasty_texts()):
        chosen = dict(list(models.items())[number % NASTY_SHARE::NASTY_SHARE])
        predictions.append({"nasty": number, "scores": scores(chosen, text)})
    write_jsonl(folder / "predictions.jsonl", predictions)
    print(f"{sum(file.stat().st_size for file in folder.iterdir()) / 1024:.0f} KB", file=sys.stderr)
    return 0


def description(model: fasttext.FastText._FastText) -> dict:
    arguments = model.f.getArgs()
    described = {"labels": model.get_labels(), "dimension": arguments.dim, "loss": arguments.loss.name,
                 "quantized": model.is_quantized()}
    # For a pruned dictionary the library mixes up which row belongs to which subword.
    if not model.is_quantized() and arguments.maxn > 0:
        described["rows"] = [{"text": text, "tokens": rows(model, text)} for text in ROW_TEXTS]
    return described


def rows(model: fasttext.FastText._FastText, text: str) -> list[list]:
    tokens = []
    for word in [*text.split(), "</s>"]:
        names, numbers = model.get_subwords(word)
        tokens += [[int(number), name] for name, number in zip(names, numbers, strict=True)]
    return tokens


def scores(models: dict, text: str) -> dict[str, list[tuple[int, float]]]:
    # One line at a time; `predict` adds the newline too, but fails with NumPy 2.
    line = text.replace("\n", " ") + "\n"
    scores = {}
    for name, model in models.items():
        labels = model.get_labels()
        best = model.f.predict(line, TOP_LABELS, 0.0, "strict")
        scores[name] = [(labels.index(label), round(score, 6)) for score, label in best]
    return scores


def write_jsonl(path: Path, records: list[dict]) -> None:
    lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records]
    path.write_text("".join(lines), encoding="utf-8")


def nasty_texts() -> list[str]:
    lines = (FIXTURES / "nasty_texts.jsonl").read_text(encoding="utf-8").split("\n")
    # A lone surrogate is what a JSON reader takes for U+FFFD.
    return [json.loads(line)["text"].encode("utf-16", "surrogatepass").decode("utf-16", "replace") for line in lines if line]


if __name__ == "__main__":
    sys.exit(main())
