"""Small tokenizers of every kind that a classifier may have, made by the libraries that people make theirs with."""

from __future__ import annotations

import io
import itertools
import json
import random
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL_BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SPECIAL_ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]

# Models that number positions from behind the padding's: 514 of them for 512 tokens.
OFFSET = ("camembert", "mpnet")

Texts = list[str]


def multilingual(count: int = 1500, seed: int = 1) -> Texts:
    """Texts in every script of Unicode: words of its letters, with its marks, digits and punctuation among them."""
    generator = random.Random(seed)
    scripts: dict[str, list[str]] = {}
    for value in itertools.chain(range(0x20, 0xD800), range(0xE000, 0x20000)):
        scalar = chr(value)
        name = unicodedata.name(scalar, "")
        if name:
            scripts.setdefault(" ".join(name.split()[:1]), []).append(scalar)
    families = [scalars for scalars in scripts.values() if len(scalars) >= 4]
    common = [scalar for scalar in map(chr, range(0x20, 0x3000)) if unicodedata.category(scalar)[0] in "PZSCM"]
    texts = []
    while len(texts) < count:
        scalars = generator.choice(families)
        words = []
        for _ in range(generator.randint(1, 8)):
            word = "".join(generator.choice(scalars) for _ in range(generator.randint(1, 7)))
            if generator.random() < 0.3:
                word += generator.choice(common)
            if generator.random() < 0.1:
                word += generator.choice("0123456789") * generator.randint(1, 4)
            words.append(word)
        texts.append(generator.choice(["", "", " "]) + generator.choice([" ", " ", "  "]).join(words))
    return texts


def every_scalar() -> Iterator[str]:
    """Each scalar between letters, doubled, and behind and before letters with an accent."""
    for start in range(0, 0x20000, 16):
        scalars = [chr(value) for value in range(start, start + 16) if not 0xD800 <= value <= 0xDFFF]
        if scalars and any(unicodedata.category(scalar) != "Cn" for scalar in scalars):
            yield " ".join(f"a{scalar}b {scalar}e\u0301 1{scalar}" for scalar in scalars)


def write_config(directory: Path, model_type: str, architecture: str, vocabulary: int, **settings: Any) -> None:
    config = {"model_type": model_type, "architectures": [architecture], "hidden_size": 32, "intermediate_size": 64,
              "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": vocabulary,
              "max_position_embeddings": 514 if "roberta" in model_type or model_type in OFFSET else 512,
              "type_vocab_size": 2, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "pad_token_id": 1, **settings}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")


def write(directory: Path, name: str, content: Any) -> None:
    (directory / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


# Trained parts

def train_wordpiece(texts: Texts) -> dict[str, int]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(
        vocab_size=3000, special_tokens=SPECIAL_BERT, limit_alphabet=1500, show_progress=False))
    return tokenizer.get_vocab()


def train_byte_level(texts: Texts) -> models.BPE:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=3000, special_tokens=SPECIAL_ROBERTA, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer.model


def train_sentencepiece(texts: Texts, path: Path, **options: Any) -> None:
    model = io.BytesIO()
    settings = {"vocab_size": 8000, "character_coverage": 0.98, "hard_vocab_limit": False, "minloglevel": 2}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(texts), model_writer=model, **(settings | options))
    path.write_bytes(model.getvalue())


def charsmap(path: Path) -> bytes:
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(path.read_bytes())
    return proto.normalizer_spec.precompiled_charsmap


