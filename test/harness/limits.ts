import type { Harness } from './app.ts'
import { haveFiles } from './objects.ts'
import { type Refusal, refusal } from './refusal.ts'

export type Kind =
  | 'assistant'
  | 'thread'
  | 'message'
  | 'run'
  | 'thread and run'
  | 'tool outputs'
  | 'upload'
  | 'vector store'
  | 'file of a store'
  | 'batch of files'
  | 'search'

/** Posts a body, completed to one that is right, for an object of its own. */
export async function post(h: Harness, kind: Kind, body: object): Promise<Response> {
  await haveFiles(h, 'file-a', 'file_a')
  if (kind === 'assistant') return h.send('POST', '/v1/assistants', { model: 'demo', ...body })
  if (kind === 'thread') return h.send('POST', '/v1/threads', body)
  if (kind === 'upload') {
    const given = { filename: 'a.txt', purpose: 'assistants', bytes: 1, mime_type: 'text/plain' }
    return h.send('POST', '/v1/uploads', { ...given, ...body })
  }
  if (kind === 'vector store') return h.send('POST', '/v1/vector_stores', body)
  if (kind === 'file of a store' || kind === 'batch of files' || kind === 'search') return postTo(h, kind, body)
  const { id } = await h.client.beta.threads.create()
  if (kind === 'message') return h.send('POST', `/v1/threads/${id}/messages`, { role: 'user', content: 'Hi', ...body })
  if (kind === 'tool outputs') return h.send('POST', `/v1/threads/${id}/runs/run_x/submit_tool_outputs`, body)
  const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'demo' })
  const url = kind === 'run' ? `/v1/threads/${id}/runs` : '/v1/threads/runs'
  return h.send('POST', url, { assistant_id, instructions: 'Be brief.', ...body })
}

async function postTo(h: Harness, kind: 'file of a store' | 'batch of files' | 'search', body: object) {
  const { id } = await h.client.vectorStores.create({})
  const url = `/v1/vector_stores/${id}`
  if (kind === 'search') return h.send('POST', `${url}/search`, { query: 'apples', ...body })
  const file = await h.client.files.create({ file: new File(['apples'], 'a.txt'), purpose: 'assistants' })
  if (kind === 'file of a store') return h.send('POST', `${url}/files`, { file_id: file.id, ...body })
  return h.send('POST', `${url}/file_batches`, 'files' in body ? body : { file_ids: [file.id], ...body })
}

export const x = (length: number) => 'x'.repeat(length)
const list = <T>(length: number, item: T) => Array<T>(length).fill(item)
const functionTool = (more: object = {}) => ({ type: 'function', function: { name: 'f', ...more } })
const searchTool = (file_search: object) => ({ tools: [{ type: 'file_search', file_search }] })
const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`key${n}`, 'value']))

export const tooLong = (param: string, max: number) =>
  refusal(
    `Invalid '${param}': string too long. Expected a string with maximum length ${max}, but got a string with length ${max + 1} instead.`,
    { param, code: 'string_above_max_length' },
  )
const tooMany = (param: string, max: number) =>
  refusal(
    `Invalid '${param}': array too long. Expected an array with maximum length ${max}, but got an array with length ${max + 1} instead.`,
    { param, code: 'array_above_max_length' },
  )
const empty = (param: string) =>
  refusal(
    `Invalid '${param}': empty string. Expected a string with minimum length 1, but got an empty string instead.`,
    { param, code: 'empty_string' },
  )
const outside = (kind: 'integer' | 'decimal', param: string, side: '<=' | '>=', bound: number, got: number) => {
  const [where, code] = side === '<=' ? ['above maximum', 'above_max'] : ['below minimum', 'below_min']
  return refusal(
    `Invalid '${param}': ${kind} ${where} value. Expected a value ${side} ${bound}, but got ${got} instead.`,
    {
      param,
      code: `${kind}_${code}_value`,
    },
  )
}
const pattern = (param: string) =>
  refusal(
    `Invalid '${param}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.`,
    { param, code: 'invalid_value' },
  )

const metadataEdges = (kind: Kind, wrap: Edge[1], path: string): Edge[] => [
  [
    kind,
    wrap,
    [pairs(16), {}],
    [
      pairs(17),
      refusal(
        `Invalid '${path}': too many properties. Expected an object with at most 16 properties, but got an object with 17 properties instead.`,
        { param: path, code: 'object_above_max_properties' },
      ),
    ],
  ],
  [kind, wrap, [{ k: x(512) }, { k: '' }], [{ k: x(513) }, tooLong(`${path}.k`, 512)]],
  [
    kind,
    wrap,
    [{ [x(64)]: 'v' }, { '': 'v' }],
    [
      { [x(65)]: 'v' },
      refusal(
        `Invalid property name in '${path}': 'xxx...xxx' is too long. Expected a string with maximum length 64, but got a string with length 65 instead.`,
        { param: `${path}.${x(65)}`, code: 'property_name_above_max_length' },
      ),
    ],
  ],
]

