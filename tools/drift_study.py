#!/usr/bin/env python3
"""How soon drift is seen, and how often it is seen where there is none: what the thresholds of the alerts are chosen by.

    tools/drift_study.py --apus .build/release/apus --model Sources/Engine/Resources/Model \\
        --dataset ../shared/data/tweeteval-sentiment --others ../shared/data/unlabelled-tweets/texts.txt.gz

The reference is one half of the validation split, the usual stream the other half (drawn with replacement), over many ways of
halving it. False alarms: 30 days of 10 texts a second, the server's window of 10,000 texts, the alerts' half an hour. Shifts:
a window full of the usual stream, then other texts; after how many of them each figure is over its threshold. Labels,
confidence and tokens are the engine's own; embeddings are Transformers', in f32, and sketches, scripts and figures are computed
here anew. Two tables in Markdown go to standard output.
"""

from __future__ import annotations

import argparse
import gettext
import gzip
import json
import subprocess
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from int8_checkpoint import dequantize

WINDOW, STEP, RATE = 10_000, 1000, 10  # texts, texts, texts a second
WAIT = 1800 * RATE // STEP  # steps that an alert's condition must hold
SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "HEBREW", "ARABIC", "DEVANAGARI", "THAI", "HANGUL", "KANA", "CJK", "other", "mixed",
           "none")
EMOJI = "😀😂😍😭🔥🎉👍🙏💔😡"
# Where each task's texts stand in the file of unlabelled tweets, ends left out.
PARTS = {"emoji task": (1000, 98_000), "hate": (105_500, 116_000), "irony": (117_500, 121_000),
         "offensive": (123_000, 134_000), "stance": (135_800, 139_000)}
FEATURES = ("label", "confidence", "tokens", "unknown_tokens", "emoji", "script")


@dataclass
class Observed:
    """Of each text."""

    values: np.ndarray  # [texts, features]
    sketches: np.ndarray  # [texts, 16]
    tokens: list[frozenset[int]]

    def __getitem__(self, places: np.ndarray) -> Observed:
        return Observed(self.values[places], self.sketches[places], [self.tokens[place] for place in places])

    def __len__(self) -> int:
        return len(self.tokens)


def script_of(text: str) -> int:
    counts = np.zeros(len(SCRIPTS), int)
    for character in filter(str.isalpha, text):
        words = unicodedata.name(character, "").split(" ")
        name = "KANA" if words[0] in ("HIRAGANA", "KATAKANA") else words[0]
        counts[SCRIPTS.index(name) if name in SCRIPTS[:10] else 10] += 1
    if counts[8]:
        counts[8], counts[9] = counts[8] + counts[9], 0
    if not counts.any():
        return 12
    return int(counts.argmax()) if 5 * counts.max() >= 4 * counts.sum() else 11


def emoji_of(text: str) -> int:
    return sum(0x2600 <= ord(one) < 0x27C0 or 0x1F000 <= ord(one) < 0x1FB00 and not 0x1F3FB <= ord(one) <= 0x1F3FF
               for one in text)


def signs(width: int, dimensions: int) -> np.ndarray:
    """As the engine's EmbeddingSketch draws them, by SplitMix64."""
    mask, state, rows = (1 << 64) - 1, 0, []
    for _ in range(width):
        state = (state + 0x9E3779B97F4A7C15) & mask
        mixed = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & mask
        mixed ^= mixed >> 31
        rows.append([1 if mixed >> bit & 1 else -1 for bit in range(dimensions)])
    return np.array(rows, float)


