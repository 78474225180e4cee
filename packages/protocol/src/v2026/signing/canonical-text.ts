/**
 * The text that a validator signs in an offer and in the work, since October 2026. It is made from the object as it
 * was received, with keys that the receiver does not know: a message made anew from its fields has another text.
 */
import { type JsonObject, readJson } from '../../json/read-json.ts'
import { type JsonStyle, writeJson } from '../../json/write-json.ts'
import { frameOf } from '../frame.ts'

const CANONICAL: JsonStyle = { comma: ',', colon: ':', sorted: true, ascii: true }

const SIGNATURE = 'validator_signature'

/** Returns the signed text of an object as a parser received it. It is all ASCII. */
export function canonicalText(received: JsonObject): string {
  const signed = new Map(received)
  signed.delete(SIGNATURE)
  return writeJson(signed, CANONICAL)
}

/**
 * Returns the text to sign of an offer or work that is to be sent. Afterwards only `validator_signature` may change.
 */
export function canonicalTextToSend(message: object): string {
  const frame = readJson(frameOf(message))
  if (!(frame instanceof Map)) throw new TypeError('a message is an object')
  return canonicalText(frame)
}
