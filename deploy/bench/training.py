"""Training speed beside PyTorch with PEFT: the same job, model, batch and threads, in turns.

    cargo build --release -p unlearn
    python deploy/bench/training.py target/release/lethe-unlearn MODEL.gguf

A step is 6 texts of 48 tokens of which the last 12 are pushed down, and 4 texts of 48 that stay
close to the base model (KL at half the positions), with a rank-8 adapter on all seven projections,
in f32. Both compute logits at the positions that a loss needs and nowhere else. Speed does not
depend on what a text says, so tokens are random. Made with torch 2.13.0, transformers 5.23.0 and
peft 0.21.2.
"""

import os
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

FORGET, RETAIN, TOKENS, MASKED, STEPS, ROUNDS = 6, 4, 48, 12, 5, 5
THREADS = int(os.environ.get("THREADS", "2"))


def peer(gguf):
    """A function that times STEPS steps and gives tokens a second."""
    torch.set_num_threads(THREADS)
    folder, file = os.path.split(gguf)
    base = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    base.requires_grad_(False)
    projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules=projections))
    weights = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.0)
    decoder, head = model.get_base_model().model, model.get_base_model().lm_head
    generator = torch.Generator().manual_seed(0)
    vocabulary = base.config.vocab_size
    forget = torch.randint(0, vocabulary, (FORGET, TOKENS), generator=generator)
    retain = torch.randint(0, vocabulary, (RETAIN, TOKENS), generator=generator)

    def hidden(tokens):
        return decoder(input_ids=tokens, use_cache=False).last_hidden_state

    def step():
        optimiser.zero_grad()
        logits = head(hidden(forget)[:, -MASKED - 1 : -1])
        likelihood = -F.cross_entropy(logits.flatten(0, 1), forget[:, -MASKED:].flatten())
        (0.2 * likelihood).backward()
        kept = torch.randperm(RETAIN * (TOKENS - 1))[: RETAIN * (TOKENS - 1) // 2]
        with torch.no_grad(), model.disable_adapter():
            reference = F.softmax(head(hidden(retain)[:, :-1].flatten(0, 1)[kept]), -1)
        logits = head(hidden(retain)[:, :-1].flatten(0, 1)[kept])
        kl = F.kl_div(F.log_softmax(logits, -1), reference, reduction="batchmean")
        (2.0 * kl).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()

    def timed():
        started = time.perf_counter()
        for _ in range(STEPS):
            step()
        return STEPS * (FORGET + RETAIN) * TOKENS / (time.perf_counter() - started)

    step()
    return timed


def ours(program, gguf):
    environment = os.environ | {"RAYON_NUM_THREADS": str(THREADS)}
    arguments = [program, "bench", "--model", gguf, "--steps", str(STEPS)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0])


def main():
    program, gguf = sys.argv[1:]
    timed = peer(gguf)
    pairs = [(ours(program, gguf), timed()) for _ in range(ROUNDS)]
    for name, speeds in zip(("lethe", "PyTorch + PEFT"), zip(*pairs)):
        print(f"{name}: {statistics.median(speeds):.1f} tokens/s")
    ratios = sorted(one / other for one, other in pairs)
    print(f"ratio: median {statistics.median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}")


main()
