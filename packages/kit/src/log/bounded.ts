/** The most characters of a text, and of an error's stack, in a log line. */
const MAX_TEXT = 500
const MAX_STACK = 8_000
/** The most values in a line, and the deepest nesting. */
const MAX_VALUES = 500
const MAX_DEPTH = 6

/** The number of values that still fit into the line. */
interface Room {
  values: number
}

/** Returns the fields with all long texts cut; each says how long it was. */
export function boundedFields(fields: Record<string, unknown>): Record<string, unknown> {
  return fieldsWithin(fields, 0, { values: MAX_VALUES })
}

/** Returns the fields of a serialized error with long texts cut. Its stack may be longer than other texts. */
export function boundedError(fields: Record<string, unknown>): Record<string, unknown> {
  const { stack, cause, ...rest } = fields
  const kept = boundedFields(rest)
  if (typeof stack === 'string') kept.stack = cut(stack, MAX_STACK)
  if (cause !== undefined) kept.cause = isFields(cause) ? boundedError(cause) : boundedFields({ cause }).cause
  return kept
}

/** Returns a text, cut if it is too long for a log line. */
export function boundedText(text: string): string {
  return cut(text, MAX_TEXT)
}

function within(value: unknown, depth: number, room: Room): unknown {
  room.values -= 1
  if (typeof value === 'string') return boundedText(value)
  if (typeof value !== 'object' || value === null) return value
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`
  // pino serializes errors and dates itself.
  if (value instanceof Error || value instanceof Date) return value
  if (depth >= MAX_DEPTH) return '…'
  return Array.isArray(value) ? listWithin(value, depth, room) : fieldsWithin(value as object, depth, room)
}

function listWithin(list: readonly unknown[], depth: number, room: Room): unknown[] {
  const kept: unknown[] = []
  for (const item of list) {
    if (room.values <= 0) return [...kept, `… (${list.length} in all)`]
    kept.push(within(item, depth + 1, room))
  }
  return kept
}

function fieldsWithin(fields: object, depth: number, room: Room): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fields)) {
    if (room.values <= 0) break
    kept[boundedText(key)] = within(value, depth + 1, room)
  }
  return kept
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}… (${text.length} characters)` : text
}
