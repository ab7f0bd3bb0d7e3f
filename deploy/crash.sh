#!/usr/bin/env bash
# Kills a gateway two hundred times while adapters, keys and the audit log are being changed, and checks
# that nothing that was acknowledged is lost: deploy/crash.sh [--rounds N] [--seed N]
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --release -p gateway-server
cargo run --locked --release -p acceptance --bin crash -- "$@"
