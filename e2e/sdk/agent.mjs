// A small coding agent on the official Node SDKs, as their documentation uses them.
//
// agent.mjs BASE_URL MODEL chat|responses|messages|messages-bearer stream|plain PROMPT
//
// It makes no retries: whatever goes wrong between here and the model is seen.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const TOOLS = {
  shell_command: ["Runs a shell command", ["command"]],
  edit: ["Replaces text in a file", ["path", "old", "new"]],
};

function schema(fields) {
  const properties = Object.fromEntries(fields.map((field) => [field, { type: "string" }]));
  return { type: "object", properties, required: fields, additionalProperties: false };
}

function perform(name, args) {
  if (name === "shell_command") {
    return execFileSync("sh", ["-c", args.command], { encoding: "utf8", timeout: 60_000 });
  }
  if (name === "edit") {
    writeFileSync(args.path, readFileSync(args.path, "utf8").replace(args.old, args.new));
    return "Edited.";
  }
  return `There is no tool ${name}.`;
}

async function chat(client, model, stream, prompt) {
  const tools = Object.entries(TOOLS).map(([name, [description, fields]]) => ({
    type: "function",
    function: { name, description, parameters: schema(fields), strict: true },
  }));
  const messages = [{ role: "user", content: prompt }];
  for (;;) {
    const wanted = { model, messages, tools };
    const answer = stream
      ? await client.chat.completions.stream(wanted).finalChatCompletion()
      : await client.chat.completions.create(wanted);
    const { content, tool_calls: calls } = answer.choices[0].message;
    if (!calls?.length) return content;
    messages.push({
      role: "assistant",
      content,
      tool_calls: calls.map(({ id, function: { name, arguments: args } }) => ({
        id,
        type: "function",
        function: { name, arguments: args },
      })),
    });
    for (const call of calls) {
      const result = perform(call.function.name, JSON.parse(call.function.arguments));
      messages.push({ role: "tool", tool_call_id: call.id, content: result });
    }
  }
}

// The helper `responses.stream()` throws at the `ping` that the service sends after the end, with
// or without a proxy in between. The plain iterator is the SDK's other way.
async function completed(events) {
  let response;
  for await (const event of events) {
    if (event.type === "error") throw new Error(event.message);
    if (event.type === "response.completed") response = event.response;
  }
  return response;
}

async function responses(client, model, stream, prompt) {
  const tools = Object.entries(TOOLS).map(([name, [description, fields]]) => ({
    type: "function",
    name,
    description,
    parameters: schema(fields),
    strict: true,
  }));
  const input = [{ role: "user", content: prompt }];
  for (;;) {
    const wanted = { model, input, tools, store: false };
    const answer = stream
      ? await completed(await client.responses.create({ ...wanted, stream: true }))
      : await client.responses.create(wanted);
    const calls = answer.output.filter((item) => item.type === "function_call");
    const said = answer.output.filter((item) => item.type === "message");
    if (!calls.length) return said.map((item) => item.content[0].text).join("");
    input.push(...said.map((item) => ({ role: "assistant", content: item.content[0].text })));
    for (const { call_id, name, arguments: args } of calls) {
      input.push({ type: "function_call", call_id, name, arguments: args });
      const output = perform(name, JSON.parse(args));
      input.push({ type: "function_call_output", call_id, output });
    }
  }
}

async function messages(client, model, stream, prompt) {
  const tools = Object.entries(TOOLS).map(([name, [description, fields]]) => ({
    name,
    description,
    input_schema: schema(fields),
  }));
  const turns = [{ role: "user", content: prompt }];
  for (;;) {
    const wanted = { model, messages: turns, tools, max_tokens: 4096 };
    const answer = stream
      ? await client.messages.stream(wanted).finalMessage()
      : await client.messages.create(wanted);
    const calls = answer.content.filter((block) => block.type === "tool_use");
    if (!calls.length) {
      return answer.content.map((block) => (block.type === "text" ? block.text : "")).join("");
    }
    turns.push({ role: "assistant", content: answer.content });
    turns.push({
      role: "user",
      content: calls.map(({ id, name, input }) => ({
        type: "tool_result",
        tool_use_id: id,
        content: perform(name, input),
      })),
    });
  }
}

const [base, model, call, mode, prompt] = process.argv.slice(2);
const streaming = mode === "stream";
let answer;
if (call.startsWith("messages")) {
  const credential =
    call === "messages-bearer"
      ? { apiKey: null, authToken: "not-used" }
      : { apiKey: "not-used", authToken: null };
  const client = new Anthropic({ baseURL: base, maxRetries: 0, ...credential });
  answer = await messages(client, model, streaming, prompt);
} else {
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "not-used", maxRetries: 0 });
  const loop = call === "chat" ? chat : responses;
  answer = await loop(client, model, streaming, prompt);
}
console.log(answer);
