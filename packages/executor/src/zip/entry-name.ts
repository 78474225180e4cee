import { JobFailure } from '../job/job-failure.ts'

/** Longest name of one file or folder, and of a whole path, in bytes: what Linux's file systems take. */
const MAX_PART_BYTES = 255
const MAX_PATH_BYTES = 3_000
const MAX_DEPTH = 64

/** What stands in for bytes that are no UTF-8; two such names could be told apart no more. */
const UNREADABLE = '\ufffd'

/**
 * A zip entry's name as a relative path without empty, `.` and `..` parts; empty for the root itself. Backslashes separate,
 * as Windows programs write them. Throws JobFailure.
 */
export function checkedName(raw: string): string {
  const path = raw.replaceAll('\\', '/')
  if (path.includes('\0')) throw new JobFailure('Input zip has a name with a zero byte')
  if (path.includes(UNREADABLE)) throw new JobFailure('Input zip has a name that is not valid UTF-8')
  if (path.startsWith('/') || /^[a-z]:/i.test(path)) throw new JobFailure('Input zip has an absolute name')
  const parts = path.split('/').filter(part => part !== '' && part !== '.')
  if (parts.includes('..')) throw new JobFailure('Input zip has a name that leads out of its folder')
  if (parts.length > MAX_DEPTH) throw new JobFailure('Input zip has folders nested too deeply')
  if (parts.some(part => Buffer.byteLength(part) > MAX_PART_BYTES) || Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new JobFailure('Input zip has a name that is too long')
  }
  return parts.join('/')
}
