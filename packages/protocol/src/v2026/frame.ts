/** Parses and writes the frames of dialect v2026. Nothing here throws for what a peer sent. */
import type { z } from 'zod'
import { type ParsedObject, parseObject, refuse, type Schemas, tooManyValues, type WireError } from '../frame.ts'
import { plainOf } from '../json/plain.ts'
import { type JsonObject, readJson } from '../json/read-json.ts'
import { hasMoreValues } from '../json/value-count.ts'

/** A frame as a message, and the object as it was received, which signatures are over. */
export type Received<T> = { ok: true; message: T; received: JsonObject } | { ok: false; error: WireError }

export type Parser<T> = {
  (frame: string | Uint8Array): Received<T>
  /** The values of `message_type` that it knows. */
  readonly messageTypes: readonly string[]
}

/**
 * Returns a parser for the messages of one speaker, which differ by `message_type`.
 *
 * @param untyped the schema for objects without `message_type`, such as the facilitator's Response
 */
export function parserOf<S extends Schemas, U extends z.ZodType = never>(
  schemas: S,
  untyped?: U,
): Parser<z.output<S[keyof S]> | z.output<U>> {
  const parser = (frame: string | Uint8Array): Received<z.output<S[keyof S]> | z.output<U>> => {
    const read = readObject(frame)
    if (!read.ok) return read
    const parsed: ParsedObject<S, U> = parseObject(read.plain, schemas, untyped)
    return parsed.ok ? { ...parsed, received: read.received } : parsed
  }
  return Object.assign(parser, { messageTypes: Object.keys(schemas) })
}

type ReadObject = { ok: true; received: JsonObject; plain: object } | { ok: false; error: WireError }

/** Returns the JSON object in a frame or a line, as it was received and as plain values, or what is wrong with it. */
export function readObject(frame: string | Uint8Array): ReadObject {
  if (typeof frame !== 'string') return refuse('binary', 'binary frames are not part of this protocol')
  if (hasMoreValues(frame)) return tooManyValues()
  try {
    const received = readJson(frame)
    if (!(received instanceof Map)) return refuse('not-an-object', 'the frame is not a JSON object')
    return { ok: true, received, plain: plainOf(received) as object }
  } catch {
    return refuse('not-json', 'the frame is not JSON')
  }
}

/** Returns a message as a frame. JSON.stringify would throw at big integers such as `timestamp_ns`. */
export function frameOf(message: object): string {
  return JSON.stringify(message, (_, value: unknown) =>
    typeof value === 'bigint' ? JSON.rawJSON(value.toString()) : value,
  )
}
