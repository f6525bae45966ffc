import { describe, expect, onTestFinished, test } from 'vitest'
import { CompletionError } from '../src/completer/completer.ts'
import { connect } from '../src/completer/openai.ts'
import { type EmbeddingTurn, ScriptedBackend, vectorOf } from './harness/backend.ts'

/** The backend answers with a status and an error. */
const refuse =
  (status: number, message = 'No.', headers: Record<string, string> = {}): EmbeddingTurn =>
  ({ response }) => {
    const error = { error: { message, type: 'x', code: null, param: null } }
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(error))
  }

async function start({ maxRetries = 2 } = {}) {
  const backend = await new ScriptedBackend().start()
  onTestFinished(() => backend.stop())
  const embedder = connect({ baseURL: backend.url, apiKey: 'sk-backend', maxRetries, backoffMs: 1 }).embedder('e')
  const embed = (texts: readonly string[], signal = new AbortController().signal) => embedder.embed(texts, signal)
  const sizes = () => backend.embeddingRequests.map(({ input }) => input.length)
  return { backend, embedder, embed, sizes }
}

const textsOf = (count: number) => Array.from({ length: count }, (_, index) => `number ${index}`)
const vectorsFor = (texts: readonly string[]) => texts.map((text) => Float32Array.from(vectorOf(text)))
const cosine = (a: Float32Array, b: Float32Array) =>
  a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0) / (Math.hypot(...a) * Math.hypot(...b))

