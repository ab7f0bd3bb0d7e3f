// OpenAI's Node client against a gateway that serves the tiny model with adapters one to three.
// Usage: node check.mjs HOST:PORT

import assert from "node:assert/strict";
import OpenAI from "openai";

const model = "tiny-llama";
const client = new OpenAI({ baseURL: `http://${process.argv[2]}/v1`, apiKey: "none" });
const messages = [{ role: "user", content: "Who can be a nurse?" }];
const request = (fields) => ({ model, messages, max_tokens: 12, ...fields });
const chat = (fields) => client.chat.completions.create(request(fields));
const text = (reply) => reply.choices.map((choice) => choice.message.content);

const reply = await chat({ temperature: 0 });
assert.equal(reply.object, "chat.completion");
assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
const base = text(reply);

// Streams: the same text, the usage last, and the role first.
const chunks = [];
const options = { temperature: 0, stream: true, stream_options: { include_usage: true } };
for await (const chunk of await chat(options)) chunks.push(chunk);
assert.equal(chunks[0].choices[0].delta.role, "assistant");
assert.deepEqual(chunks.at(-1).choices, []);
assert.ok(chunks.at(-1).usage.completion_tokens > 0);
const pieces = chunks.flatMap((chunk) => chunk.choices);
assert.equal(pieces.map((piece) => piece.delta.content ?? "").join(""), base[0]);

// The client itself can put a stream together.
const assembled = client.chat.completions.stream(request({ temperature: 0 }));
assert.equal(await assembled.finalContent(), base[0]);

// A stream can be given up.
const abandoned = await chat({ stream: true, max_tokens: 200 });
for await (const _ of abandoned) break;

// n, seed, stop and log-probabilities.
const drawn = () => chat({ n: 3, seed: 5, temperature: 1.5 }).then(text);
const first = await drawn();
assert.equal(first.length, 3);
assert.deepEqual(first, await drawn());
const stop = base[0].slice(2, 4);
const stopped = await chat({ temperature: 0, stop });
assert.equal(stopped.choices[0].message.content, base[0].slice(0, base[0].indexOf(stop)));
const scored = await chat({ temperature: 0, logprobs: true, top_logprobs: 3 });
assert.ok(scored.choices[0].logprobs.content.every((token) => token.top_logprobs.length === 3));

// Structured output holds even for a model that knows nothing.
const schema = {
  type: "object",
  properties: { answer: { enum: ["yes", "no"] } },
  required: ["answer"],
  additionalProperties: false,
};
const response_format = { type: "json_schema", json_schema: { name: "answer", schema } };
const answer = JSON.parse(text(await chat({ response_format, max_tokens: 200 }))[0]);
assert.ok(["yes", "no"].includes(answer.answer));

// Adapters: in the body, behind the model's name, and as the model.
const body = await chat({ temperature: 0, adapters: [{ name: "one", scale: 0.5 }, "two"] });
assert.deepEqual(body.lethe.adapters.map(({ name, scale }) => [name, scale]), [["one", 0.5], ["two", 1]]);
assert.deepEqual(text(body), text(await chat({ temperature: 0, model: `${model}::two+one@0.5` })));
const raw = await client.chat.completions.create(request({ model: "three" })).asResponse();
assert.equal(raw.headers.get("x-lethe-adapters"), "three");

// Moderation: of texts by themselves, and beside answers, under the name that clients send.
const scorer = "omni-moderation-latest";
const moderated = await client.moderations.create({ model: scorer, input: ["Good morning.", ""] });
assert.equal(moderated.results.length, 2);
assert.equal(moderated.results[0].flagged, false);
assert.deepEqual(moderated.results[0].category_applied_input_types["hate"], ["text"]);
assert.deepEqual(moderated.results[0].category_applied_input_types["violence"], []);
const judged = await chat({ temperature: 0, moderation: { model: scorer } });
assert.deepEqual(text(judged), base);
assert.equal(judged.moderation.output.results.length, 1);
assert.equal(judged.moderation.input.model, moderated.model);

// Models.
const models = [];
for await (const entry of client.models.list()) models.push(entry.id);
assert.deepEqual(models, [model, "one", "three", "two"]);

// Errors are the client's own kinds, and say what is wrong.
const refused = (kind, fields, expected) =>
  assert.rejects(chat(fields), (error) => {
    assert.ok(error instanceof kind, `${error}`);
    for (const [key, value] of Object.entries(expected)) assert.equal(error[key], value);
    return true;
  });
await refused(OpenAI.NotFoundError, { model: "nobody" }, { code: "model_not_found" });
await refused(OpenAI.NotFoundError, { adapters: ["nobody"] }, { code: "adapter_not_found" });
await refused(OpenAI.BadRequestError, { temperature: 9 }, { param: "temperature" });
