import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

/** The house: a file imports from its own floor or one below. The first pattern that fits a path gives its floor. */
const floors: [RegExp, number][] = [
  [/^(main|demo|server)\.ts$|^demo\//, 7],
  [/^(app|services|retrieval-services|sandbox-services)\.ts$/, 6],
  [/^(routes|http)\//, 5],
  [/^runs\/lifecycle\.ts$|^(pump|waiting-line)\.ts$/, 1],
  [
    /^runs\/(prompt|history|room|tokens|draft|message-parts|deltas|annotate|existing|settle|new-run|tool-outputs)\.ts$/,
    3,
  ],
  [/^retrieval\/(ingest|retriever|cite|rewrite)\.ts$|^tools\//, 3],
  [/^(runs|files|vector-stores)\//, 4],
  [/^(completer|events|store|retrieval|sandbox)\/|^blobs\.ts$/, 2],
  [/^(schemas\/.*|bounded-map\.ts|clock\.ts|config(-file)?\.ts|errors\.ts|ids\.ts)$/, 0],
]

const root = join(import.meta.dirname, '../src')
const files = globSync('**/*.ts', { cwd: root })
const floorOf = (file: string) => floors.find(([pattern]) => pattern.test(file))?.[1]
const importsOf = (file: string) =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/from '(\.[^']+)'/g)].map(([, path]) =>
    join(dirname(file), path ?? ''),
  )

test('every file has a floor, and imports from none above it', () => {
  const climbing = files.flatMap((file) =>
    importsOf(file)
      .filter((other) => (floorOf(other) ?? 99) > (floorOf(file) ?? -1))
      .map((other) => `${file} → ${other}`),
  )
  expect(climbing).toEqual([])
})

test('no imports go in a circle', () => {
  const done = new Set<string>()
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) throw new Error([...path, file].join(' → '))
    if (done.has(file)) return
    for (const other of importsOf(file)) visit(other, [...path, file])
    done.add(file)
  }
  expect(() => files.forEach((file) => void visit(file, []))).not.toThrow()
})
