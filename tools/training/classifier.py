"""The model and its tokenizer: from texts to probabilities."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from classification_data import InputError

State = dict[str, torch.Tensor]
Rows = list[list[int]]  # token ids, a row a text

NEW_WEIGHTS = ("classifier.", "bert.pooler.")  # what a base need not have: a label's head


class Classifier:
    def __init__(self, base: Path, labels: list[str], head_seed: int):
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self.base = base
        self.head_seed = head_seed
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        config = AutoConfig.from_pretrained(base, num_labels=len(labels))
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: number for number, label in enumerate(labels)}
        config.problem_type = None
        config.dtype = torch.float32
        self.config = config
        # AutoTokenizer, never RobertaTokenizerFast(vocab_file=…): that one reads every text as two tokens, silently.
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        ids = self.tokenizer("two words")["input_ids"]
        if len(ids) < 4 or max(self.tokenizer.get_vocab().values()) >= config.vocab_size:
            raise InputError(f"{base}: the tokenizer does not fit the model; it reads 'two words' as {ids}, and "
                             f"config.json's vocab_size is {config.vocab_size}. Check that both come from the same model")
        padding_offset = (config.pad_token_id or 0) + 1 if config.model_type == "roberta" else 0
        self.max_tokens = config.max_position_embeddings - padding_offset
        self.model = self.fresh()  # whose weights scoring replaces

    def fresh(self) -> torch.nn.Module:
        """The base with a new head. The members of a soup start from the same one, else their mean means nothing."""
        torch.manual_seed(self.head_seed)
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            self.base, config=copy.deepcopy(self.config), dtype=torch.float32, ignore_mismatched_sizes=True,
            output_loading_info=True)
        mismatched = [name for name, *_ in loading["mismatched_keys"]]
        for what, names in (("no tensor", sorted(loading["missing_keys"])), ("another shape of", sorted(mismatched))):
            wrong = [name for name in names if not name.startswith(NEW_WEIGHTS)]
            if wrong:
                raise InputError(f"{self.base}: the weights have {what} {wrong[0]} (and {len(wrong) - 1} more). Check that "
                                 "config.json comes from the same model")
        return model.to(self.device)

    def encode(self, texts: list[str], limit: int) -> Rows:
        return self.tokenizer(texts, truncation=True, max_length=min(limit, self.max_tokens))["input_ids"]

    def padded(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and attention mask, [texts, longest]."""
        width = max(map(len, rows))
        pad = self.config.pad_token_id or 0
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self.device)
        return ids, mask

    @torch.no_grad()
    def probabilities(self, state: State, rows: Rows) -> torch.Tensor:
        """Softmax of the logits in f32, [texts, labels]; batches of similar length, answers in the rows' order."""
        self.model.load_state_dict(state)
        self.model.eval()
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        result = torch.empty(len(rows), self.config.num_labels, device=self.device)
        for start in range(0, len(order), 64):
            batch = order[start:start + 64]
            ids, mask = self.padded([rows[index] for index in batch])
            result[batch] = self.model(input_ids=ids, attention_mask=mask).logits.float().softmax(-1)
        return result


def figures(predicted: torch.Tensor, labels: Sequence[int]) -> dict:
    """Recalls of the labels that occur, in their order."""
    guesses, truth = predicted.cpu().numpy(), np.asarray(labels)
    recalls = [float((guesses[truth == label] == label).mean()) for label in sorted(set(labels))]
    return {"accuracy": float((guesses == truth).mean()), "macro_recall": float(np.mean(recalls)), "recall": recalls}
