"""Prometheus' own parser of OpenMetrics against what a gateway says after a traced request.

Usage: metrics.py HOST:PORT OPS_HOST:PORT
"""

import sys
import time
import urllib.request

import openai
from prometheus_client.openmetrics.parser import text_string_to_metric_families

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ACCEPT = "application/openmetrics-text;version=1.0.0"


def families():
    request = urllib.request.Request(f"http://{sys.argv[2]}/metrics", headers={"accept": ACCEPT})
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert reply.headers["content-type"].startswith("application/openmetrics-text")
        parsed = text_string_to_metric_families(reply.read().decode())
        return {family.name: family for family in parsed}


def exemplars(family):
    return [sample for sample in family.samples if sample.exemplar]


client = openai.OpenAI(base_url=f"http://{sys.argv[1]}/v1", api_key="none", timeout=60)
begun = time.time()
client.chat.completions.create(
    model="one",
    messages=[{"role": "user", "content": "Who can be a nurse?"}],
    max_tokens=12,
    extra_body={"ignore_eos": True},
    extra_headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
)

traced = [
    "lethe_request_duration_seconds",
    "lethe_time_to_first_token_seconds",
    "lethe_time_per_output_token_seconds",
    "lethe_toxicity_score",
]
# What comes after the answer is there soon.
deadline = time.monotonic() + 60
while not all(name in (known := families()) and exemplars(known[name]) for name in traced):
    assert time.monotonic() < deadline, known.keys()

for name in traced:
    for sample in exemplars(known[name]):
        exemplar = sample.exemplar
        assert exemplar.labels == {"trace_id": TRACE}, exemplar
        assert exemplar.value <= float(sample.labels["le"]), sample
        assert begun - 1 <= float(exemplar.timestamp) <= time.time() + 1, exemplar
kinds = {family.type for family in known.values()}
assert kinds == {"counter", "gauge", "histogram"}, kinds
assert known["lethe_requests"].type == "counter"
deltas = known["lethe_shadow_toxicity_delta"].samples
assert deltas and {sample.name for sample in deltas} == {"lethe_shadow_toxicity_delta_bucket"}
