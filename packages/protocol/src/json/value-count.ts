/**
 * The most values of one frame. The largest that peers have reason to send hold about 10,000: the block numbers of a
 * receipt. A frame of many tiny values takes a hundred times its size in memory, and far more time than one long text.
 */
export const MAX_VALUES = 50_000

/** What begins a text, or a value behind the first. */
const MARK = /["[{,]/g

/**
 * Whether a frame holds more values than `max`, counted by the commas and brackets between its texts. Takes no longer
 * than parsing it, and stops at the first one too many.
 */
export function hasMoreValues(json: string, max = MAX_VALUES): boolean {
  if (json.length <= max) return false
  const marks = new RegExp(MARK)
  let count = 1
  for (let mark = marks.exec(json); mark !== null; mark = marks.exec(json)) {
    if (mark[0] !== '"') count += 1
    else marks.lastIndex = endOfText(json, mark.index)
    if (count > max) return true
    if (marks.lastIndex === 0) return false
  }
  return false
}

/** Returns the position behind the text that begins at `start`; 0 when it does not end. */
function endOfText(json: string, start: number): number {
  let end = json.indexOf('"', start + 1)
  while (end !== -1 && isEscaped(json, end)) end = json.indexOf('"', end + 1)
  return end + 1
}

/** Whether an odd number of backslashes stands before a position. */
export function isEscaped(json: string, at: number): boolean {
  let first = at
  while (json[first - 1] === '\\') first -= 1
  return (at - first) % 2 === 1
}
