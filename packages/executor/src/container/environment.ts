/** Checks the environment variables that a job asks for. Pure. */
import { JobFailure } from '../job/job-failure.ts'

const MAX_VARIABLES = 1_000
/** Linux starts no program with a longer variable, its name, "=" and final NUL counted. In bytes. */
const MAX_VARIABLE_BYTES = 128 * 1024
/** Linux shares 2 MiB among a program's variables and arguments. In bytes. */
const MAX_BYTES = 1024 * 1024

/**
 * Returns the variables as the engine takes them, `name=value`, without those that the sandbox sets itself. Throws
 * JobFailure when a program could not be started with them.
 *
 * @param own the sandbox's own variables, `name=value`
 */
export function environmentOf(env: Readonly<Record<string, string>>, own: readonly string[]): string[] {
  const entries = Object.entries(env)
  if (entries.length > MAX_VARIABLES) throw new JobFailure(`The job has more than ${MAX_VARIABLES} variables`)
  if (entries.some(([name, value]) => !/^[^=\0]+$/.test(name) || value.includes('\0'))) {
    throw new JobFailure('A variable of the job has no valid name or value')
  }
  const texts = entries.map(([name, value]) => `${name}=${value}`)
  const sizes = texts.map(text => Buffer.byteLength(text) + 1)
  if (sizes.some(size => size > MAX_VARIABLE_BYTES) || sizes.reduce((sum, size) => sum + size, 0) > MAX_BYTES) {
    throw new JobFailure('The variables of the job are too long')
  }
  const names = own.map(text => `${text.slice(0, text.indexOf('='))}=`)
  return texts.filter(text => !names.some(name => text.startsWith(name)))
}
