#!/usr/bin/env python3
"""Sends a mix of prompts through a running gateway, without adapters and with them, and prints how
the toxicity histograms of the answers differ, as they stand on /metrics.

    python3 deploy/mix/prompt_mix.py --adapters gender,race=0.5 [--data DATA] [--prompts bold]

DATA (or LETHE_DATA) is a folder with `bold/*_prompt.json` or `redditbias/*.csv`. Only the standard
library is needed. No prompt and no answer is printed or kept. The gateway should have no other
users meanwhile: they would be in the histograms too, which is noticed and said.
"""

import argparse
import csv
import json
import os
import random
import re
import sys
import time
import urllib.request
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# A comment's first words are a prompt that its own writer went on from.
REDDIT_WORDS = 8
SAMPLE = re.compile(r"^(?P<name>[a-z_:]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--adapters", required=True, help="such as gender,race=0.5")
    parser.add_argument("--data", default=os.environ.get("LETHE_DATA"), type=Path)
    parser.add_argument("--prompts", choices=["bold", "redditbias"], default="bold")
    parser.add_argument("--count", type=int, default=200, help="prompts; each is sent twice")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of prompts and of sampling")
    parser.add_argument("--max-tokens", type=int, default=40)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--metrics", default="http://127.0.0.1:8081/metrics")
    given = parser.parse_args()
    if given.data is None:
        parser.error("say where the data is: --data or LETHE_DATA")
    return given


def bold(folder):
    for path in sorted(folder.glob("bold/*_prompt.json")):
        for subjects in json.loads(path.read_text(encoding="utf-8")).values():
            for prompts in subjects.values():
                yield from (prompt.strip() for prompt in prompts)


def redditbias(folder):
    for path in sorted(folder.glob("redditbias/*.csv")):
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.DictReader(file):
                words = (row["comment"] or "").split()
                if len(words) > REDDIT_WORDS:
                    yield " ".join(words[:REDDIT_WORDS])


def chosen(given):
    """The same prompts for the same seed."""
    everything = sorted({"bold": bold, "redditbias": redditbias}[given.prompts](given.data))
    if len(everything) < given.count:
        sys.exit(f"there are only {len(everything)} prompts")
    return random.Random(given.seed).sample(everything, given.count)


def get(url):
    with urllib.request.urlopen(url, timeout=30) as reply:
        return reply.read().decode()


def post(url, body, headers):
    headers = {"content-type": "application/json", **headers}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=600) as reply:
        return json.load(reply)


def complete(given, model, numbered, adapters):
    """One completion; which set of adapters the gateway says it used."""
    number, prompt = numbered
    body = {
        "model": model,
        "prompt": prompt,
        "max_tokens": given.max_tokens,
        "temperature": 1.0,
        "seed": given.seed + number,
    }
    if adapters is None:
        body["adapters"] = []
    headers = {} if adapters is None else {"x-lethe-adapters": adapters}
    reply = post(f"{given.url}/v1/completions", body, headers)
    names = sorted(adapter["name"] for adapter in reply["lethe"]["adapters"])
    return "+".join(names) or "none"


def run(given, model, prompts, adapters):
    """Completes all prompts with one set of adapters; the set's label in the metrics."""
    with ThreadPoolExecutor(given.parallel) as pool:
        used = set(pool.map(lambda p: complete(given, model, p, adapters), enumerate(prompts)))
    (label,) = used
    return label


def scrape(given):
    """Every sample of the page: (name, labels) to value."""
    samples = {}
    for line in get(given.metrics).splitlines():
        match = SAMPLE.match(line)
        if match:
            labels = dict(LABEL.findall(match["labels"] or ""))
            samples[match["name"], frozenset(labels.items())] = float(match["value"])
    return samples


def scrape_when_idle(given):
    """The page once no shadow run is under way or about to begin."""
    idle = 0
    while idle < 2:
        time.sleep(1)
        samples = scrape(given)
        idle = 0 if samples.get(("lethe_sequences_background", frozenset())) else idle + 1
    return samples


class Histogram:
    """What one histogram has gained between two scrapes."""

    def __init__(self):
        self.count = self.total = 0.0
        self.upto = {}

    def share_above(self, bound):
        return 1 - self.upto[bound] / self.count

    def bins(self):
        """Observations in each bucket, by its upper bound."""
        below = 0.0
        for bound in sorted(self.upto):
            yield bound, self.upto[bound] - below
            below = self.upto[bound]


def gained(before, after, family, **wanted):
    """The histograms of `family` with labels `wanted`, by category."""
    histograms = defaultdict(Histogram)
    for (name, labels), value in after.items():
        found = dict(labels)
        if not name.startswith(family) or any(found.get(k) != v for k, v in wanted.items()):
            continue
        histogram = histograms[found.get("category", "")]
        gain = value - before.get((name, labels), 0.0)
        if name == f"{family}_bucket":
            bound = float(found["le"])
            histogram.upto[bound] = histogram.upto.get(bound, 0.0) + gain
        elif name == f"{family}_count":
            histogram.count += gain
        elif name == f"{family}_sum":
            histogram.total += gain
    return {category: h for category, h in sorted(histograms.items()) if h.count}


def show(base, adapted, label, count):
    print(f"answers: {count} without adapters, {count} with {label}\n")
    print(f"{'category':<18}{'mean':>9}{'with':>9}{'change':>9}{'>0.5':>8}{'with':>8}{'change':>8}")
    for category, without in base.items():
        with_them = adapted[category]
        for histogram in (without, with_them):
            if histogram.count != count:
                print(f"{category}: {histogram.count:.0f} answers were scored, not {count}")
        means = [h.total / h.count for h in (without, with_them)]
        shares = [h.share_above(0.5) for h in (without, with_them)]
        print(
            f"{category:<18}{means[0]:>9.4f}{means[1]:>9.4f}{means[1] - means[0]:>+9.4f}"
            f"{shares[0]:>8.1%}{shares[1]:>8.1%}{shares[1] - shares[0]:>+8.1%}"
        )
    print("\nanswers by score, without and with adapters, up to:")
    for category, without in base.items():
        print(category)
        for (bound, before), (_, now) in zip(without.bins(), adapted[category].bins()):
            if before or now:
                print(f"  {bound:>7} {before:>6.0f} {now:>6.0f} {now - before:>+6.0f}")


def show_shadow(before, after, label):
    """What shadow runs found meanwhile, if the gateway makes any."""
    for family in ("toxicity_delta", "length_delta_tokens", "kl_nats_per_token"):
        found = gained(before, after, f"lethe_shadow_{family}", adapters=label)
        for category, histogram in found.items():
            name = f"{family} {category}".strip()
            print(f"shadow {name}: mean {histogram.total / histogram.count:+.4f} of {histogram.count:.0f}")


def main():
    given = arguments()
    prompts = chosen(given)
    model = json.loads(get(f"{given.url}/v1/models"))["data"][0]["id"]
    before = scrape(given)
    without = run(given, model, prompts, None)
    label = run(given, model, prompts, given.adapters)
    after = scrape_when_idle(given)
    scores = "lethe_toxicity_score"
    base = gained(before, after, scores, direction="output", adapters=without)
    adapted = gained(before, after, scores, direction="output", adapters=label)
    if not base or base.keys() != adapted.keys():
        sys.exit("the gateway has scored no answers: has it a scorer, and are adapters in labels?")
    show(base, adapted, label, given.count)
    show_shadow(before, after, label)


if __name__ == "__main__":
    main()
