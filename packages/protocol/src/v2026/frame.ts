/** Parses and writes the frames of dialect v2026. Nothing here throws for what a peer sent. */
import type { z } from 'zod'
import { type ParsedObject, parseObject, refuse, type Schemas, type WireError } from '../frame.ts'
import { plainOf } from '../json/plain.ts'
import { type JsonObject, type JsonValue, readJson } from '../json/read-json.ts'

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
    const received = receivedObject(frame)
    if (!(received instanceof Map)) return received
    const parsed: ParsedObject<S, U> = parseObject(plainOf(received) as object, schemas, untyped)
    return parsed.ok ? { ...parsed, received } : parsed
  }
  return Object.assign(parser, { messageTypes: Object.keys(schemas) })
}

/** Returns the JSON object in a frame or a line, or what is wrong with it. */
export function receivedObject(frame: string | Uint8Array): JsonObject | { ok: false; error: WireError } {
  if (typeof frame !== 'string') return refuse('binary', 'binary frames are not part of this protocol')
  let value: JsonValue
  try {
    value = readJson(frame)
  } catch {
    return refuse('not-json', 'the frame is not JSON')
  }
  return value instanceof Map ? value : refuse('not-an-object', 'the frame is not a JSON object')
}

/** Returns a message as a frame. JSON.stringify would throw at big integers such as `timestamp_ns`. */
export function frameOf(message: object): string {
  return JSON.stringify(message, (_, value: unknown) =>
    typeof value === 'bigint' ? JSON.rawJSON(value.toString()) : value,
  )
}
