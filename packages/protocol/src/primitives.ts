/** The scalars of every wire, said once. */
import { z } from 'zod'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const SS58 = /^[1-9A-HJ-NP-Za-km-z]{46,50}$/

/** A job's uuid as its peer wrote it: any case is accepted, and it goes back as it came. */
export const jobUuid = z.string('must be a uuid').regex(UUID, 'must be a uuid').brand<'JobUuid'>()
export type JobUuid = z.output<typeof jobUuid>

/** An ss58 address. Only its form is checked here; its checksum is whoever verifies a signature's business. */
export const hotkey = z.string('must be an ss58 address').regex(SS58, 'must be an ss58 address').brand<'Hotkey'>()
export type Hotkey = z.output<typeof hotkey>

/** Two spellings of one uuid are one job: compare and index by this. */
export function uuidKey(uuid: string): string {
  return uuid.toLowerCase()
}

/** Text that hand-made clients also write as a number or a truth value. */
export const text = z.union([z.string(), z.number().transform(String)], 'must be a string')

/** An optional text: absent and null are the same. */
export const optionalText = text.nullish().transform(value => value ?? null)

/** A whole number that hand-made clients also write as a string of digits. */
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

/** A list whose entries hand-made clients also write as numbers. Absent and null are an empty list. */
export const textList = texts.nullish().transform(value => value ?? [])

/** A list that may be absent or null. */
export const optionalTextList = texts.nullish()

/** A map whose values hand-made clients also write as numbers. */
export const textMap = z
  .custom<Record<string, Text>>(
    value => isObject(value) && Object.values(value).every(isText),
    'must be a map of strings',
  )
  .transform(value => Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, String(entry)])))

/** A list of so many objects at most. Whoever sends a million wrong ones is told of one mistake, and costs no more. */
export function shortList<S extends z.ZodType>(entry: S, max: number) {
  return z
    .custom<unknown[]>(value => Array.isArray(value) && value.length <= max, `must be a list of ${max} at most`)
    .pipe(z.array(entry))
}

type Text = string | number

/** JSON numbers are all finite but for those that are too large to be read. */
function isText(value: unknown): value is Text {
  return typeof value === 'string' || Number.isFinite(value)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
