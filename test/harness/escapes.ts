/*
 * What code may try. Each attempt escapes if the secret or the canary comes out, if something reaches the listener, if the
 * folder changes, if it prints ESCAPED, or if the server or another session suffers. `js(source)` gives what JavaScript
 * gives, awaited. SECRET, FOLDER, PORT, SOCKET, PID and SNAPSHOT are filled in.
 */
export interface Escape {
  name: string
  code: string
}

const c = (library = 'None') => `import ctypes\nlibc = ctypes.CDLL(${library})\n`

/** For any driver. */
export const pythonEscapes: Escape[] = [
  { name: 'opens a file of the host', code: 'print(open(SECRET).read())' },
  { name: 'opens it by descriptor', code: 'import os\nprint(os.read(os.open(SECRET, os.O_RDONLY), 99))' },
  { name: 'lists a folder of the host', code: 'import os\nprint("ESCAPED", os.listdir(FOLDER))' },
  { name: 'goes up from /mnt/data', code: 'print(open("../../../.." + SECRET).read())' },
  {
    name: 'reads by a symbolic link',
    code: 'import os\nos.symlink(SECRET, "link.txt")\nprint(open("link.txt").read())',
  },
  { name: 'has a symbolic link handed over', code: 'import os\nos.symlink(SECRET, "/mnt/data/handed.txt")' },
  {
    name: 'links to a folder',
    code: 'import os\nos.symlink(FOLDER, "folder")\nprint(open("folder/secret.txt").read())',
  },
  { name: 'makes a hard link', code: 'import os\nos.link(SECRET, "hard.txt")\nprint(open("hard.txt").read())' },
  { name: 'reads by /proc/self/root', code: 'print(open("/proc/self/root" + SECRET).read())' },
  { name: 'reads by /proc/1/root', code: 'print(open("/proc/1/root" + SECRET).read())' },
  { name: 'reads by the root of the server', code: 'print(open(f"/proc/{PID}/root" + SECRET).read())' },
  { name: "reads the server's environment", code: 'print(open(f"/proc/{PID}/environ").read())' },
  { name: "reads the first process's environment", code: 'print(open("/proc/1/environ").read())' },
  { name: "opens the server's descriptors", code: 'import os\nprint("ESCAPED", os.listdir(f"/proc/{PID}/fd"))' },
  { name: "reads the server's memory", code: 'print("ESCAPED", open(f"/proc/{PID}/mem", "rb").fileno())' },
  { name: 'writes to a file of the host', code: 'open(SECRET, "a").write("x")' },
  { name: 'makes a file on the host', code: 'open(FOLDER + "/new.txt", "w").write("x")' },
  { name: 'removes a file of the host', code: 'import os\nos.remove(SECRET)' },
  { name: 'copies a folder of the host', code: 'import shutil\nshutil.copytree(FOLDER, "/mnt/data/copy")' },
  {
    name: 'opens the disk',
    code: 'import os, stat\nos.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(254, 0))\nprint("ESCAPED", open("disk", "rb").read(1))',
  },
  {
    name: 'reads the kernel',
    code: 'for p in ("/proc/kcore", "/dev/mem", "/dev/kmsg"):\n    try: print("ESCAPED", open(p, "rb").read(9))\n    except OSError: pass',
  },
  { name: 'changes the kernel', code: 'open("/proc/sys/kernel/hostname", "w").write("x"); print("ESCAPED")' },
  { name: 'reads the environment', code: 'import os\nprint(dict(os.environ))' },
  { name: 'reads its own /proc/self/environ', code: 'print(open("/proc/self/environ").read())' },
  {
    name: 'reads the environment by ctypes',
    code: `${c()}libc.getenv.restype = ctypes.c_char_p\nprint(libc.getenv(b"SANDBOX_CANARY"))`,
  },
  {
    name: 'connects to a port of the host',
    code: 'import socket\nsocket.create_connection(("127.0.0.1", PORT), 2).send(b"x")',
  },
  {
    name: 'connects without blocking',
    code: 'import socket, time\ns = socket.socket(); s.setblocking(False)\ntry: s.connect(("127.0.0.1", PORT))\nexcept BlockingIOError: pass\ntime.sleep(0.2)\ns.send(b"x")',
  },
  {
    name: 'sends a datagram',
    code: 'import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", PORT))',
  },
  {
    name: 'asks by HTTP',
    code: 'import urllib.request\nurllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=2)',
  },
  {
    name: 'opens a stream with asyncio',
    code: 'import asyncio\nawait asyncio.wait_for(asyncio.open_connection("127.0.0.1", PORT), 2)',
  },
  {
    name: 'connects to a Unix socket',
    code: 'import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect(SOCKET)\ns.send(b"x")',
  },
  {
    name: 'connects to an abstract socket',
    code: 'import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect("\\0" + SOCKET)\ns.send(b"x")',
  },
  {
    name: 'opens a raw socket',
    code: 'import socket\nsocket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)\nprint("ESCAPED")',
  },
  { name: 'runs a command', code: 'import os\nos.system(f"cat {SECRET}; echo $SANDBOX_CANARY; touch {FOLDER}/new")' },
  {
    name: 'runs a process',
    code: 'import subprocess\nprint(subprocess.run(["/bin/cat", SECRET], capture_output=True))',
  },
  { name: 'reads the environment of a process', code: 'import os\nprint(os.popen("env").read())' },
  {
    name: 'reaches the host from a process',
    code: 'import subprocess\nsubprocess.run(["/bin/bash", "-c", f"echo x > /dev/tcp/127.0.0.1/{PORT}"], timeout=2)',
  },
  {
    name: 'forks and executes',
    code: 'import os\npid = os.fork()\nif pid == 0: os.execv("/bin/cat", ["cat", SECRET])\nos.waitpid(pid, 0)',
  },
  { name: 'becomes another program', code: 'import os\nos.execv("/bin/cat", ["cat", SECRET])' },
  { name: 'signals the server', code: 'import os, signal\nos.kill(PID, signal.SIGTERM)' },
  { name: 'signals its parent', code: 'import os, signal\nos.kill(os.getppid(), signal.SIGKILL)' },
  { name: 'signals everybody', code: 'import os, signal\nos.kill(-1, signal.SIGTERM)' },
  {
    name: 'calls into libc',
    code: `${c()}fd = libc.open(SECRET.encode(), 0)\nb = ctypes.create_string_buffer(99)\nlibc.read(fd, b, 99)\nprint(b.value)`,
  },
  { name: 'calls system() of libc', code: `${c()}libc.system(f"touch {FOLDER}/new; cat {SECRET}".encode())` },
  {
    name: 'becomes root',
    code: 'import os\nfor f in (os.setgroups, os.setgid, os.setuid):\n    try: f([0] if f is os.setgroups else 0)\n    except Exception: pass\nprint(open(SECRET).read())',
  },
  { name: 'changes its root', code: 'import os\nos.chroot("/mnt/data")\nprint("ESCAPED")' },
  {
    name: 'closes all descriptors',
    code: 'import os\nfor fd in range(64):\n    try: os.close(fd)\n    except OSError: pass',
  },
  {
    name: 'speaks for the interpreter',
    code: 'import json, os, struct\nfor fd in (1, 4):\n    for name in ("../../up.txt", "/abs.txt", "a/../../b"):\n        h = json.dumps({"type": "written", "name": name}).encode()\n        try: os.write(fd, struct.pack("<II", len(h), 1) + h + b"x")\n        except OSError: pass',
  },
  {
    name: 'says what is no frame',
    code: 'import os\nfor fd in (1, 4):\n    try: os.write(fd, b"\\xff" * 64)\n    except OSError: pass',
  },
  {
    name: 'gives another type of answer',
    code: 'import json, os, struct\nh = json.dumps({"type": "done", "value": {"a": 1}, "omitted": 7, "__proto__": {"isAlive": 1}}).encode()\ntry: os.write(4, struct.pack("<II", len(h), 0) + h)\nexcept OSError: pass',
  },
  {
    name: 'tampers with the interpreter',
    code: 'import sys, gc\nfor o in gc.get_objects():\n    if type(o).__name__ == "Interpreter":\n        o._stats = lambda: {"../../up.txt": (1, 1, 1)}\n        o._limits = dict(o._limits, logBytes=10**12, fileBytes=10**12)\nprint("x" * 3_000_000)',
  },
  {
    name: 'breaks what the interpreter uses',
    code: 'import json, os, builtins, traceback\njson.dumps = lambda *a: "{"\ntraceback.format_exception = None\n1 / 0',
  },
  { name: 'has a repr that reads', code: 'class A:\n    def __repr__(self): return open(SECRET).read()\nA()' },
  { name: 'has a repr without end', code: 'class A:\n    def __repr__(self): return "x" * 10**8\nA()' },
  { name: 'raises what cannot be shown', code: 'class E(BaseException):\n    def __str__(self): raise self\nraise E' },
  {
    name: 'writes files with impossible names',
    code: 'for n in ("a\\nb", "a\\\\b", "x" * 250, "..a", "\\udcff"):\n    try: open(n, "w").write("x")\n    except OSError: pass',
  },
  {
    name: 'reads what another session keeps',
    code: 'import gc, glob, os\nprint(glob.glob("/mnt/**/*", recursive=True), [o for o in gc.get_objects() if type(o) is dict and "neighbour" in o])',
  },
  {
    name: 'writes to its program',
    code: 'import sys, os\nfor p in (os.__file__, sys.executable):\n    try:\n        open(p, "ab").write(b"")\n        if "js" not in sys.modules: print("ESCAPED")\n    except OSError: pass',
  },
  { name: 'crashes', code: `${c()}ctypes.string_at(0)` },
  { name: 'aborts', code: 'import os\nos.abort()' },
  { name: 'ends itself', code: 'import os\nos._exit(0)' },
  { name: 'recurses without end', code: 'import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()' },
]

