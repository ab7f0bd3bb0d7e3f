"""What schemathesis cannot know of Lethe: which names there are, and what a schema cannot say."""

import json
import os

import jsonschema_rs
import schemathesis

MODEL = os.environ["LETHE_MODEL"]
ADAPTERS = ["one", "two", "three"]

# Fields whose good values depend on other fields, or on the model.
UNSAID = ["best_of", "function_call", "functions", "logit_bias", "lora", "min_tokens", "moderation"]
UNSAID += ["stop_token_ids", "tool_choice", "tools"]


@schemathesis.hook
def before_call(context, case, **kwargs):
    """Names what there is, so that not every request ends at an unknown model."""
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if positive and "x-lethe-adapters" in (case.headers or {}):
        case.headers["x-lethe-adapters"] = "one=0.5, two"
    if isinstance(case.body, dict):
        if isinstance(case.body.get("model"), str):
            case.body["model"] = MODEL
        if positive:
            reconcile(case.body)


def renamed(item, name):
    if isinstance(item, str):
        return name
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        return {**item, "name": name, "scale": 0.5}
    return item


def reconcile(body):
    """Makes a good body one that can be answered: short, with names and tokens that there are."""
    if not body.get("stream"):
        body.pop("stream_options", None)
    if body.get("logprobs") is not True:
        body.pop("top_logprobs", None)
    for field in UNSAID:
        body.pop(field, None)
    for field in ["n", "max_tokens", "max_completion_tokens"]:
        if isinstance(body.get(field), int):
            body[field] = min(body[field], 3)
    if isinstance(body.get("adapters"), list):
        del body["adapters"][len(ADAPTERS) :]
        body["adapters"] = [renamed(item, name) for item, name in zip(body["adapters"], ADAPTERS)]
    if isinstance(body.get("messages"), list):
        body["messages"] = [{**turn, "content": turn["content"][:16]} for turn in body["messages"][:4]]
    if "prompt" in body:
        body["prompt"] = "one" if isinstance(body["prompt"], str) else ["one", [1, 2, 3]]
    if "tokens" in body:
        body["tokens"] = [1, 2, 3]


@schemathesis.check
def stream_conformance(context, response, case):
    """Every event of a stream but the last is what the document says of its data."""
    if response.headers.get("content-type") != ["text/event-stream"]:
        return
    document = case.operation.schema.raw_schema
    replies = document["paths"][case.operation.path]["post"]["responses"]["200"]["content"]
    chunk = replies["text/event-stream"]["schema"]["properties"]["data"]["anyOf"][0]["contentSchema"]
    validator = jsonschema_rs.validator_for({**chunk, "components": document["components"]})
    events = [block.removeprefix("data: ") for block in response.text.split("\n\n") if block.startswith("data: ")]
    assert events[-1] == "[DONE]", "a stream without an end"
    for data in events[:-1]:
        validator.validate(json.loads(data))
