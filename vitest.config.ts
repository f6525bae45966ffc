import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    // Files are read, indexed and searched by processes and threads of a lower priority than the tests.
    expect: { poll: { timeout: 15_000 } },
    // Tests wait for processes more than they calculate.
    maxWorkers: Math.max(3, availableParallelism() - 1),
  },
})
