/** Reads the receipts that miners publish, one a line. */
import { type Parsed, parseObject, refuse } from '../../frame.ts'
import { readObject } from '../frame.ts'
import { type Receipt, receipt } from './payloads.ts'
import { millisecondsOf } from './times.ts'

/** How far ahead of its reader a receipt's `timestamp` may be, in milliseconds. Other times are not looked at. */
const MAX_AHEAD_MILLISECONDS = 3_600_000

/**
 * Parses a line of a page of receipts. The caller verifies both signatures.
 *
 * @param now the reader's time in milliseconds since 1970: a receipt dated more than an hour later is refused
 */
export function parseReceiptLine(line: string, now: number): Parsed<Receipt> {
  const read = readObject(line)
  if (!read.ok) return read
  const parsed = parseObject(read.plain, {}, receipt)
  if (parsed.ok && millisecondsOf(parsed.message.payload.timestamp) > now + MAX_AHEAD_MILLISECONDS) {
    return refuse('invalid-fields', 'payload.timestamp: is more than an hour ahead')
  }
  return parsed
}
