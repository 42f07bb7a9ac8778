#!/usr/bin/env python3
"""Fine-tunes a text classifier and writes it as a model directory that `apus` and Transformers load.

    tools/train.py --base DIR|HUB_ID --dataset DIR|FILE.csv|FILE.jsonl --output DIR [--epochs 3] [--seed 1] …

The recipe: AdamW with warm-up and linear decay, a lower rate for lower layers, label smoothing, a loss adjusted by the
labels' shares (Menon et al. 2021, which aims at macro recall; part of them comes back at the end), and an exponential
moving average of the weights. Teachers' probabilities (--teacher asks them, --soft-labels has them from before) count
beside the labels, and alone for texts that have no label (--unlabelled). With several seeds the members' weights are
averaged where that helps on the validation split (a model soup, Wortsman et al. 2022); with --distill each later member
also learns from the soup so far. With --add-emoji every emoji gets a token of its own (emoji_tokens.py). Choices are made
on the validation split; the test split is looked at once, with the weights that would be written, and nothing is written
under the gate.

Run again after an interruption, it goes on from its last checkpoint, to the same weights. Exit codes: 0 written, 1 the
gate failed, 2 an input was bad, 64 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classification_data import InputError, prepare
from training import base, class_weights, data
from training.soft_labels import SoftLabels, read_texts

if TYPE_CHECKING:
    from training.work import Work

# Must be set before CUDA starts; without it cuBLAS does not promise the same sums twice.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

# What decides the weights, beside the base and the data: a checkpoint made with others is refused.
DECISIVE = ("class_weights", "text_preparation", "seeds", "epochs", "batch_size", "learning_rate", "layer_decay",
            "label_smoothing", "hard_weight", "max_length", "bf16", "distill", "keep_base", "add_emoji", "emoji_batches")


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(64, f"{self.prog}: {message}. See {self.prog} --help\n")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog="train.py", description=__doc__.split("\n")[0])
    parser.add_argument("--base", required=True, metavar="DIR|HUB_ID", help="the RoBERTa or BERT model to begin with; in int8, too")
    parser.add_argument("--revision", help="of a base from the Hub (default: main)")
    parser.add_argument("--dataset", required=True, type=Path, metavar="DIR|FILE", help=data.FORMS)
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="must not exist, or be empty")
    parser.add_argument("--work", type=Path, metavar="DIR", help="checkpoints, deleted in the end (default: OUTPUT.work)")
    parser.add_argument("--min-accuracy", type=share, default=0.60,
                        help="the gate, on the test split; under it nothing is written (default: 0.60)")

    group = parser.add_argument_group("reading the data")
    group.add_argument("--text-field", default="text", help="the column or field of texts (default: text)")
    group.add_argument("--label-field", default="label", help="the column or field of labels (default: label)")
    group.add_argument("--validation-share", type=share, default=0.1, help="of one file, to choose by (default: 0.1)")
    group.add_argument("--test-share", type=share, default=0.1,
                       help="of one file, for the gate; becomes OUTPUT/held_out.jsonl (default: 0.1)")
    group.add_argument("--split-seed", type=int, default=1, help="which texts those are (default: 1)")
    group.add_argument("--text-preparation", choices=("tweet", "none"), default="tweet",
                       help="tweet: @somebody becomes @user, a link becomes http, here and in apus (the default)")

    group = parser.add_argument_group("training")
    group.add_argument("--seeds", "--seed", type=natural, nargs="+", default=[1], metavar="N",
                       help="a model a seed; with several, their weights are averaged (default: 1)")
    group.add_argument("--class-weights", default="adjusted", metavar="CHOICE",
                       help="adjusted: by the labels' shares, for macro recall (the default); balanced: each label weighs "
                       "the same; none: each text does; or label=weight,…, 1 for those not named")
    group.add_argument("--epochs", type=positive, default=3, help="(default: 3)")
    group.add_argument("--batch-size", type=positive, default=32, help="(default: 32)")
    group.add_argument("--learning-rate", type=float, default=8e-5, help="of the head (default: 8e-5)")
    group.add_argument("--layer-decay", type=float, default=0.95, help="each lower layer's rate over the next one's")
    group.add_argument("--label-smoothing", type=share, default=0.05, help="(default: 0.05)")
    group.add_argument("--max-length", type=positive, default=128, help="tokens, in training only (default: 128)")
    group.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=None,
                       help="matrix products in bfloat16 (default: where the hardware has them)")
    group.add_argument("--checkpoint-steps", type=positive, default=250, metavar="N",
                       help="a checkpoint every N batches, beside that after each epoch (default: 250)")
    group.add_argument("--distill", action="store_true", help="later seeds also learn from the soup of the earlier ones")
    group.add_argument("--teacher", type=Path, nargs="+", default=[], metavar="DIR",
                       help="sequence classifiers that Transformers loads, of the same labels; their mean probabilities are "
                       "learned, too")
    group.add_argument("--soft-labels", type=Path, metavar="FILE",
                       help="teachers' probabilities by the texts' SHA-256; a run with --teacher writes such a file, "
                       "WORK.soft_labels.npz")
    group.add_argument("--unlabelled", type=Path, metavar="FILE",
                       help="texts without labels, one a line (.gz too), to learn teachers' probabilities of")
    group.add_argument("--hard-weight", type=share, default=0.5,
                       help="of a label's loss where a teacher's probabilities have the rest (default: 0.5)")
    group.add_argument("--keep-base", action="store_true",
                       help="of a base that tells these labels already: put as much of its weights back as is best on the "
                       "validation split")
    group.add_argument("--add-emoji", action="store_true",
                       help="give every emoji a token (WordPiece) and teach it to mean its name")
    group.add_argument("--emoji-batches", type=positive, default=800, help="of 32 texts, to teach the emoji with")
    parsed = parser.parse_args(arguments)
    if parsed.validation_share + parsed.test_share >= 1 or not parsed.validation_share or not parsed.test_share:
        parser.error("--validation-share and --test-share must be over 0, and under 1 together")
    if not parsed.output.name:
        parser.error("--output must name a directory")
    parsed.work = parsed.work or parsed.output.with_name(parsed.output.name + ".work")
    return parsed


def natural(text: str) -> int:
    value = int(text)
    if not 0 <= value < 1 << 48:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 to 2^48")
    return value


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number over 0")
    return value


def share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def main(argv: list[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    try:
        return train(arguments)
    except (InputError, OSError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"train.py: interrupted; the same command goes on from {arguments.work}", file=sys.stderr)
        return 130


def train(arguments: argparse.Namespace) -> int:
    output_is_free(arguments.output)
    options = data.DataOptions(arguments.text_field, arguments.label_field, arguments.validation_share,
                               arguments.test_share, arguments.split_seed)
    examples = data.load(arguments.dataset, options)
    print(f"train.py: {examples.description()}", file=sys.stderr)
    is_tweet = arguments.text_preparation == "tweet"
    training, validation, test = (split.prepared() if is_tweet else split for split in examples.splits)
    soft_labels, unlabelled = given_teaching(arguments, examples)
    unlabelled_digest = data.texts_digest(unlabelled)
    unlabelled = [prepare(text) for text in unlabelled] if is_tweet else unlabelled
    taught = known_probabilities(arguments, training.texts + unlabelled, len(unlabelled), soft_labels)
    weights = class_weights.parse(arguments.class_weights, examples.labels, examples.train.labels)
    directory = base.resolve(arguments.base, arguments.revision)
    base.check(directory)
    origin = {} if directory == Path(arguments.base) else {"base": f"{arguments.base}@{directory.name}"}

    import torch

    import emoji_tokens
    from training import hardware, output
    from training.classifier import Classifier, figures
    from training.member import Recipe
    from training.trainer import Options, Trainer
    from training.work import BASE, PLAIN, Work

    torch.use_deterministic_algorithms(True, warn_only=True)
    if arguments.bf16 is None:
        arguments.bf16 = hardware.has_bf16()
    run = {name: getattr(arguments, name) for name in DECISIVE}
    run |= {"labels": examples.labels, "base_sha256": base.digest(directory), "data_sha256": examples.digest(),
            "unlabelled_sha256": unlabelled_digest, "soft_labels_sha256": soft_labels and soft_labels.digest(),
            "teachers_sha256": [base.digest(teacher) for teacher in arguments.teacher]}
    work = Work(arguments.work, run)
    directory = base.in_f32(directory, work.folder / PLAIN)
    if arguments.add_emoji:
        directory = emoji_tokens.add(directory, work.folder / BASE)

    if arguments.teacher:
        taught = ask_teachers(arguments, examples.labels, training.texts + unlabelled, taught, work)
    classifier = Classifier(directory, examples.labels, head_seed=arguments.seeds[0])
    recipe = Recipe(arguments.epochs, arguments.batch_size, arguments.learning_rate, arguments.layer_decay,
                    arguments.label_smoothing, arguments.hard_weight, arguments.bf16, arguments.checkpoint_steps)
    options = Options(arguments.seeds, arguments.distill, arguments.max_length, arguments.emoji_batches)
    trainer = Trainer(classifier, recipe, options, weights, training, unlabelled, taught, validation, work)
    state = trainer.soup()
    if arguments.keep_base:
        state = trainer.with_base(state)
    if arguments.add_emoji:
        state = trainer.with_emoji(state)
    if weights.log_prior:
        state = trainer.with_shares(state)

    probabilities = classifier.probabilities(state, classifier.encode(test.texts, limit=classifier.max_tokens))
    report = {"examples": len(test.texts)} | figures(probabilities.argmax(-1), test.labels)
    print(json.dumps({"split": "test"} | report))
    if report["accuracy"] < arguments.min_accuracy:
        print(f"train.py: the gate failed: accuracy {report['accuracy']:.4f} on the test split is under --min-accuracy "
              f"{arguments.min_accuracy}. Nothing was written to {arguments.output}; the checkpoints stay in "
              f"{arguments.work}", file=sys.stderr)
        return 1
    texts = {"reference_texts.jsonl": output.reference_texts(examples.test, probabilities, examples.labels)}
    if not examples.is_tweeteval:
        texts["held_out.jsonl"] = output.labelled(examples.test, examples.labels)
    counts = dict(zip(data.SPLITS, (len(split.texts) for split in examples.splits)))
    counts |= {"unlabelled": len(unlabelled)} if unlabelled else {}
    output.write(arguments.output, classifier, state, arguments.text_preparation,
                 origin | {"arguments": run, "examples": counts, "validation": trainer.log, "test": report}, texts)
    work.remove()
    print(f"train.py: wrote {arguments.output}", file=sys.stderr)
    return 0


def given_teaching(arguments: argparse.Namespace, examples: data.TrainingData) -> tuple[SoftLabels | None, list[str]]:
    """The soft labels; the texts without labels, less those that stand in the data set's validation or test split."""
    has_teachers = bool(arguments.teacher or arguments.soft_labels)
    if arguments.unlabelled and not has_teachers:
        raise InputError(f"{arguments.unlabelled}: texts without labels need a teacher; give --teacher or --soft-labels")
    for teacher in arguments.teacher:
        base.check_teacher(teacher, examples.labels)
    soft_labels = SoftLabels.read(arguments.soft_labels, examples.labels) if arguments.soft_labels else None
    texts = read_texts(arguments.unlabelled) if arguments.unlabelled else []
    held_out = {data.identity(text) for split in (examples.validation, examples.test) for text in split.texts}
    unlabelled = [text for text in texts if data.identity(text) not in held_out]
    if len(unlabelled) < len(texts):
        print(f"train.py: {arguments.unlabelled}: {len(texts) - len(unlabelled)} of {len(texts)} texts stand in the "
              "validation or test split and are left out", file=sys.stderr)
    return soft_labels, unlabelled


