"""Writes the hermetic test encoders: random BERT-family models of a few thousand weights.

    python tests/reference/tiny_encoders.py
    python tests/reference/tiny_encoders.py FOLDER   # prints the vectors of a real encoder, for
                                                     # gateway/toxicity/examples/parity.rs

Made with torch 2.13.0, transformers 5.23.0 and tokenizers 0.23.3. `tests/fixtures/encoders` gets
three classifiers and a sentence encoder of seeded noise, and `expected.json` with what
transformers computes for each text. Every norm and bias is noise too, so that none can be left
out unnoticed.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "encoders"
TEXTS = [
    "the cat sat on a mat",
    "A Cat, the dog: sat!",
    "zyx wvu",
    "",
    "the dog sat on the cat and the cat sat on the dog and the mat",
]
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
WORDS = ["the", "cat", "sat", "on", "mat", "dog", "and", "##at", "##og", ",", ":", "!"]
BERT_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{c}" for c in LETTERS), *WORDS]
ROBERTA_VOCABULARY = ["<s>", "<pad>", "</s>", "<unk>", *LETTERS, "\u0120", ",", ":", "!"]
LONGEST = 72
TOXIC = ["toxic", "severe_toxic", "obscene", "identity_hate"]
ONE_OF = ["neutral", "hate", "offensive"]


def noisy(model, seed):
    """The model with weights that depend on nothing but the seed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator)
            norm = "norm" in name.lower() and name.endswith("weight")
            weight.copy_(1 + 0.2 * noise if norm else 0.3 * noise)
    return model.eval()


def labels(names, problem):
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: i for i, name in enumerate(names)},
        "problem_type": problem,
    }


def bert_config(**more):
    return BertConfig(
        vocab_size=len(BERT_VOCABULARY),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=LONGEST,
        **more,
    )


def distilbert_config(**more):
    return DistilBertConfig(
        vocab_size=len(BERT_VOCABULARY),
        dim=8,
        hidden_dim=12,
        n_layers=2,
        n_heads=2,
        max_position_embeddings=LONGEST,
        **more,
    )


def roberta_config(**more):
    return RobertaConfig(
        vocab_size=len(ROBERTA_VOCABULARY),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=LONGEST + 2,
        type_vocab_size=1,
        hidden_act="gelu_new",
        **more,
    )


def bert_tokenizer():
    vocabulary = {token: i for i, token in enumerate(BERT_VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(BERT_VOCABULARY[:4])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return tokenizer


def roberta_tokenizer():
    vocabulary = {token: i for i, token in enumerate(ROBERTA_VOCABULARY)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(ROBERTA_VOCABULARY[:4])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def probabilities(model, tokenizer):
    softmax = model.config.problem_type == "single_label_classification"
    with torch.no_grad():
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            assert len(ids) <= LONGEST
            logits = model(input_ids=torch.tensor([ids])).logits[0]
            yield (logits.softmax(-1) if softmax else logits.sigmoid()).tolist()


def mean_vector(model, ids):
    """What sentence-transformers computes: the mean of all tokens, divided by its length."""
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    return torch.nn.functional.normalize(hidden.mean(0), dim=0)


def write_sentence_encoder(folder, tokenizer):
    model = noisy(BertModel(bert_config()), 4)
    model.save_pretrained(folder)
    modules = ["Transformer", "Pooling", "Normalize"]
    paths = ["", "1_Pooling", "2_Normalize"]
    written = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{module}"}
        for i, (module, path) in enumerate(zip(modules, paths))
    ]
    (folder / "modules.json").write_text(json.dumps(written, indent=2) + "\n")
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {
        "word_embedding_dimension": 8,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
    }
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling, indent=2) + "\n")
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in BERT_VOCABULARY))
    return [mean_vector(model, tokenizer.encode(text).ids).tolist() for text in TEXTS]


def write_fixtures():
    bert, roberta = bert_tokenizer(), roberta_tokenizer()
    multi = labels(TOXIC, "multi_label_classification")
    single = labels(ONE_OF, "single_label_classification")
    classifiers = {
        "bert": (BertForSequenceClassification(bert_config(**multi)), bert),
        "distilbert": (DistilBertForSequenceClassification(distilbert_config(**multi)), bert),
        "roberta": (RobertaForSequenceClassification(roberta_config(**single)), roberta),
    }
    expected = {"texts": TEXTS}
    for seed, (name, (model, tokenizer)) in enumerate(classifiers.items()):
        noisy(model, seed).save_pretrained(FOLDER / name)
        tokenizer.save(str(FOLDER / name / "tokenizer.json"))
        expected[name] = list(probabilities(model, tokenizer))
    expected["sentence"] = write_sentence_encoder(FOLDER / "sentence", bert)
    (FOLDER / "expected.json").write_text(json.dumps(expected) + "\n")


def print_vectors(folder):
    """Texts and their vectors, as JSON."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    vectors = [mean_vector(model, tokenizer(text)["input_ids"]).tolist() for text in TEXTS]
    print(json.dumps({"texts": TEXTS, "vectors": vectors}))


if __name__ == "__main__":
    print_vectors(sys.argv[1]) if len(sys.argv) > 1 else write_fixtures()
