"""How much a label's examples weigh in the loss."""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import dataclass

from classification_data import InputError

NAMED = ("adjusted", "balanced", "none")


@dataclass(frozen=True)
class ClassWeights:
    """At most one of both is given."""
    weights: list[float] | None = None  # of each label's examples
    log_prior: list[float] | None = None  # added to the logits in training: Menon et al. 2021's adjustment


def parse(choice: str, labels: list[str], examples: list[int]) -> ClassWeights:
    """One of NAMED, or `label=weight,…` as a CSV row, so that a label with a comma stands in quotes.

    - examples: the training examples' labels, as indices of `labels`.
    """
    counts = Counter(examples)
    shares = [counts[index] / len(examples) for index in range(len(labels))]
    if choice == "none":
        return ClassWeights()
    if choice == "adjusted":
        return ClassWeights(log_prior=[math.log(share) for share in shares])
    if choice == "balanced":
        return ClassWeights(weights=[1 / (len(labels) * share) for share in shares])
    weights = dict.fromkeys(labels, 1.0)
    for item in next(csv.reader([choice], skipinitialspace=True), []) or [""]:
        label, _, weight = item.rpartition("=")
        if label not in weights:
            known = f"{', '.join(NAMED)} and label=weight,… with the labels {', '.join(labels)}"
            raise InputError(f'--class-weights: "{item}" is unknown; known are {known}')
        try:
            weights[label] = float(weight)
        except ValueError:
            weights[label] = math.nan
        if not 0 < weights[label] < math.inf:
            raise InputError(f'--class-weights: "{item}" does not give a weight; a weight is a number over 0')
    return ClassWeights(weights=list(weights.values()))
