/** Parses WebSocket frames into typed messages. Nothing here throws: every frame becomes a message or a WireError. */
import type { z } from 'zod'
import { hasMoreValues, MAX_VALUES } from './json/value-count.ts'

/** The largest frame, in bytes, sent to a peer without the capability `large-frames`. */
export const SMALL_FRAME_BYTES = 1_000_000

/** The largest frame, in bytes, that our sockets accept. */
export const LARGE_FRAME_BYTES = 50 * 1024 * 1024

/**
 * The largest frame, in bytes, that an executor accepts: the largest that a validator may send its miner, plus room for
 * the absent fields that the miner writes out when it passes the work on.
 */
export const LARGEST_PASSED_ON_BYTES = LARGE_FRAME_BYTES + 64 * 1024

/** The largest frame, in bytes, that an executor without the capability `large-frames` accepts. */
export const LARGEST_WORK_BYTES = 1024 * 1024

/** Returns the largest frame, in bytes, that may be sent to a peer with these capabilities. */
export function largestFrameFor(capabilities: readonly string[] | null | undefined): number {
  return capabilities?.includes('large-frames') ? LARGE_FRAME_BYTES : SMALL_FRAME_BYTES
}

/** How many mistakes of one message an error lists. */
const MAX_ISSUES_LISTED = 5

export type WireErrorCode = 'binary' | 'not-json' | 'not-an-object' | 'unknown-message' | 'invalid-fields'

/** What is wrong with a frame, and where. The message may be sent to the peer: it repeats no value of the frame. */
export class WireError extends Error {
  override name = 'WireError'
  readonly code: WireErrorCode
  constructor(code: WireErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

export type Parsed<T> = { ok: true; message: T } | { ok: false; error: WireError }

export type Parser<T> = {
  (frame: string | Uint8Array): Parsed<T>
  /** The values of `message_type` that it knows. */
  readonly messageTypes: readonly string[]
}

/** The schemas of one speaker's messages, by `message_type`. */
export type Schemas = Record<string, z.ZodType>

/** What parseObject returns for these schemas. */
export type ParsedObject<S extends Schemas, U extends z.ZodType> = Parsed<z.output<S[keyof S]> | z.output<U>>

/**
 * Returns a parser for the messages of one speaker, which differ by `message_type`.
 *
 * @param untyped the schema for objects without `message_type`, such as the facilitator's Response
 */
export function parserOf<S extends Schemas, U extends z.ZodType = never>(
  schemas: S,
  untyped?: U,
): Parser<z.output<S[keyof S]> | z.output<U>> {
  const parser = (frame: string | Uint8Array) => {
    try {
      return parse(frame, schemas, untyped)
    } catch {
      return refuse('not-json', 'the frame is too large or nested too deeply to be read')
    }
  }
  return Object.assign(parser, { messageTypes: Object.keys(schemas) })
}

function parse<S extends Schemas, U extends z.ZodType>(
  frame: string | Uint8Array,
  schemas: S,
  untyped: U | undefined,
): ParsedObject<S, U> {
  if (typeof frame !== 'string') return refuse('binary', 'binary frames are not part of this protocol')
  if (hasMoreValues(frame)) return tooManyValues()
  let value: unknown
  try {
    value = JSON.parse(frame)
  } catch {
    return refuse('not-json', 'the frame is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse('not-an-object', 'the frame is not a JSON object')
  }
  return parseObject(value, schemas, untyped)
}

/** Returns the message that an object is, by its `message_type`, or what is wrong with it. */
export function parseObject<S extends Schemas, U extends z.ZodType>(
  value: object,
  schemas: S,
  untyped: U | undefined,
): ParsedObject<S, U> {
  const schema = schemaOf(value, schemas, untyped)
  if (schema === undefined) return refuse('unknown-message', 'message_type is missing or not one of this link')
  const result = schema.safeParse(value)
  return result.success
    ? { ok: true, message: result.data as z.output<S[keyof S]> | z.output<U> }
    : refuse('invalid-fields', describeIssues(result.error))
}

function schemaOf(value: object, schemas: Schemas, untyped: z.ZodType | undefined): z.ZodType | undefined {
  if (!Object.hasOwn(value, 'message_type')) return untyped
  const type = (value as { message_type: unknown }).message_type
  return typeof type === 'string' && Object.hasOwn(schemas, type) ? schemas[type] : undefined
}

function describeIssues(error: z.ZodError): string {
  const listed = error.issues.slice(0, MAX_ISSUES_LISTED).map(issue => {
    const where = issue.path.map(String).join('.').slice(0, 200)
    const what = issue.code === 'unrecognized_keys' ? 'unknown fields are refused' : issue.message
    return where === '' ? what : `${where}: ${what}`
  })
  const more = error.issues.length - listed.length
  return more > 0 ? `${listed.join('; ')}; and ${more} more` : listed.join('; ')
}

/** Returns the refusal of a frame. `message` must repeat no value of the frame. */
export function refuse(code: WireErrorCode, message: string): { ok: false; error: WireError } {
  return { ok: false, error: new WireError(code, message) }
}

/** Returns the refusal of a frame with more values than a peer has reason to send. */
export function tooManyValues(): { ok: false; error: WireError } {
  return refuse('not-json', `the frame holds more than ${MAX_VALUES} values`)
}
