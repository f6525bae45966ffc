/*
 * A thread of the process that parses documents. It watches what no limit of V8's bounds: all memory, of which most is in
 * buffers; and that the server still lives, also while a parser holds the main thread. From within, since the server may
 * be too busy to look in time: a process can grow by a gigabyte a second.
 */
const limit = Number(process.argv[2]) * 1024 * 1024
const server = process.ppid
const pause = new Int32Array(new SharedArrayBuffer(4))

for (;;) {
  Atomics.wait(pause, 0, 0, 10)
  if (process.memoryUsage.rss() > limit || process.ppid !== server) process.kill(process.pid, 'SIGKILL')
}
