"""Mean log-probabilities of sentences with the adapters that come with Lethe, by PEFT.

    python tests/reference/shipped_scores.py MODEL.gguf

Writes `tests/fixtures/shipped_scores.json`: for the first sentences of `sentence_scores.py`, the mean
log-probability of tokens 2 to T by the default model, in f32 from the dequantised file, alone and
with each adapter at scale 1.

Made with torch 2.15.0, transformers 5.24.0, peft 0.21.2 and gguf 0.19.0.
"""

import json
import pathlib
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from sentence_scores import score, sentences

ROOT = pathlib.Path(__file__).parents[2]
SHIPPED = ROOT / "adapters/shipped/smollm2-135m-instruct"
SENTENCES = 8


def main(path):
    path = pathlib.Path(path)
    options = {"gguf_file": path.name}
    tokenizer = AutoTokenizer.from_pretrained(path.parent, **options)
    model = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **options).eval()
    texts = sentences()[:SENTENCES]
    tokens = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    scores = {"base": [score(model, t) for t in tokens]}
    for config in sorted(SHIPPED.glob("*/adapter_config.json")):
        adapted = PeftModel.from_pretrained(model, config.parent).eval()
        scores[config.parent.name] = [score(adapted, t) for t in tokens]
        model = adapted.unload()
    target = ROOT / "tests/fixtures/shipped_scores.json"
    target.write_text(json.dumps({"texts": texts, "scores": scores}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
