"""Small classifiers with random weights of each architecture, made and saved by Transformers, with a small WordPiece
tokenizer that all of them share; and what Transformers says of a text."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import (AlbertConfig, AutoModelForSequenceClassification, AutoTokenizer, BertConfig, CamembertConfig,
                          DebertaV2Config, DistilBertConfig, ElectraConfig, ModernBertConfig, MPNetConfig, PreTrainedConfig,
                          PreTrainedModel, PreTrainedTokenizerFast, RobertaConfig, XLMRobertaConfig)

LABELS = ["anger", "joy", "sadness"]
# Beside 1 or the logit itself, whichever is more. These models' own f32 errors are some 1e-6.
TOLERANCE = 1e-4
# Of apus: these texts are no tweets, and for so small models more threads only wait for each other.
OPTIONS = ("--text-preparation", "none", "--threads", "1")

# [PAD] is 1, as RoBERTa and MPNet have it: their positions are counted from it.
SPECIAL_TOKENS = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]",
                  "mask_token": "[MASK]"}
PAD = 1
VOCABULARY = 170
POSITIONS = 160

SENTENCES = [
    "Good!", "not bad", "What a lovely, lovely morning.", "I would rather stay at home than see this film again.",
    "The waiter was rude, the soup was cold and the bill was wrong: never again!",
    "Thanks to everybody who came last night, you made an old man very happy.",
    "They lost 3 to 1, again, and the second half was so slow that half of the people had left before the end.",
    "My new phone does what it should, but its battery is empty at noon; 200 for that is too much, isn't it?",
    "When the train finally came, an hour late, it was full, and nobody told us when the next one would come, so we walked "
    "home in the rain and laughed all the way like children.",
    "Nobody expected much of the book, yet it is funny, warm and clever, full of people whom you would like to meet, and "
    "the last chapter made me cry in the middle of a crowded bus, which does not happen often.",
]


def longer_text(words: int, seed: int) -> str:
    pool = " ".join(SENTENCES).split()
    return " ".join(random.Random(seed).choices(pool, k=words))


# From one word to beyond the 64 keys at which int8 attention begins, and beyond the windows of ModernBERT.
TEXTS = [*SENTENCES, longer_text(66, seed=1), longer_text(95, seed=2)]


def base(**settings: Any) -> dict[str, Any]:
    """What all sizes are unless a row below says otherwise."""
    return {"hidden_size": 48, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 80} | settings


def distilbert(**settings: Any) -> DistilBertConfig:
    return DistilBertConfig(**{"dim": 48, "n_heads": 4, "n_layers": 2, "hidden_dim": 80} | settings)


def deberta(**settings: Any) -> DebertaV2Config:
    """As DeBERTa-v3's checkpoints have it."""
    return DebertaV2Config(**base(
        relative_attention=True, position_buckets=16, max_relative_positions=-1, norm_rel_ebd="layer_norm",
        share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0,
        layer_norm_eps=1e-7, pooler_hidden_act="gelu") | settings)


def rope(full: float, sliding: float) -> dict[str, Any]:
    return {f"{layers}_attention": {"rope_type": "default", "rope_theta": base}
            for layers, base in (("full", full), ("sliding", sliding))}


