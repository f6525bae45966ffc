import { checkEvent } from './openapi.ts'

export interface SentEvent {
  event: string
  // biome-ignore lint/suspicious/noExplicitAny: events of all kinds are read field by field
  data: any
}

/** Reads server-sent events strictly: every block has one `event:` and one `data:` line, or is a comment. */
export async function* readEvents(response: Response): AsyncGenerator<SentEvent> {
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`)
  let buffer = ''
  const decoder = new TextDecoder()
  for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
    buffer += decoder.decode(bytes, { stream: true })
    for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
      const block = buffer.slice(0, end)
      buffer = buffer.slice(end + 2)
      if (block.startsWith(':')) continue
      const [, event, text] = /^event: (\S+)\ndata: (.*)$/s.exec(block) ?? []
      if (event === undefined || text === undefined) throw new Error(`not an event: ${block}`)
      if (event === 'done') {
        yield { event, data: text }
        continue
      }
      const data = JSON.parse(text)
      if (event !== 'error') checkEvent(event, data)
      yield { event, data }
    }
  }
  if (buffer !== '') throw new Error(`an event broke off: ${buffer}`)
}

export async function allEvents(response: Response): Promise<SentEvent[]> {
  const events: SentEvent[] = []
  for await (const event of readEvents(response)) events.push(event)
  return events
}

const shortNames: [RegExp, string][] = [
  [/^thread\.run\.step\./, 'S.'],
  [/^thread\.run\./, 'R.'],
  [/^thread\.message\./, 'M.'],
  [/^thread\.created$/, 'T.created'],
]

/** The names as the documentation abbreviates them; runs of deltas count once. */
export function namesOf(events: readonly SentEvent[]): string {
  const names = events.map(({ event }) => {
    const [pattern, short] = shortNames.find(([one]) => one.test(event)) ?? [/$^/, '']
    return event.replace(pattern, short)
  })
  return names.filter((name, index) => !(name.endsWith('.delta') && names[index - 1] === name)).join(' ')
}
