/** Writes JSON letter by letter as Python's json module does, for texts that are signed. */
import { JsonNumber } from './read-json.ts'

export type JsonStyle = {
  comma: ',' | ', '
  colon: ':' | ': '
  /** Whether keys are sorted by code point, at every level. Otherwise they keep their order. */
  sorted: boolean
  /** Whether characters outside 0x20–0x7e are written as \uXXXX. */
  ascii: boolean
}

/** As `json.dumps(…, sort_keys=True)` writes. */
export const SORTED: JsonStyle = { comma: ', ', colon: ': ', sorted: true, ascii: true }

const BEYOND_ASCII = /[\u007f-\uffff]/g

/** Returns a value as JSON: plain JavaScript, or what readJson returned. Leaves keys out whose value is undefined. */
export function writeJson(value: unknown, style: JsonStyle): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return quoted(value, style.ascii)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return pythonNumber(new JsonNumber(String(value)))
  if (value instanceof JsonNumber) return pythonNumber(value)
  if (JSON.isRawJSON(value)) return pythonNumber(new JsonNumber(value.rawJSON))
  if (Array.isArray(value)) return `[${value.map(entry => writeJson(entry, style)).join(style.comma)}]`
  const entries = value instanceof Map ? [...(value as Map<string, unknown>)] : Object.entries(value as object)
  const fields = entries.filter(([, field]) => field !== undefined)
  if (style.sorted) fields.sort(([a], [b]) => compareCodePoints(a, b))
  return `{${fields
    .map(([key, field]) => `${quoted(key, style.ascii)}${style.colon}${writeJson(field, style)}`)
    .join(style.comma)}}`
}

/** Returns a text as a JSON string in ASCII: everything outside 0x20–0x7e as lower-case \uXXXX or a short escape. */
export function quotedInAscii(text: string): string {
  return quoted(text, true)
}

function quoted(text: string, ascii: boolean): string {
  const json = JSON.stringify(text)
  if (!ascii) return json
  return json.replace(BEYOND_ASCII, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function pythonNumber(number: JsonNumber): string {
  return number.isWhole ? BigInt(number.source).toString() : pythonDouble(Number(number.source))
}

/** Returns a number as Python's repr prints a float: `100.0`, `1e-07`, `1e+16`. */
function pythonDouble(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  if (Object.is(value, -0)) return '-0.0'
  const [digits = '', power = '0'] = value.toExponential().split('e')
  const exponent = Number(power)
  if (exponent >= -4 && exponent < 16) return Number.isInteger(value) ? `${value}.0` : String(value)
  return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
}

/** Compares by code point. JavaScript's own order, by UTF-16 unit, puts 😀 before ～. */
function compareCodePoints(a: string, b: string): number {
  let at = 0
  while (at < a.length && a[at] === b[at]) at += 1
  // The first unit that differs may be the second half of a pair.
  return pointAt(a, at - 1) - pointAt(b, at - 1) || pointAt(a, at) - pointAt(b, at)
}

function pointAt(text: string, at: number): number {
  return text.codePointAt(at) ?? -1
}
