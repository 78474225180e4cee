/** Schemas of the scalars that all links use. Lenient, because hand-made clients vary in how they write them. */
import { z } from 'zod'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const SS58 = /^[1-9A-HJ-NP-Za-km-z]{46,50}$/

/** A job's uuid in the peer's own spelling: any case is accepted, and it is sent back as it came. */
export const jobUuid = z.string('must be a uuid').regex(UUID, 'must be a uuid').brand<'JobUuid'>()
export type JobUuid = z.output<typeof jobUuid>

/** An ss58 address. Only its form is checked here, not its checksum. */
export const hotkey = z.string('must be an ss58 address').regex(SS58, 'must be an ss58 address').brand<'Hotkey'>()
export type Hotkey = z.output<typeof hotkey>

/** Returns the key to compare and index a uuid by: two spellings of one uuid are one job. */
export function uuidKey(uuid: string): string {
  return uuid.toLowerCase()
}

/** Text. Hand-made clients also write it as a number. */
export const text = z.union([z.string(), z.number().transform(String)], 'must be a string')

/** An optional text: absent and null are the same. */
export const optionalText = text.nullish().transform(value => value ?? null)

/** A whole number. Hand-made clients also write it as a string of digits. */
export const integer = z.union(
  [
    z.int(),
    z
      .string()
      .regex(/^[+-]?\d{1,15}$/)
      .transform(Number),
  ],
  'must be a whole number',
)

const texts = z
  .custom<Text[]>(value => Array.isArray(value) && value.every(isText), 'must be a list of strings')
  .transform(value => value.map(String))

/** A list of texts, which hand-made clients also write as numbers. Absent and null are an empty list. */
export const textList = texts.nullish().transform(value => value ?? [])

/** A list of texts that may be absent or null. */
export const optionalTextList = texts.nullish()

/** A map of texts, which hand-made clients also write as numbers. */
export const textMap = z
  .custom<Record<string, Text>>(
    value => isObject(value) && Object.values(value).every(isText),
    'must be a map of strings',
  )
  .transform(value => Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, String(entry)])))

/** A list of at most `max` objects. A longer list is one mistake, and its entries are not looked at. */
export function shortList<S extends z.ZodType>(entry: S, max: number) {
  return z
    .custom<unknown[]>(value => Array.isArray(value) && value.length <= max, `must be a list of ${max} at most`)
    .pipe(z.array(entry))
}

type Text = string | number

/** JSON numbers that are too large become infinite; they are refused. */
function isText(value: unknown): value is Text {
  return typeof value === 'string' || Number.isFinite(value)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