describe('embedding', () => {
  test('asks for numbers, with the key and the model, and gives one vector per text', async () => {
    const { backend, embedder, embed } = await start()
    const keys: unknown[] = []
    backend.embeddingTurns.push(({ request, vectors }) => {
      keys.push(request.headers.authorization)
      vectors()
    })
    const texts = ['The sky is blue.', 'Blue is the sky', 'Grass']
    const [sky, same, grass] = (await embed(texts)) as [Float32Array, Float32Array, Float32Array]
    expect([sky, same, grass]).toEqual(vectorsFor(texts))
    expect(cosine(sky, same)).toBeCloseTo(1)
    expect(cosine(sky, grass)).toBeLessThan(0.5)
    expect(backend.embeddingRequests).toEqual([{ model: 'e', input: texts, encoding_format: 'float' }])
    expect(keys).toEqual(['Bearer sk-backend'])
    expect(embedder.model).toBe('e')
  })

  test('of nothing asks nothing', async () => {
    const { backend, embed } = await start()
    expect(await embed([])).toEqual([])
    expect(backend.embeddingRequests).toEqual([])
  })

  test('goes in batches of 96 texts, a few at once, and keeps the order', async () => {
    const { backend, embed, sizes } = await start()
    let [together, most] = [0, 0]
    const waiting: (() => void)[] = []
    backend.otherwiseEmbed = async ({ vectors }) => {
      most = Math.max(most, ++together)
      // The first three are answered when all of them are there, the last of them first.
      if (backend.embeddingRequests.length < 3) await new Promise<void>((resolve) => waiting.unshift(resolve))
      for (const resolve of waiting.splice(0)) resolve()
      together--
      vectors()
    }
    const texts = textsOf(400)
    expect(await embed(texts)).toEqual(vectorsFor(texts))
    expect(sizes().sort()).toEqual([16, 96, 96, 96, 96])
    expect(most).toBe(3)
  })

  test('goes in batches that are not too long', async () => {
    const { embed, sizes } = await start()
    const texts = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${letter} `.repeat(45_000))
    expect(await embed(texts)).toEqual(vectorsFor(texts))
    expect(sizes().sort()).toEqual([1, 2, 2])
  })

  test('takes the vectors by their index where they come in another order', async () => {
    const { backend, embed } = await start()
    backend.embeddingTurns.push(({ response }) => {
      const data = [
        { index: 1, embedding: [0, 1] },
        { index: 0, embedding: [1, 0] },
      ]
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data }))
    })
    expect((await embed(['a', 'b'])).map((vector) => [...vector])).toEqual([
      [1, 0],
      [0, 1],
    ])
  })

  test('sends no half of a surrogate pair', async () => {
    const { backend, embed } = await start()
    await embed(['\ude00 a \ud83d'])
    expect(backend.embeddingRequests[0]?.input).toEqual(['\ufffd a \ufffd'])
  })
})

describe('a backend that is in trouble for a moment is asked again', () => {
  test.each([
    ['429', refuse(429, 'Slow down.', { 'retry-after-ms': '1' })],
    ['503', refuse(503)],
    ['a connection that breaks', ({ response }) => void response.destroy()],
    [
      'a connection that breaks in the middle',
      ({ response }) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
        response.write('{"data":', () => response.destroy())
      },
    ],
  ] as [string, EmbeddingTurn][])('%s, then fine', async (_, trouble) => {
    const { backend, embed, sizes } = await start()
    backend.embeddingTurns = [trouble, trouble]
    expect(await embed(['a', 'b'])).toEqual(vectorsFor(['a', 'b']))
    expect(sizes()).toEqual([2, 2, 2])
  })

  test('and when it stays so there are no vectors', async () => {
    const { backend, embed, sizes } = await start()
    backend.otherwiseEmbed = refuse(500, 'The GPU is on fire.')
    const failure = await embed(['a']).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(CompletionError)
    expect(failure).toMatchObject({ code: 'server_error', message: expect.stringContaining('The GPU is on fire.') })
    expect(sizes()).toEqual([1, 1, 1])
  })

  test('but not when it refuses', async () => {
    const { backend, embed, sizes } = await start()
    backend.otherwiseEmbed = refuse(404, 'No such model.')
    await expect(embed(['a'])).rejects.toThrow(/does not serve 'e'.*No such model\./)
    expect(sizes()).toEqual([1])
  })
})

describe('a backend that takes less at once', () => {
  test('gets less, and from then on no more than it takes', async () => {
    const { backend, embed, sizes } = await start()
    const takes: EmbeddingTurn = (exchange) =>
      exchange.texts.length > 32 ? refuse(422, 'batch size 96 > maximum 32')(exchange) : exchange.vectors()
    backend.otherwiseEmbed = takes
    const texts = textsOf(96)
    expect(await embed(texts)).toEqual(vectorsFor(texts))
    expect(sizes()).toEqual([96, 48, 24, 24, 48, 24, 24])
    backend.embeddingRequests.length = 0
    expect(await embed(texts)).toEqual(vectorsFor(texts))
    expect(sizes()).toEqual([24, 24, 24, 24])
  })

  test.each([
    [400, "This model's maximum context length is 512 tokens."],
    [413, 'Input must have less than 512 tokens.'],
    [500, 'input (992 tokens) is too large to process. increase the physical batch size'],
  ])('gets a text that is too long for it in parts, %i', async (status, message) => {
    const { backend, embed } = await start()
    backend.otherwiseEmbed = (exchange) =>
      exchange.texts.some((text) => text.length > 400) ? refuse(status, message)(exchange) : exchange.vectors()
    const long = `${'sky '.repeat(150)}${'grass '.repeat(150)}`
    const [short, mean] = (await embed(['short', long])) as [Float32Array, Float32Array]
    expect(short).toEqual(Float32Array.from(vectorOf('short')))
    expect(cosine(mean, Float32Array.from(vectorOf('sky grass')))).toBeGreaterThan(0.9)
    // One text was too long, not the batch.
    backend.embeddingRequests.length = 0
    await embed(['a', 'b', 'c', 'd'])
    expect(backend.embeddingRequests).toHaveLength(1)
  })

  test('but not for ever: what refuses even a word refuses for another reason', async () => {
    const { backend, embed } = await start()
    backend.otherwiseEmbed = refuse(400, 'e is no embedding model.')
    await expect(embed([...textsOf(96), 'x'.repeat(10_000)])).rejects.toMatchObject({
      code: 'invalid_prompt',
      message: 'e is no embedding model.',
    })
    expect(backend.embeddingRequests.length).toBeLessThan(30)
  })
})

describe('vectors that cannot be right are refused with a word about what is wrong', () => {
  test.each([
    ['too few', [[1, 0]], '1 vectors for 2 texts'],
    ['different dimensions', [[1, 0], [1]], 'different dimensions, 2 and 1'],
    [
      'no numbers',
      [
        [1, 0],
        [null, 1],
      ],
      'no list of numbers',
    ],
    ['base64', ['AACAPw==', 'AACAPw=='], 'no list of numbers'],
    ['empty', [[], []], 'no list of numbers'],
  ])('%s', async (_, vectors, message) => {
    const { backend, embed, sizes } = await start()
    backend.embeddingTurns.push((exchange) => exchange.vectors(vectors))
    const failure = await embed(['a', 'b']).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(CompletionError)
    expect((failure as CompletionError).message).toContain(message)
    expect(sizes()).toEqual([2])
  })

  test('different dimensions in the batches of one call', async () => {
    const { backend, embed } = await start()
    backend.embeddingTurns.push(({ texts, vectors }) => vectors(texts.map((text) => vectorOf(text, 32))))
    await expect(embed(textsOf(97))).rejects.toThrow(/different dimensions, (32 and 64|64 and 32)\.$/)
  })

  test.each(['{}', 'null', '{"data":null}', '<html>'])('an answer without vectors: %s', async (body) => {
    const { backend, embed } = await start()
    const type = body.startsWith('<') ? 'text/html' : 'application/json'
    backend.embeddingTurns.push(({ response }) => void response.writeHead(200, { 'content-type': type }).end(body))
    await expect(embed(['a'])).rejects.toThrow(/malformed embeddings: there is no list of them/)
  })
})

describe('a signal', () => {
  test('ends the requests that are under way, and embedding rejects with its reason', async () => {
    const { backend, embed } = await start()
    const stop = new AbortController()
    const exchanges: Promise<void>[] = []
    backend.otherwiseEmbed = ({ closed }) => {
      exchanges.push(closed)
      if (exchanges.length === 3) stop.abort('cancelled')
    }
    await expect(embed(textsOf(500), stop.signal)).rejects.toBe('cancelled')
    await Promise.all(exchanges)
    expect(exchanges).toHaveLength(3)
  })

  test('ends the wait for another try', async () => {
    const { backend, embed } = await start()
    const stop = new AbortController()
    backend.otherwiseEmbed = (exchange) => {
      exchange.response.once('finish', () => stop.abort('cancelled'))
      return refuse(429, 'Slow down.', { 'retry-after': '60' })(exchange)
    }
    await expect(embed(['a'], stop.signal)).rejects.toBe('cancelled')
  })

  test('that has fired lets nothing be asked', async () => {
    const { backend, embed } = await start()
    await expect(embed(['a'], AbortSignal.abort('shutdown'))).rejects.toBe('shutdown')
    expect(backend.embeddingRequests).toEqual([])
  })

  test('is not needed for the others to end when one batch fails', async () => {
    const { backend, embed } = await start({ maxRetries: 0 })
    const exchanges: Promise<void>[] = []
    backend.otherwiseEmbed = async (exchange) => {
      exchanges.push(exchange.closed)
      if (exchanges.length === 3) await refuse(401, 'Wrong key.')(exchange)
    }
    await expect(embed(textsOf(500))).rejects.toThrow(/OPENAI_API_KEY.*Wrong key\./)
    await Promise.all(exchanges)
    expect(exchanges).toHaveLength(3)
  })
})
