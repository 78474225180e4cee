/** Checks where a volume wants to go: its folder or path must stay below /volume. */
import { JobFailure } from '../job/job-failure.ts'

/** The longest name of a file or folder, and the longest path, in bytes, as Linux's file systems take them. */
export const MAX_PART_BYTES = 255
export const MAX_PATH_BYTES = 3_000
export const MAX_DEPTH = 64

/** Begins what a job's author should do about it. */
const ADVICE = 'give a relative path below /volume'

/**
 * Returns a volume's folder as a path without empty and `.` parts; empty for /volume itself. Throws JobFailure.
 *
 * @param folder null and the empty text are /volume itself
 */
export function checkedFolder(folder: string | null): string {
  return folder ? joined(folder, 'folder') : ''
}

/** Returns a volume's path, of a file, in the same form. Throws JobFailure. */
export function checkedPath(path: string): string {
  const checked = joined(path, 'path')
  if (checked === '' || path.endsWith('/') || /(^|\/)\.$/.test(path)) {
    throw new JobFailure('Its path names no file; give the name of the file, too')
  }
  return checked
}

/** Returns a path below a volume's folder. Throws JobFailure when the two together are too long. */
export function pathBelow(folder: string, path: string): string {
  if (folder === '') return path
  const whole = path === '' ? folder : `${folder}/${path}`
  if (isTooLong(whole.split('/'), whole)) {
    throw new JobFailure('A path in its folder is too long or nested too deeply; use a shorter folder')
  }
  return whole
}

/** Returns the folders above a path, outermost first. */
export function parentsOf(path: string): string[] {
  const parts = path.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}

function joined(path: string, what: 'folder' | 'path'): string {
  const problem = problemOf(path)
  if (problem !== undefined) throw new JobFailure(`Its ${what} ${problem}; ${ADVICE}`)
  return partsOf(path).join('/')
}

function problemOf(path: string): string | undefined {
  if (path.startsWith('/')) return 'is absolute'
  if (path.includes('\\')) return 'contains a backslash'
  if (path.includes('\0')) return 'contains a zero byte'
  // Two different halves of a surrogate pair would become the same name.
  if (!path.isWellFormed()) return 'is not valid Unicode'
  const parts = partsOf(path)
  if (parts.includes('..')) return 'leads out of /volume by ".."'
  if (isTooLong(parts, path)) return 'is too long or nested too deeply'
  return undefined
}

function partsOf(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}

function isTooLong(parts: readonly string[], path: string): boolean {
  return (
    parts.length > MAX_DEPTH ||
    Buffer.byteLength(path) > MAX_PATH_BYTES ||
    parts.some(part => Buffer.byteLength(part) > MAX_PART_BYTES)
  )
}
