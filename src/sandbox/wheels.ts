import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openPromise } from 'yauzl'

/** Names that can be imported, each with the file name of the wheel that has it. */
export async function indexWheels(folder: string): Promise<Record<string, string>> {
  const index: Record<string, string> = {}
  for (const wheel of (await readdir(folder)).filter((name) => name.endsWith('.whl')).sort()) {
    const zip = await openPromise(join(folder, wheel))
    try {
      for await (const { fileName } of zip.eachEntry()) {
        const name = /^(\w+)(?:\/.*\.(?:py|so)|\.py|\.[\w.-]+\.so)$/.exec(fileName)?.[1]
        if (name) index[name] = wheel
      }
    } finally {
      zip.close()
    }
  }
  return index
}