/** For Python in JavaScript, all of which it can reach. */
export const javascriptEscapes: Escape[] = [
  ...Object.entries({
    'reads by Deno': 'Deno.readTextFileSync(SECRET)',
    'lists by Deno': '"ESCAPED" + Array.from(Deno.readDirSync(FOLDER)).length',
    'reads what the interpreter read': '"ESCAPED" + Deno.readFileSync(SNAPSHOT).length',
    'reads /proc by Deno': '"ESCAPED" + Deno.readTextFileSync("/proc/self/status")',
    'reads by node:fs': 'import("node:fs").then((fs) => fs.readFileSync(SECRET, "utf8"))',
    'reads by require': 'import("node:module").then((m) => m.createRequire("file:///x.js")(SECRET))',
    'reads by import': 'import("file://" + SECRET, { with: { type: "text" } }).then((m) => m.default)',
    'reads by a module that imports':
      'import("data:text/javascript," + encodeURIComponent("export { default } from \'file://" + SECRET + "\' with { type: \'text\' }")).then((m) => m.default)',
    'reads by fetch': 'fetch("file://" + SECRET).then((r) => r.text())',
    'reads by a process binding': 'String(process.binding("fs").internalModuleReadJSON(SECRET))',
    'reads by a mounted folder':
      '(pyodide.FS.mkdir("/host"), pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: FOLDER }, "/host"), pyodide.FS.readFile("/host/secret.txt", { encoding: "utf8" }))',
    'reads by sqlite':
      'import("node:sqlite").then((s) => "ESCAPED" + new s.DatabaseSync(SECRET).prepare("select 1").all())',
    'writes by Deno': 'Deno.writeTextFileSync(FOLDER + "/new", "x")',
    'writes by sqlite':
      'import("node:sqlite").then((s) => new s.DatabaseSync(":memory:").exec("vacuum into \'" + FOLDER + "/new\'"))',
    'writes to the local storage': '(localStorage.setItem("a", "b"), "ESCAPED")',
    'writes to the cache': 'caches.open("a").then((c) => c.put("http://a/b", new Response("x"))).then(() => "ESCAPED")',
    'makes a temporary file': '"ESCAPED" + Deno.makeTempFileSync()',
    'writes a heap snapshot': 'import("node:v8").then((v) => "ESCAPED" + v.writeHeapSnapshot(FOLDER + "/new"))',
    'reads the environment by Deno': 'JSON.stringify(Deno.env.toObject())',
    'reads the environment by node': 'String(process.env.SANDBOX_CANARY)',
    'starts a process by Deno':
      'new TextDecoder().decode(new Deno.Command("/bin/cat", { args: [SECRET] }).outputSync().stdout)',
    'starts a process by node':
      'import("node:child_process").then((c) => c.execFileSync("/bin/cat", [SECRET]).toString())',
    'kills by Deno': 'Deno.kill(PID, "SIGTERM")',
    'kills by node': 'process.kill(PID, "SIGTERM")',
    'opens a library': 'Deno.dlopen("libc.so.6", { getpid: { parameters: [], result: "i32" } }) && "ESCAPED"',
    'opens an addon': '(process.dlopen({ exports: {} }, FOLDER + "/secret.txt"), "ESCAPED")',
    'asks for permission':
      'Deno.permissions.request({ name: "read" }).then((s) => s.state === "granted" ? "ESCAPED" : "")',
    fetches: 'fetch("http://127.0.0.1:" + PORT)',
    'connects by Deno': 'Deno.connect({ hostname: "127.0.0.1", port: PORT })',
    'connects by node':
      'import("node:net").then((n) => new Promise((r) => n.connect(PORT, "127.0.0.1").on("connect", r).on("error", r)))',
    'sends a datagram by node':
      'import("node:dgram").then((d) => new Promise((r) => d.createSocket("udp4").on("error", r).send("x", PORT, "127.0.0.1", r)))',
    'opens a WebSocket':
      'new Promise((r) => { const w = new WebSocket("ws://127.0.0.1:" + PORT); w.onerror = w.onopen = () => r("") })',
    'opens an EventSource':
      'new Promise((r) => { const e = new EventSource("http://127.0.0.1:" + PORT); e.onerror = e.onopen = () => { e.close(); r("") } })',
    'asks the DNS': 'Deno.resolveDns("example.test", "A").then(() => "ESCAPED")',
    'asks the DNS by node': 'import("node:dns/promises").then((d) => d.lookup("localhost")).then(() => "ESCAPED")',
    listens: 'Deno.listen({ port: 0 }) && "ESCAPED"',
    'opens the inspector': 'import("node:inspector").then((i) => (i.open(0), i.url() ? "ESCAPED" : ""))',
    'imports from the network': 'import("http://127.0.0.1:" + PORT + "/x.js")',
    'imports from a registry': 'import("npm:left-pad@1.0.0").then(() => "ESCAPED")',
    'reads in a Worker':
      'new Promise((r) => { const w = new Worker("data:text/javascript," + encodeURIComponent("try { postMessage(Deno.readTextFileSync(" + JSON.stringify(SECRET) + ")) } catch { postMessage(0) }"), { type: "module" }); w.onmessage = (e) => r(String(e.data)); w.onerror = (e) => { e.preventDefault(); r("") } })',
    'gives a Worker more than it has':
      'new Promise((r) => { const w = new Worker("data:text/javascript," + encodeURIComponent("postMessage(Deno.readTextFileSync(" + JSON.stringify(SECRET) + "))"), { type: "module", deno: { permissions: "inherit" } }); w.onmessage = (e) => r(String(e.data)); w.onerror = (e) => { e.preventDefault(); r("") } })',
    'speaks for the interpreter':
      '(() => { const h = new TextEncoder().encode(JSON.stringify({ type: "written", name: "../../up" })); const f = new Uint8Array(9 + h.length); new DataView(f.buffer).setUint32(0, h.length, true); f[4] = 1; f.set(h, 8); Deno.stdout.writeSync(f) })()',
    'gives answers without end':
      '(() => { const h = new TextEncoder().encode(JSON.stringify({ type: "placed", ok: true })); const f = new Uint8Array(8 + h.length); new DataView(f.buffer).setUint32(0, h.length, true); f.set(h, 8); for (;;) Deno.stdout.writeSync(f) })()',
    'is done without end':
      '(() => { const h = new TextEncoder().encode(JSON.stringify({ type: "done", omitted: [] })); const f = new Uint8Array(8 + h.length); new DataView(f.buffer).setUint32(0, h.length, true); f.set(h, 8); for (;;) Deno.stdout.writeSync(f) })()',
    'says what is no frame': 'Deno.stdout.writeSync(new Uint8Array(1000).fill(255))',
    'speaks without end': '(() => { for (;;) Deno.stdout.writeSync(new Uint8Array(65536)) })()',
    'changes the flags of V8':
      'import("node:v8").then((v) => (v.setFlagsFromString("--max-old-space-size=99999"), Deno.readTextFileSync(SECRET)))',
    'takes memory as WebAssembly':
      '(() => { const all = []; for (;;) all.push(new WebAssembly.Memory({ initial: 16000 }), new Uint8Array(all.at(-1)?.buffer ?? 1).fill(1)) })()',
    'takes shared memory':
      '(() => { const all = []; for (;;) all.push(new Uint8Array(new SharedArrayBuffer(1e8)).fill(1)) })()',
    'takes memory as buffers': '(() => { const all = []; for (;;) all.push(new Uint8Array(1e8).fill(1)) })()',
    'starts Workers without end':
      '(() => { for (;;) new Worker("data:text/javascript,for(;;);", { type: "module" }) })()',
    'ends the process': 'Deno.exit(0)',
    'never answers': 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)',
  }).map(([name, source]) => ({ name: `${name} (JavaScript)`, code: `print(await js(${JSON.stringify(source)}))` })),
  {
    name: 'loads a package',
    code: 'import pyodide_js\nawait pyodide_js.loadPackage(f"http://127.0.0.1:{PORT}/a-1-py3-none-any.whl")',
  },
  {
    name: 'fetches by pyodide',
    code: 'from pyodide.http import pyfetch, open_url\nopen_url(f"http://127.0.0.1:{PORT}/")',
  },
]

