#!/usr/bin/env bash
# What is too slow for .ci/run, a section for each lane. It runs all of them, or those that are named:
# deploy/slow.sh [--installed] [mistralrs] [vllm] [llama]. A lane that could not run says so, and the script then fails,
# unless only lanes were asked for whose servers are installed.
set -uo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/lethe/target}"
missed=()
failed=()

# How many GB are free where builds go.
free_gb() {
    mkdir -p "$CARGO_TARGET_DIR"
    df --output=avail -BG "$CARGO_TARGET_DIR" | tail -1 | tr -dc 0-9
}

# The engine over mistral.rs: 500 packages, about 20 minutes of building on two cores.
mistralrs() {
    if (($(free_gb) < 10)) && [ ! -d "$CARGO_TARGET_DIR/debug/.fingerprint" ]; then
        missed+=("mistralrs: its build needs 10 GB")
        return
    fi
    cargo clippy --locked -p gateway-mistralrs --features mistralrs --all-targets -- -D warnings &&
        cargo test --locked -p gateway-mistralrs --features mistralrs || failed+=(mistralrs)
}

# Waits until $1 answers.
await() {
    for _ in $(seq 300); do
        curl -sf -o /dev/null -m 2 "$1" && return
        sleep 1
    done
    return 1
}

# A gateway before a real server must say what one with an engine of its own says: $1 is the lane, $2 the
# script that starts the server, the rest are settings.
upstream() {
    local lane="$1" start="$2" gateway="$CARGO_TARGET_DIR/release/lethe-gateway" logs
    shift 2
    logs="$(mktemp -d)"
    cargo build --locked --release -p gateway-server -p acceptance || return 1
    "$start" 18311 >"$logs/server" 2>&1 &
    "$gateway" --listen 127.0.0.1:18312 --ops-listen 127.0.0.1:18313 --engine-precision f32 2>"$logs/local" &
    "$gateway" --listen 127.0.0.1:18314 --ops-listen 127.0.0.1:18315 --engine-kind upstream \
        --upstream-servers http://127.0.0.1:18311 "$@" 2>"$logs/upstream" &
    if await http://127.0.0.1:18311/health && await http://127.0.0.1:18313/readyz && await http://127.0.0.1:18315/readyz; then
        "$CARGO_TARGET_DIR/release/agreement" --local http://127.0.0.1:18312 --upstream http://127.0.0.1:18314 \
            --set gender --set race=0.5 --set gender,race --set gender=-1
    else
        echo "$lane: a server did not start; see $logs" >&2
        false
    fi
    local result=$?
    # shellcheck disable=SC2046 # one word each
    kill $(jobs -p)
    wait
    return "$result"
}

vllm() {
    if [ -z "${LETHE_VLLM_PYTHON:-}" ] || [ -z "${LETHE_HF_MODEL:-}" ]; then
        missed+=("vllm: LETHE_VLLM_PYTHON and LETHE_HF_MODEL are not set (deploy/bench/vllm.sh)")
        return
    fi
    upstream vllm deploy/bench/vllm.sh --upstream-model base --upstream-max-rank 32 --upstream-max-adapters 4 || failed+=(vllm)
}

llama() {
    if [ -z "${LETHE_LLAMA_SERVER:-}" ] || [ -z "${LETHE_GGUF_MODEL:-}" ] || [ -z "${LETHE_LLAMA_ADAPTERS:-}" ]; then
        missed+=("llama: LETHE_LLAMA_SERVER, LETHE_GGUF_MODEL and LETHE_LLAMA_ADAPTERS are not set (deploy/bench/llama.sh)")
        return
    fi
    upstream llama deploy/bench/llama.sh --upstream-dialect llama || failed+=(llama)
}

installed=false
if [ "${1:-}" = --installed ]; then
    installed=true
    shift
fi
lanes=("$@")
((${#lanes[@]})) || lanes=(mistralrs vllm llama)
for lane in "${lanes[@]}"; do
    case "$lane" in
    mistralrs | vllm | llama) "$lane" ;;
    *) failed+=("$lane: there is no such lane") ;;
    esac
done

for lane in "${missed[@]}"; do echo "NOT RUN: $lane" >&2; done
for lane in "${failed[@]}"; do echo "FAILED: $lane" >&2; done
if $installed; then missed=(); fi
((${#missed[@]} + ${#failed[@]} == 0))