class Engine:
    def __init__(self, apus: Path, model: Path):
        import torch
        from safetensors.numpy import load_file
        from transformers import AutoConfig, BertModel

        torch.manual_seed(0)
        self.apus, self.directory = apus, model
        self.labels = list(json.loads((model / "config.json").read_text(encoding="utf-8"))["id2label"].values())
        config = AutoConfig.from_pretrained(model)
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        self.model = BertModel(config, add_pooling_layer=False).eval()
        state = {name.removeprefix("bert."): torch.from_numpy(np.array(value, np.float32))
                 for name, value in dequantize(load_file(model / "model.safetensors")).items()
                 if name.startswith("bert.") and ".pooler." not in name}
        missing = [name for name in self.model.load_state_dict(state, strict=False).missing_keys if "position_ids" not in name]
        assert not missing, missing
        tokens = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["model"]
        self.unknown = tokens["vocab"][tokens["unk_token"]]
        self.names = {id: token for token, id in tokens["vocab"].items()}

    def lines(self, command: str, texts: list[str], *options: str) -> list[dict]:
        given = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        run = [self.apus, command, "--model", self.directory, "--input", "-", "--input-format", "jsonl", *options]
        return [json.loads(line) for line in subprocess.run(run, input=given, capture_output=True, text=True, check=True)
                .stdout.removesuffix("\n").split("\n")]

    def observe(self, texts: list[str]) -> Observed:
        import torch

        answers = self.lines("predict", texts, "--output-format", "jsonl")
        ids = [line["ids"] for line in self.lines("tokenize", texts)]
        embeddings = np.zeros((len(texts), self.model.config.hidden_size))
        by_length = sorted(range(len(texts)), key=lambda place: len(ids[place]))
        with torch.inference_mode():
            for start in range(0, len(texts), 64):
                places = by_length[start:start + 64]
                width = len(ids[places[-1]])
                rows = torch.tensor([ids[place] + [0] * (width - len(ids[place])) for place in places])
                mask = torch.tensor([[1] * len(ids[place]) + [0] * (width - len(ids[place])) for place in places])
                embeddings[places] = self.model(rows, attention_mask=mask).last_hidden_state[:, 0].numpy()
        values = [(self.labels.index(answer["label"]), np.float32(answer["score"]), len(one), one.count(self.unknown) / len(one),
                   emoji_of(text), script_of(text)) for answer, one, text in zip(answers, ids, texts)]
        width = embeddings.shape[1]
        return Observed(np.array(values, float), embeddings @ signs(width, 16) / np.sqrt(width),
                        [frozenset(one[:512]) for one in ids])


