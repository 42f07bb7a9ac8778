"""Small models with random weights, saved by Transformers, and the logits that Transformers finds for them: in f32, and
with the matrix products in simulated int8."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import (AttentionInterface, AttentionMaskInterface, AutoConfig, AutoModelForSequenceClassification,
                          AutoTokenizer, BertConfig, BertTokenizer, PreTrainedConfig, PreTrainedModel, RobertaConfig)
from transformers.masking_utils import eager_mask

import int8_checkpoint
from reference_tokenizers import ROBERTA_SPECIAL_TOKENS

LENGTHS = [1, 2, 3, 5, 8, 13, 21, 34, 55, 64]
LABELS = {2: ["negative", "positive"], 3: ["negative", "neutral", "positive"]}
TEXTS = ["good", "I love it, but not the end.", "@user: the BAD news... http", "na\u00efve 😀 no"]
SHORT = LENGTHS[:-1]  # for architectures whose attention Transformers does not let anybody replace
INT8_KEYS = 64  # Ops.int8Keys: from so many on, attention is int8 too


@dataclass(frozen=True)
class Case:
    name: str
    config: PreTrainedConfig
    lengths: list[int]
    dtype: torch.dtype = torch.float32
    pickle: Callable[[PreTrainedModel], dict[str, torch.Tensor]] | None = None  # makes what pytorch_model.bin holds
    last_input: list[int] | None = None
    int8_format: str | None = None  # stored in int8: "apus", Apus' first format, or "compressed-tensors"
    seed: int | None = None  # another one than its number, where with that a number is so near the middle of two levels
    # that PyTorch's sums round it to one and Apus' to the other
    notes: list[str] = field(default_factory=list)


def roberta_config(labels: int, **shape: int) -> RobertaConfig:
    return RobertaConfig(**{"vocab_size": 300, "max_position_embeddings": 66} | shape, type_vocab_size=1,
                         layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2, **label_maps(labels))


def bert_config(labels: int, **shape: int) -> BertConfig:
    return BertConfig(**{"vocab_size": 200, "max_position_embeddings": 512} | shape, pad_token_id=0,
                      **label_maps(labels))


def small_config(model_type: str, labels: int = 3, **settings: object) -> PreTrainedConfig:
    """Of any architecture, with BERT's tokens; the sizes by the names that most classes have."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
             "max_position_embeddings": 66, "vocab_size": 120, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    return AutoConfig.for_model(model_type, **sizes | settings, **label_maps(labels))


def label_maps(count: int) -> dict:
    return {"id2label": dict(enumerate(LABELS[count])), "label2id": {name: i for i, name in enumerate(LABELS[count])}}


