#!/usr/bin/env bash
# What is too slow for .ci/run, a section for each lane. It runs all of them, or those that are named:
# deploy/slow.sh [mistralrs]. A lane that could not run says so, and the script then fails.
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

for lane in "${@:-mistralrs}"; do
    case "$lane" in
    mistralrs) mistralrs ;;
    *) missed+=("$lane: there is no such lane") ;;
    esac
done

for lane in "${missed[@]}"; do echo "NOT RUN: $lane" >&2; done
for lane in "${failed[@]}"; do echo "FAILED: $lane" >&2; done
((${#missed[@]} + ${#failed[@]} == 0))
