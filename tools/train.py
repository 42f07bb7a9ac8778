#!/usr/bin/env python3
"""Fine-tunes a text classifier, validates it, and writes it as an int8 checkpoint that `apus` serves.

    tools/train.py --base DIR --dataset DIR --output DIR [--epochs 3] [--seeds 1 2] [--distill] [--add-emoji]

The recipe: AdamW with warm-up and linear decay, a lower rate for lower layers, label smoothing, a loss adjusted by the
labels' shares (Menon et al. 2021, which aims at macro recall; part of them comes back at the end), and an exponential
moving average of the weights. With several seeds the members' weights are averaged where that helps on the validation
split (a model soup, Wortsman et al. 2022); with --distill each later member also learns from the soup so far. With
--add-emoji every emoji gets a token of its own (emoji_tokens.py). Choices are made on the validation split; the test
split is looked at once, with the int8 weights that would be written, and nothing is written under the gate.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

import emoji_tokens
import int8_checkpoint
from classification_data import DatasetError, Split, label_names, load_split

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
                   "vocab.txt")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", required=True, type=Path, help="a model directory as Hugging Face writes it")
    parser.add_argument("--dataset", required=True, type=Path, help="a directory in TweetEval's form")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--work", type=Path, help="checkpoints to resume from (default: OUTPUT.work)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=8e-5)
    parser.add_argument("--layer-decay", type=float, default=0.95, help="each lower layer's rate over the next one's")
    parser.add_argument("--label-smoothing", type=float, default=0.05)
    parser.add_argument("--max-length", type=int, default=128, help="tokens, in training only")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--distill", action="store_true", help="later seeds also learn from the soup of the earlier ones")
    parser.add_argument("--add-emoji", action="store_true",
                        help="give every emoji a token (WordPiece) and teach it to mean its name")
    parser.add_argument("--emoji-batches", type=int, default=800, help="of 32 texts, to teach the emoji with")
    parser.add_argument("--min-accuracy", type=float, default=0.60, help="on the test split; under it nothing is written")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    labels = label_names(arguments.dataset)
    train, validation, test = (
        load_split(arguments.dataset, split, labels).prepared() for split in ("train", "val", "test"))
    trainer = Trainer(arguments, labels, train, validation)
    best = trainer.best_soup()
    if arguments.add_emoji:
        best = trainer.teach_emoji(best)
    best = trainer.balanced(best)

    tensors = int8_checkpoint.quantize({name: value.float().numpy() for name, value in best.items()})
    stored = {name: torch.from_numpy(value) for name, value in int8_checkpoint.dequantize(tensors).items()}
    report = trainer.evaluate(stored, trainer.encode(test, limit=trainer.max_tokens), test.labels)
    print(json.dumps({"split": "test", "examples": len(test.texts)} | report))
    if report["accuracy"] < arguments.min_accuracy:
        print(f"The gate failed: accuracy {report['accuracy']:.4f} on the test split is under --min-accuracy "
              f"{arguments.min_accuracy}. Nothing was written to {arguments.output}.", file=sys.stderr)
        return 1
    config = trainer.model.config.to_diff_dict() | {"architectures": [type(trainer.model).__name__]}
    config.pop("_name_or_path", None)
    int8_checkpoint.write(arguments.output, tensors, config)
    trainer.write_tokenizer(arguments.output)
    int8_checkpoint.replace(arguments.output / "training_report.json", (json.dumps({
        "arguments": {key: value for key, value in vars(arguments).items() if not isinstance(value, Path)},
        "validation": trainer.log, "test": report}, indent=2) + "\n").encode())
    return 0


class Trainer:
    def __init__(self, arguments: argparse.Namespace, labels: list[str], train: Split, validation: Split):
        self.arguments = arguments
        self.log: list[dict] = []
        self.work: Path = arguments.work or arguments.output.with_name(arguments.output.name + ".work")
        self.work.mkdir(parents=True, exist_ok=True)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.base: Path = arguments.base
        self.first_added_id = AutoConfig.from_pretrained(self.base).vocab_size
        if arguments.add_emoji:
            self.base = emoji_tokens.add(self.base, self.work / "base")
        config = AutoConfig.from_pretrained(self.base, num_labels=len(labels))
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: number for number, label in enumerate(labels)}
        self.config = config
        self.tokenizer = AutoTokenizer.from_pretrained(self.base)
        padding_offset = (config.pad_token_id or 0) + 1 if config.model_type == "roberta" else 0
        self.max_tokens = config.max_position_embeddings - padding_offset
        self.train = self.encode(train, limit=min(arguments.max_length, self.max_tokens))
        self.train_texts = train.texts
        self.train_labels = train.labels
        self.validation = self.encode(validation, limit=self.max_tokens)
        self.validation_texts = validation.texts
        self.validation_labels = validation.labels
        counts = torch.bincount(torch.tensor(train.labels), minlength=len(labels)).float()
        self.log_prior = (counts / counts.sum()).log().to(self.device)
        self.model = self.fresh_model()

    def encode(self, split: Split, limit: int) -> list[list[int]]:
        return self.tokenizer(split.texts, truncation=True, max_length=limit)["input_ids"]

    def fresh_model(self):
        torch.manual_seed(0)  # The members of a soup start from the same head, else their mean means nothing.
        model = AutoModelForSequenceClassification.from_pretrained(self.base, config=copy.deepcopy(self.config))
        return model.to(self.device)

    def best_soup(self) -> dict[str, torch.Tensor]:
        """Trains a member a seed and averages those that help on the validation split (a greedy soup)."""
        soup: list[dict] = []
        best = -1.0
        for seed in self.arguments.seeds:
            teacher = mean_weights(soup) if soup and self.arguments.distill else None
            member = self.train_member(seed, teacher)
            score = self.validate(mean_weights([*soup, member]), f"soup of {len(soup) + 1}")
            alone = self.validate(member, f"seed {seed}")
            if alone > max(score, best):
                soup, best = [member], alone
            elif score > best:
                soup, best = [*soup, member], score
        return mean_weights(soup)

    def teach_emoji(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Trains the emoji's embeddings alone; resumes where that was done for the same weights."""
        checkpoint = self.work / "emoji.pt"
        if checkpoint.exists():
            saved = torch.load(checkpoint, weights_only=True)
            if all(torch.equal(value, state[name]) for name, value in saved["before"].items()):
                self.log += saved["log"]
                return saved["after"]
        self.model.load_state_dict(state)
        taught, report = emoji_tokens.teach(
            self.model, self.tokenizer, self.first_added_id, self.train_texts, self.validation_texts, self.padded,
            self.arguments.emoji_batches)
        print(json.dumps(report), flush=True)
        self.log.append(report)
        torch.save({"before": state, "after": taught, "log": [report]}, checkpoint)
        return taught

    def balanced(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Puts part of the labels' shares back into the head's bias.

        The adjusted loss takes the shares out whole, which suits macro recall and costs accuracy. How much comes back is
        what gives the best mean of the two on the validation split.
        """
        scores = self.probabilities(state, self.validation).log()
        shares = (0.0, 0.25, 0.5, 0.75, 1.0)
        reports = []
        for share in shares:
            predicted = (scores + share * self.log_prior).argmax(-1)
            reports.append({"weights": f"shares^{share}"} | figures(predicted, self.validation_labels))
            print(json.dumps(reports[-1]), flush=True)
        self.log += reports
        share, _ = max(zip(shares, reports), key=lambda pair: pair[1]["accuracy"] + pair[1]["macro_recall"])
        bias = next(name for name in ("classifier.bias", "classifier.out_proj.bias") if name in state)
        return state | {bias: state[bias] + share * self.log_prior.cpu()}

    def train_member(self, seed: int, teacher: dict | None) -> dict[str, torch.Tensor]:
        """The moving average of the weights after all epochs; resumes after the last whole epoch."""
        arguments = self.arguments
        model = self.fresh_model()
        optimizer = torch.optim.AdamW(self.parameter_groups(model), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        steps_an_epoch = math.ceil(len(self.train) / arguments.batch_size)
        steps = steps_an_epoch * arguments.epochs
        warm_up = max(1, steps // 16)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / warm_up, max(0.0, (steps - step) / (steps - warm_up))))
        average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        checkpoint = self.work / f"seed-{seed}.pt"
        first_epoch = 0
        if checkpoint.exists():
            saved = torch.load(checkpoint, map_location=self.device, weights_only=True)
            first_epoch, average = saved["epoch"], saved["average"]
            self.log += saved["log"]
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            schedule.load_state_dict(saved["schedule"])
        teaches = teacher is not None and first_epoch < arguments.epochs
        soft_labels = self.probabilities(teacher, self.train) if teaches else None
        for epoch in range(first_epoch, arguments.epochs):
            torch.manual_seed(seed * 1000 + epoch)
            model.train()
            batches = bucketed_batches(self.train, arguments.batch_size, random.Random(seed * 1000 + epoch))
            progress = tqdm(batches, desc=f"seed {seed}, epoch {epoch + 1}/{arguments.epochs}", mininterval=5)
            for batch in progress:
                loss = self.loss(model, batch, soft_labels)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                update = min(0.999, (schedule.last_epoch + 1) / (schedule.last_epoch + 10))
                with torch.no_grad():
                    for name, value in model.state_dict().items():
                        if value.is_floating_point():
                            average[name].lerp_(value, 1 - update)
            self.validate(model.state_dict(), f"seed {seed}, epoch {epoch + 1}, last weights")
            self.validate(average, f"seed {seed}, epoch {epoch + 1}, averaged weights")
            log = [entry for entry in self.log if entry["weights"].startswith(f"seed {seed}, epoch")]
            partial = checkpoint.with_suffix(".partial")
            torch.save({"epoch": epoch + 1, "log": log, "average": average, "model": model.state_dict(),
                        "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}, partial)
            partial.replace(checkpoint)
        return {name: value.cpu() for name, value in average.items()}

    def loss(self, model, batch: list[int], soft_labels: torch.Tensor | None) -> torch.Tensor:
        ids, mask = self.padded([self.train[index] for index in batch])
        target = torch.tensor([self.train_labels[index] for index in batch], device=self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            logits = model(input_ids=ids, attention_mask=mask).logits.float()
        loss = functional.cross_entropy(logits + self.log_prior, target, label_smoothing=self.arguments.label_smoothing)
        if soft_labels is None:
            return loss
        taught = functional.cross_entropy(logits, soft_labels[batch])
        return 0.5 * loss + 0.5 * taught

    def parameter_groups(self, model) -> list[dict]:
        """One group a layer, with a rate that falls from the head to the embeddings; no decay on vectors or embeddings."""
        layers = self.config.num_hidden_layers
        groups: dict[tuple[int, bool], list] = {}
        for name, parameter in model.named_parameters():
            if ".layer." in name:
                depth = layers - int(name.split(".layer.")[1].split(".")[0])
            else:
                depth = layers + 1 if ".embeddings." in name else 0
            decays = parameter.ndim > 1 and ".embeddings." not in name
            groups.setdefault((depth, decays), []).append(parameter)
        return [{"params": parameters, "lr": self.arguments.learning_rate * self.arguments.layer_decay**depth,
                 **({} if decays else {"weight_decay": 0.0})} for (depth, decays), parameters in groups.items()]

    def padded(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(map(len, rows))
        pad = self.config.pad_token_id or 0
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self.device)
        return ids, mask

    @torch.no_grad()
    def probabilities(self, state: dict, rows: list[list[int]]) -> torch.Tensor:
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

    def evaluate(self, state: dict, rows: list[list[int]], labels: list[int]) -> dict:
        return figures(self.probabilities(state, rows).argmax(-1), labels)

    def validate(self, state: dict, name: str) -> float:
        report = {"weights": name} | self.evaluate(state, self.validation, self.validation_labels)
        self.log.append(report)
        print(json.dumps(report), flush=True)
        return report["macro_recall"]

    def write_tokenizer(self, directory: Path) -> None:
        for name in TOKENIZER_FILES:
            if (self.base / name).exists():
                shutil.copyfile(self.base / name, directory / name)


def figures(predicted: torch.Tensor, labels: list[int]) -> dict:
    guesses, truth = predicted.cpu().numpy(), np.asarray(labels)
    recalls = [float((guesses[truth == label] == label).mean()) for label in sorted(set(labels))]
    return {"accuracy": float((guesses == truth).mean()), "macro_recall": float(np.mean(recalls)), "recall": recalls}


def mean_weights(members: list[dict]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([member[name].float() for member in members]).mean(0) if value.is_floating_point()
            else value for name, value in members[0].items()}


def bucketed_batches(rows: list[list[int]], size: int, generator: random.Random) -> list[list[int]]:
    """All rows in random batches of similar lengths, so that little is padded."""
    order = list(range(len(rows)))
    generator.shuffle(order)
    batches = []
    for start in range(0, len(order), size * 64):
        chunk = sorted(order[start:start + size * 64], key=lambda index: len(rows[index]))
        batches += [chunk[first:first + size] for first in range(0, len(chunk), size)]
    generator.shuffle(batches)
    return batches


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (DatasetError, OSError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        sys.exit(2)
