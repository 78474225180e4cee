/** Matches names against shell patterns as Python's `fnmatch` does: `*` also matches slashes. */

/** One character of a pattern: `*`, or a test of one character of the name. */
type Token = '*' | ((character: string) => boolean)

/** A pattern ready to be matched against names. */
export type ShellPattern = (name: string) => boolean

/** Reads a pattern of `*`, `?`, `[a-z]` and `[!a-z]`. A pattern that ends with a slash matches all that is below it. */
export function shellPattern(text: string): ShellPattern {
  const tokens = tokensOf([...(text.endsWith('/') ? `${text}*` : text)])
  return name => matches([...name], tokens)
}

function tokensOf(characters: readonly string[]): Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at]
    const end = character === '[' ? endOfSet(characters, at) : undefined
    if (character === '*') tokens.push('*')
    else if (character === '?') tokens.push(() => true)
    else if (end !== undefined) {
      tokens.push(setOf(characters.slice(at + 1, end)))
      at = end
    } else tokens.push(each => each === character)
  }
  return tokens
}

/** Returns where a set ends; undefined when its bracket is never closed, and stands for itself. */
function endOfSet(characters: readonly string[], start: number): number | undefined {
  const first = characters[start + 1] === '!' ? start + 2 : start + 1
  // A bracket that comes first is a member.
  const end = characters.indexOf(']', first + 1)
  return end < 0 ? undefined : end
}

function setOf(members: readonly string[]): (character: string) => boolean {
  const isNegated = members[0] === '!'
  const rest = isNegated ? members.slice(1) : members
  const ranges: [string, string][] = []
  for (let at = 0; at < rest.length; at += 1) {
    const from = rest[at] ?? ''
    const isRange = rest[at + 1] === '-' && at + 2 < rest.length
    ranges.push([from, isRange ? (rest[at + 2] ?? '') : from])
    if (isRange) at += 2
  }
  const holds = (each: string) =>
    ranges.some(([from, to]) => codeOf(from) <= codeOf(each) && codeOf(each) <= codeOf(to))
  return each => holds(each) !== isNegated
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0
}

/** Goes back only to the last `*`, so that no pattern takes longer than its length times the name's. */
function matches(name: readonly string[], tokens: readonly Token[]): boolean {
  let [at, next] = [0, 0]
  let star: { at: number; next: number } | undefined
  while (at < name.length) {
    const token = tokens[next]
    if (token === '*') {
      next += 1
      star = { at, next }
    } else if (token?.(name[at] ?? '')) {
      at += 1
      next += 1
    } else if (star !== undefined) {
      star.at += 1
      at = star.at
      next = star.next
    } else return false
  }
  return tokens.slice(next).every(token => token === '*')
}