/** A body for a value; the values at the edge, which are accepted; those past it, and how they are refused. */
export type Edge = [
  kind: Kind,
  wrap: (value: unknown) => object,
  good: unknown[],
  ...bad: [value: unknown, refused: Refusal][],
]

export const edges: Edge[] = [
  ['assistant', (name) => ({ name }), [x(256), ''], [x(257), tooLong('name', 256)]],
  ['assistant', (description) => ({ description }), [x(512)], [x(513), tooLong('description', 512)]],
  ['assistant', (instructions) => ({ instructions }), [x(256_000)], [x(256_001), tooLong('instructions', 256_000)]],
  ['assistant', (model) => ({ model }), ['m', x(256)], [x(257), tooLong('model', 256)], ['', empty('model')]],
  [
    'assistant',
    (tools) => ({ tools }),
    [list(128, functionTool())],
    [list(129, functionTool()), tooMany('tools', 128)],
  ],
  [
    'assistant',
    (name) => ({ tools: [functionTool(), functionTool({ name })] }),
    [x(64), 'aZ09_-'],
    [x(65), tooLong('tools[1].function.name', 64)],
    ['', empty('tools[1].function.name')],
    ['a b', pattern('tools[1].function.name')],
    ['é', pattern('tools[1].function.name')],
  ],
  [
    'assistant',
    (name) => ({ response_format: { type: 'json_schema', json_schema: { name } } }),
    [x(64)],
    [x(65), tooLong('response_format.json_schema.name', 64)],
    ['a.b', pattern('response_format.json_schema.name')],
  ],
  [
    'assistant',
    (max_num_results) => searchTool({ max_num_results }),
    [1, 50],
    [0, outside('integer', 'tools[0].file_search.max_num_results', '>=', 1, 0)],
    [51, outside('integer', 'tools[0].file_search.max_num_results', '<=', 50, 51)],
  ],
  [
    'assistant',
    (score_threshold) => searchTool({ ranking_options: { score_threshold } }),
    [0, 0.5, 1],
    [-0.1, outside('decimal', 'tools[0].file_search.ranking_options.score_threshold', '>=', 0, -0.1)],
    [1.1, outside('decimal', 'tools[0].file_search.ranking_options.score_threshold', '<=', 1, 1.1)],
  ],
  ...(['assistant', 'run', 'thread and run'] as const).flatMap((kind): Edge[] => [
    [
      kind,
      (temperature) => ({ temperature }),
      [0, 2, 0.1],
      [-0.1, outside('decimal', 'temperature', '>=', 0, -0.1)],
      [2.1, outside('decimal', 'temperature', '<=', 2, 2.1)],
      [3, outside('decimal', 'temperature', '<=', 2, 3)],
    ],
    [
      kind,
      (top_p) => ({ top_p }),
      [0, 1, 0.1],
      [-0.1, outside('decimal', 'top_p', '>=', 0, -0.1)],
      [1.1, outside('decimal', 'top_p', '<=', 1, 1.1)],
    ],
  ]),
  ...(['assistant', 'thread', 'thread and run'] as const).flatMap((kind): Edge[] => [
    [
      kind,
      (file_ids) => ({ tool_resources: { code_interpreter: { file_ids } } }),
      [list(20, 'file-a'), ['file_a'], []],
      [list(21, 'file-a'), tooMany('tool_resources.code_interpreter.file_ids', 20)],
    ],
    [
      kind,
      (vector_store_ids) => ({ tool_resources: { file_search: { vector_store_ids } } }),
      [[]],
      [['vs_a', 'vs_b'], tooMany('tool_resources.file_search.vector_store_ids', 1)],
    ],
  ]),
  ...(['run', 'thread and run'] as const).flatMap((kind): Edge[] => [
    [kind, (instructions) => ({ instructions }), [x(256_000)], [x(256_001), tooLong('instructions', 256_000)]],
    [kind, (tools) => ({ tools }), [list(128, functionTool())], [list(129, functionTool()), tooMany('tools', 128)]],
    [
      kind,
      (last_messages) => ({ truncation_strategy: { type: 'last_messages', last_messages } }),
      [1, 100_000],
      [0, outside('integer', 'truncation_strategy.last_messages', '>=', 1, 0)],
    ],
    ...['max_prompt_tokens', 'max_completion_tokens'].map(
      (key): Edge => [kind, (value) => ({ [key]: value }), [256], [255, outside('integer', key, '>=', 256, 255)]],
    ),
  ]),
  [
    'run',
    (text) => ({ additional_instructions: text }),
    [x(256_000)],
    [x(256_001), tooLong('additional_instructions', 256_000)],
  ],
  [
    'run',
    (content) => ({ additional_messages: [{ role: 'user', content }] }),
    [x(256_000)],
    [x(256_001), tooLong('additional_messages[0].content', 256_000)],
  ],
  [
    'thread and run',
    (content) => ({ thread: { messages: [{ role: 'user', content }] } }),
    [x(256_000)],
    [x(256_001), tooLong('thread.messages[0].content', 256_000)],
  ],
  ['message', (content) => ({ content }), [x(256_000), ''], [x(256_001), tooLong('content', 256_000)]],
  [
    'message',
    (text) => ({ content: [{ type: 'text', text }] }),
    [x(256_000)],
    [x(256_001), tooLong('content[0].text', 256_000)],
  ],
  [
    'message',
    (content) => ({ content }),
    [list(1, { type: 'text', text: 'a' })],
    [
      [],
      refusal(
        `Invalid 'content': empty array. Expected an array with minimum length 1, but got an empty array instead.`,
        {
          param: 'content',
          code: 'empty_array',
        },
      ),
    ],
  ],
  ...metadataEdges('assistant', (metadata) => ({ metadata }), 'metadata'),
  ...metadataEdges(
    'thread',
    (metadata) => ({ messages: [{ role: 'user', content: 'Hi', metadata }] }),
    'messages[0].metadata',
  ),
  ...metadataEdges('run', (metadata) => ({ metadata }), 'metadata'),
  ...metadataEdges('vector store', (metadata) => ({ metadata }), 'metadata'),
  ...metadataEdges('file of a store', (attributes) => ({ attributes }), 'attributes'),
  ...metadataEdges('batch of files', (attributes) => ({ attributes }), 'attributes'),
  ['vector store', (name) => ({ name }), [x(256), ''], [x(257), tooLong('name', 256)]],
  ['vector store', (description) => ({ description }), [x(512)], [x(513), tooLong('description', 512)]],
  ['vector store', (file_ids) => ({ file_ids }), [[]], [list(501, 'file-a'), tooMany('file_ids', 500)]],
  [
    'vector store',
    (days) => ({ expires_after: { anchor: 'last_active_at', days } }),
    [1, 365],
    [0, outside('integer', 'expires_after.days', '>=', 1, 0)],
    [366, outside('integer', 'expires_after.days', '<=', 365, 366)],
  ],
  ...(['vector store', 'file of a store', 'batch of files'] as const).flatMap((kind): Edge[] => {
    const chunks = (max_chunk_size_tokens: unknown, chunk_overlap_tokens: unknown) => ({
      chunking_strategy: { type: 'static', static: { max_chunk_size_tokens, chunk_overlap_tokens } },
    })
    const at = 'chunking_strategy.static'
    return [
      [
        kind,
        (size) => chunks(size, 50),
        [100, 4096],
        [99, outside('integer', `${at}.max_chunk_size_tokens`, '>=', 100, 99)],
        [4097, outside('integer', `${at}.max_chunk_size_tokens`, '<=', 4096, 4097)],
      ],
      [
        kind,
        (overlap) => chunks(4096, overlap),
        [0, 2048],
        [-1, outside('integer', `${at}.chunk_overlap_tokens`, '>=', 0, -1)],
      ],
    ]
  }),
  [
    'search',
    (max_num_results) => ({ max_num_results }),
    [1, 50],
    [0, outside('integer', 'max_num_results', '>=', 1, 0)],
    [51, outside('integer', 'max_num_results', '<=', 50, 51)],
  ],
  [
    'search',
    (score_threshold) => ({ ranking_options: { score_threshold } }),
    [0, 0.5, 1],
    [-0.1, outside('decimal', 'ranking_options.score_threshold', '>=', 0, -0.1)],
    [1.1, outside('decimal', 'ranking_options.score_threshold', '<=', 1, 1.1)],
  ],
  ['search', (query) => ({ query }), ['a', ['a', 'b']], ['', empty('query')], [['a', ''], empty('query[1]')]],
  [
    'upload',
    (bytes) => ({ bytes }),
    [1, 8_589_934_592],
    [0, outside('integer', 'bytes', '>=', 1, 0)],
    [8_589_934_593, outside('integer', 'bytes', '<=', 8_589_934_592, 8_589_934_593)],
  ],
]
