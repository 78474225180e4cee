/**
 * Schemas of single values in dialect v2026. Whole numbers may come as text or as `12.0`. Texts never come as numbers.
 * Null is refused, except where a schema here is named `…OrNull`.
 */
import { z } from 'zod'
import { EXECUTOR_CLASSES } from '../classes.ts'
import { bigintOf } from '../json/plain.ts'

export const text = z.string('must be a string')

/** Text. Absent and null are null. */
export const textOrNull = text.nullish().transform(value => value ?? null)

const YES = ['1', 'on', 't', 'true', 'y', 'yes']
const NO = ['0', 'off', 'f', 'false', 'n', 'no']

/** True or false, also as 1 or 0 and as a word: `yes`, `off`. */
export const flag = z
  .union([z.boolean(), z.number(), z.string()], 'must be true or false')
  .transform(value => String(value).toLowerCase())
  .pipe(z.enum([...YES, ...NO], 'must be true or false'))
  .transform(word => YES.includes(word))

export const executorClass = z.enum(EXECUTOR_CLASSES, 'must be a known executor class')

/** How a whole number may be written as text: `12`, `+12`, ` 12 `, `12.0`, `1_000`. */
const WHOLE_TEXT = /^\s*([+-]?\d+(?:_\d+)*)(?:\.0+)?\s*$/
const MAX_TEXT_CHARACTERS = 4300

/** A whole number of any size. */
export const wholeBigint = z.unknown().transform((value, context) => {
  const whole = wholeOf(value)
  if (whole === undefined) context.issues.push({ code: 'custom', message: 'must be a whole number', input: value })
  return whole ?? z.NEVER
})

/** A whole number from `least` to `most`, by default as far as numbers of JavaScript are exact. */
export function wholeFrom(least = Number.MIN_SAFE_INTEGER, most = Number.MAX_SAFE_INTEGER) {
  return wholeBigint
    .refine(value => value >= least && value <= most, { error: `must be from ${least} to ${most}`, abort: true })
    .transform(Number)
}

export const whole = wholeFrom()

/** A whole number. Absent and null are null. */
export const wholeOrNull = whole.nullish().transform(value => value ?? null)

function wholeOf(value: unknown): bigint | undefined {
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (typeof value !== 'string') return bigintOf(value)
  const digits = value.length <= MAX_TEXT_CHARACTERS ? WHOLE_TEXT.exec(value)?.[1] : undefined
  return digits === undefined ? undefined : BigInt(digits.replaceAll(/[+_]/g, ''))
}

/** Any JSON object. */
export const anyMap = z.custom<Record<string, unknown>>(isMap, 'must be an object')

/** Any JSON object. Absent and null are null. */
export const anyMapOrNull = anyMap.nullish().transform(value => value ?? null)

/** A map of texts. A wrong entry is one mistake, however many there are. */
export const textMap = z.custom<Record<string, string>>(
  value => isMap(value) && Object.values(value).every(isText),
  'must be a map of strings',
)

/** A map of texts. Absent and null are null. */
export const textMapOrNull = textMap.nullish().transform(value => value ?? null)

/** A list of texts. A wrong entry is one mistake, however many there are. */
export const textList = z.custom<string[]>(
  value => Array.isArray(value) && value.every(isText),
  'must be a list of strings',
)

/** A list of what `entry` describes. Only the first wrong entry is reported. */
export function listOf<S extends z.ZodType>(entry: S) {
  return z.custom<unknown[]>(Array.isArray, 'must be a list').transform((values, context) => {
    const entries: z.output<S>[] = []
    for (const [index, value] of values.entries()) {
      const { data, error } = entry.safeParse(value)
      const issue = error?.issues[0]
      if (issue !== undefined) {
        context.issues.push({ code: 'custom', message: issue.message, path: [index, ...issue.path], input: value })
        return z.NEVER
      }
      entries.push(data as z.output<S>)
    }
    return entries
  })
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value)
}
