/** Reading zips in tests as an executor reads its inputs. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect } from 'vitest'
import { JobFailure } from '../src/job/job-failure.ts'
import type { DirectoryLimits } from '../src/zip/input-directory.ts'
import { InputZip } from '../src/zip/input-zip.ts'
import { type RawEntry, type RawZip, rawZip } from './raw-zip.ts'

const LIMITS = { maxBytes: 1_000_000, maxEntries: 100 }

/** A zip's texts by name, undefined for folders. */
export async function textsIn(
  bytes: Buffer,
  limits: DirectoryLimits = LIMITS,
): Promise<Record<string, string | undefined>> {
  const folder = await mkdtemp(join(tmpdir(), 'input-zip-'))
  try {
    await writeFile(join(folder, 'input.zip'), bytes)
    await using zip = await InputZip.open(join(folder, 'input.zip'), limits)
    const texts: [string, string | undefined][] = []
    for (const { name, isDirectory, entry } of zip.entries) {
      const contents = isDirectory ? undefined : await zip.contents(entry)
      texts.push([name, Buffer.isBuffer(contents) ? contents.toString() : contents && (await text(contents))])
    }
    return Object.fromEntries(texts)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Why a zip is refused, or `accepted`. */
export async function refusalOf(bytes: Buffer, limits: DirectoryLimits = LIMITS): Promise<string> {
  try {
    await textsIn(bytes, limits)
    return 'accepted'
  } catch (error) {
    expect(error).toBeInstanceOf(JobFailure)
    return (error as Error).message
  }
}

/** The same of a zip with these entries. */
export function refusalOfEntries(
  entries: RawEntry[],
  end: RawZip = {},
  limits: DirectoryLimits = LIMITS,
): Promise<string> {
  return refusalOf(rawZip(entries, end), limits)
}
