"""Runs code as a notebook does, one cell after the other, and says what came of it. The same in every driver."""

import ast
import builtins
import inspect
import io
import json
import linecache
import os
import sys
import threading
import time
import traceback
import types

DATA = '/mnt/data'
# In the traceback of a cell that fills all memory there may be strings as large as that.
MAX_TRACEBACK = 20_000


class OutputLimit(BaseException):
    """More was printed than is kept. Not an Exception, so that no cell goes on after it by accident."""


class Stream(io.TextIOBase):
    """What a cell sees as stdout and stderr: both end up in one list, in order."""

    encoding = 'utf-8'
    errors = 'backslashreplace'

    def __init__(self, write, fd):
        self._write = write
        self._fd = fd

    def writable(self):
        return True

    def fileno(self):
        return self._fd

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f'write() argument must be str, not {type(text).__name__}')
        self._write(text)
        return len(text)

    @property
    def buffer(self):
        return ByteStream(self)


class ByteStream(io.RawIOBase):
    def __init__(self, stream):
        self._stream = stream

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        self._stream.write(data.decode('utf-8', 'backslashreplace'))
        return len(data)


class Interpreter:
    def __init__(self, send, run_coroutine=None, drain=lambda: None):
        """`send(header, data)` gives a frame to the server; `drain` first brings what child processes wrote."""
        self._send_frame = send
        self._run_coroutine = run_coroutine
        self._drain = drain
        self._limits = {'logBytes': 1_000_000, 'fileBytes': 50_000_000, 'valueCharacters': 10_000, 'images': 20}
        self._lock = threading.RLock()
        self._cell = 0
        self._logged = 0
        self._images = 0
        self._kept = 0
        self._pending = []
        self._pending_size = 0
        self._flushed = 0.0
        self._flushes = 0
        self.module = types.ModuleType('__main__')
        self.module.__builtins__ = builtins
        sys.modules['__main__'] = self.module

    def start(self, limits):
        self._limits = limits
        sys.stdout = sys.__stdout__ = Stream(self.log, 1)
        sys.stderr = sys.__stderr__ = Stream(self.log, 2)
        sys.stdin = sys.__stdin__ = io.StringIO()
        os.environ['MPLBACKEND'] = 'module://sandbox_figures'
        os.makedirs(DATA, exist_ok=True)
        os.chdir(DATA)

    def missing(self, names):
        """Which of these files are not there yet."""
        return [name for name in names if not os.path.lexists(os.path.join(DATA, name))]

    def place(self, name, data, alias=None):
        path = os.path.join(DATA, name)
        # The name may be that of another file by now.
        if alias and os.path.lexists(path):
            path = os.path.join(DATA, alias)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as file:
            file.write(data)
        link = alias and os.path.join(DATA, alias)
        if link and not os.path.lexists(link):
            os.symlink(path, link)

    def log(self, text):
        if not text:
            return
        with self._lock:
            self._log(text)

    def _log(self, text):
        room = self._limits['logBytes'] - self._logged
        size = len(text) if text.isascii() else len(text.encode('utf-8', 'backslashreplace'))
        if size > room:
            text = text.encode('utf-8', 'backslashreplace')[: max(room, 0)].decode('utf-8', 'ignore')
        self._logged += size
        self._pending.append(text)
        self._pending_size += len(text)
        # Lines go at once, so that they are there if the cell is killed, but a cell may not flood us with small frames.
        now = time.monotonic()
        if self._pending_size >= 8192 or now - self._flushed > 0.1 or (self._flushes < 200 and '\n' in text):
            self.flush()
        if size > room:
            raise OutputLimit

    def flush(self):
        with self._lock:
            text = ''.join(self._pending)
            self._pending = []
            self._pending_size = 0
            self._flushed = time.monotonic()
            self._flushes += 1
            if text:
                self._send({'type': 'logs'}, text.encode('utf-8', 'backslashreplace'))

    def image(self, data):
        """Called by the matplotlib backend for each figure that is shown."""
        self._drain()
        self.flush()
        if self._images >= self._limits['images'] or self._kept + len(data) > self._limits['fileBytes']:
            return
        self._images += 1
        self._kept += len(data)
        self._send({'type': 'image', 'name': f'figure-{self._cell}-{self._images}.png'}, data)

    def execute(self, code, call):
        self._cell += 1
        self._logged = self._images = self._kept = self._flushes = 0
        before = self._stats()
        value = ended = None
        try:
            try:
                value = self._run(code)
                self._show_figures()
                self._drain()
            except OutputLimit:
                ended = 'output'
            except SystemExit as end:
                if end.code not in (None, 0):
                    self.log(f'SystemExit: {end.code}\n')
            except BaseException as error:
                self._drain()
                self.log(self._traceback(error))
                self._show_figures()
        except OutputLimit:
            ended = 'output'
        except BaseException as error:
            self.log(f'{type(error).__name__}\n')
        self.flush()
        omitted = self._send_written(before)
        self._send({'type': 'done', 'call': call, 'value': value, 'ended': ended, 'omitted': omitted})

    def _send(self, header, data=b''):
        # Surrogates in a text of the cell's must not keep us from answering.
        self._send_frame(json.dumps(header), data)

    def _run(self, code):
        name = f'<cell {self._cell}>'
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        tree = ast.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        scope = self.module.__dict__
        if tree.body:
            self._evaluate(compile(tree, name, 'exec', flags, dont_inherit=True), scope)
        if last is None:
            return None
        value = self._evaluate(compile(ast.Expression(last.value), name, 'eval', flags, dont_inherit=True), scope)
        if value is None:
            return None
        scope['_'] = value
        text = repr(value)
        limit = self._limits['valueCharacters']
        return text if len(text) <= limit else text[:limit] + '…'

    def _evaluate(self, compiled, scope):
        result = eval(compiled, scope)
        if not compiled.co_flags & inspect.CO_COROUTINE:
            return result
        return self._run_coroutine(result)

    def _traceback(self, error):
        own = __file__ if '__file__' in globals() else '<interpreter>'
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename == own:
            trace = trace.tb_next
        text = ''.join(traceback.format_exception(type(error), error, trace))
        if len(text) > MAX_TRACEBACK:
            half = MAX_TRACEBACK // 2
            text = f'{text[:half]}\n…\n{text[-half:]}'
        return text

    def _show_figures(self):
        """A figure that nobody showed is shown at the end of the cell."""
        pyplot = sys.modules.get('matplotlib.pyplot')
        if pyplot and pyplot.get_fignums():
            pyplot.show()

    def _stats(self):
        found = {}
        for folder, _, names in os.walk(DATA):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    stat = os.lstat(path)
                except OSError:
                    continue
                # Neither links nor pipes: opening one of these may never end.
                if stat.st_mode & 0o170000 == 0o100000:
                    found[os.path.relpath(path, DATA)] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        return found

    def _send_written(self, before):
        omitted = []
        for name, stat in sorted(self._stats().items()):
            if before.get(name) == stat:
                continue
            if self._kept + stat[0] > self._limits['fileBytes']:
                omitted.append(name)
                continue
            try:
                with open(os.path.join(DATA, name), 'rb') as file:
                    data = file.read(stat[0])
            except OSError:
                omitted.append(name)
                continue
            self._kept += len(data)
            self._send({'type': 'written', 'name': name}, data)
        return omitted[:100]
