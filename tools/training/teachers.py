"""Asks teachers for the probabilities of texts: sequence classifiers of any architecture, each with its own tokenizer and
text preparation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import emoji_tokens
from classification_data import InputError, prepare
from training.work import Work

BATCH = 64
BATCHES_A_CHECKPOINT = 100


class Teacher:
    def __init__(self, directory: Path, labels: list[str], max_length: int):
        self.directory = directory
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(directory)
            model = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"{directory}: Transformers does not load it as a sequence classifier: {reason}") from None
        names = [str(model.config.id2label[number]) for number in range(model.config.num_labels)]
        self.columns = [names.index(label) for label in labels]
        self.model = model.to(self.device).eval()
        self.is_tweet = getattr(model.config, "text_preparation", "tweet") == "tweet"  # as apus reads config.json
        self.max_length = min(max_length, self.tokenizer.model_max_length)
        unknown = self.tokenizer.unk_token_id
        self.lacking = str.maketrans({
            symbol: f" {name} " for symbol, name in emoji_tokens.names().items()
            if unknown is not None and unknown in self.tokenizer(symbol, add_special_tokens=False)["input_ids"]})

    def probabilities(self, texts: list[str], work: Work, checkpoint: str) -> np.ndarray:
        """f32 [texts, labels]; goes on from the checkpoint, if there is one.

        An emoji that the vocabulary lacks is read as its name.
        """
        rows = self.tokenizer([self.prepared(text) for text in texts], truncation=True, max_length=self.max_length)["input_ids"]
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        batches = [order[start:start + BATCH] for start in range(0, len(order), BATCH)]
        state = work.load(checkpoint, "cpu") or {"batches": 0, "result": torch.empty(len(rows), len(self.columns))}
        result: torch.Tensor = state["result"]
        name = f"teacher {self.directory.name}"
        for number in tqdm(range(state["batches"], len(batches)), desc=name, unit="batch", disable=None):
            batch = batches[number]
            padded = self.tokenizer.pad({"input_ids": [rows[index] for index in batch]}, return_tensors="pt").to(self.device)
            with torch.no_grad():
                logits = self.model(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"]).logits
            result[batch] = logits.float().softmax(-1)[:, self.columns].cpu()
            if (number + 1) % BATCHES_A_CHECKPOINT == 0 or number + 1 == len(batches):
                work.save(checkpoint, {"batches": number + 1, "result": result})
        return result.numpy()

    def prepared(self, text: str) -> str:
        text = prepare(text) if self.is_tweet else text
        return " ".join(text.translate(self.lacking).split()) if self.lacking else text


def mean_probabilities(directories: list[Path], labels: list[str], texts: list[str], max_length: int,
                       work: Work) -> np.ndarray:
    """The teachers' mean, f32 [texts, labels]."""
    answers = [Teacher(directory, labels, max_length).probabilities(texts, work, f"teacher-{number}.pt")
               for number, directory in enumerate(directories, 1)]
    return np.mean(answers, axis=0)
