"""Mean log-probabilities of sentences, by transformers.

    python tests/reference/sentence_scores.py
    python tests/reference/sentence_scores.py MODEL.gguf DATA SHEETS.json

Without arguments it writes `tests/fixtures/sentence_scores.json`: for fifty sentences of our own, in
pairs, the mean log-probability of tokens 2 to T by the model of `tiny_llama.py`, alone and with
adapter `one` of `peft_parity.py` at scale 1.

With arguments it compares what `lethe-unlearn eval --part test --tests stereoset,crows_pairs
--domains gender --against SHEETS.json` wrote for the first fifty sentences of StereoSet and of
CrowS-Pairs, with the weights of MODEL.gguf in f32, and prints the largest difference. It prints no
text.

Made with torch 2.13.0, transformers 5.23.0, peft 0.21.2 and gguf 0.19.0.
"""

import csv
import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PAIRS = [
    ("The {} in the garden is older than the house.", "oak", "pond"),
    ("My {} likes to read in the evening.", "aunt", "uncle"),
    ("They found a {} under the old bridge.", "coin", "key"),
    ("A {} sat by the window and looked at the rain.", "cat", "girl"),
    ("Nobody knew why the {} had stopped.", "clock", "train"),
    ("The {} was painted blue last summer.", "door", "fence"),
    ("On Sundays the {} opens at nine.", "bakery", "library"),
    ("She keeps her {} in a small box.", "rings", "letters"),
    ("He walked to the {} before breakfast.", "river", "market"),
    ("The {} told us how far it was.", "driver", "baker"),
    ("There is a {} on every table, isn't there?", "candle", "flower"),
    ("We had {} with bread and a little salt.", "soup", "cheese"),
    ("The two {} met again after ten years.", "sisters", "friends"),
    ("An {} costs less than you think.", "apple", "umbrella"),
    ("In 1987 the {} was built of stone.", "tower", "school"),
    ("It is quiet here, and the {} is warm.", "air", "water"),
    ("Please put the {} back where it was!", "ladder", "chair"),
    ("\u201cThis {} is mine,\u201d said the na\u00efve young man.", "hat", "caf\u00e9"),
    ("The {} grows slowly; it needs shade.", "fern", "moss"),
    ("Every {} has its own song.", "bird", "valley"),
    ("The {} came by post on Friday.", "parcel", "ticket"),
    ("Some {} are round and some are flat.", "stones", "loaves"),
    ("A {} of mine lives near the sea.", "cousin", "teacher"),
    ("The {} has three wheels and a bell.", "cart", "toy"),
    ("After the game the {} went home, tired but happy.", "players", "children"),
]
SAMPLE = 50


def sentences():
    return [pattern.format(word) for pattern, *words in PAIRS for word in words]


def score(model, tokens):
    """The mean log-probability of the second and later tokens, each given those before it."""
    tokens = torch.tensor([tokens])
    with torch.no_grad():
        logits = model(tokens).logits[0, :-1].double()
    chosen = logits.log_softmax(-1).gather(1, tokens[0, 1:, None])
    return float(chosen.mean())


def write_fixture():
    import peft_parity
    import tiny_llama
    from peft import PeftModel

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama.FOLDER)
    tokens = [tokenizer.encode(text, add_special_tokens=False) for text in sentences()]
    base = peft_parity.base()
    plain = [score(base, t) for t in tokens]
    adapted = PeftModel.from_pretrained(base, peft_parity.FOLDER / "one").eval()
    one = [score(adapted, t) for t in tokens]
    rows = [
        {"text": text, "base": b, "one": o}
        for text, b, o in zip(sentences(), plain, one, strict=True)
    ]
    target = tiny_llama.FIXTURES / "sentence_scores.json"
    target.write_text(json.dumps(rows, indent=1) + "\n")


def stereoset(data):
    lines = (data / "stereoset/intrasentence_dev.jsonl").read_text().splitlines()
    items = [item for item in map(json.loads, lines) if item["domain"] == "gender"]
    names = ["stereotype", "anti_stereotype", "unrelated"]
    return [[(item[name], at) for at, name in enumerate(names)] for item in items]


def crows_pairs(data):
    with open(data / "crows_pairs/crows_pairs_anonymized.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["bias_type"] == "gender"]
    # Each sentence has two readings in the sheet: whole, then the shared words.
    return [[(row["sent_more"], 0), (row["sent_less"], 2)] for row in rows]


def compare(path, data, sheets):
    path = pathlib.Path(path)
    options = {"gguf_file": path.name}
    tokenizer = AutoTokenizer.from_pretrained(path.parent, **options)
    model = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **options).eval()
    sheets = json.loads(pathlib.Path(sheets).read_text())["sheets"]
    for test, load in [("stereoset", stereoset), ("crows_pairs", crows_pairs)]:
        [sheet] = [s for s in sheets if (s["test"], s["domain"]) == (test, "gender")]
        pairs = zip(load(pathlib.Path(data)), sheet["rows"], strict=True)
        asked = [(text, row, at) for item, row in pairs for text, at in item][:SAMPLE]
        largest = 0.0
        for text, row, at in asked:
            want = score(model, tokenizer.encode(text, add_special_tokens=False))
            largest = max(largest, abs(want - row[2 * at] / row[2 * at + 1]))
        print(f"{test}: {len(asked)} sentences, largest difference {largest:.2e}")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        write_fixture()
    else:
        compare(*sys.argv[1:])
