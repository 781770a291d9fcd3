"""A small coding agent on the official Python SDKs, as their documentation uses them.

agent.py BASE_URL MODEL chat|responses|messages|messages-bearer stream|plain PROMPT

It makes no retries: whatever goes wrong between here and the model is seen.
"""

import json
import pathlib
import subprocess
import sys

import anthropic
import openai

TOOLS = {
    "shell_command": ("Runs a shell command", ["command"]),
    "edit": ("Replaces text in a file", ["path", "old", "new"]),
}


def schema(fields):
    properties = {field: {"type": "string"} for field in fields}
    return {
        "type": "object",
        "properties": properties,
        "required": fields,
        "additionalProperties": False,
    }


def perform(name, arguments):
    if name == "shell_command":
        done = subprocess.run(
            arguments["command"], shell=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout + done.stderr
    if name == "edit":
        path = pathlib.Path(arguments["path"])
        path.write_text(path.read_text().replace(arguments["old"], arguments["new"]))
        return "Edited."
    return f"There is no tool {name}."


def chat(client, model, stream, prompt):
    tools = [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": about,
                "parameters": schema(fields),
                "strict": True,
            },
        }
        for name, (about, fields) in TOOLS.items()
    ]
    messages = [{"role": "user", "content": prompt}]
    while True:
        wanted = {"model": model, "messages": messages, "tools": tools}
        if stream:
            with client.chat.completions.stream(**wanted) as events:
                answer = events.get_final_completion()
        else:
            answer = client.chat.completions.create(**wanted)
        message = answer.choices[0].message
        if not message.tool_calls:
            return message.content
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in message.tool_calls
        ]
        messages.append({"role": "assistant", "content": message.content, "tool_calls": calls})
        for call in message.tool_calls:
            result = perform(call.function.name, json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def responses(client, model, stream, prompt):
    tools = [
        {
            "type": "function",
            "name": name,
            "description": about,
            "parameters": schema(fields),
            "strict": True,
        }
        for name, (about, fields) in TOOLS.items()
    ]
    items = [{"role": "user", "content": prompt}]
    while True:
        wanted = {"model": model, "input": items, "tools": tools, "store": False}
        if stream:
            with client.responses.stream(**wanted) as events:
                answer = events.get_final_response()
        else:
            answer = client.responses.create(**wanted)
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            return answer.output_text
        for item in answer.output:
            if item.type == "message":
                items.append({"role": "assistant", "content": item.content[0].text})
        for call in calls:
            items.append(
                {
                    "type": "function_call",
                    "call_id": call.call_id,
                    "name": call.name,
                    "arguments": call.arguments,
                }
            )
            result = perform(call.name, json.loads(call.arguments))
            items.append(
                {"type": "function_call_output", "call_id": call.call_id, "output": result}
            )


def messages(client, model, stream, prompt):
    tools = [
        {"name": name, "description": about, "input_schema": schema(fields)}
        for name, (about, fields) in TOOLS.items()
    ]
    turns = [{"role": "user", "content": prompt}]
    while True:
        wanted = {"model": model, "messages": turns, "tools": tools, "max_tokens": 4096}
        if stream:
            with client.messages.stream(**wanted) as events:
                answer = events.get_final_message()
        else:
            answer = client.messages.create(**wanted)
        calls = [block for block in answer.content if block.type == "tool_use"]
        if not calls:
            return "".join(block.text for block in answer.content if block.type == "text")
        said = [
            {"type": "text", "text": block.text}
            if block.type == "text"
            else {"type": "tool_use", "id": block.id, "name": block.name, "input": block.input}
            for block in answer.content
            if block.type in ("text", "tool_use")
        ]
        turns.append({"role": "assistant", "content": said})
        results = [
            {
                "type": "tool_result",
                "tool_use_id": call.id,
                "content": perform(call.name, call.input),
            }
            for call in calls
        ]
        turns.append({"role": "user", "content": results})


def main():
    base, model, call, mode, prompt = sys.argv[1:]
    if call.startswith("messages"):
        credential = {"auth_token": "not-used"} if call.endswith("bearer") else {"api_key": "not-used"}
        client = anthropic.Anthropic(base_url=base, max_retries=0, **credential)
        answer = messages(client, model, mode == "stream", prompt)
    else:
        client = openai.OpenAI(base_url=f"{base}/v1", api_key="not-used", max_retries=0)
        loop = chat if call == "chat" else responses
        answer = loop(client, model, mode == "stream", prompt)
    print(answer)


main()
