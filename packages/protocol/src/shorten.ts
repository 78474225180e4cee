/** Long texts of jobs, cut so that head and tail stay, and so that a frame stays under its peer's limit. */

/** The most characters (UTF-16 units) of stdout, and of stderr, that go on a wire. */
export const MAX_OUTPUT_CHARACTERS = 1_000_000

/** The last character that is never escaped, `~`, and how long an escape is: one for each UTF-16 unit, `\u017c`. */
const LAST_PLAIN = 0x7e
const ESCAPE_BYTES = 6

/** The text itself, or its head and tail with a line between that says how many characters were cut. */
export function shorten(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text
  const room = Math.max(0, maxCharacters - note(text.length).length)
  const head = untorn(text.slice(0, Math.ceil(room / 2)), 'end')
  const tail = untorn(text.slice(text.length - Math.floor(room / 2)), 'start')
  return `${head}${note(text.length - head.length - tail.length)}${tail}`
}

type WithOutput = { docker_process_stdout: string; docker_process_stderr: string }

/**
 * The message with its texts cut until its JSON is at most `maxBytes` long, with all that is not ASCII escaped: a peer of
 * 2024 that passes it on writes it so. The longer text is cut first; a message whose other fields alone are too long comes
 * back with both texts empty.
 */
export function fitFrame<M extends WithOutput>(message: M, maxBytes: number): M {
  let fitted: M = {
    ...message,
    docker_process_stdout: shorten(message.docker_process_stdout, MAX_OUTPUT_CHARACTERS),
    docker_process_stderr: shorten(message.docker_process_stderr, MAX_OUTPUT_CHARACTERS),
  }
  let budget = Math.max(fitted.docker_process_stdout.length, fitted.docker_process_stderr.length)
  for (let size = escapedBytes(fitted); size > maxBytes && budget > 0; size = escapedBytes(fitted)) {
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

/** How long a message is as JSON of ASCII alone, as Python's json writes it, in bytes. */
function escapedBytes(message: object): number {
  const json = JSON.stringify(message)
  let bytes = json.length
  for (let index = 0; index < json.length; index += 1)
    if (json.charCodeAt(index) > LAST_PLAIN) bytes += ESCAPE_BYTES - 1
  return bytes
}

function note(characters: number): string {
  return `\n[… ${characters} characters cut …]\n`
}

/** Half of a surrogate pair at a cut would not survive UTF-8. */
function untorn(piece: string, side: 'start' | 'end'): string {
  if (side === 'end') return /[\ud800-\udbff]$/.test(piece) ? piece.slice(0, -1) : piece
  return /^[\udc00-\udfff]/.test(piece) ? piece.slice(1) : piece
}
