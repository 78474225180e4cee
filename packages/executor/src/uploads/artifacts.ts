/** Reads the small files of a job's artifacts folder, which come back with the result. */

import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { entriesOf, isRegular, type OutputSource, opened, withErrorsIgnored } from './output-files.ts'

/** Files of this size and above stay away, in bytes. */
const TOO_LARGE_BYTES = 1_000_000
/** What all of them may have together, in bytes, so that the frame for the miner holds them as base64. */
const MAX_TOTAL_BYTES = 16 * 1024 * 1024
const MAX_FILES = 1_000

export interface Artifacts {
  /** Base64 by path in the job's container. */
  files: Record<string, string>
  /** Whether some were left out because there are too many. */
  areCut: boolean
}

/**
 * Returns the regular files that lie directly in a folder and are small enough.
 *
 * @param source opens a tar of the folder
 * @param folder as the job names it
 */
export async function readArtifacts(source: OutputSource, folder: string, signal: AbortSignal): Promise<Artifacts> {
  const contents = new Map<string, Buffer>()
  /** Further names of files, by name, with the names that the tar has their contents under. */
  const links = new Map<string, string>()
  let bytes = 0
  let areCut = false
  const read = async (isWanted: (name: string) => boolean, keep: (name: string, content: Buffer) => void) => {
    for await (const entry of entriesOf(await opened(source, signal), signal)) {
      const { header } = entry
      const isSmall = isRegular(header) && (header.size ?? 0) < TOO_LARGE_BYTES
      if (isSmall && isWanted(header.name)) {
        keep(header.name, await buffer(withErrorsIgnored(Readable.from(entry, { objectMode: false }))))
        continue
      }
      if (header.type === 'link' && isDirect(header.name)) links.set(header.name, linkTarget(header))
      entry.resume()
    }
  }
  const add = (name: string, content: Buffer) => {
    if (contents.has(name)) return
    if (contents.size === MAX_FILES || bytes + content.length > MAX_TOTAL_BYTES) {
      areCut = true
      return
    }
    bytes += content.length
    contents.set(name, content)
  }
  await read(isDirect, add)
  const targets = new Set(links.values())
  if (targets.size > 0) {
    const names = [...links]
    await read(
      name => targets.has(name),
      (target, content) => {
        for (const [name, linked] of names) if (linked === target) add(name, content)
      },
    )
  }
  const files = [...contents].map(([name, content]) => [`${folder}/${baseName(name)}`, content.toString('base64')])
  return { files: Object.fromEntries(files), areCut }
}

/** Whether a name in the tar is one of a file directly in the folder: `<folder>/<name>`. */
function isDirect(name: string): boolean {
  return name.split('/').length === 2 && baseName(name) !== ''
}

function baseName(name: string): string {
  return name.slice(name.indexOf('/') + 1)
}

function linkTarget(header: object): string {
  return (header as { linkname?: string }).linkname ?? ''
}
