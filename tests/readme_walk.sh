#!/usr/bin/env bash
# Runs the README's own commands on a clean clone of what is committed: each fenced block that
# stands below a line `<!-- walk: NAME -->`. Ports 8080 and 8081 must be free.
set -euo pipefail

here=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

git clone --quiet "$here" "$work/lethe"
cd "$work/lethe"

block() {
    awk -v mark="<!-- walk: $1 -->" '
        $0 == mark { wanted = 1; next }
        wanted && /^```/ { if (inside) { exit }; inside = 1; next }
        inside { print; found = 1 }
        END { if (!found) { exit 1 } }
    ' README.md
}

step() { printf '\n== %s ==\n' "$1"; }

step serve
# `exec`, so that the process that is ended below is the gateway itself.
bash -c "exec $(block serve)" &
server=$!
until curl --silent --fail --output /dev/null http://127.0.0.1:8081/readyz; do
    kill -0 "$server" || { echo "the gateway has ended"; exit 1; }
    sleep 1
done

step curl
block curl > "$work/curl.sh"
bash "$work/curl.sh" | tee "$work/reply.json"
python3 - "$work/reply.json" <<'PYTHON'
import json, sys
reply = json.load(open(sys.argv[1]))
applied = [(a["name"], a["scale"]) for a in reply["lethe"]["adapters"]]
assert applied == [("gender", 0.5), ("race", 1.0)], applied
assert reply["choices"][0]["message"]["content"]
PYTHON

step python
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --requirement tests/clients/python/requirements.txt
block python > "$work/chat.py"
"$work/venv/bin/python" "$work/chat.py"

step stop
kill "$server"
wait "$server"
server=

step test
block test > "$work/test.sh"
bash "$work/test.sh"

step "the README holds"