CONFIGS: dict[str, PreTrainedConfig] = {
    "bert": BertConfig(**base()),
    "bert-relu": BertConfig(**base(hidden_act="relu", hidden_size=36, num_attention_heads=3, num_hidden_layers=3)),
    "bert-gelu-new": BertConfig(**base(hidden_act="gelu_new")),
    "bert-gelu-tanh": BertConfig(**base(hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-5)),
    "bert-silu": BertConfig(**base(hidden_act="silu", intermediate_size=52)),
    "bert-swish": BertConfig(**base(hidden_act="swish")),
    "bert-tanh": BertConfig(**base(hidden_act="tanh", type_vocab_size=1)),
    "roberta": RobertaConfig(**base(type_vocab_size=1, layer_norm_eps=1e-5)),
    "roberta-tanh": RobertaConfig(**base(hidden_act="tanh", num_hidden_layers=3, num_attention_heads=2)),
    "distilbert": distilbert(),
    "distilbert-relu": distilbert(activation="relu", dim=64, n_heads=2, n_layers=3),
    "distilbert-gelu-new": distilbert(activation="gelu_new", dim=40),
    "distilbert-sinusoidal": distilbert(sinusoidal_pos_embds=True),
    "xlm-roberta": XLMRobertaConfig(**base(type_vocab_size=1, layer_norm_eps=1e-5)),
    "xlm-roberta-silu": XLMRobertaConfig(**base(hidden_act="silu", num_attention_heads=2, num_hidden_layers=3)),
    "camembert": CamembertConfig(**base(type_vocab_size=1, layer_norm_eps=1e-5)),
    "camembert-relu": CamembertConfig(**base(hidden_act="relu", hidden_size=40)),
    "electra": ElectraConfig(**base(embedding_size=48)),
    "electra-projected": ElectraConfig(**base(embedding_size=20, num_hidden_layers=3)),
    "electra-relu": ElectraConfig(**base(embedding_size=64, hidden_act="relu", hidden_size=32)),
    "electra-tanh": ElectraConfig(**base(embedding_size=32, hidden_act="tanh")),
    "mpnet": MPNetConfig(**base()),
    "mpnet-more-buckets": MPNetConfig(**base(relative_attention_num_buckets=40, hidden_act="gelu_new", num_hidden_layers=3)),
    "mpnet-relu": MPNetConfig(**base(hidden_act="relu", num_attention_heads=2, layer_norm_eps=1e-5)),
    "albert": AlbertConfig(**base(embedding_size=20, num_hidden_layers=3)),
    "albert-two-groups": AlbertConfig(**base(embedding_size=24, num_hidden_layers=4, num_hidden_groups=2)),
    "albert-inner-groups": AlbertConfig(**base(embedding_size=48, inner_group_num=2, hidden_act="gelu")),
    "albert-uneven-groups": AlbertConfig(**base(embedding_size=24, num_hidden_layers=3, num_hidden_groups=2,
                                                inner_group_num=2, hidden_act="silu")),
    "modernbert": ModernBertConfig(**base(num_hidden_layers=3, local_attention=16)),
    "modernbert-mean": ModernBertConfig(**base(num_hidden_layers=4, local_attention=8, classifier_pooling="mean",
                                               classifier_bias=True, global_attn_every_n_layers=2)),
    "modernbert-biases": ModernBertConfig(**base(num_hidden_layers=3, local_attention=128, norm_bias=True, mlp_bias=True,
                                                 attention_bias=True, classifier_bias=True, num_attention_heads=2,
                                                 hidden_activation="gelu_pytorch_tanh")),
    "modernbert-silu": ModernBertConfig(**base(num_hidden_layers=3, local_attention=10, hidden_activation="silu",
                                               classifier_activation="relu", norm_eps=1e-3, classifier_pooling="mean",
                                               rope_parameters=rope(full=50, sliding=7))),
    "deberta": deberta(),
    "deberta-many-buckets": deberta(position_buckets=256, hidden_act="gelu_new"),
    "deberta-few-buckets": deberta(position_buckets=4, num_hidden_layers=3, num_attention_heads=2, hidden_act="relu",
                                   pooler_hidden_act="tanh"),
    "deberta-own-keys": deberta(share_att_key=False),
    "deberta-no-buckets": deberta(position_buckets=-1),
    "deberta-no-norm": deberta(norm_rel_ebd="none"),
    "deberta-positions": deberta(position_biased_input=True, type_vocab_size=2),
    "deberta-content-only": deberta(pos_att_type=["c2p"]),
    "deberta-projected": deberta(embedding_size=20, hidden_act="tanh"),
}
NAMES = list(CONFIGS)

# All that can be the default is, in a model that stays small: what is left out of config.json is then as much as can be.
SMALL_DEFAULTS: dict[str, PreTrainedConfig] = {
    "bert": BertConfig(hidden_size=48),
    "roberta": RobertaConfig(hidden_size=48),
    "distilbert": DistilBertConfig(dim=48),
    "xlm-roberta": XLMRobertaConfig(hidden_size=48),
    "camembert": CamembertConfig(hidden_size=48),
    "electra": ElectraConfig(hidden_size=64, intermediate_size=128),
    "mpnet": MPNetConfig(hidden_size=48),
    "albert": AlbertConfig(hidden_size=64, intermediate_size=128),
    "modernbert": ModernBertConfig(hidden_size=48),
    "deberta": DebertaV2Config(hidden_size=48, intermediate_size=128, num_hidden_layers=4, relative_attention=True,
                               pos_att_type=["p2c", "c2p"]),
}


