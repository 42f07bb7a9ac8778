"""The shapes of the checkpoints that people use, one of each architecture, with random weights."""

from __future__ import annotations

from transformers import (AlbertConfig, CamembertConfig, DebertaV2Config, DistilBertConfig, ElectraConfig, ModernBertConfig,
                          MPNetConfig, PreTrainedConfig, XLMRobertaConfig)

from reference_models import label_maps

# As config.json has them on the Hub; what is not here is the class's default, 12 layers of 768 for most.
SHAPES: dict[str, PreTrainedConfig] = {
    "distilbert-base": DistilBertConfig(**label_maps(2)),
    "xlm-roberta-base": XLMRobertaConfig(vocab_size=250002, max_position_embeddings=514, type_vocab_size=1,
                                         layer_norm_eps=1e-5, **label_maps(3)),
    "camembert-base": CamembertConfig(vocab_size=32005, max_position_embeddings=514, type_vocab_size=1,
                                      layer_norm_eps=1e-5, **label_maps(2)),
    "electra-base": ElectraConfig(embedding_size=768, hidden_size=768, num_attention_heads=12, intermediate_size=3072,
                                  **label_maps(2)),
    "mpnet-base": MPNetConfig(vocab_size=30527, max_position_embeddings=514, layer_norm_eps=1e-5, **label_maps(3)),
    "albert-base-v2": AlbertConfig(hidden_size=768, num_attention_heads=12, intermediate_size=3072, **label_maps(2)),
    "modernbert-base": ModernBertConfig(**label_maps(3)),
    "deberta-v3-base": DebertaV2Config(vocab_size=128100, relative_attention=True, position_buckets=256,
                                       norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
                                       position_biased_input=False, max_relative_positions=-1, type_vocab_size=0,
                                       pooler_hidden_act="gelu", **label_maps(3)),
}

# Below and above the 64 keys from which attention is int8, beyond ModernBERT's window of 128.
TOKEN_COUNTS = [3, 5, 8, 17, 33, 61, 140]
