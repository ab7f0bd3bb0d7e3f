#!/usr/bin/env bash
# llama.cpp's server for the lane "upstream" of deploy/slow.sh, with the adapters gender.gguf and race.gguf of the
# folder LETHE_LLAMA_ADAPTERS. LETHE_LLAMA_SERVER is the program, LETHE_GGUF_MODEL the model; the port is $1.
set -euo pipefail
exec "$LETHE_LLAMA_SERVER" -m "$LETHE_GGUF_MODEL" --host 127.0.0.1 --port "$1" -np 2 -c 4096 --cache-ram 0 --offline --no-webui \
    --lora "$LETHE_LLAMA_ADAPTERS/gender.gguf,$LETHE_LLAMA_ADAPTERS/race.gguf" --lora-init-without-apply
