#!/usr/bin/env bash
# Half an hour at full load with swaps, hang-ups and bad input, under which memory may not grow and nothing
# may fail that was not made to: deploy/soak.sh [--minutes N] [--clients N]
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --release -p gateway-server
cargo run --locked --release -p acceptance --bin soak -- "$@"
