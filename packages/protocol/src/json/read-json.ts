/**
 * Reads JSON as Python's json module does, and keeps what JSON.parse loses: how a number is written, and the order of
 * keys that look like numbers. Signatures of dialect v2026 are over both.
 */

import { isEscaped } from './value-count.ts'

/** How deep arrays and objects may lie in each other: as deep as the library of October 2026 reads. */
const MAX_DEPTH = 993

/** The most digits of a whole number, as in Python. */
const MAX_DIGITS = 4300

/** A number as it is written. */
export class JsonNumber {
  readonly source: string
  constructor(source: string) {
    this.source = source
  }

  /** Whether it is written without a point and an exponent. */
  get isWhole(): boolean {
    return /^-?\d+$/.test(this.source)
  }
}

/** An object. Its keys keep their order; of a key that comes twice, the last value counts. */
export type JsonObject = Map<string, JsonValue>

export type JsonValue = null | boolean | string | JsonNumber | JsonValue[] | JsonObject

const SPACE = ' \t\n\r'
/** What numbers, and only numbers, are written with. */
const OF_NUMBERS = '0123456789.-+eE'
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const WORDS: [string, null | boolean | JsonNumber][] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ...['NaN', 'Infinity', '-Infinity'].map((word): [string, JsonNumber] => [word, new JsonNumber(word)]),
]

/**
 * Returns the value that `text` is the JSON of. Takes `NaN`, `Infinity` and `-Infinity` too, as Python does.
 *
 * @throws SyntaxError when it is not JSON, nested more than 993 levels deep, or has a whole number of over 4,300 digits
 */
export function readJson(text: string): JsonValue {
  const reader = new Reader(text)
  const value = reader.value(0)
  reader.end()
  return value
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): JsonValue {
    this.#skipAll(SPACE)
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth + 1)
      case '[':
        return this.#array(depth + 1)
      case '"':
        return this.#string()
      default:
        return this.#wordOrNumber()
    }
  }

  end(): void {
    this.#skipAll(SPACE)
    if (this.#at < this.#text.length) throw new SyntaxError('text after the value')
  }

  #object(depth: number): JsonObject {
    const object: JsonObject = new Map()
    this.#open(depth)
    if (this.#skip('}')) return object
    do {
      this.#skipAll(SPACE)
      const key = this.#string()
      if (!this.#skip(':')) throw new SyntaxError('no colon after a key')
      object.set(key, this.value(depth))
    } while (this.#skip(','))
    if (!this.#skip('}')) throw new SyntaxError('an object does not end')
    return object
  }

  #array(depth: number): JsonValue[] {
    const array: JsonValue[] = []
    this.#open(depth)
    if (this.#skip(']')) return array
    do array.push(this.value(depth))
    while (this.#skip(','))
    if (!this.#skip(']')) throw new SyntaxError('an array does not end')
    return array
  }

  #open(depth: number): void {
    if (depth > MAX_DEPTH) throw new SyntaxError('nested too deeply')
    this.#at += 1
  }

  #string(): string {
    const start = this.#at
    if (this.#text[start] !== '"') throw new SyntaxError('a string is missing')
    let end = this.#text.indexOf('"', start + 1)
    while (end !== -1 && isEscaped(this.#text, end)) end = this.#text.indexOf('"', end + 1)
    if (end === -1) throw new SyntaxError('a string does not end')
    this.#at = end + 1
    return JSON.parse(this.#text.slice(start, end + 1)) as string
  }

  #wordOrNumber(): null | boolean | JsonNumber {
    const start = this.#at
    this.#skipAll(OF_NUMBERS)
    const source = this.#text.slice(start, this.#at)
    if (NUMBER.test(source)) return numberOf(source)
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, start)) continue
      this.#at = start + word.length
      return value
    }
    throw new SyntaxError('a value is missing')
  }

  /** Skips white space, and the character if it follows. Returns whether it did. */
  #skip(character: string): boolean {
    this.#skipAll(SPACE)
    if (this.#text[this.#at] !== character) return false
    this.#at += 1
    return true
  }

  #skipAll(characters: string): void {
    while (this.#at < this.#text.length && characters.includes(this.#text.charAt(this.#at))) this.#at += 1
  }
}

function numberOf(source: string): JsonNumber {
  const number = new JsonNumber(source)
  if (source.length > MAX_DIGITS && number.isWhole && source.replace('-', '').length > MAX_DIGITS) {
    throw new SyntaxError('a number has too many digits')
  }
  return number
}