def old_state(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """As Transformers 4.0 saved it: an OrderedDict with `_metadata`, the unused pooler, and the positions as a view."""
    state = model.state_dict()
    hidden = model.config.hidden_size
    positions = torch.arange(model.config.max_position_embeddings).expand((1, -1))
    state["roberta.embeddings.position_ids"] = positions
    state["roberta.pooler.dense.weight"] = torch.randn(hidden, hidden)
    state["roberta.pooler.dense.bias"] = torch.randn(hidden)
    return state


def cases() -> list[Case]:
    return [
        Case("roberta-tiny",
             roberta_config(3, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=112),
             LENGTHS, last_input=[0, 104, 1, 105, 1, 1, 106, 2],
             notes=["The last input has <pad> (1) inside the text: its position is 1, and it does not count for the "
                    "positions of what follows; the attention mask is all ones, so it is attended to as any token."]),
        Case("roberta-odd",
             roberta_config(2, hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=50),
             LENGTHS, pickle=old_state,
             notes=["pytorch_model.bin also has roberta.pooler.dense.* and roberta.embeddings.position_ids, unused."]),
        Case("roberta-bf16",
             roberta_config(3, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64),
             LENGTHS, dtype=torch.bfloat16, pickle=lambda model: dict(model.state_dict()),
             notes=["Logits are of the bfloat16 weights as float32, in float32."]),
        Case("bert-tiny",
             bert_config(3, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64),
             [*LENGTHS, 100, 256, 511, 512]),
        Case("bert-one-layer",
             bert_config(2, vocab_size=120, max_position_embeddings=64, hidden_size=20, num_hidden_layers=1,
                         num_attention_heads=5, intermediate_size=40),
             LENGTHS, dtype=torch.float16, notes=["Logits are of the float16 weights as float32, in float32."]),
        Case("roberta-int8",
             roberta_config(3, hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=50),
             LENGTHS, int8_format="apus", notes=["An int8 checkpoint; logits are of its weights as float32."]),
        Case("distilbert-tiny",
             small_config("distilbert", dim=36, n_heads=3, n_layers=2, hidden_dim=50, activation="relu"), LENGTHS),
        Case("electra-tiny", small_config("electra", embedding_size=20, hidden_act="gelu_new"), LENGTHS),
        Case("mpnet-tiny", small_config("mpnet", labels=2, hidden_act="silu"), SHORT),
        Case("albert-tiny",
             small_config("albert", embedding_size=16, num_hidden_layers=3, num_hidden_groups=2, inner_group_num=2),
             SHORT, seed=23),
        Case("modernbert-tiny",
             small_config("modernbert", num_hidden_layers=4, local_attention=12, cls_token_id=2, sep_token_id=3), SHORT),
        Case("modernbert-mean",
             small_config("modernbert", num_hidden_layers=2, classifier_pooling="mean", norm_bias=True, mlp_bias=True,
                          attention_bias=True, classifier_bias=True, cls_token_id=2, sep_token_id=3), LENGTHS),
        Case("deberta-tiny",
             small_config("deberta-v2", relative_attention=True, position_buckets=12, norm_rel_ebd="layer_norm",
                          share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False), SHORT, seed=22),
        Case("deberta-own-keys",
             small_config("deberta-v2", labels=2, relative_attention=True, pos_att_type=["c2p"], type_vocab_size=2,
                          embedding_size=20), SHORT),
        Case("bert-compressed",
             bert_config(3, hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=50), LENGTHS,
             int8_format="compressed-tensors", seed=24,
             notes=["int8 as compressed-tensors stores it; logits are of its weights as float32."]),
    ]


@torch.no_grad()
def random_model(config: PreTrainedConfig, seed: int, matrix: float, bias: float, norm: float) -> PreTrainedModel:
    """Weights of the given standard deviations (a norm's around 1), so that an error in any of them shows."""
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1 and name.endswith(".weight"):
            parameter.normal_(1, norm)
        else:
            parameter.normal_(0, bias if parameter.ndim == 1 else matrix)
    return model


@torch.no_grad()
def logits(model: PreTrainedModel, inputs: list[list[int]]) -> list[list[float]]:
    """f32, each input alone, nothing masked; nine digits, which give back the same f32."""
    rows = []
    for ids in inputs:
        batch = torch.tensor([ids])
        row = model(input_ids=batch, attention_mask=torch.ones_like(batch)).logits[0]
        rows.append([float(f"{value:.9g}") for value in row.tolist()])
    return rows


class Int8Linear(torch.nn.Module):
    """Apus' int8 product, simulated: weights by output channel, activations by token over their range with 0 in it."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        largest = linear.weight.abs().amax(dim=1, keepdim=True)
        self.scale = torch.where(largest == 0, 1, largest / 127)
        self.weight = torch.clamp(torch.round(linear.weight / self.scale), -127, 127).double()
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels, step = levels_by_token(x)
        product = (levels @ self.weight.T).float() * step * self.scale.T
        return product if self.bias is None else product + self.bias


def int8_attention(module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                   mask: torch.Tensor | None, scaling: float, **_: object) -> tuple[torch.Tensor, None]:
    """Apus' int8 attention, simulated; f32 under INT8_KEYS keys. All are [1, heads, tokens, head]."""
    if key.shape[2] < INT8_KEYS:
        scores = query @ key.transpose(2, 3) * scaling
        weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
        return (weights @ value).transpose(1, 2).contiguous(), None
    levels, step = levels_by_token(query)
    key_step = key.abs().amax(dim=3, keepdim=True) / 127
    value_step = value.abs().amax(dim=2, keepdim=True) / 127
    scores = (levels @ torch.round(key / key_step).double().transpose(2, 3)).float() * step
    scores = scores * key_step.transpose(2, 3) * scaling
    weights = torch.round(65535 * torch.exp(scores - scores.amax(dim=-1, keepdim=True))).double()
    attended = weights @ torch.round(value / value_step).double()
    return (attended.float() * value_step / weights.sum(dim=-1, keepdim=True)).float().transpose(1, 2).contiguous(), None


def levels_by_token(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """u8 over each row's range with 0 in it, less its zero point; and the size of a step."""
    lowest, highest = x.amin(dim=-1, keepdim=True).clamp(max=0), x.amax(dim=-1, keepdim=True).clamp(min=0)
    step = (highest - lowest) / 255
    zero = torch.round(-lowest / step)
    return torch.clamp(torch.round(x / step + zero), 0, 255).double() - zero, step


def quantize_products(model: PreTrainedModel) -> PreTrainedModel:
    """The model with each matrix product in int8, but the last one, onto the labels."""
    AttentionInterface.register("apus_int8", int8_attention)
    AttentionMaskInterface.register("apus_int8", eager_mask)
    if model.config.model_type not in ("mpnet", "deberta-v2"):
        model.set_attn_implementation("apus_int8")
    return quantize_linear_layers(model)


def quantize_linear_layers(model: PreTrainedModel) -> PreTrainedModel:
    """The same, but attention, which is f32 under INT8_KEYS keys: for any architecture."""
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear) and name not in ("classifier", "classifier.out_proj"):
            model.set_submodule(name, Int8Linear(module))
    return model


def write_case(case: Case, directory: Path, seed: int) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    seed = case.seed or seed
    model = random_model(case.config, seed, matrix=0.2, bias=0.2, norm=0.2).to(case.dtype)
    if case.int8_format:
        tensors = int8_checkpoint.quantize({name: value.numpy() for name, value in model.state_dict().items()})
        model.load_state_dict({name: torch.from_numpy(value) for name, value in int8_checkpoint.dequantize(tensors).items()})
    model.save_pretrained(directory)
    if case.pickle:
        (directory / "model.safetensors").unlink()
        torch.save(case.pickle(model), directory / "pytorch_model.bin")
    if case.config.model_type == "roberta":
        write_tiny_roberta_tokenizer(directory, case.config.vocab_size)
    else:
        write_tiny_bert_tokenizer(directory, case.config.vocab_size)
    if case.config.model_type not in ("roberta", "bert"):
        # The class says how the older files would be read; these have the newer one.
        BertTokenizer.from_pretrained(directory).save_pretrained(directory)
        (directory / "vocab.txt").unlink(missing_ok=True)

    loaded = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32,
                                                                attn_implementation="eager").eval()
    for name, value in model.state_dict().items():
        assert torch.equal(value.float(), loaded.state_dict()[name]), name
    if case.int8_format:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        int8_checkpoint.write(directory, tensors, config, first_format=case.int8_format == "apus")
    generator = random.Random(seed)
    inputs = [random_ids(length, case.config, generator) for length in case.lengths]
    inputs += [case.last_input] if case.last_input else []
    tokenizer = AutoTokenizer.from_pretrained(directory)
    texts = [{"text": text, "ids": tokenizer(text)["input_ids"]} for text in TEXTS]
    reference = {"notes": case.notes, "inputs": inputs, "logits": logits(loaded, inputs),
                 "int8_logits": logits(quantize_products(loaded), inputs), "texts": texts}
    (directory / "reference.json").write_text(json.dumps(reference, ensure_ascii=False, separators=(",", ":")) + "\n",
                                              encoding="utf-8")


