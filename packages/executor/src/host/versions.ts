/** Parses and compares the versions of kernels, runc and packages. */

export interface Version {
  /** 5.10.97 as [5, 10, 97]. */
  numbers: readonly number[]
  /** The number of a release candidate; undefined for the release itself. */
  candidate: number | undefined
  /** The rest: a distribution's own numbering. */
  rest: string
}

const FORM = /^v?(\d+(?:\.\d+)+)(?:[-~.]?rc\.?(\d+))?(.*)$/s

/** Returns undefined for a text that does not begin with two numbers and a dot between them. */
export function parseVersion(text: string): Version | undefined {
  const [, numbers, candidate, rest = ''] = FORM.exec(text.trim()) ?? []
  if (numbers === undefined) return undefined
  return {
    numbers: numbers.split('.').map(Number),
    candidate: candidate === undefined ? undefined : Number(candidate),
    rest,
  }
}

/** Returns less than 0 when `a` is older. The distribution's own numbering does not count. */
export function compareVersions(a: Version, b: Version): number {
  const length = Math.max(a.numbers.length, b.numbers.length)
  for (let index = 0; index < length; index += 1) {
    const difference = (a.numbers[index] ?? 0) - (b.numbers[index] ?? 0)
    if (difference !== 0) return difference
  }
  const [left, right] = [a, b].map(({ candidate }) => candidate ?? Number.POSITIVE_INFINITY) as [number, number]
  return left === right ? 0 : left - right
}

/**
 * Whether a version has a fix that was released in several branches: it has when it is at least as new as the newest of
 * `fixed`, or as the one of its own branch (the first two numbers).
 *
 * @param fixed the first version with the fix in each branch, the newest branch first
 */
export function isFixed(version: Version, fixed: readonly string[]): boolean {
  return fixed.some((text, index) => {
    const fix = parseVersion(text)
    if (fix === undefined || compareVersions(version, fix) < 0) return false
    return index === 0 || (version.numbers[0] === fix.numbers[0] && version.numbers[1] === fix.numbers[1])
  })
}
