"""OpenAI's Python client against a gateway that serves the tiny model with adapters one to three.

Usage: check.py HOST:PORT
"""

import json
import sys

import openai

MODEL = "tiny-llama"
client = openai.OpenAI(base_url=f"http://{sys.argv[1]}/v1", api_key="none", timeout=60)
messages = [{"role": "user", "content": "Who can be a nurse?"}]


def chat(**fields):
    fields = {"model": MODEL, "messages": messages, "max_tokens": 12, **fields}
    return client.chat.completions.create(**fields)


def text(reply):
    return [choice.message.content for choice in reply.choices]


def refused(kind, **fields):
    try:
        chat(**fields)
    except kind as error:
        return error.body
    raise AssertionError(f"{fields} was not refused")


reply = chat(temperature=0)
assert reply.object == "chat.completion" and reply.choices[0].message.role == "assistant"
assert reply.choices[0].finish_reason in ("stop", "length")
assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
base = text(reply)

# Streams: the same text, the usage last, and the role first.
chunks = list(chat(temperature=0, stream=True, stream_options={"include_usage": True}))
assert chunks[0].choices[0].delta.role == "assistant"
assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == base[0]
assert chunks[-2].choices[0].finish_reason in ("stop", "length")

# n, seed, stop and log-probabilities.
first, again = (text(chat(n=3, seed=5, temperature=1.5)) for _ in range(2))
assert len(first) == 3 and first == again and len(set(first)) > 1
stopped = chat(temperature=0, stop=base[0][2:4])
assert stopped.choices[0].message.content == base[0][: base[0].index(base[0][2:4])]
assert stopped.choices[0].finish_reason == "stop"
logprobs = chat(temperature=0, logprobs=True, top_logprobs=3).choices[0].logprobs.content
assert all(len(token.top_logprobs) == 3 and token.logprob <= 0 for token in logprobs)
assert bytes(b for token in logprobs for b in token.bytes).decode(errors="replace") == base[0]

# Structured output holds even for a model that knows nothing.
schema = {
    "type": "object",
    "properties": {"answer": {"enum": ["yes", "no"]}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
    "additionalProperties": False,
}
formatted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
answer = json.loads(text(chat(response_format=formatted, max_tokens=200))[0])
assert answer["answer"] in ("yes", "no") and isinstance(answer["sure"], bool)

# Adapters: in the body, behind the model's name, and as the model.
body = chat(temperature=0, extra_body={"adapters": [{"name": "one", "scale": 0.5}, "two"]})
assert [(a["name"], a["scale"]) for a in body.lethe["adapters"]] == [("one", 0.5), ("two", 1.0)]
assert text(body) == text(chat(temperature=0, model=f"{MODEL}::two+one@0.5"))
raw = client.chat.completions.with_raw_response.create(
    model="three", messages=messages, max_tokens=4
)
assert raw.headers["x-lethe-adapters"] == "three" and raw.headers["x-request-id"]
assert text(chat(temperature=0, extra_body={"adapters": []})) == base
header = {"x-lethe-adapters": "one=-1"}
assert chat(extra_headers=header).lethe["adapters"][0]["scale"] == -1.0

# Moderation: of texts by themselves, and beside answers, under the name that clients send.
moderated = client.moderations.create(model="omni-moderation-latest", input=["Good morning.", ""])
assert len(moderated.results) == 2 and moderated.id.startswith("modr-")
type(moderated).model_validate(moderated.to_dict())
verdict = moderated.results[0]
assert not verdict.flagged and not verdict.categories.hate and not verdict.categories.violence
assert 0 <= verdict.category_scores.hate <= 1 and verdict.category_scores.violence == 0
applied = verdict.category_applied_input_types
assert applied.hate == ["text"] and applied.violence == []
assert 0 <= verdict.category_scores.to_dict()["bias/gender"] <= 1
assert client.moderations.create(input="Good morning.").model == moderated.model
asked = {"model": "omni-moderation-latest", "policy": {"input": {"mode": "score"}}}
scored = chat(temperature=0, n=2, moderation=asked)
type(scored).model_validate(scored.to_dict())
assert text(scored) == base * 2 and scored.lethe["scorer"] == moderated.model
for item, count in (scored.moderation.input, 1), (scored.moderation.output, 2):
    assert item.type == "moderation_results" and item.model == moderated.model
    assert len(item.results) == count and 0 <= item.results[0].category_scores["bias/race"] <= 1
chunks = list(chat(temperature=0, stream=True, moderation=asked))
alone = chat(temperature=0, moderation=asked).moderation
assert chunks[-1].choices == [] and chunks[-1].moderation.to_dict() == alone.to_dict()

# Models.
models = [model.id for model in client.models.list()]
assert models == [MODEL, "one", "three", "two"]
assert client.models.retrieve("one").id == "one"

# Completions, with the log-probabilities of the prompt, as evaluation harnesses ask for them.
scored = client.completions.create(model=MODEL, prompt=["ab", "c"], echo=True, logprobs=1, max_tokens=0)
assert [choice.text for choice in scored.choices] == ["ab", "c"]
assert scored.choices[0].logprobs.token_logprobs[0] is None
assert scored.choices[0].logprobs.token_logprobs[1] < 0

# Errors are the client's own kinds, and say what is wrong.
assert refused(openai.NotFoundError, model="nobody")["code"] == "model_not_found"
unknown = refused(openai.NotFoundError, extra_body={"adapters": ["nobody"]})
assert unknown["code"] == "adapter_not_found" and unknown["param"] == "adapters"
assert refused(openai.BadRequestError, temperature=9)["param"] == "temperature"
unknown = refused(openai.NotFoundError, moderation={"model": "nobody"})
assert unknown["code"] == "model_not_found" and unknown["param"] == "moderation.model"
tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
assert refused(openai.BadRequestError, tools=[tool])["param"] == "tools"
too_long = [{"role": "user", "content": "x" * 9_000}]
assert refused(openai.BadRequestError, messages=too_long)["code"] == "context_length_exceeded"
