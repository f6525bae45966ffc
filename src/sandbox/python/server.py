"""The process inside the bubblewrap sandbox: frames come on one descriptor and go on another."""

import asyncio
import json
import os
import struct
import sys
import threading
import types

ORDERS, ANSWERS = 3, 4


def read_exactly(size):
    data = bytearray()
    while len(data) < size:
        part = os.read(ORDERS, min(size - len(data), 1 << 20))
        if not part:
            os._exit(0)
        data += part
    return bytes(data)


def receive():
    header, body = struct.unpack('<II', read_exactly(8))
    return json.loads(read_exactly(header)), read_exactly(body)


def module(name, source):
    made = types.ModuleType(name)
    made.__file__ = f'<{name}>'
    sys.modules[name] = made
    exec(compile(source, made.__file__, 'exec'), made.__dict__)
    return made


def main():
    lock = threading.RLock()
    draining = threading.RLock()
    main_pid = os.getpid()

    def send(header, data=b''):
        # A forked child inherits all of this, and its answers would mix with ours.
        if os.getpid() != main_pid:
            return
        header = header.encode()
        frame = memoryview(struct.pack('<II', len(header), len(data)) + header + data)
        with lock:
            while frame:
                frame = frame[os.write(ANSWERS, frame) :]

    for descriptor in (ORDERS, ANSWERS):
        os.set_inheritable(descriptor, False)
    # What child processes print comes by a pipe, for they know nothing of sys.stdout.
    read_end, write_end = os.pipe()
    os.dup2(write_end, 1)
    os.dup2(write_end, 2)
    os.close(write_end)
    os.set_blocking(read_end, False)

    init, _ = receive()
    loop = None

    def run_coroutine(coroutine):
        nonlocal loop
        loop = loop or asyncio.new_event_loop()
        return loop.run_until_complete(coroutine)

    def drain():
        with draining:
            while True:
                try:
                    part = os.read(read_end, 65536)
                except BlockingIOError:
                    return
                interpreter.log(part.decode('utf-8', 'backslashreplace'))

    interpreter = module('sandbox_interpreter', init['interpreter']).Interpreter(send, run_coroutine, drain)
    import importlib.abc
    import importlib.util

    class Figures(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name, path, target=None):
            return importlib.util.spec_from_loader(name, self) if name == 'sandbox_figures' else None

        def exec_module(self, made):
            exec(compile(init['figures'], '<sandbox_figures>', 'exec'), made.__dict__)
            made.emit = interpreter.image

    sys.meta_path.insert(0, Figures())
    interpreter.start(init['limits'])

    def pump():
        """A pipe that nobody reads would hold up a child process that prints much."""
        import select

        while True:
            select.select([read_end], [], [])
            try:
                drain()
                interpreter.flush()
            except BaseException:
                # Past the limit the rest is thrown away.
                try:
                    while os.read(read_end, 65536):
                        pass
                except BlockingIOError:
                    pass

    threading.Thread(target=pump, daemon=True).start()
    send(json.dumps({'type': 'ready'}))
    while True:
        header, data = receive()
        if header['type'] == 'missing':
            send(json.dumps({'type': 'missing', 'names': interpreter.missing(header['names'])}))
        elif header['type'] == 'place':
            try:
                interpreter.place(header['name'], data, header.get('alias'))
                send(json.dumps({'type': 'placed', 'ok': True}))
            except (OSError, MemoryError):
                send(json.dumps({'type': 'placed', 'ok': False}))
        elif header['type'] == 'execute':
            interpreter.execute(data.decode('utf-8', 'backslashreplace'), header['call'])


main()
