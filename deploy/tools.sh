#!/usr/bin/env bash
# Installs what deploy/check.sh knows: from PyPI into the folder $1, and Debian's packages where this is a Debian's
# root. What cannot be had is no fault: the check says what it did without.
set -uo pipefail
cd "$(dirname "$0")"

if ! cmp -s requirements.txt "$1/installed"; then
    rm -rf "$1"
    { python3 -m venv "$1" && "$1/bin/pip" install -q -r requirements.txt && cp requirements.txt "$1/installed"; } ||
        echo "NOT INSTALLED: deploy/requirements.txt" >&2
fi

missing=()
command -v promtool >/dev/null || missing+=(prometheus)
command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 || missing+=(docker-compose)
if ((${#missing[@]})) && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}" >/dev/null; } ||
        echo "NOT INSTALLED: ${missing[*]}" >&2
fi
exit 0
