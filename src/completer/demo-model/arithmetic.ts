/** What a question asks to be computed, as Python that prints it. */
export function calculationIn(question: string): string | undefined {
  for (const text of [bare(question), ...partsOf(question)]) {
    const code = listCode(text) ?? equationCode(text) ?? expressionCode(text)
    if (code) return code
  }
  return undefined
}

const courtesy =
  /^(?:(?:please|hi|hello|hey|can you|could you|tell me|give me|what(?:['’]s| is| are)|how much (?:is|are)|calculate|compute|evaluate|solve|find|work out|the|result|value|answer|equation|of)[\s,:!]+)+/i

const bare = (question: string) =>
  question
    .trim()
    .replace(courtesy, '')
    .replace(/[\s?.=]+$/, '')

const equation = /(?:[\d\s.,()+\-−*×·/÷^]|(?<!\p{L})\p{L}(?!\p{L}))+/u.source
const parts = [
  /`([^`\n]+)`/g,
  new RegExp(`(${equation}=${equation})`, 'gu'),
  // In a sentence, `-` and `/` alone are no sums: dates, ranges and names have them.
  /(?<![\p{L}\d.,])([\d(√](?=[^\p{L}]*(?:[*×·÷^√]|\s\+\s))[\d\s.,()+\-−*×·/÷%^√!]*[\d)!])(?![\p{L}\d])/gu,
]

/** What may be a calculation in the middle of a sentence. */
const partsOf = (question: string) =>
  parts.flatMap((pattern) => [...question.matchAll(pattern)].map(([, part = '']) => part.trim()))

const functions: Record<string, string> = {
  sum: 'sum',
  total: 'sum',
  product: 'math.prod',
  average: 'statistics.mean',
  mean: 'statistics.mean',
  median: 'statistics.median',
  largest: 'max',
  smallest: 'min',
}

/** "sum of 3, 4 and 5" */
function listCode(text: string): string | undefined {
  const [, word = '', items = ''] = /^(\w+) of (.+)$/s.exec(text) ?? []
  const name = functions[word.toLowerCase()]
  const numbers = withoutCommas(items).split(/[\s,]+(?:and\s+)?/)
  if (!name || !numbers.every((number) => /^-?(?:\d+(?:\.\d+)?|\.\d+)$/.test(number))) return undefined
  return withImports(`print(${name}([${numbers.map(withoutZeros).join(', ')}]))`)
}

/** "3x + 11 = 14" */
function equationCode(text: string): string | undefined {
  const [left, right, ...others] = text.split('=')
  const [unknown, ...more] = new Set(text.match(/\p{L}/gu))
  if (left === undefined || right === undefined || others.length > 0 || !unknown || more.length > 0) return undefined
  const sides = [left, right].map((side) => pythonOf(side, unknown))
  if (!sides.every(Boolean)) return undefined
  return `def f(${unknown}):
    return (${sides[0]}) - (${sides[1]})

slope = f(1) - f(0)
if slope == 0 or abs(f(2) - f(1) - slope) > 1e-9:
    print("This is not linear, or has no single solution.")
else:
    print(f"${unknown} = {-f(0) / slope:.10g}")`
}

/** "(3+4)^2 / 7", "15 % of 240" */
function expressionCode(text: string): string | undefined {
  const python = pythonOf(text)
  // A number alone asks for nothing.
  return python && /[^\d. -]|\d -/.test(python) ? withImports(`print(${python})`) : undefined
}

const signs: [RegExp, string][] = [
  [/\b(?:the )?(?:square root|sqrt)(?: of)?|√/gi, ' √ '],
  [/\b(?:to the power of|raised to)\b|\^/gi, ' ** '],
  [/\bsquared\b|²/gi, ' ** 2'],
  [/\bcubed\b|³/gi, ' ** 3'],
  [/\b(?:times|multiplied by)\b|[×·]|(?<=\d\s*)x(?=\s*\d)/gi, ' * '],
  [/\b(?:divided by|over)\b|÷/gi, ' / '],
  [/(?:%|\bpercent) of\b/gi, ' / 100 * '],
  [/\bmod(?:ulo)?\b/gi, ' % '],
  [/\bplus\b/gi, ' + '],
  [/\bminus\b|−/gi, ' - '],
]

/** An expression as Python reads it, or nothing if it is none. */
function pythonOf(text: string, unknown?: string): string | undefined {
  const plain = signs.reduce((rest, [pattern, sign]) => rest.replace(pattern, sign), withoutCommas(text))
  const tokens = plain.match(/√\s*[\d.]+|√\s*\(|\d+\s*!|(?:\d+(?:\.\d+)?|\.\d+)|pi\b|π|\*\*|\S/g) ?? []
  const written: string[] = []
  let depth = 0
  let isWhole = false
  for (const token of tokens) {
    if (token === ')') {
      if (!isWhole || depth === 0) return undefined
      depth -= 1
      written.push(token)
    } else if (/^[-+*/%]/.test(token)) {
      if (!isWhole && !/[-+]/.test(token)) return undefined
      isWhole = false
      written.push(token)
    } else {
      const python = operandOf(token, unknown)
      if (!python || (isWhole && /^\d|^\./.test(token))) return undefined
      // 3x, 2(x + 1)
      if (isWhole) written.push('*')
      written.push(python)
      isWhole = !python.endsWith('(')
      if (!isWhole) depth += 1
    }
  }
  if (!isWhole || depth > 0) return undefined
  return written
    .join(' ')
    .replace(/\( | \)/g, (sign) => sign.trim())
    .replace(/(?<=^|[-+*/%(] ?)([-+]) /g, '$1')
}

function operandOf(token: string, unknown: string | undefined): string | undefined {
  if (token === '(' || token === unknown) return token
  if (token === 'pi' || token === 'π') return 'math.pi'
  const [, root, digits = '', factorial] = /^(√\s*)?((?:\d+(?:\.\d+)?|\.\d+)|\((?=$))(\s*!)?$/.exec(token) ?? []
  if (digits === '') return undefined
  if (root) return digits === '(' ? 'math.sqrt(' : `math.sqrt(${withoutZeros(digits)})`
  return factorial ? `math.factorial(${withoutZeros(digits)})` : withoutZeros(digits)
}

/** Python reads neither commas within a number nor zeros before it. */
const withoutCommas = (text: string) =>
  text.replace(/(?<![\d.])\d{1,3}(?:,\d{3})+(?![\d,])/g, (number) => number.replaceAll(',', ''))
const withoutZeros = (number: string) => number.replace(/^(-?)0+(?=\d)/, '$1')

function withImports(code: string): string {
  const modules = ['math', 'statistics'].filter((name) => code.includes(`${name}.`))
  return [...modules.map((name) => `import ${name}`), code].join('\n')
}
