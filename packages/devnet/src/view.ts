/** Formats the combined log and tables for a terminal. */
import type { ServiceLine } from './service.ts'

const LEVEL_MARKS: Readonly<Record<string, string>> = { warn: 'WARN ', error: 'ERROR ', fatal: 'FATAL ' }
/** Log fields that are not shown. */
const HIDDEN_FIELDS = new Set(['level', 'time', 'name', 'msg', 'pid', 'hostname', 'v'])
const NAME_WIDTH = 10
/** The longest value that the combined log shows in full, in characters. */
const VALUE_WIDTH = 48

const ADDRESS = /^5[1-9A-HJ-NP-Za-km-z]{47}$/
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const COLOURS = [36, 33, 35, 32, 34, 96, 93, 95]

/** Returns one line of the combined log: the service, the time, the message and its fields. */
export function logLine({ service, text, fields }: ServiceLine, colour: boolean): string {
  const name = paint(service.padEnd(NAME_WIDTH), colourOf(service), colour)
  if (!fields) return `${name} │ ${text}`
  const time = String(fields.time ?? '').slice(11, 19)
  const mark = LEVEL_MARKS[String(fields.level)] ?? ''
  const executor = fields.name === 'executor' ? 'executor: ' : ''
  const rest = Object.entries(fields).filter(([key, value]) => !HIDDEN_FIELDS.has(key) && value !== null)
  const details = rest.map(([key, value]) => ` ${key}=${shown(value)}`).join('')
  return `${name} │ ${time} ${mark}${executor}${String(fields.msg)}${paint(details, 90, colour)}`
}

function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'message' in value) return String(value.message)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (ADDRESS.test(text)) return short(text)
  if (UUID.test(text)) return text.slice(0, 8)
  return text.length > VALUE_WIDTH ? `${text.slice(0, VALUE_WIDTH)}…` : text
}

function colourOf(service: string): number {
  const sum = [...service].reduce((total, letter) => total + letter.charCodeAt(0), 0)
  return COLOURS[sum % COLOURS.length] ?? 0
}

function paint(text: string, code: number, colour: boolean): string {
  return colour && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text
}

/** Returns a table with a rule below its head. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(...rows.map(row => row.length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map(row => (row[column] ?? '').length)),
  )
  const lines = rows.map(row =>
    widths
      .map((width, column) => (row[column] ?? '').padEnd(width))
      .join('  ')
      .trimEnd(),
  )
  const rule = widths.map(width => '─'.repeat(width)).join('  ')
  return [lines[0], rule, ...lines.slice(1)].join('\n')
}

/** Returns the beginning and the end of an address. */
export function short(hotkey: string): string {
  return hotkey.length > 12 ? `${hotkey.slice(0, 6)}…${hotkey.slice(-4)}` : hotkey
}
