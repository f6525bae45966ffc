/** The tool by which a model hands a task to another agent, and is told its answer. */
export const specialistName = 'create_specialist'

const article = '(?:an?|the|your|our|some)'
const who = String.raw`(?<who>[\p{L}\p{N}'’-]+(?: [\p{L}\p{N}'’-]+){0,7}?)`
/** A blank in these stands for any white space. */
const patternOf = (text: string) => new RegExp(text.replaceAll(' ', String.raw`\s+`), 'isu')
const asking = patternOf(
  String.raw`\b(?<verb>ask|get|tell|need|want|hire|consult) (?:${article} )?${who}(?: to |:\s*| (?=about|for|on|whether|if|what|how|why|when|where|who))(?<task>.+)`,
)
const handing = patternOf(
  String.raw`^(?<before>.*?)\b(?:hand|pass|delegate) (?:over |off )?(?<what>.+?) (?:over |off |on )?to ${article} ${who}(?:[:.,;!?]| (?:to|and) |$)(?<after>.*)$`,
)

/** Beyond this a message is no request to hand something on. */
const longestRequest = 5000

/** What a specialist is created from, if the question asks for one. */
export function handOffIn(question: string) {
  if (question.length > longestRequest) return undefined
  const handed = handing.exec(question)?.groups
  if (handed?.who) {
    const { who: name, what = '', before = '', after = '' } = handed
    return specialist(name, /^(?:this|that|it)$/i.test(what) ? after.trim() || before.trim() || question : what)
  }
  const { verb = '', who: name, task = '' } = asking.exec(question)?.groups ?? {}
  // Whoever is asked is one; who is told or wanted may be anybody.
  const isOne = name && (/\b(?:specialist|expert)/i.test(name) || (/^ask$/i.test(verb) && isSomebody(question)))
  return isOne ? specialist(name, task) : undefined
}

const isSomebody = (asked: string) => /\bask\s+an?\s+(?!question|favou?r|few|lot|couple)/i.test(asked)

/** The arguments of a call, also of one that must be made for a question that asks for none. */
export const specialistArguments = (question: string) =>
  handOffIn(question) ?? specialist('specialist', question || 'Introduce yourself.')

function specialist(words: string, task: string) {
  const name = words.replace(/\s+/g, ' ')
  return { name, instructions: `You are ${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}.`, task: task.trim() }
}

/** What the tool says when there is no answer of a specialist. */
const refusals = /^(?:The specialist |The arguments |The tokens |The run |There |A specialist of )/

export function toldOfSpecialist(written: string, output: string): string {
  if (refusals.test(output)) return output
  const { name = 'specialist' } = JSON.parse(written) as { name?: string }
  return `The ${name} says:${/\n/.test(output) ? '\n\n' : ' '}${output}`
}
