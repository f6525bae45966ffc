import { isDeepStrictEqual } from 'node:util'
import { APIError } from 'openai'
import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions'
import type { Abilities } from './abilities.ts'
import { teachings } from './teachings.ts'

type Params = ChatCompletionCreateParams

/**
 * What a refusal says about the model that the call did not heed: undefined if it refuses anything else. Only what was
 * sent can have been refused, so that each lesson is another one. `learned`: the lessons of the same call before.
 */
export function lessonOf(error: unknown, sent: Params, can: Abilities, learned: Partial<Abilities>) {
  if (!(error instanceof APIError) || !isAboutRequest(error.status)) return undefined
  const said = error.message.slice(0, longestSaid)
  const param = typeof error.param === 'string' && isUnsupported(error) ? error.param : undefined
  for (const { had, refused, lesson } of teachings) {
    if (!had(sent) || !refused(said, param)) continue
    const lessons = lesson({ sent, said, can, learned })
    if (lessons && isNew(lessons, can)) return lessons
  }
  return undefined
}

/** The same call again would be refused again, without an end. */
const isNew = (lessons: Partial<Abilities>, can: Abilities) => !isDeepStrictEqual({ ...can, ...lessons }, can)

/** Some servers repeat the whole request in their words. */
const longestSaid = 10_000

/** 404 is OpenRouter's when no provider of a model can do a thing; 500 llama.cpp's for what a chat template refuses. */
const isAboutRequest = (status: unknown) => [400, 404, 422, 500, 501].includes(Number(status))

const isUnsupported = ({ code, message }: APIError) =>
  /^unsupported_/.test(code ?? '') || /unsupported|not support|unrecognized|not permitted|unknown/i.test(message)