def deciles(values: np.ndarray) -> list[float]:
    values, edges = np.sort(values), []
    for tenth in range(1, 10):
        edge = values[len(values) * tenth // 10]
        if edge > (edges[-1] if edges else values[0]):
            edges.append(edge)
    return edges


class Reference:
    """What the server computes of a window, from sums over its texts."""

    def __init__(self, observed: Observed, labels: int):
        self.texts = len(observed)
        whole = [np.arange(1, labels), deciles(observed.values[:, 1]), deciles(observed.values[:, 2]), [0.01, 0.05, 0.1, 0.2],
                 [1, 2, 4], np.arange(1, len(SCRIPTS))]
        self.edges = whole
        self.mean = observed.sketches.mean(0)
        self.whitening = np.linalg.inv(np.linalg.cholesky(np.cov(observed.sketches.T)))
        self.ends = np.cumsum([len(edges) + 1 for edges in whole])
        self.counts = np.split(self.rows(observed)[:, :self.ends[-1]].sum(0), self.ends[:-1])
        self.token_counts: dict[int, int] = {}
        for tokens in observed.tokens:
            for token in tokens:
                self.token_counts[token] = self.token_counts.get(token, 0) + 1

    def rows(self, observed: Observed) -> np.ndarray:
        """[texts, what is added up]: a one in each feature's bin, the whitened sketch, its products."""
        hot = [np.eye(len(edges) + 1)[np.digitize(observed.values[:, place], edges)] for place, edges in enumerate(self.edges)]
        z = (observed.sketches - self.mean) @ self.whitening.T
        return np.concatenate([*hot, z, (z[:, :, None] * z[:, None, :]).reshape(len(z), -1)], axis=1)

    def figures(self, sums: np.ndarray, n: int) -> dict[str, np.ndarray]:
        """By name, of each row of `sums`, which are of n texts each."""
        found = {}
        for feature, live, counts in zip(FEATURES, np.split(sums[:, :self.ends[-1]], self.ends[:-1], axis=1), self.counts):
            p = (live + 0.5) / (n + 0.5 * len(counts))
            q = (counts + 0.5) / (self.texts + 0.5 * len(counts))
            found[f"PSI of {feature}"] = ((p - q) * np.log(p / q)).sum(1)
        d, chance = 16, 1 / n + 1 / self.texts
        z = sums[:, self.ends[-1]:self.ends[-1] + d] / n
        covariance = (sums[:, self.ends[-1] + d:].reshape(-1, d, d) - n * z[:, :, None] * z[:, None, :]) / (n - 1)
        found["embedding, mean"] = np.sqrt(np.maximum(0, (z * z).sum(1) - d * chance))
        difference = ((covariance - np.eye(d)) ** 2).sum((1, 2))
        found["embedding, covariance"] = np.sqrt(np.maximum(0, difference - d * (d + 1) * chance) / d)
        return found

    def risen(self, window: list[frozenset[int]], names: dict[int, str]) -> list[str]:
        """The ten tokens whose share rose most, by G²."""
        counts: dict[int, int] = {}
        for tokens in window:
            for token in tokens:
                counts[token] = counts.get(token, 0) + 1
        n, m, found = len(window), self.texts, []
        for token, k in counts.items():
            other = max(1, self.token_counts.get(token, 0))
            if k >= 20 and k / n > other / m:
                share = (k + other) / (n + m)
                g2 = 2 * sum(count * np.log(count / expected) for count, expected in
                             ((k, n * share), (n - k, n * (1 - share)), (other, m * share), (m - other, m * (1 - share)))
                             if count)
                if g2 >= 24:
                    found.append((g2, names.get(token, str(token))))
        return [name for _, name in sorted(found, reverse=True)[:10]]


def simulated(rows: np.ndarray, steps: int, random: np.random.Generator) -> np.ndarray:
    """The sums over a full window at every step, of texts drawn with replacement."""
    drawn = random.integers(len(rows), size=(steps, STEP)) + len(rows) * np.arange(steps)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=steps * len(rows)).reshape(steps, len(rows))
    added = np.cumsum(counts.astype(np.float32) @ rows.astype(np.float32), axis=0, dtype=float)
    return added[WINDOW // STEP:] - added[:-(WINDOW // STEP)]


def alarms(over: np.ndarray) -> int:
    """How often the condition came to have held for the alert's half an hour."""
    held, fired = 0, 0
    for now in over:
        held = held + 1 if now else 0
        fired += held == WAIT + 1
    return fired


def false_alarms(observed: Observed, labels: int, thresholds: dict[str, float], days: int, halves: int) -> None:
    random = np.random.default_rng(1)
    values: dict[str, list] = {name: [] for name in thresholds}
    early: dict[str, list] = {name: [] for name in thresholds}
    fired = dict.fromkeys(thresholds, 0)
    steps = days * 86_400 * RATE // STEP
    for _ in range(halves):
        order = random.permutation(len(observed))
        reference = Reference(observed[order[:len(order) // 2]], labels)
        rows = reference.rows(observed[order[len(order) // 2:]])
        for name, figure in reference.figures(simulated(rows, steps, random), WINDOW).items():
            values[name].append(figure)
            fired[name] += alarms(figure > thresholds[name])
        drawn = np.stack([rows[random.integers(len(rows), size=500)].sum(0) for _ in range(500)])
        for name, figure in reference.figures(drawn, 500).items():
            early[name].append(figure)
    print("| figure | threshold | false alarms a day | the same stream, 10,000 texts: median, 99.9 %, most | 500 texts: 99.9 % | "
          "over the threshold |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, threshold in thresholds.items():
        whole, few = np.concatenate(values[name]), np.concatenate(early[name])
        print(f"| {name} | {threshold} | {fired[name] / days / halves:.3g} | {np.median(whole):.3f}, "
              f"{np.quantile(whole, .999):.3f}, {whole.max():.3f} | {np.quantile(few, .999):.3f} | "
              f"{100 * np.mean(few > threshold):.2g} % |")


def detection(name: str, reference: Reference, usual: Observed, shifted: Observed, share: float,
              thresholds: dict[str, float], names: dict[int, str]) -> str:
    """After how many texts of the shifted stream, of which `share` are others', each figure is over its threshold: the median
    of 9 runs; the window was full of usual ones before."""
    random = np.random.default_rng(2)
    usual_rows, shifted_rows = reference.rows(usual), reference.rows(shifted)
    step, found = 50, {figure: [] for figure in thresholds}
    for _ in range(9):
        before = usual_rows[random.integers(len(usual), size=WINDOW)]
        after = usual_rows[random.integers(len(usual), size=WINDOW)]
        others = random.random(WINDOW) < share
        after[others] = shifted_rows[random.integers(len(shifted), size=others.sum())]
        change = np.cumsum((after - before).reshape(WINDOW // step, step, -1).sum(1), axis=0)
        for figure, values in reference.figures(before.sum(0) + change, WINDOW).items():
            over = np.flatnonzero(values > thresholds[figure])
            found[figure].append((over[0] + 1) * step if len(over) else np.inf)
    medians = {figure: np.median(counts) for figure, counts in found.items()}
    seen = [f"{medians[figure]:,.0f}" if np.isfinite(medians[figure]) else "–" for figure in thresholds]
    # A server that was asked 1,000 times.
    window = [one.tokens[random.integers(len(one))] for one in
              (shifted if random.random() < share else usual for _ in range(1000))]
    tokens = ", ".join(f"`{token}`".replace("|", "\\|") for token in reference.risen(window, names)[:6])
    return f"| {name} | {share:.0%} | " + " | ".join(seen) + f" | {tokens} |"


def messages(language: str, rows: int) -> tuple[list[str], list[str]]:
    """What this machine's programs say, in English and in the language: sentences of four words or more."""
    pairs = []
    for program in ("git", "gnupg2", "apt", "coreutils", "bash", "gtk30"):
        path = Path(f"/usr/share/locale/{language}/LC_MESSAGES/{program}.mo")
        if path.exists():
            with path.open("rb") as file:
                catalogue = gettext.GNUTranslations(file)._catalog
            pairs += [(one, other) for one, other in catalogue.items() if isinstance(one, str) and isinstance(other, str)
                      and 20 <= len(other) <= 200 and "\n" not in one + other and len(one.split()) >= 4]
    np.random.default_rng(3).shuffle(pairs)
    return [one for one, _ in pairs[:rows]], [other for _, other in pairs[:rows]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apus", type=Path, default=Path(".build/release/apus"))
    parser.add_argument("--model", type=Path, default=Path("Sources/Engine/Resources/Model"), help="a BERT, int8 by Apus")
    parser.add_argument("--dataset", type=Path, required=True, help="in TweetEval's form; its val and test splits are read")
    parser.add_argument("--others", type=Path, required=True, help="the file of unlabelled tweets")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--halves", type=int, default=10, help="ways of halving the validation split")
    parser.add_argument("--texts", type=int, default=600, help="of each kind of shift")
    options = parser.parse_args()

    engine = Engine(options.apus, options.model)
    random = np.random.default_rng(0)

    def split(name: str) -> list[str]:
        return options.dataset.joinpath(f"{name}_text.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")

    def sample(texts: list[str]) -> list[str]:
        texts = [text for text in texts if text.strip()]
        return [texts[place] for place in random.permutation(len(texts))[:options.texts]]

    def with_emoji(texts: list[str]) -> list[str]:
        return [f"{text} {EMOJI[place // 2 % len(EMOJI)]}" if place % 2 else text for place, text in enumerate(texts)]

    thresholds = {f"PSI of {feature}": 0.2 for feature in FEATURES} | {
        "embedding, mean": 0.35, "embedding, covariance": 0.35}
    usual_texts = [text for text in split("val") if text.strip()]
    usual = engine.observe(usual_texts)
    false_alarms(usual, len(engine.labels), thresholds, options.days, options.halves)

    order = random.permutation(len(usual))
    first, second = order[:len(order) // 2], order[len(order) // 2:]
    plain = Reference(usual[first], len(engine.labels))
    held = usual[second]
    others = gzip.open(options.others, "rt", encoding="utf-8").read().split("\n")
    english, german = messages("de", options.texts)
    _, russian = messages("ru", options.texts)
    shifts = {"TweetEval's test split": sample(split("test"))}
    shifts |= {name: sample(others[start:end]) for name, (start, end) in PARTS.items()}
    shifts |= {"messages of programs, English": english, "the same, German": german, "messages of programs, Russian": russian}
    print("\n| shift | share | " + " | ".join(thresholds) + " | tokens |")
    print("| --- | ---: |" + " ---: |" * len(thresholds) + " --- |")
    for name, texts in shifts.items():
        if not texts:
            continue
        shifted = engine.observe(texts)
        for share in (1, 0.2):
            print(detection(name, plain, held, shifted, share, thresholds, engine.names), flush=True)
    emoji_first = engine.observe(with_emoji([usual_texts[place] for place in first]))
    emoji_held = engine.observe(with_emoji([usual_texts[place] for place in second]))
    print(detection("an emoji behind every other text", plain, held, emoji_held, 1, thresholds, engine.names))
    print(detection("those stripped again", Reference(emoji_first, len(engine.labels)), emoji_held, held, 1, thresholds,
                    engine.names))


if __name__ == "__main__":
    main()
