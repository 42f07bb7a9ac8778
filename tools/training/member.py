"""Trains one member of the soup: AdamW with warm-up and linear decay, a lower rate for lower layers, label smoothing, and
an exponential moving average of the weights, which is the result."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional
from tqdm import tqdm

from training.class_weights import ClassWeights
from training.classifier import Classifier, Rows, State
from training.work import Work

UNLABELLED = -100  # what cross_entropy passes over
Validate = Callable[[State, str], dict]  # weights, and what they are called, to their figures


@dataclass(frozen=True)
class Recipe:
    epochs: int
    batch_size: int
    learning_rate: float
    layer_decay: float
    label_smoothing: float
    hard_weight: float  # of the label's loss, where a teacher's probabilities have the rest
    bf16: bool
    checkpoint_steps: int


class Member:
    """A seed's training, from its last checkpoint on if there is one.

    A row learns from its label (UNLABELLED: it has none), from a teacher's probabilities, or from both.
    """

    def __init__(self, seed: int, recipe: Recipe, classifier: Classifier, rows: Rows, labels: list[int],
                 class_weights: ClassWeights, work: Work):
        self.seed = seed
        self.recipe = recipe
        self.classifier = classifier
        self.rows = rows
        self.labels = labels
        self.work = work
        device = classifier.device
        weights = class_weights.weights
        self.class_weights = torch.tensor(weights, device=device) if weights else None
        self.log_prior = torch.tensor(class_weights.log_prior or 0.0, device=device)
        self.model = classifier.fresh()
        self.optimizer = torch.optim.AdamW(self.parameter_groups(), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        steps = math.ceil(len(rows) / recipe.batch_size) * recipe.epochs
        warm_up = max(1, steps // 16)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min((step + 1) / warm_up, max(0.0, (steps - step) / max(1, steps - warm_up))))
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.log: list[dict] = []
        self.epoch = 0
        self.batch = 0  # how many of the epoch's were trained on
        self.random: dict[str, torch.Tensor] = {}  # the generators' states there
        self.restore()

    @property
    def is_trained(self) -> bool:
        return self.epoch == self.recipe.epochs

    def train(self, soft_labels: torch.Tensor | None, validate: Validate) -> State:
        """- soft_labels: [rows, labels], what teachers say; NaN where they say nothing."""
        while not self.is_trained:
            self.train_epoch(soft_labels)
            name = f"seed {self.seed}, epoch {self.epoch + 1}"
            self.log += [validate(self.model.state_dict(), f"{name}, last weights"),
                         validate(self.average, f"{name}, averaged weights")]
            self.epoch, self.batch = self.epoch + 1, 0
            self.save()
        return {name: value.cpu() for name, value in self.average.items()}

    def train_epoch(self, soft_labels: torch.Tensor | None) -> None:
        seed = self.seed * 1000 + self.epoch
        batches = bucketed_batches(self.rows, self.recipe.batch_size, random.Random(seed))
        torch.manual_seed(seed)
        if self.batch:
            set_random_state(self.random)
        self.model.train()
        name = f"seed {self.seed}, epoch {self.epoch + 1}/{self.recipe.epochs}"
        with tqdm(total=len(batches), initial=self.batch, desc=name, unit="batch", disable=None) as progress:
            while self.batch < len(batches):
                loss = self.step(batches[self.batch], soft_labels)
                self.batch += 1
                progress.update()
                if self.batch % 10 == 0 and not progress.disable:
                    progress.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
                if self.schedule.last_epoch % self.recipe.checkpoint_steps == 0 and self.batch < len(batches):
                    self.save()

    def step(self, batch: list[int], soft_labels: torch.Tensor | None) -> torch.Tensor:
        loss = self.loss(batch, soft_labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        steps = self.schedule.last_epoch
        kept = min(0.999, (steps + 1) / (steps + 10))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - kept)
        return loss.detach()

    def loss(self, batch: list[int], soft_labels: torch.Tensor | None) -> torch.Tensor:
        ids, mask = self.classifier.padded([self.rows[index] for index in batch])
        target = torch.tensor([self.labels[index] for index in batch], device=ids.device)
        with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=self.recipe.bf16):
            logits = self.model(input_ids=ids, attention_mask=mask).logits.float()
        hard = functional.cross_entropy(logits + self.log_prior, target, weight=self.class_weights, reduction="none",
                                        label_smoothing=self.recipe.label_smoothing, ignore_index=UNLABELLED)
        if soft_labels is None:
            # A label's weight counts in the mean, as in cross_entropy's own.
            return hard.sum() / (len(batch) if self.class_weights is None else self.class_weights[target].sum())
        taught = soft_labels[batch].to(logits.device)
        soft = functional.cross_entropy(logits, taught.nan_to_num(), reduction="none")
        labelled, is_taught = target != UNLABELLED, ~taught[:, 0].isnan()
        weight = torch.where(labelled, torch.where(is_taught, self.recipe.hard_weight, 1.0), 0.0)
        return (weight * hard + (1 - weight) * soft).mean()

    def parameter_groups(self) -> list[dict]:
        """One group a layer, with a rate that falls from the head to the embeddings; no decay on vectors or embeddings."""
        layers = self.classifier.config.num_hidden_layers
        groups: dict[tuple[int, bool], list] = {}
        for name, parameter in self.model.named_parameters():
            if ".layer." in name:
                depth = layers - int(name.split(".layer.")[1].split(".")[0])
            else:
                depth = layers + 1 if ".embeddings." in name else 0
            decays = parameter.ndim > 1 and ".embeddings." not in name
            groups.setdefault((depth, decays), []).append(parameter)
        return [{"params": parameters, "lr": self.recipe.learning_rate * self.recipe.layer_decay**depth,
                 **({} if decays else {"weight_decay": 0.0})} for (depth, decays), parameters in groups.items()]

    @property
    def checkpoint(self) -> str:
        return f"seed-{self.seed}.pt"

    def save(self) -> None:
        state = {"epoch": self.epoch, "batch": self.batch, "log": self.log, "average": self.average}
        if not self.is_trained:
            state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                      "schedule": self.schedule.state_dict(), "random": random_state()}
        self.work.save(self.checkpoint, state)

    def restore(self) -> None:
        state = self.work.load(self.checkpoint, self.classifier.device)
        if state is None:
            return
        self.epoch, self.batch, self.log, self.average = (state[name] for name in ("epoch", "batch", "log", "average"))
        if not self.is_trained:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.random = state["random"]


def random_state() -> dict[str, torch.Tensor]:
    """Of the generators that dropout draws from."""
    gpu = {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {}
    return {"cpu": torch.get_rng_state()} | gpu


def set_random_state(state: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu())


def bucketed_batches(rows: Rows, size: int, generator: random.Random) -> list[list[int]]:
    """All rows in random batches of similar lengths, so that little is padded."""
    order = list(range(len(rows)))
    generator.shuffle(order)
    batches = []
    for start in range(0, len(order), size * 64):
        chunk = sorted(order[start:start + size * 64], key=lambda index: len(rows[index]))
        batches += [chunk[first:first + size] for first in range(0, len(chunk), size)]
    generator.shuffle(batches)
    return batches
