"""Writes the hermetic test model: a random Llama of 80,000 weights, as a Hugging Face folder and as GGUF.

    python tests/reference/tiny_llama.py

Made with torch 2.13.0, transformers 5.23.0, tokenizers 0.23.3 and gguf 0.19.0. The weights are
seeded noise: the model has the structure of a real one (grouped-query attention, tied embeddings,
ChatML, byte-level BPE) and says nothing. Every norm is noise too, so that none can be left out
unnoticed.
"""

import json
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FOLDER = FIXTURES / "tiny-llama"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CONFIG = LlamaConfig(
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    vocab_size=len(SPECIAL) + 256,
    max_position_embeddings=512,
    rms_norm_eps=1e-5,
    rope_theta=10000.0,
    tie_word_embeddings=True,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=2,
)


def model():
    """The model, with weights that depend on nothing but the seed."""
    torch.manual_seed(20261124)
    model = LlamaForCausalLM(CONFIG).eval()
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape)
            weight.copy_(1 + 0.2 * noise if "norm" in name else 0.12 * noise)
    return model


def byte_characters():
    """The printable character that GPT-2's byte-level BPE writes for each byte, in byte order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (c for c in range(256, 512))
    return [chr(b) if b in printable else chr(next(others)) for b in range(256)]


def vocabulary():
    return SPECIAL + byte_characters()


def write_tokenizer():
    """One token a byte, digits split off one by one as SmolLM2 does; there are no merges."""
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(vocabulary())}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(FOLDER / "tokenizer.json"))
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2],
        "pad_token": SPECIAL[2],
        "unk_token": SPECIAL[0],
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONFIG.max_position_embeddings,
        "chat_template": CHAT_TEMPLATE,
    }
    (FOLDER / "tokenizer_config.json").write_text(json.dumps(described, indent=2) + "\n")


def interleaved(weight, heads):
    """Rows of a query or key projection in GGUF's order: the two halves of each head interleaved."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def gguf_tensors(weights):
    """GGUF's name and values of every tensor."""
    names = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    heads = {"attn_q": CONFIG.num_attention_heads, "attn_k": CONFIG.num_key_value_heads}
    yield "token_embd.weight", weights["model.embed_tokens.weight"]
    for layer in range(CONFIG.num_hidden_layers):
        for module, name in names.items():
            weight = weights[f"model.layers.{layer}.{module}.weight"]
            weight = interleaved(weight, heads[name]) if name in heads else weight
            yield f"blk.{layer}.{name}.weight", weight
    yield "output_norm.weight", weights["model.norm.weight"]


def write_gguf(weights):
    writer = gguf.GGUFWriter(FIXTURES / "tiny-llama.gguf", "llama")
    writer.add_name("tiny-llama")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(CONFIG.max_position_embeddings)
    writer.add_embedding_length(CONFIG.hidden_size)
    writer.add_block_count(CONFIG.num_hidden_layers)
    writer.add_feed_forward_length(CONFIG.intermediate_size)
    writer.add_head_count(CONFIG.num_attention_heads)
    writer.add_head_count_kv(CONFIG.num_key_value_heads)
    writer.add_layer_norm_rms_eps(CONFIG.rms_norm_eps)
    writer.add_rope_dimension_count(CONFIG.head_dim)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(CONFIG.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary())
    kinds = [gguf.TokenType.CONTROL] * len(SPECIAL) + [gguf.TokenType.NORMAL] * 256
    writer.add_token_types(kinds)
    # No `tokenizer.ggml.merges`: there are none, and GGUF tools do not write an empty list.
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    for name, weight in gguf_tensors(weights):
        writer.add_tensor(name, np.ascontiguousarray(weight, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    tiny = model()
    tiny.save_pretrained(FOLDER)
    write_tokenizer()
    write_gguf({name: weight.numpy() for name, weight in tiny.state_dict().items()})


if __name__ == "__main__":
    main()