def tokenizer() -> PreTrainedTokenizerFast:
    """WordPiece, lower case, [CLS] … [SEP]. Its words are those of the sentences, every third in two pieces."""
    splitter = pre_tokenizers.BertPreTokenizer()
    words = sorted({word for text in SENTENCES for word, _ in splitter.pre_tokenize_str(text.lower())})
    tokens = dict.fromkeys(SPECIAL_TOKENS.values())
    for number, word in enumerate(words):
        half = len(word) // 2
        tokens |= dict.fromkeys([word] if number % 3 or half == 0 else [word[:half], f"##{word[half:]}"])
    made = Tokenizer(models.WordPiece({token: number for number, token in enumerate(tokens)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = splitter
    first, last = (made.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", first), ("[SEP]", last)])
    assert made.token_to_id("[PAD]") == PAD and VOCABULARY // 2 < made.get_vocab_size() <= VOCABULARY
    return PreTrainedTokenizerFast(tokenizer_object=made, **SPECIAL_TOKENS)


@torch.no_grad()
def randomize(model: PreTrainedModel, seed: int) -> None:
    """Weights large enough that an error in any of them shows in the logits, and no norm that does nothing."""
    generator = torch.Generator().manual_seed(seed)
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            mean, deviation = 0.0, 0.2
            if isinstance(module, nn.LayerNorm) and name == "weight":
                mean = 1.0
            elif isinstance(module, nn.Linear) and name == "weight":
                # A product is somewhat larger than its input, so that attention looks at some tokens more than at others.
                deviation = 1.3 * parameter.shape[1] ** -0.5
            elif path.endswith("embeddings") and "rel_embeddings" not in path:
                deviation = 0.003  # normalized next, where the norm's epsilon then counts
            elif isinstance(module, nn.Embedding):
                deviation = 0.5
            parameter.normal_(mean, deviation, generator=generator)


@torch.no_grad()
def balance(model: PreTrainedModel, texts: Sequence[str], tokens: Any) -> None:
    """Moves the last bias so that each label is the best of some text: one label for all would prove little."""
    rows = torch.tensor(logits(model, tokens, texts))
    head = model.classifier
    last = head if isinstance(head, nn.Linear) else head.out_proj
    last.bias -= rows.mean(dim=0)


@torch.no_grad()
def logits(model: PreTrainedModel, tokens: Any, texts: Sequence[str]) -> list[list[float]]:
    """f32, each text alone."""
    return [model(**tokens(text, return_tensors="pt")).logits[0].tolist() for text in texts]


def make_model(
    config: PreTrainedConfig, seed: int = 7, labels: Sequence[str] = LABELS, texts: Sequence[str] = TEXTS,
    keeps_sizes: bool = False
) -> PreTrainedModel:
    """A classifier of this configuration that takes the tokenizer's ids.

    `keeps_sizes`: the positions and special tokens stay those of the configuration. `texts`: what it is balanced for."""
    tokens = tokenizer()
    config = type(config).from_dict(config.to_dict())
    config.vocab_size = VOCABULARY
    if not keeps_sizes:
        config.max_position_embeddings = POSITIONS
    if not keeps_sizes or config.pad_token_id >= VOCABULARY:
        ids = {"pad": PAD, "bos": tokens.cls_token_id, "eos": tokens.sep_token_id}
        if isinstance(config, ModernBertConfig):
            ids |= {"cls": tokens.cls_token_id, "sep": tokens.sep_token_id}
        for token, number in ids.items():
            setattr(config, f"{token}_token_id", number)
    config.id2label = dict(enumerate(labels))
    config.label2id = {name: number for number, name in enumerate(labels)}
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()
    randomize(model, seed)
    balance(model, texts, tokens)
    return model


def save(model: PreTrainedModel, directory: Path) -> Path:
    model.save_pretrained(directory)
    tokenizer().save_pretrained(directory)
    return directory


def transformers_logits(directory: Path, texts: Sequence[str] = TEXTS) -> list[list[float]]:
    """What the files say to Transformers: of the saved model, not of the one that was saved."""
    model = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    return logits(model.eval(), AutoTokenizer.from_pretrained(directory), texts)


def assert_near(rows: Sequence[dict[str, Any]], expected: Sequence[Sequence[float]]) -> None:
    """The logits that `apus predict --logits` wrote are Transformers'."""
    found = np.array([row["logits"] for row in rows])
    assert found.shape == np.shape(expected), f"{found.shape}, not {np.shape(expected)}"
    difference = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    assert difference.max() < TOLERANCE, f"{difference.max():.2e} in text {difference.max(axis=1).argmax()}"


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """For modules that import it. One thread: PyTorch's wait for each other longer than so small matrices take."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    yield
    torch.set_num_threads(count)