def known_probabilities(arguments: argparse.Namespace, texts: list[str], unlabelled: int,
                        soft_labels: SoftLabels | None) -> np.ndarray | None:
    """f32 [texts, labels]: what the soft labels say; NaN where they say nothing, which only a teacher may mend of a text
    without a label. None without soft labels.

    - texts: to train on, prepared; the last `unlabelled` have no labels.
    """
    if soft_labels is None:
        return None
    rows = soft_labels.lookup(texts)
    unknown = np.isnan(rows[:, 0])
    untaught = int(unknown[len(texts) - unlabelled:].sum())
    if untaught and not arguments.teacher:
        raise InputError(f"{arguments.unlabelled}: {untaught} of {unlabelled} texts are not in {arguments.soft_labels}; "
                         "give a --teacher that says what they are, or take them out")
    if not (arguments.teacher and unknown.any()):
        print(f"train.py: soft labels for {len(texts) - int(unknown.sum())} of {len(texts)} texts", file=sys.stderr)
    return rows


def ask_teachers(arguments: argparse.Namespace, labels: list[str], texts: list[str], known: np.ndarray | None,
                 work: Work) -> np.ndarray:
    """f32 [texts, labels]: what is known, and of the other texts what the teachers say."""
    rows = np.full((len(texts), len(labels)), np.nan, np.float32) if known is None else known
    unknown = np.flatnonzero(np.isnan(rows[:, 0]))
    if not len(unknown):
        return rows
    from training import teachers
    rows[unknown] = teachers.mean_probabilities(arguments.teacher, labels, [texts[row] for row in unknown],
                                                arguments.max_length, work)
    path = arguments.work.with_name(arguments.work.name + ".soft_labels.npz")
    result = SoftLabels.of(labels, texts, rows)
    result.write(path)
    print(f"train.py: wrote {path}, which --soft-labels takes", file=sys.stderr)
    return result.lookup(texts)  # rounded as in the file, so that a run with it ends in the same weights


def output_is_free(output: Path) -> None:
    """Asked at the start, so that hours of training do not end in a refusal."""
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"{output}: exists already and is not overwritten; delete it, or name another --output")


if __name__ == "__main__":
    sys.exit(main())
