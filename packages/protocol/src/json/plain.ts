/** Makes the values that programs work with from values that were read with their source. */
import type { JsonValue } from './read-json.ts'

declare global {
  /** Part of Node.js since version 21. TypeScript does not know it yet. */
  interface JSON {
    /** Returns an object that JSON.stringify writes as the given number, text, boolean or null. */
    rawJSON(source: string): { readonly rawJSON: string }
    isRawJSON(value: unknown): value is { readonly rawJSON: string }
  }
}

/**
 * Returns the value as plain JavaScript. A whole number beyond 2^53 becomes `JSON.rawJSON(…)`: JSON.stringify writes
 * all its digits, and `bigintOf` reads them.
 */
export function plainOf(value: JsonValue): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(plainOf)
  if (value instanceof Map) return Object.fromEntries(Array.from(value, ([key, entry]) => [key, plainOf(entry)]))
  const number = Number(value.source)
  if (Number.isSafeInteger(number)) return number + 0
  return value.isWhole ? JSON.rawJSON(value.source) : number
}

/** Returns a whole number of plain JavaScript: a number without a fraction, or one beyond 2^53 that `plainOf` made. */
export function bigintOf(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : undefined
  return JSON.isRawJSON(value) ? BigInt(value.rawJSON) : undefined
}
