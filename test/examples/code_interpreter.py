"""Streams a run that writes and runs code, and downloads what it has made."""

import os

from typing_extensions import override

from openai import AssistantEventHandler, OpenAI

client = OpenAI()


class EventHandler(AssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.images = []

    @override
    def on_text_created(self, text) -> None:
        print("\nassistant > ", end="", flush=True)

    @override
    def on_text_delta(self, delta, snapshot) -> None:
        print(delta.value, end="", flush=True)

    @override
    def on_text_done(self, text) -> None:
        for note in text.annotations:
            print(f"\nlink > {note.text} {text.value[note.start_index:note.end_index] == note.text}")

    @override
    def on_image_file_done(self, image_file) -> None:
        self.images.append(image_file.file_id)

    @override
    def on_tool_call_created(self, tool_call) -> None:
        print(f"assistant > {tool_call.type}\n", flush=True)

    @override
    def on_tool_call_delta(self, delta, snapshot) -> None:
        if delta.type == "code_interpreter":
            if delta.code_interpreter.input:
                print(delta.code_interpreter.input, end="", flush=True)
            if delta.code_interpreter.outputs:
                print("\n\noutput >", flush=True)
                for output in delta.code_interpreter.outputs:
                    if output.type == "logs":
                        print(f"\n{output.logs}", flush=True)

    @override
    def on_run_step_done(self, run_step) -> None:
        print(f"run step done > {run_step.type} {run_step.status}")


file = client.files.create(file=("numbers.csv", b"a,b\n3,4\n"), purpose="assistants")
assistant = client.beta.assistants.create(
    instructions="You are a personal math tutor. Write and run code to answer math questions.",
    model=os.environ.get("OPENAI_MODEL", "gpt-4o"),
    tools=[{"type": "code_interpreter"}],
    tool_resources={"code_interpreter": {"file_ids": [file.id]}},
)
thread = client.beta.threads.create(messages=[{"role": "user", "content": "What is the sum of the numbers in the file?"}])

handler = EventHandler()
with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=handler) as stream:
    stream.until_done()
    run = stream.get_final_run()
    accumulated = stream.get_final_run_steps()[0].step_details.tool_calls[0].code_interpreter
    [final] = stream.get_final_messages()

print(f"final run > {run.status}")
[step, _] = client.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc")
stored = step.step_details.tool_calls[0].code_interpreter
print(f"accumulated input is the stored one > {accumulated.input == stored.input}")
outputs = [output.model_dump(exclude={"index"}) for output in accumulated.outputs]
print(f"accumulated outputs are the stored ones > {outputs == [output.model_dump() for output in stored.outputs]}")

for file_id in handler.images:
    print(f"image > {client.files.retrieve(file_id).filename} {len(client.files.content(file_id).read())} bytes")
for attachment in client.beta.threads.messages.retrieve(final.id, thread_id=thread.id).attachments:
    made = client.files.retrieve(attachment.file_id)
    print(f"file > {made.filename} {made.purpose} {client.files.content(made.id).text}")