/** For processes of the host's system. */
export const systemEscapes: Escape[] = [
  {
    name: 'makes namespaces',
    code: `${c()}\nprint("ESCAPED" if libc.unshare(0x10000000) == 0 or libc.unshare(0x20000) == 0 else "")`,
  },
  {
    name: 'makes namespaces by a program',
    code: 'import subprocess\nif subprocess.run(["unshare", "-Ur", "true"]).returncode == 0: print("ESCAPED")',
  },
  { name: 'mounts', code: `${c()}\nprint("ESCAPED" if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0 else "")` },
  {
    name: 'makes its mounts writable',
    code: `${c()}\nprint("ESCAPED" if libc.mount(None, b"/", None, 32 | 4096, None) == 0 else "")`,
  },
  { name: 'traces', code: `${c()}\nimport os\nprint("ESCAPED" if libc.ptrace(16, os.getppid(), 0, 0) == 0 else "")` },
  { name: 'takes memory that nobody maps', code: 'import os\nprint("ESCAPED", os.memfd_create("x"))' },
  { name: 'takes System V memory', code: `${c()}\nprint("ESCAPED" if libc.shmget(0, 4096, 0o1600) >= 0 else "")` },
  {
    name: 'uses io_uring',
    code: `${c()}\nprint("ESCAPED" if libc.syscall(425, 8, ctypes.create_string_buffer(200)) >= 0 else "")`,
  },
  {
    name: 'sees other processes',
    code: 'import os\npids = [p for p in os.listdir("/proc") if p.isdigit()]\nprint("ESCAPED" if len(pids) > 8 else "")',
  },
  {
    name: 'sees the network',
    code: 'import socket\nprint("ESCAPED" if [n for _, n in socket.if_nameindex() if n != "lo"] else "")',
  },
  {
    name: 'types into the terminal',
    code: 'import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSTI, b"x")\nprint("ESCAPED")',
  },
  {
    name: 'raises its limits',
    code: 'import resource\nfor r in (resource.RLIMIT_NPROC, resource.RLIMIT_DATA, resource.RLIMIT_NOFILE):\n    try:\n        resource.setrlimit(r, (-1, -1)); print("ESCAPED")\n    except (OSError, ValueError): pass',
  },
  {
    name: 'writes to the system',
    code: 'for p in ("/usr/x", "/etc/x", "/x", "/dev/x", "/mnt/x"):\n    try:\n        open(p, "w"); print("ESCAPED", p)\n    except OSError: pass',
  },
  {
    name: 'goes on as a daemon',
    code: 'import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        while True: pass\n    os._exit(0)',
  },
]