def save(directory: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(str(directory / "tokenizer.json"))


# Kinds: each fills a directory

class Kinds:
    """The makers of directories, by name; what they train is trained once."""

    def __init__(self, texts: Texts, folder: Path):
        self.texts = texts
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.wordpiece = train_wordpiece(texts)
        self.byte_level = train_byte_level(texts)
        for name, options in {
            "unigram": {}, "unigram-identity": {"normalization_rule_name": "identity"},
            "unigram-bytes": {"byte_fallback": True},
            "bpe": {"model_type": "bpe"}, "nmt": {"normalization_rule_name": "nmt_nfkc_cf"},
            "albert": {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]"],
                       "user_defined_symbols": ["[MASK]", "(", ")"]},
            "deberta": {"pad_id": 0, "unk_id": 3, "bos_id": 1, "eos_id": 2, "unk_piece": "[UNK]", "bos_piece": "[CLS]",
                        "eos_piece": "[SEP]", "pad_piece": "[PAD]"},
        }.items():
            train_sentencepiece(texts, folder / f"{name}.model", **options)

    def names(self) -> list[str]:
        return sorted(name.removeprefix("make_").replace("_", "-") for name in dir(self) if name.startswith("make_"))

    def make(self, name: str, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        getattr(self, "make_" + name.replace("-", "_"))(directory)

    # BERT's class, with all the settings that it has

    def vocabulary(self, directory: Path) -> None:
        ordered = sorted(self.wordpiece, key=self.wordpiece.get)
        (directory / "vocab.txt").write_text("".join(f"{token}\n" for token in ordered), encoding="utf-8")

    def bert(self, directory: Path, settings: dict | None = None, normalizer: Any = None, model_type: str = "bert",
             architecture: str = "BertForSequenceClassification", json_file: bool = True) -> None:
        write_config(directory, model_type, architecture, 4000)
        if json_file:
            tokenizer = Tokenizer(models.WordPiece(self.wordpiece, unk_token="[UNK]"))
            tokenizer.normalizer = normalizer or normalizers.BertNormalizer()
            tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
            tokenizer.post_processor = processors.TemplateProcessing(
                single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
                special_tokens=[("[CLS]", self.wordpiece["[CLS]"]), ("[SEP]", self.wordpiece["[SEP]"])])
            tokenizer.add_special_tokens(SPECIAL_BERT)
            save(directory, tokenizer)
        else:
            self.vocabulary(directory)
        if settings is not None:
            write(directory, "tokenizer_config.json", settings)

    def make_bert_vocabulary(self, directory: Path) -> None:
        self.bert(directory, json_file=False)

    def make_bert_vocabulary_cased(self, directory: Path) -> None:
        self.bert(directory, {"do_lower_case": False, "strip_accents": True}, json_file=False)

    def make_bert_vocabulary_chinese(self, directory: Path) -> None:
        self.bert(directory, {"tokenize_chinese_chars": False, "strip_accents": False}, json_file=False)

    def make_bert_json(self, directory: Path) -> None:
        self.bert(directory)

    def make_bert_json_cased_in_json_only(self, directory: Path) -> None:
        self.bert(directory, normalizer=normalizers.BertNormalizer(lowercase=False))

    def make_bert_json_config_says_cased(self, directory: Path) -> None:
        self.bert(directory, {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False})

    def make_bert_json_generic_cased(self, directory: Path) -> None:
        self.bert(directory, {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": True},
                  normalizers.BertNormalizer(lowercase=False))

    def make_bert_model_max_length(self, directory: Path) -> None:
        self.bert(directory, {"model_max_length": 9})

    def make_bert_left(self, directory: Path) -> None:
        self.bert(directory, {"model_max_length": 12, "truncation_side": "left"}, json_file=False)

    def make_bert_left_in_json(self, directory: Path) -> None:
        self.bert(directory, {"model_max_length": 12})
        tokenizer = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
        tokenizer["truncation"] = {"direction": "Left", "max_length": 512, "strategy": "LongestFirst", "stride": 0}
        write(directory, "tokenizer.json", tokenizer)

    def make_distilbert(self, directory: Path) -> None:
        self.bert(directory, {"tokenizer_class": "DistilBertTokenizer", "model_max_length": int(1e30)}, None, "distilbert",
                  "DistilBertForSequenceClassification")

    def make_electra(self, directory: Path) -> None:
        self.bert(directory, {"tokenizer_class": "ElectraTokenizerFast"}, None, "electra",
                  "ElectraForSequenceClassification", json_file=False)

    def make_bert_added_tokens_file(self, directory: Path) -> None:
        self.bert(directory, json_file=False)
        write(directory, "added_tokens.json", {"Cool-TOKEN": 3000, "<e>": 3001, "good": 3002, "naïve": 3003})
        write(directory, "special_tokens_map.json", {
            "cls_token": "[CLS]", "additional_special_tokens": ["<e>", "<User>"],
            "mask_token": {"content": "[MASK]", "lstrip": True, "rstrip": True, "normalized": True, "single_word": False}})

    def make_bert_added_tokens_decoder(self, directory: Path) -> None:
        added = {str(self.wordpiece[token]): {"content": token, "lstrip": False, "rstrip": False, "normalized": False,
                                              "single_word": False, "special": True} for token in SPECIAL_BERT}
        added["3000"] = {"content": "Wordy", "lstrip": True, "rstrip": True, "normalized": True, "single_word": True,
                         "special": False}
        added["3001"] = {"content": "ÉÉ", "lstrip": False, "rstrip": True, "normalized": False, "single_word": True,
                         "special": False}
        self.bert(directory, {"added_tokens_decoder": added, "tokenizer_class": "BertTokenizer"}, json_file=False)

    def make_bert_other_special_tokens(self, directory: Path) -> None:
        self.bert(directory, {"cls_token": "[SEP]", "sep_token": "[CLS]", "unk_token": "[PAD]",
                              "additional_special_tokens": ["[extra]"]}, json_file=False)

    def make_mpnet(self, directory: Path) -> None:
        self.bert(directory, None, None, "mpnet", "MPNetForSequenceClassification", json_file=False)
        words = (directory / "vocab.txt").read_text(encoding="utf-8")
        (directory / "vocab.txt").write_text("<s>\n<pad>\n</s>\n" + words + "<mask>\n", encoding="utf-8")

    # tokenizer.json taken as it is

    def generic(self, directory: Path, tokenizer: Tokenizer, cls: str = "[CLS]", sep: str = "[SEP]",
                settings: dict | None = None, processor: Any = None) -> None:
        write_config(directory, "modernbert", "ModernBertForSequenceClassification", 20000)
        tokenizer.post_processor = processor or processors.TemplateProcessing(
            single=f"{cls} $A {sep}", pair=f"{cls} $A {sep} $B:1 {sep}:1",
            special_tokens=[(cls, tokenizer.token_to_id(cls)), (sep, tokenizer.token_to_id(sep))])
        save(directory, tokenizer)
        write(directory, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"} | (settings or {}))

    def words(self, directory: Path, normalizer: Any = None, splitter: Any = None, **options: Any) -> None:
        """A WordPiece tokenizer with stages of its own."""
        tokenizer = Tokenizer(models.WordPiece(self.wordpiece, unk_token="[UNK]", max_input_chars_per_word=100))
        if normalizer:
            tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = splitter or pre_tokenizers.BertPreTokenizer()
        tokenizer.add_special_tokens(SPECIAL_BERT)
        self.generic(directory, tokenizer, **options)

    def make_words_sequence(self, directory: Path) -> None:
        self.words(directory, normalizers.Sequence(
            [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]))

    def make_words_nfkd(self, directory: Path) -> None:
        self.words(directory, normalizers.Sequence([normalizers.NFKD(), normalizers.Strip(), normalizers.Lowercase()]),
                   pre_tokenizers.Whitespace())

    def make_words_nfkc(self, directory: Path) -> None:
        self.words(directory, normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(left=True, right=False)]),
                   pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(True),
                                            pre_tokenizers.Punctuation("merged_with_previous")]))

    def make_words_nfc(self, directory: Path) -> None:
        self.words(directory, normalizers.Sequence([normalizers.Nmt(), normalizers.NFC()]),
                   pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(False),
                                            pre_tokenizers.Punctuation("merged_with_next")]))

    def make_words_nfd(self, directory: Path) -> None:
        self.words(directory, normalizers.NFD(), pre_tokenizers.Sequence(
            [pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.CharDelimiterSplit(" ")]))

    def make_words_replace(self, directory: Path) -> None:
        self.words(directory, normalizers.Sequence([
            normalizers.Replace("ing", "in"), normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Replace(Regex(r"x{2,}"), "x"), normalizers.Replace(Regex(r"[.!]{3,}"), "…"),
            normalizers.Prepend("the ")]),
            pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\p{L}+|[^\s\p{L}]+"), "removed", invert=True),
                                     pre_tokenizers.Punctuation("removed")]))

    def make_words_split(self, directory: Path) -> None:
        self.words(directory, None, pre_tokenizers.Sequence([
            pre_tokenizers.Split(" ", "removed"), pre_tokenizers.Split(Regex(r"\d"), "merged_with_previous"),
            pre_tokenizers.Split(Regex(r"[\p{P}\p{M}]"), "contiguous"), pre_tokenizers.Split("e", "merged_with_next")]))

    def make_words_added_tokens(self, directory: Path) -> None:
        tokenizer = Tokenizer(models.WordPiece(self.wordpiece, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.add_special_tokens([AddedToken("[CLS]", normalized=False), AddedToken("[SEP]", rstrip=True),
                                      AddedToken("[MASK]", lstrip=True, rstrip=True)])
        tokenizer.add_tokens(["Good", "MORNING", "café", "a", AddedToken("The", single_word=True),
                              AddedToken("@user", lstrip=True, normalized=False), AddedToken("n't", rstrip=True)])
        self.generic(directory, tokenizer)

    def make_words_roberta_template(self, directory: Path) -> None:
        self.words(directory, normalizers.BertNormalizer(), processor=processors.Sequence(
            [processors.ByteLevel(), processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2))]))

    def make_words_bert_template(self, directory: Path) -> None:
        self.words(directory, normalizers.BertNormalizer(), processor=processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)))

    def make_word_level(self, directory: Path) -> None:
        tokenizer = Tokenizer(models.WordLevel(
            {token: number for number, token in enumerate(sorted(self.wordpiece, key=self.wordpiece.get))}, "[UNK]"))
        tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        self.generic(directory, tokenizer)

    # Byte-pair encoding

    def byte_level_files(self, directory: Path) -> None:
        self.byte_level.save(str(directory))

    def make_roberta_files(self, directory: Path) -> None:
        write_config(directory, "roberta", "RobertaForSequenceClassification", 3000)
        self.byte_level_files(directory)

    def make_roberta_files_prefix_space(self, directory: Path) -> None:
        write_config(directory, "roberta", "RobertaForSequenceClassification", 3000)
        self.byte_level_files(directory)
        write(directory, "tokenizer_config.json", {"add_prefix_space": True, "model_max_length": 40})
        write(directory, "special_tokens_map.json", {"mask_token": {
            "content": "<mask>", "single_word": False, "lstrip": True, "rstrip": False, "normalized": False}})

    def byte_level_tokenizer(self, splitter: Any, normalizer: Any = None) -> Tokenizer:
        tokenizer = Tokenizer(self.byte_level)
        tokenizer.pre_tokenizer = splitter
        if normalizer:
            tokenizer.normalizer = normalizer
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(SPECIAL_ROBERTA)
        return tokenizer

    def make_roberta_json(self, directory: Path) -> None:
        tokenizer = self.byte_level_tokenizer(pre_tokenizers.ByteLevel(add_prefix_space=True))
        self.generic(directory, tokenizer, "<s>", "</s>", {"tokenizer_class": "RobertaTokenizer"},
                     processors.RobertaProcessing(("</s>", 2), ("<s>", 0)))
        write_config(directory, "roberta", "RobertaForSequenceClassification", 3000)

    def make_byte_level_generic(self, directory: Path) -> None:
        self.generic(directory, self.byte_level_tokenizer(pre_tokenizers.ByteLevel(add_prefix_space=True)), "<s>", "</s>")

    def make_modernbert_like(self, directory: Path) -> None:
        self.generic(directory, self.byte_level_tokenizer(
            pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC()), "<s>", "</s>")

    def make_byte_level_normalizer(self, directory: Path) -> None:
        self.generic(directory, self.byte_level_tokenizer(
            pre_tokenizers.WhitespaceSplit(), normalizers.Sequence([normalizers.NFC(), normalizers.ByteLevel()])),
            "<s>", "</s>")

    def make_byte_level_cl100k(self, directory: Path) -> None:
        pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                   r"|\s*[\r\n]+|\s+(?!\S)|\s+")
        self.generic(directory, self.byte_level_tokenizer(pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])), "<s>", "</s>")

    def make_byte_level_possessive(self, directory: Path) -> None:
        pattern = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s*[\r\n]"
                   r"|\s+(?!\S)|\s")
        self.generic(directory, self.byte_level_tokenizer(pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])), "<s>", "</s>")

    def characters(self, directory: Path, trainer: dict, model: dict, splitter: Any, **options: Any) -> None:
        tokenizer = Tokenizer(models.BPE(**model))
        tokenizer.pre_tokenizer = splitter
        tokenizer.train_from_iterator(self.texts, trainers.BpeTrainer(
            vocab_size=2500, limit_alphabet=800, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False, **trainer))
        self.generic(directory, tokenizer, **options)

    def make_bpe_suffix(self, directory: Path) -> None:
        self.characters(directory, {"end_of_word_suffix": "</w>"}, {"unk_token": "[UNK]", "end_of_word_suffix": "</w>"},
                        pre_tokenizers.Whitespace())

    def make_bpe_prefix_fused(self, directory: Path) -> None:
        self.characters(directory, {"continuing_subword_prefix": "##"},
                        {"unk_token": "[UNK]", "fuse_unk": True, "continuing_subword_prefix": "##"},
                        pre_tokenizers.WhitespaceSplit())

    def make_bpe_without_unknown(self, directory: Path) -> None:
        self.characters(directory, {}, {}, pre_tokenizers.Whitespace())

    def make_bpe_ignore_merges(self, directory: Path) -> None:
        self.characters(directory, {}, {"unk_token": "[UNK]", "ignore_merges": True}, pre_tokenizers.Metaspace())

    def make_bpe_byte_fallback(self, directory: Path) -> None:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
        tokenizer.train_from_iterator(self.texts[:400], trainers.BpeTrainer(
            vocab_size=1500, limit_alphabet=200, special_tokens=special, show_progress=False, max_token_length=12))
        saved = json.loads(tokenizer.to_str())
        saved["added_tokens"] = saved["added_tokens"][:3]
        self.generic(directory, Tokenizer.from_str(json.dumps(saved)), "<s>", "</s>")

    # Unigram

    def fairseq(self, directory: Path, model_type: str, architecture: str, name: str = "unigram") -> None:
        write_config(directory, model_type, architecture, 20000)
        (directory / "sentencepiece.bpe.model").write_bytes((self.folder / f"{name}.model").read_bytes())

    def make_xlm_roberta_model(self, directory: Path) -> None:
        self.fairseq(directory, "xlm-roberta", "XLMRobertaForSequenceClassification")

    def make_xlm_roberta_model_bpe(self, directory: Path) -> None:
        self.fairseq(directory, "xlm-roberta", "XLMRobertaForSequenceClassification", "bpe")

    def make_xlm_roberta_model_identity(self, directory: Path) -> None:
        self.fairseq(directory, "xlm-roberta", "XLMRobertaForSequenceClassification", "unigram-identity")

    def make_xlm_roberta_model_casefolded(self, directory: Path) -> None:
        self.fairseq(directory, "xlm-roberta", "XLMRobertaForSequenceClassification", "nmt")
        write(directory, "tokenizer_config.json", {"add_prefix_space": False, "mask_token": "<mask>"})

    def make_camembert_model(self, directory: Path) -> None:
        self.fairseq(directory, "camembert", "CamembertForSequenceClassification")

    def resaved(self, directory: Path, make: Callable[[Path], None]) -> None:
        """As Transformers saves what it made of older files."""
        from transformers import AutoTokenizer

        make(directory)
        tokenizer = AutoTokenizer.from_pretrained(directory)
        for file in directory.glob("*.model"):
            file.unlink()
        tokenizer.save_pretrained(directory)

    def make_xlm_roberta_saved(self, directory: Path) -> None:
        self.resaved(directory, self.make_xlm_roberta_model)

    def make_camembert_saved(self, directory: Path) -> None:
        self.resaved(directory, self.make_camembert_model)

    def make_albert_saved(self, directory: Path) -> None:
        self.resaved(directory, self.make_albert_model)

    def make_deberta_saved(self, directory: Path) -> None:
        self.resaved(directory, self.make_deberta_model)

    def make_roberta_saved(self, directory: Path) -> None:
        self.resaved(directory, self.make_roberta_files)

    def make_bert_saved(self, directory: Path) -> None:
        self.resaved(directory, self.make_bert_added_tokens_file)

    def make_mpnet_saved(self, directory: Path) -> None:
        self.resaved(directory, self.make_mpnet)

    def make_albert_model(self, directory: Path) -> None:
        write_config(directory, "albert", "AlbertForSequenceClassification", 20000, embedding_size=16)
        (directory / "spiece.model").write_bytes((self.folder / "albert.model").read_bytes())

    def make_albert_model_cased(self, directory: Path) -> None:
        self.make_albert_model(directory)
        write(directory, "tokenizer_config.json", {"do_lower_case": False, "keep_accents": True})

    def make_deberta_model(self, directory: Path) -> None:
        write_config(directory, "deberta-v2", "DebertaV2ForSequenceClassification", 20000)
        (directory / "spm.model").write_bytes((self.folder / "deberta.model").read_bytes())

    def make_deberta_model_split(self, directory: Path) -> None:
        self.make_deberta_model(directory)
        write(directory, "tokenizer_config.json", {"do_lower_case": True, "split_by_punct": True, "add_prefix_space": False,
                                                   "tokenizer_class": "DebertaV2Tokenizer"})

    def unigram(self, directory: Path, name: str, normalizer: Any, splitter: Any, byte_fallback: bool = False) -> None:
        from sentencepiece import sentencepiece_model_pb2

        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString((self.folder / f"{name}.model").read_bytes())
        tokenizer = Tokenizer(models.Unigram(
            [(piece.piece, piece.score) for piece in proto.pieces], proto.trainer_spec.unk_id, byte_fallback))
        tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = splitter
        tokenizer.add_special_tokens(["<s>", "</s>"])
        self.generic(directory, tokenizer, "<s>", "</s>")

    def make_unigram_whole(self, directory: Path) -> None:
        self.unigram(directory, "unigram", normalizers.Sequence([
            normalizers.Precompiled(charsmap(self.folder / "unigram.model")), normalizers.Strip(left=False, right=True),
            normalizers.Replace(Regex(" {2,}"), "▁")]), pre_tokenizers.Metaspace(split=False))

    def make_unigram_byte_fallback(self, directory: Path) -> None:
        self.unigram(directory, "unigram-bytes", normalizers.NFKC(),
                     pre_tokenizers.Metaspace(prepend_scheme="first"), byte_fallback=True)

    def make_unigram_never(self, directory: Path) -> None:
        self.unigram(directory, "unigram", normalizers.Replace(Regex(r"\A +| +\z"), ""),
                     pre_tokenizers.Metaspace(prepend_scheme="never"))

    # fastBPE

    def fast_bpe(self, directory: Path, settings: dict) -> None:
        """vocab.txt and bpe.codes of the words as BERTweet normalizes them."""
        import emoji
        from transformers.models.bertweet.tokenization_bertweet import BertweetTokenizer, TweetTokenizer

        bertweet = BertweetTokenizer.__new__(BertweetTokenizer)
        bertweet.tweetPreprocessor, bertweet.special_puncts, bertweet.demojizer = TweetTokenizer(), {}, emoji.demojize
        tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.train_from_iterator(
            map(bertweet.normalizeTweet, self.texts[:2300]),
            trainers.BpeTrainer(vocab_size=6000, end_of_word_suffix="</w>", show_progress=False))
        model = json.loads(tokenizer.to_str())["model"]
        tokens = [token.removesuffix("</w>") if token.endswith("</w>") else token + "@@"
                  for token in model["vocab"] if token != "</w>"]
        codes = "".join(f"{left} {right} 1\n" for left, right in model["merges"])
        (directory / "bpe.codes").write_text(codes, encoding="utf-8")
        (directory / "vocab.txt").write_text("".join(f"{token} 5\n" for token in tokens), encoding="utf-8")
        write(directory, "added_tokens.json", {"<mask>": len(set(tokens)) + 4})
        write(directory, "tokenizer_config.json", {"model_max_length": 128} | settings)
        write_config(directory, "roberta", "RobertaForSequenceClassification", 20000)

    def make_bertweet(self, directory: Path) -> None:
        self.fast_bpe(directory, {"tokenizer_class": "BertweetTokenizer", "normalization": True})

    def make_bertweet_plain(self, directory: Path) -> None:
        self.fast_bpe(directory, {"tokenizer_class": "BertweetTokenizer"})

    def make_phobert(self, directory: Path) -> None:
        self.fast_bpe(directory, {"tokenizer_class": "PhobertTokenizer"})
