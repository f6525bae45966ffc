"""Streams a run that calls functions; their outputs are submitted from within the event handler."""

import os

from typing_extensions import override

from openai import AssistantEventHandler, OpenAI

client = OpenAI()


class EventHandler(AssistantEventHandler):
    @override
    def on_event(self, event) -> None:
        # Retrieve events that are denoted with 'requires_action'
        # since these will have our tool_calls
        if event.event == "thread.run.requires_action":
            self.handle_requires_action(event.data)

    @override
    def on_tool_call_created(self, tool_call) -> None:
        print(f"tool call > {tool_call.type}", flush=True)

    @override
    def on_tool_call_done(self, tool_call) -> None:
        print(f"tool call done > {tool_call.function.name}", flush=True)

    def handle_requires_action(self, run) -> None:
        tool_outputs = []

        for tool in run.required_action.submit_tool_outputs.tool_calls:
            print(f"{tool.function.name} {tool.function.arguments}", flush=True)
            if tool.function.name == "get_current_temperature":
                tool_outputs.append({"tool_call_id": tool.id, "output": "57"})
            elif tool.function.name == "get_rain_probability":
                tool_outputs.append({"tool_call_id": tool.id, "output": "0.06"})

        # Submit all tool_outputs at the same time
        self.submit_tool_outputs(tool_outputs, run)

    def submit_tool_outputs(self, tool_outputs, run) -> None:
        with client.beta.threads.runs.submit_tool_outputs_stream(
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=tool_outputs,
            event_handler=EventHandler(),
        ) as stream:
            for text in stream.text_deltas:
                print(text, end="", flush=True)
            print()
            print(f"submitted stream > {stream.get_final_run().status}")


parameters = {
    "type": "object",
    "properties": {"location": {"type": "string", "description": "The city and state, e.g., San Francisco, CA"}},
    "required": ["location"],
}

assistant = client.beta.assistants.create(
    instructions="You are a weather bot. Use the provided functions to answer questions.",
    model=os.environ.get("OPENAI_MODEL", "gpt-4o"),
    tools=[
        {
            "type": "function",
            "function": {
                "name": "get_current_temperature",
                "description": "Get the current temperature for a specific location",
                "parameters": parameters,
            },
        },
        {
            "type": "function",
            "function": {
                "name": "get_rain_probability",
                "description": "Get the probability of rain for a specific location",
                "parameters": parameters,
            },
        },
    ],
)

thread = client.beta.threads.create()
message = client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="What's the weather in San Francisco today and the likelihood it'll rain?",
)

with client.beta.threads.runs.stream(
    thread_id=thread.id,
    assistant_id=assistant.id,
    event_handler=EventHandler(),
) as stream:
    stream.until_done()
    run = stream.get_final_run()
    print(f"first stream > {run.status}")

for step in client.beta.threads.runs.steps.list(run.id, thread_id=thread.id):
    print(f"step > {step.type} {step.status}")
