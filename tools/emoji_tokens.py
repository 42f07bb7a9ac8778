"""Tokens for emoji in a WordPiece model, and what they mean.

BERT's vocabulary knows next to no emoji, and a word with one in it reads [UNK]. Here every emoji code point gets two
tokens, alone and inside a word (`##`). Its embedding starts as the mean of those of the words of its name (CLDR, "face
with tears of joy") and is then taught to mean that name: with all other weights frozen, a text with the emoji shall get
the scores that the same text with the name gets. Texts without emoji are scored as before, to the bit.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import emoji
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from tqdm import tqdm
from transformers import AutoTokenizer

from classification_data import InputError

Padded = Callable[[list[list[int]]], tuple[torch.Tensor, torch.Tensor]]
WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"


def names() -> dict[str, str]:
    """Every emoji of one code point (U+FE0F aside) and its name."""
    found = {chr(0x1F1E6 + letter): "flag" for letter in range(26)}  # regional indicators come in pairs, a flag
    for text, data in emoji.EMOJI_DATA.items():
        symbol = text.replace("\ufe0f", "")
        if len(symbol) == 1 and not symbol.isascii() and "en" in data:
            found[symbol] = data["en"].strip(":").replace("_", " ").replace("-", " ")
    return dict(sorted(found.items()))


def first_token(vocabulary: dict[str, int]) -> int:
    """The id from which on all tokens are emoji: those that `add` added, here or before."""
    symbols = names()
    first = len(vocabulary)
    for token, number in sorted(vocabulary.items(), key=lambda item: -item[1]):
        if token.removeprefix("##") not in symbols:
            break
        first = number
    return first


def add(base: Path, output: Path) -> Path:
    """Writes a copy of a WordPiece model to `output` that has the emoji's tokens, and returns `output`."""
    for name in ("tokenizer.json", "model.safetensors"):
        if not (base / name).exists():
            raise InputError(f"{base}: has no {name}, which --add-emoji works on; load and save the model and its "
                             "tokenizer with a current Transformers, which writes it")
    description = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    if description["model"]["type"] != "WordPiece":
        raise InputError(f"{base}: --add-emoji is for WordPiece tokenizers; byte-level BPE reads emoji as it is")
    tokenizer = AutoTokenizer.from_pretrained(base)
    state = load_file(base / "model.safetensors")
    vocabulary: dict[str, int] = description["model"]["vocab"]
    embeddings = next(name for name in state if name.endswith(WORD_EMBEDDINGS))
    rows = [state[embeddings]]
    for symbol, name in names().items():
        if symbol in vocabulary:
            continue
        words = tokenizer(name, add_special_tokens=False)["input_ids"]
        for token in (symbol, f"##{symbol}"):
            if token not in vocabulary:
                vocabulary[token] = len(vocabulary)
                rows.append(state[embeddings][words].mean(0, keepdim=True))
    state[embeddings] = torch.cat(rows)
    description["truncation"] = description["padding"] = None
    config = json.loads((base / "config.json").read_text(encoding="utf-8")) | {"vocab_size": len(vocabulary)}
    output.mkdir(parents=True, exist_ok=True)
    save_file(state, output / "model.safetensors", {"format": "pt"})
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (output / "tokenizer.json").write_text(json.dumps(description, ensure_ascii=False), encoding="utf-8")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (base / name).exists():
            shutil.copyfile(base / name, output / name)
    return output


def teach(model, tokenizer, texts: list[str], held_out: list[str], padded: Padded,
          batches: int, bf16: bool) -> tuple[dict[str, torch.Tensor], dict]:
    """The model's weights with taught emoji, and how often both wordings get one label on held-out texts."""
    vocabulary = tokenizer.get_vocab()
    first = first_token(vocabulary)
    symbols = {symbol: name for symbol, name in names().items() if vocabulary.get(symbol, -1) >= first}
    ids = torch.tensor([[vocabulary[symbol], vocabulary[f"##{symbol}"]] for symbol in symbols])
    row_of = torch.full((model.config.vocab_size,), -1)
    row_of[ids] = torch.arange(len(ids))[:, None]

    model.eval().requires_grad_(False)
    words = model.get_input_embeddings()
    row_of = row_of.to(words.weight.device)
    rows = words.weight[ids[:, 0].to(words.weight.device)].clone().requires_grad_(True)

    def encoded(batch: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        return padded(tokenizer(batch, truncation=True, max_length=128)["input_ids"])

    def taught_logits(batch: list[str]) -> torch.Tensor:
        token_ids, mask = encoded(batch)
        row = row_of[token_ids]
        embedded = torch.where((row >= 0)[..., None], rows[row.clamp(min=0)], words(token_ids))
        return model(inputs_embeds=embedded, attention_mask=mask).logits.float()

    def named_logits(batch: list[str]) -> torch.Tensor:
        token_ids, mask = encoded(batch)
        return model(input_ids=token_ids, attention_mask=mask).logits.float()

    @torch.no_grad()
    def agreement() -> float:
        generator = random.Random(0)
        pairs = [wordings(text, symbols, generator) for text in held_out[:1024]]
        same = [(taught_logits([a for a, _ in part]).argmax(-1) == named_logits([b for _, b in part]).argmax(-1))
                for part in (pairs[start:start + 64] for start in range(0, len(pairs), 64))]
        return float(torch.cat(same).float().mean())

    before = agreement()
    optimizer = torch.optim.Adam([rows], lr=3e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / batches)
    generator = random.Random(1)
    for _ in tqdm(range(batches), desc="emoji", unit="batch", disable=None):
        pairs = [wordings(text, symbols, generator) for text in generator.sample(texts, min(32, len(texts)))]
        with torch.autocast(rows.device.type, dtype=torch.bfloat16, enabled=bf16):
            with torch.no_grad():
                target = named_logits([named for _, named in pairs]).softmax(-1)
            loss = functional.cross_entropy(taught_logits([with_emoji for with_emoji, _ in pairs]), target)
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    state = copy.deepcopy({name: value.cpu() for name, value in model.state_dict().items()})
    embeddings = next(name for name in state if name.endswith(WORD_EMBEDDINGS))
    state[embeddings][ids] = rows.detach().cpu()[:, None]
    return state, {"weights": "emoji", "symbols": len(symbols), "agreement_before": before, "agreement": agreement()}


def wordings(text: str, symbols: dict[str, str], generator: random.Random) -> tuple[str, str]:
    """A text with an emoji, once to three times, and the same text with the emoji's name."""
    symbol = generator.choice(list(symbols))
    words = text.split(" ") if generator.random() < 0.9 else []
    # Mostly at the end, where people put them.
    place = len(words) if generator.random() < 0.8 else generator.randint(0, len(words))
    run = symbol * generator.choice((1, 1, 2, 3))
    return (" ".join([*words[:place], run, *words[place:]]), " ".join([*words[:place], symbols[symbol], *words[place:]]))
