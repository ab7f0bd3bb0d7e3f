"""Scores texts with alt-profanity-check 1.9.1, for `lethe-unlearn scorer eval --peer`.

    pip install alt-profanity-check==1.9.1
    lethe-unlearn scorer eval --data DATA --out DIR --peer "alt-profanity-check=python3 tests/reference/profanity_peer.py"

Reads JSON strings, a line each, and answers each with the probability that it is profane.
"""

import json
import sys

from profanity_check import predict_prob

for line in sys.stdin:
    print(float(predict_prob([json.loads(line)])[0]), flush=True)
