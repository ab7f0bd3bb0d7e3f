#!/usr/bin/env bash
# Checks this folder with whatever is installed, without a network, and says what it could not check.
# It knows promtool (Debian's package prometheus), hadolint, docker compose, systemd-analyze, helm or
# the Python package helm-python-sdk, and the Python package kubernetes-validate; deploy/tools.sh installs most.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

have() { command -v "$1" >/dev/null; }
skip() { echo "NOT CHECKED: $1" >&2; }
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; echo "FAILED: $*" >&2; exit 1; }; }

# The dashboards' queries as recording rules, which promtool can check.
queries() {
    python3 - grafana/*.json <<'PYTHON'
import json, sys

print("groups: [{name: dashboards, rules: [")
for path in sys.argv[1:]:
    for panel in json.load(open(path))["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "5m").replace("$__range", "1h")
            print(json.dumps({"record": "q", "expr": query, "labels": {"panel": f"{path} {panel['id']} {target['refId']}"}}), ",")
print("]}]")
PYTHON
}

# The chart with the values of files, without helm: what is to be done with it, and then -f FILE...
with_library() {
    python3 - "$@" <<'PYTHON'
import sys, helm_python, yaml

values = {}
for path in sys.argv[3::2]:
    values |= yaml.safe_load(open(path))
if sys.argv[1] == "lint":
    report = helm_python.lint("helm/lethe", values, strict=True)
    # 1 is advice.
    faults = [message for message in report["messages"] if message["severity"] > 1]
    sys.exit("\n".join(map(str, faults + report["errors"])) or 0)
with helm_python.Chart.load("helm/lethe") as chart:
    print("\n---\n".join(chart.render(values, name="lethe").values()))
PYTHON
}

lint() { if have helm; then helm lint --strict helm/lethe "$@"; else with_library lint "$@"; fi; }
render() { if have helm; then helm template lethe helm/lethe "$@"; else with_library render "$@"; fi; }

if have promtool; then
    queries >"$work/queries.yaml"
    quietly promtool check config prometheus/prometheus.yaml
    quietly promtool test rules prometheus/tests.yaml
    quietly promtool check rules "$work/queries.yaml"
else
    skip "rules, alerts and the dashboards' queries: no promtool"
fi

if have hadolint; then quietly hadolint docker/Dockerfile; else skip "Dockerfile: no hadolint"; fi

if docker compose version >/dev/null 2>&1; then
    quietly docker compose -f compose/compose.yaml config
elif have docker-compose; then
    # Version 1 does not know the key "name".
    grep -v ^name: compose/compose.yaml >"$work/compose.yaml"
    quietly docker-compose --project-directory compose -f "$work/compose.yaml" config
else
    skip "compose file: no docker compose"
fi

if have systemd-analyze; then
    # The program need not be installed here.
    sed 's|/usr/local/bin/lethe-gateway|/bin/true|' systemd/lethe-gateway.service >"$work/lethe-gateway.service"
    # Of an unknown key it only warns.
    systemd-analyze verify "$work/lethe-gateway.service" 2>&1 | { ! grep -F lethe-gateway.service; }
    quietly systemd-analyze security --offline=true --threshold=15 "$work/lethe-gateway.service"
else
    skip "systemd unit: no systemd-analyze"
fi

if have helm || python3 -c "import helm_python, yaml" 2>/dev/null; then
    quietly lint
    quietly lint -f helm/lethe/ci/all-values.yaml
    render >"$work/default.yaml"
    render -f helm/lethe/ci/all-values.yaml >"$work/all.yaml"
    if have kubernetes-validate; then
        # It has no schemas of other people's kinds: ServiceMonitor is only rendered.
        quietly kubernetes-validate --strict "$work/default.yaml" "$work/all.yaml"
    else
        skip "the chart's resources, beyond rendering: no kubernetes-validate"
    fi
else
    skip "chart: neither helm nor helm-python-sdk"
fi

echo "deploy: what was checked is good"
