"""Streams an answer through an AssistantEventHandler."""

import os

from typing_extensions import override

from openai import AssistantEventHandler, OpenAI

client = OpenAI()


class EventHandler(AssistantEventHandler):
    @override
    def on_text_created(self, text) -> None:
        print("\nassistant > ", end="", flush=True)

    @override
    def on_text_delta(self, delta, snapshot) -> None:
        print(delta.value, end="", flush=True)

    @override
    def on_text_done(self, text) -> None:
        print(f"\ntext done > {text.value}")

    @override
    def on_message_done(self, message) -> None:
        print(f"message done > {message.status}")

    @override
    def on_run_step_done(self, run_step) -> None:
        print(f"run step done > {run_step.type} {run_step.status}")

    @override
    def on_end(self) -> None:
        print("end")


assistant = client.beta.assistants.create(
    name="Math Tutor",
    instructions="You are a personal math tutor. Write and run code to answer math questions.",
    model=os.environ.get("OPENAI_MODEL", "gpt-4o"),
)

thread = client.beta.threads.create(
    messages=[{"role": "user", "content": "I need to solve the equation `3x + 11 = 14`. Can you help me?"}]
)

with client.beta.threads.runs.stream(
    thread_id=thread.id,
    assistant_id=assistant.id,
    instructions="Please address the user as Jane Doe. The user has a premium account.",
    event_handler=EventHandler(),
) as stream:
    stream.until_done()
    run = stream.get_final_run()
    [final] = stream.get_final_messages()

print(f"final run > {run.status}")
stored = client.beta.threads.messages.retrieve(final.id, thread_id=thread.id)
print(f"final message is the stored one > {stored == final}")