def random_ids(length: int, config: PreTrainedConfig, generator: random.Random) -> list[int]:
    """Any ids but the padding's, which would change RoBERTa's positions."""
    allowed = [i for i in range(config.vocab_size) if i != config.pad_token_id]
    return [generator.choice(allowed) for _ in range(length)]


def write_tiny_bert_tokenizer(directory: Path, size: int) -> None:
    """vocab.txt alone, as BERT's first checkpoints have it."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters),
              *".,:!?@'", "good", "bad", "love", "not", "the", "end", "user", "http", "##ve", "##ood", "no", "it",
              "but"]
    filler = [f"filler{number}" for number in range(size - len(tokens))]
    (directory / "vocab.txt").write_text("".join(token + "\n" for token in [*tokens, *filler]), encoding="utf-8")


def write_tiny_roberta_tokenizer(directory: Path, size: int) -> None:
    """vocab.json, merges.txt and special_tokens_map.json: the 256 bytes, a few merges, and filler before <mask>."""
    merges = ["Ġ t", "h e", "Ġt he", "o o", "g oo", "goo d", "Ġ i", "Ġi t", "l o", "lo v", "Ġ lov", "Ġlov e", "i n",
              "Ġ n", "Ġn o", ". ."]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *byte_symbols(), *(merge.replace(" ", "") for merge in merges)]
    filler = [f"filler{number}" for number in range(size - len(tokens) - 1)]
    vocabulary = {token: number for number, token in enumerate([*tokens, *filler, "<mask>"])}
    (directory / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (directory / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    (directory / "special_tokens_map.json").write_text(json.dumps(ROBERTA_SPECIAL_TOKENS), encoding="utf-8")


def byte_symbols() -> list[str]:
    """GPT-2's: a printable byte is itself, the others follow from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(0x100 + number) for number in range(len(others))]
