"""Puts files into a vector store and waits for them, also for those that fail."""

import threading

from openai import OpenAI

client = OpenAI()

store = client.vector_stores.create(name="Support")
files = client.vector_stores.files
batches = client.vector_stores.file_batches

good = ("good.txt", b"Refunds are accepted within 30 days.")
bad = ("bad.zip", b"PK")

for upload in (good, bad):
    file = files.upload_and_poll(vector_store_id=store.id, file=upload)
    print("upload_and_poll >", file.status, file.last_error.code if file.last_error else None)

uploaded = client.files.create(file=good, purpose="assistants")
file = files.create_and_poll(vector_store_id=store.id, file_id=uploaded.id)
print("create_and_poll >", file.status)

batch = batches.upload_and_poll(vector_store_id=store.id, files=[good, bad])
print("batch upload_and_poll >", batch.status, batch.file_counts.completed, batch.file_counts.failed)

batch = batches.upload_and_poll(vector_store_id=store.id, files=[bad])
print("batch of nothing good >", batch.status, batch.file_counts.failed)

# A batch that somebody cancels while it is polled.
many = [client.files.create(file=(f"{n}.txt", b"word " * 20_000), purpose="assistants").id for n in range(20)]
batch = batches.create(vector_store_id=store.id, file_ids=many)
timer = threading.Timer(0.01, lambda: batches.cancel(batch.id, vector_store_id=store.id))
timer.start()
batch = batches.poll(batch.id, vector_store_id=store.id)
timer.join()
counts = batch.file_counts
print("cancelled batch >", batch.status, counts.in_progress, counts.completed + counts.cancelled == len(many))
last = files.poll(many[-1], vector_store_id=store.id)
print("its last file >", last.status)

for chunk in files.content(uploaded.id, vector_store_id=store.id):
    print("content >", chunk.text)
found = client.vector_stores.search(store.id, query="When are refunds accepted?", max_num_results=1)
print("search >", [(hit.filename, hit.content[0].text) for hit in found])
statuses = sorted({file.status for file in files.list(store.id, limit=2)})
print("list >", statuses)
print("deleted >", client.vector_stores.delete(store.id).deleted)
