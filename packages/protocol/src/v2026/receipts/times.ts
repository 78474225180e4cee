/** The times of receipts. A reader writes a time anew before it verifies the signature over it. */
import { z } from 'zod'

const FIRST_YEAR = 2000
const LAST_YEAR = 2099

/** Numbers beyond this are milliseconds since 1970, smaller ones seconds. */
const LARGEST_SECONDS = 20_000_000_000

const MICROSECONDS_PER_SECOND = 1_000_000

/** U+2212 is the minus of typesetters, which Python's reader takes too. */
const DATE_TIME =
  /^(\d{4})-(\d\d)-(\d\d)[Tt _](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:([Zz])|([+\-\u2212])([01]\d|2[0-3]):?([0-5]\d))$/
const UNIX_TIME = /^[+-]?\d{1,20}(?:\.\d*)?$/

/**
 * A time with a zone, from 2000 to 2099 in its own zone, also as seconds or milliseconds since 1970. It is read as the
 * text that is signed: `2026-01-21T13:18:47.123456Z`, with six digits or no fraction, and `Z` for an offset of zero.
 */
export const receiptTime = z
  .custom<unknown>(value => value !== undefined, 'is missing')
  .transform((value, context) => {
    const time = signedTime(value)
    if (time === undefined) {
      context.issues.push({ code: 'custom', message: 'must be a time with a zone, from 2000 to 2099', input: value })
    }
    return time ?? z.NEVER
  })

/** Returns milliseconds since 1970 as a time of receipts, or undefined when it is not from 2000 to 2099. */
export function receiptTimeAt(milliseconds: number): string | undefined {
  return fromMicroseconds(Math.round(milliseconds * 1000))
}

/** Returns a receipt's time in milliseconds since 1970. */
export function millisecondsOf(time: string): number {
  return Date.parse(time)
}

function signedTime(value: unknown): string | undefined {
  if (typeof value === 'number') return fromUnixTime(value)
  if (typeof value !== 'string') return undefined
  return UNIX_TIME.test(value) ? fromUnixTime(Number(value)) : fromDateTime(value)
}

function fromUnixTime(value: number): string | undefined {
  const microsecondsPerUnit = Math.abs(value) > LARGEST_SECONDS ? 1000 : MICROSECONDS_PER_SECOND
  return fromMicroseconds(Math.round(value * microsecondsPerUnit))
}

function fromMicroseconds(microseconds: number): string | undefined {
  const seconds = Math.floor(microseconds / MICROSECONDS_PER_SECOND)
  const date = new Date(seconds * 1000)
  if (Number.isNaN(date.getTime()) || !isYear(date.getUTCFullYear())) return undefined
  const fraction = microseconds - seconds * MICROSECONDS_PER_SECOND
  return `${date.toISOString().slice(0, 19)}${fractionText(String(fraction).padStart(6, '0'))}Z`
}

function fromDateTime(text: string): string | undefined {
  const [, year = '', month = '', day = '', hour = '', minute = '', second = '00', digits = '', utc, sign, ...offset] =
    DATE_TIME.exec(text) ?? []
  const plain = `${year}-${month}-${day}T${hour}:${minute}:${second}`
  const date = new Date(`${plain}Z`)
  // Date takes 31 February for 2 March.
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 19) !== plain || !isYear(Number(year))) {
    return undefined
  }
  const offsetText = offset.join(':')
  const zone = utc !== undefined || offsetText === '00:00' ? 'Z' : `${sign === '+' ? '+' : '-'}${offsetText}`
  return `${plain}${fractionText(digits.slice(0, 6).padEnd(6, '0'))}${zone}`
}

function fractionText(sixDigits: string): string {
  return sixDigits === '000000' ? '' : `.${sixDigits}`
}

function isYear(year: number): boolean {
  return year >= FIRST_YEAR && year <= LAST_YEAR
}
