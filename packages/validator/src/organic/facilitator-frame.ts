/** Reads what a facilitator sends, in the dialect of each message. */
import type { WireError } from '@horde/protocol/frame'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import type { JsonObject } from '@horde/protocol/json/read-json'
import { hasMoreValues } from '@horde/protocol/json/value-count'
import { jobUuid } from '@horde/protocol/primitives'
import * as v0 from '@horde/protocol/v0/facilitator-validator'
import * as v2026 from '@horde/protocol/v2026/facilitator-validator'

/** A request as it was parsed, and as it was received, which is what its user signed. */
export interface ReceivedRequest<T> {
  request: T
  received: JsonObject
}

export type FacilitatorFrame =
  | { type: 'answer'; answer: v0.FacilitatorResponse }
  /** A job of v0: it names its miner. */
  | { type: 'named-job'; request: v0.FacilitatorJobRequest }
  /** A job of v2026: this validator picks the miner. */
  | ({ type: 'user-job' } & ReceivedRequest<v2026.V2JobRequest>)
  | ({ type: 'cheated' } & ReceivedRequest<v2026.V0JobCheated>)
  /** `uuid`: of the job that the frame seems to be about; so its sender can be told what is wrong. */
  | { type: 'invalid'; dialect: Dialect; uuid: string | undefined; error: WireError }

/** How long the uuid of an invalid job may be, in characters: it is sent back. */
const MAX_UUID_CHARACTERS = 100

export function readFacilitatorFrame(frame: string | Uint8Array): FacilitatorFrame {
  // A Response has no type, and is the same in both dialects. So the name decides.
  const mayBeV2026 = typeof frame === 'string' && v2026.parseFromFacilitator.messageTypes.some(it => frame.includes(it))
  if (mayBeV2026) {
    const parsed = v2026.parseFromFacilitator(frame)
    if (parsed.ok && 'message_type' in parsed.message) return ofV2026(parsed.message, parsed.received)
    if (!parsed.ok && parsed.error.code !== 'unknown-message') return invalidIn(frame, parsed.error)
  }
  const parsed = v0.parseFromFacilitator(frame)
  if (!parsed.ok) return { type: 'invalid', dialect: 'v0', uuid: jobUuid.safeParse(uuidIn(frame)).data, ...parsed }
  if (v0.isJobRequest(parsed.message)) return { type: 'named-job', request: parsed.message }
  return { type: 'answer', answer: parsed.message }
}

function ofV2026(message: v2026.V2JobRequest | v2026.V0JobCheated, received: JsonObject): FacilitatorFrame {
  if (message.message_type === 'V0JobCheated') return { type: 'cheated', request: message, received }
  return { type: 'user-job', request: message, received }
}

function invalidIn(frame: string, error: WireError): FacilitatorFrame {
  const uuid = uuidIn(frame)
  const isShort = typeof uuid === 'string' && uuid.length <= MAX_UUID_CHARACTERS
  return { type: 'invalid', dialect: 'v2026', uuid: isShort ? uuid : undefined, error }
}

/** The first uuid in a frame that is too costly to be parsed: facilitators write it before the long fields. */
const UUID_IN_TEXT = new RegExp(`"uuid"\\s*:\\s*"([^"\\\\]{0,${MAX_UUID_CHARACTERS}})"`)

function uuidIn(frame: string | Uint8Array): unknown {
  const text = String(frame)
  // As objects, the values of one such frame take gigabytes.
  if (hasMoreValues(text)) return UUID_IN_TEXT.exec(text)?.[1]
  try {
    return (JSON.parse(text) as { uuid?: unknown } | null)?.uuid
  } catch {
    return undefined
  }
}
