"""From a base and labelled texts to the weights that are written: the soup, the emoji, the labels' shares."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

import emoji_tokens
from classification_data import Split
from training.class_weights import ClassWeights
from training.classifier import Classifier, State, figures
from training.member import UNLABELLED, Member, Recipe
from training.work import Work

SHARES = tuple(step / 10 for step in range(11))
BASE_SHARES = (.25, .5, .75)
HEAD_BIASES = ("classifier.bias", "classifier.out_proj.bias")


@dataclass(frozen=True)
class Options:
    seeds: list[int]
    distill: bool
    max_length: int  # tokens of a training text
    emoji_batches: int


class Trainer:
    """Every choice is made on the validation split."""

    def __init__(self, classifier: Classifier, recipe: Recipe, options: Options, class_weights: ClassWeights, train: Split,
                 unlabelled: list[str], soft_labels: np.ndarray | None, validation: Split, work: Work):
        """- soft_labels: [labelled and unlabelled texts, labels], what teachers say; NaN where they say nothing."""
        self.classifier = classifier
        self.recipe = recipe
        self.options = options
        self.class_weights = class_weights
        self.train_split = train
        self.validation_split = validation
        self.rows = classifier.encode(train.texts + unlabelled, limit=options.max_length)
        self.labels = train.labels + [UNLABELLED] * len(unlabelled)
        self.soft_labels = None if soft_labels is None else torch.from_numpy(soft_labels)
        self.validation_rows = classifier.encode(validation.texts, limit=classifier.max_tokens)
        self.work = work
        self.log: list[dict] = []

    def soup(self) -> State:
        """Trains a member a seed and averages those that help on the validation split (a greedy soup)."""
        soup: list[State] = []
        best = -1.0
        for seed in self.options.seeds:
            state = self.member(seed, teacher=mean_weights(soup) if soup and self.options.distill else None)
            if not soup:
                soup, best = [state], goodness(self.log[-1])
                continue
            together = goodness(self.validate(mean_weights([*soup, state]), f"soup of {len(soup) + 1}"))
            alone = goodness(self.validate(state, f"seed {seed}"))
            if alone > max(together, best):
                soup, best = [state], alone
            elif together > best:
                soup, best = [*soup, state], together
        return mean_weights(soup)

    def member(self, seed: int, teacher: State | None) -> State:
        member = Member(seed, self.recipe, self.classifier, self.rows, self.labels, self.class_weights, self.work)
        soft_labels = self.soft_labels
        if teacher is not None and not member.is_trained:
            soft_labels = self.classifier.probabilities(teacher, self.rows).cpu()
            if self.soft_labels is not None:
                soft_labels = torch.stack([soft_labels, self.soft_labels]).nanmean(0)
        state = member.train(soft_labels, self.figures)
        self.log += member.log
        return state

    def with_base(self, state: State) -> State:
        """Puts part of the base's weights back, where it is a classifier of these labels already: the mean of what it was and
        what it became is often better than both (Wortsman et al. 2022, WiSE-FT)."""
        base = {name: value.cpu() for name, value in self.classifier.fresh().state_dict().items()}
        best, best_report = state, self.validate(state, "base^0")
        for share in BASE_SHARES:
            mixed = mean_weights([base, state], [share, 1 - share])
            report = self.validate(mixed, f"base^{share}")
            if goodness(report) > goodness(best_report):
                best, best_report = mixed, report
        return best

    def with_emoji(self, state: State) -> State:
        """Trains the embeddings of the emoji's tokens alone."""
        done = self.work.load("emoji.pt", "cpu")
        if done is None:
            classifier = self.classifier
            classifier.model.load_state_dict(state)
            taught, report = emoji_tokens.teach(
                classifier.model, classifier.tokenizer, self.train_split.texts, self.validation_split.texts,
                classifier.padded, self.options.emoji_batches, self.recipe.bf16)
            done = {"state": taught, "log": report}
            self.work.save("emoji.pt", done)
        self.log.append(done["log"])
        return done["state"]

    def with_shares(self, state: State) -> State:
        """Puts part of the labels' shares back into the head's bias.

        The adjusted loss takes the shares out whole, which suits macro recall and costs accuracy. How much comes back is
        what gives the best mean of the two on the validation split.
        """
        log_prior = torch.tensor(self.class_weights.log_prior)
        scores = self.classifier.probabilities(state, self.validation_rows).log().cpu()
        reports = [{"weights": f"shares^{share}"}
                   | figures((scores + share * log_prior).argmax(-1), self.validation_split.labels) for share in SHARES]
        for report in reports:
            show(report)
        self.log += reports
        share, _ = max(zip(SHARES, reports), key=lambda pair: goodness(pair[1]))
        bias = next(name for name in HEAD_BIASES if name in state)
        return state | {bias: state[bias] + share * log_prior}

    def validate(self, state: State, name: str) -> dict:
        report = self.figures(state, name)
        self.log.append(report)
        return report

    def figures(self, state: State, name: str) -> dict:
        predicted = self.classifier.probabilities(state, self.validation_rows).argmax(-1)
        report = {"weights": name} | figures(predicted, self.validation_split.labels)
        show(report)
        return report


def goodness(report: dict) -> float:
    """What is chosen by."""
    return report["accuracy"] + report["macro_recall"]


def show(report: dict) -> None:
    line = f"{report['weights']}: accuracy {report['accuracy']:.4f}, macro recall {report['macro_recall']:.4f} (validation)"
    tqdm.write(line, file=sys.stderr)


def mean_weights(members: list[State], shares: list[float] | None = None) -> State:
    """- shares: that add up to 1; None for the same of each."""
    shares = shares or [1 / len(members)] * len(members)
    return {name: sum(share * member[name].float() for share, member in zip(shares, members, strict=True))
            if value.is_floating_point() else value for name, value in members[0].items()}
