/** Cuts long texts of jobs: head and tail stay, and a frame stays below its peer's limit. */

/** The most characters (UTF-16 units) of stdout, and of stderr, that are sent. */
export const MAX_OUTPUT_CHARACTERS = 1_000_000

/**
 * `~`, the last character that is never escaped, and the bytes of an escape such as `\u017c`, one for each UTF-16 unit.
 */
const LAST_PLAIN = 0x7e
const ESCAPE_BYTES = 6

/** Returns the text, or its head and tail around a line that says how many characters were cut. */
export function shorten(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text
  const room = Math.max(0, maxCharacters - note(text.length).length)
  const head = withoutHalfPair(text.slice(0, Math.ceil(room / 2)), 'end')
  const tail = withoutHalfPair(text.slice(text.length - Math.floor(room / 2)), 'start')
  return `${head}${note(text.length - head.length - tail.length)}${tail}`
}

type WithOutput = { docker_process_stdout: string; docker_process_stderr: string }

/**
 * How the largest form of a message's JSON is written. `ascii`: with characters beyond ASCII escaped, as v0 peers do
 * when they pass the message on. `utf-8`: as it is sent, which is how v2026 peers write it, too.
 */
export type JsonEncoding = 'ascii' | 'utf-8'

/**
 * Returns the message with its texts cut until its JSON has at most `maxBytes` bytes. Cuts the longer text first. When
 * the other fields alone are too long, both texts are empty.
 */
export function fitFrame<M extends WithOutput>(message: M, maxBytes: number, encoding: JsonEncoding = 'ascii'): M {
  const bytesOf = encoding === 'ascii' ? escapedBytes : utf8Bytes
  let fitted: M = {
    ...message,
    docker_process_stdout: shorten(message.docker_process_stdout, MAX_OUTPUT_CHARACTERS),
    docker_process_stderr: shorten(message.docker_process_stderr, MAX_OUTPUT_CHARACTERS),
  }
  let budget = Math.max(fitted.docker_process_stdout.length, fitted.docker_process_stderr.length)
  for (let size = bytesOf(fitted); size > maxBytes && budget > 0; size = bytesOf(fitted)) {
    budget = Math.min(budget - 1, Math.floor(budget * Math.max(0.5, maxBytes / size)))
    const longest = budget < note(0).length * 2 ? 0 : budget
    fitted = {
      ...message,
      docker_process_stdout: longest === 0 ? '' : shorten(message.docker_process_stdout, longest),
      docker_process_stderr: longest === 0 ? '' : shorten(message.docker_process_stderr, longest),
    }
    if (longest === 0) break
  }
  return fitted
}

/** Returns the bytes of a message as JSON in ASCII, as Python's json writes it. */
function escapedBytes(message: object): number {
  const json = JSON.stringify(message)
  let bytes = json.length
  for (let index = 0; index < json.length; index += 1)
    if (json.charCodeAt(index) > LAST_PLAIN) bytes += ESCAPE_BYTES - 1
  return bytes
}

function utf8Bytes(message: object): number {
  return Buffer.byteLength(JSON.stringify(message))
}

function note(characters: number): string {
  return `\n[… ${characters} characters cut …]\n`
}

/** Drops half of a surrogate pair at a cut, which would not survive UTF-8. */
function withoutHalfPair(piece: string, side: 'start' | 'end'): string {
  if (side === 'end') return /[\ud800-\udbff]$/.test(piece) ? piece.slice(0, -1) : piece
  return /^[\udc00-\udfff]/.test(piece) ? piece.slice(1) : piece
}
