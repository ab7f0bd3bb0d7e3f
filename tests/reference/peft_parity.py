"""Writes three seeded test adapters with PEFT, and the logits that PEFT gives with them.

    python tests/reference/peft_parity.py

Made with torch 2.13.0, transformers 5.23.0, peft 0.21.2 and safetensors 0.8.0, on the model of
`tiny_llama.py`. The adapters are seeded noise: they test arithmetic and debias nothing.
"""

import json
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

import tiny_llama

FOLDER = tiny_llama.FIXTURES / "adapters"
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "one": {"r": 4, "lora_alpha": 8, "target_modules": ATTENTION + MLP},
    "two": {"r": 8, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"]},
    "three": {"r": 2, "lora_alpha": 16, "target_modules": MLP},
}
WEIGHTS = {"one": 1.0, "two": 0.5, "three": -0.75}
TOKENS = [1, *((37 * i + 11) % 256 + 3 for i in range(30)), 2]


def base():
    return LlamaForCausalLM.from_pretrained(tiny_llama.FOLDER, attn_implementation="eager").eval()


def write_adapter(name, settings, seed):
    model = get_peft_model(base(), LoraConfig(task_type="CAUSAL_LM", **settings))
    torch.manual_seed(seed)
    with torch.no_grad():
        for key, weight in sorted(model.named_parameters()):
            if "lora_" in key:
                weight.copy_(0.1 * torch.randn(weight.shape))
    written = FOLDER / "peft"
    model.save_pretrained(written)
    for file in ["adapter_config.json", "adapter_model.safetensors"]:
        target = FOLDER / name / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(written / file, target)
    shutil.rmtree(written)
    config = FOLDER / name / "adapter_config.json"
    # PEFT writes the folder that the base was read from, and targets in the order of a set.
    config.write_text(canonical(config.read_text()))


def canonical(text):
    config = json.loads(text)
    config["base_model_name_or_path"] = "tiny-llama"
    config["target_modules"] = sorted(config["target_modules"])
    return json.dumps(config, indent=2, sort_keys=True) + "\n"


def with_all():
    first, *rest = ADAPTERS
    model = PeftModel.from_pretrained(base(), FOLDER / first, adapter_name=first)
    for name in rest:
        model.load_adapter(FOLDER / name, adapter_name=name)
    return model.eval()


def scaled(scales):
    """A model with each adapter at its scale: PEFT's `set_scale` on every layer that has it."""
    model = with_all()
    model.base_model.set_adapter(list(scales))
    for module in model.modules():
        if isinstance(module, LoraLayer):
            for name in scales.keys() & module.scaling.keys():
                module.set_scale(name, scales[name])
    return model


def concatenated(scales):
    """The same sum as one adapter: PEFT's concatenation of ranks."""
    model = with_all()
    model.add_weighted_adapter(list(scales), list(scales.values()), "sum", combination_type="cat")
    model.set_adapter("sum")
    return model


@torch.no_grad()
def logits(model):
    return model(torch.tensor([TOKENS])).logits[0].float().contiguous()


def main():
    for seed, (name, settings) in enumerate(ADAPTERS.items()):
        write_adapter(name, settings, seed)
    weighted = logits(scaled(WEIGHTS))
    assert torch.allclose(weighted, logits(concatenated(WEIGHTS)), atol=1e-5, rtol=0), "PEFT disagrees with itself"
    expected = {
        "base": logits(base()),
        "one": logits(scaled({"one": 1.0})),
        "one_negative": logits(scaled({"one": -1.0})),
        "weighted": weighted,
    }
    for name, values in expected.items():
        away = (values - expected["base"]).abs().max().item()
        print(f"{name}: largest logit {values.abs().max():.2f}, largest distance from the base {away:.2f}")
        assert name == "base" or away > 1, f"{name} is too close to the base to test anything"
    tokens = torch.tensor([TOKENS], dtype=torch.float32)
    save_file({"tokens": tokens, **expected}, tiny_llama.FIXTURES / "peft_logits.safetensors")


if __name__ == "__main__":
    main()
