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

/** A list whose entries hand-made clients also write as numbers. Absent and null are an empty list. */
export const textList = z
  .array(text, 'must be a list of strings')
  .nullish()
  .transform(value => value ?? [])
