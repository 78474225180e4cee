/** Brings a job's input to a zip on this disk, and from there, entry by entry, into the volume. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Volume } from '@horde/protocol/job'
import { pack } from 'tar-stream'
import { download } from '../http/download.ts'
import { RequestError } from '../http/request.ts'
import type { RetryDeps } from '../http/retry.ts'
import { TargetError } from '../http/targets.ts'
import { ByteLimitError } from '../zip/byte-limit.ts'
import { InputZip } from '../zip/input-zip.ts'
import { JobFailure } from './job-failure.ts'

/** The stdout of a job whose input is too large. Clients compare it, so it must not change. */
export const TOO_LARGE = 'Input volume too large'

const NOT_BASE64 = 'Input volume is not valid base64'

/** How much base64 is decoded at once, in characters. */
const PIECE_CHARACTERS = 1_048_576

export interface InputLimits {
  /** The largest size of the zip, and of its contents, in bytes. */
  maxBytes: number
  maxEntries: number
  allowPrivate: boolean
}

/** Writes the zip of a volume into a folder and returns its path. Rejects with JobFailure. */
export async function fetchInput(
  volume: Volume,
  folder: string,
  limits: InputLimits,
  deps: RetryDeps,
  signal: AbortSignal,
): Promise<string> {
  const path = join(folder, 'input.zip')
  if (volume.volume_type === 'inline') await writeInline(volume.contents, path, limits)
  else await fetchRemote(volume.contents, path, limits, deps, signal)
  return path
}

/**
 * Returns a tar of everything that a job finds at its start: the input, an empty /output, and `further` texts by path.
 */
export function loadingArchive(
  zipPath: string,
  further: Record<string, string>,
  limits: InputLimits,
  isWritable = false,
): Readable {
  const tar = pack()
  fill(tar, zipPath, further, limits, isWritable).then(
    () => tar.finalize(),
    error => tar.destroy(error as Error),
  )
  return tar as unknown as Readable
}

type Pack = ReturnType<typeof pack>

async function fill(
  tar: Pack,
  zipPath: string,
  further: Record<string, string>,
  limits: InputLimits,
  isWritable: boolean,
): Promise<void> {
  // In a writable /volume any uid may change files.
  const others = isWritable ? 0o022 : 0
  await using zip = await InputZip.open(zipPath, limits)
  // Unpacking an entry may take minutes without giving a byte, so it is stopped when the archive is no longer read.
  tar.once('close', () => void zip.stop())
  // Any uid may write to /output, but only remove its own files (sticky bit).
  tar.entry({ name: 'output/', type: 'directory', mode: 0o1777 })
  tar.entry({ name: 'volume/', type: 'directory', mode: 0o755 | others })
  for (const [name, text] of Object.entries(further)) tar.entry({ name, mode: 0o644 }, text)
  const folders = new Set<string>()
  for (const { name, isDirectory, size, isExecutable, entry } of zip.entries) {
    // A zip need not list its folders. Folders missing in the tar would get the engine's own modes.
    for (const folder of isDirectory ? [...parentsOf(name), name] : parentsOf(name)) {
      if (folders.has(folder)) continue
      folders.add(folder)
      tar.entry({ name: `volume/${folder}`, type: 'directory', mode: 0o755 | others })
    }
    if (!isDirectory) {
      const header = { name: `volume/${name}`, size, mode: (isExecutable ? 0o755 : 0o644) | others }
      await addFile(tar, header, await zip.contents(entry))
    }
  }
}

function addFile(
  tar: Pack,
  header: Parameters<Pack['entry']>[0],
  contents: Buffer | AsyncIterable<Buffer>,
): Promise<void> {
  if (!Buffer.isBuffer(contents)) return pipeline(contents, tar.entry(header) as unknown as NodeJS.WritableStream)
  return new Promise((resolve, reject) => {
    tar.entry(header, contents, error => (error ? reject(error) : resolve()))
  })
}

/** Returns the folders above a name, outermost first. */
function parentsOf(name: string): string[] {
  const parts = name.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}

/** Decodes base64 to the disk piece by piece, because the frame already holds the whole input in memory. */
async function writeInline(contents: string, path: string, { maxBytes }: InputLimits): Promise<void> {
  await using file = await open(path, 'w', 0o600)
  let bytes = 0
  for (const piece of base64Pieces(contents)) {
    bytes += piece.length
    if (bytes > maxBytes) throw new JobFailure(TOO_LARGE)
    await file.write(piece)
  }
}

/** Throws JobFailure at the first piece that is not base64. White space is ignored. */
function* base64Pieces(contents: string): Generator<Buffer> {
  let rest = ''
  let ended = false
  for (let at = 0; at < contents.length; at += PIECE_CHARACTERS) {
    const text = rest + contents.slice(at, at + PIECE_CHARACTERS).replace(/\s+/g, '')
    const whole = text.slice(0, text.length - (text.length % 4))
    rest = text.slice(whole.length)
    if (whole === '') continue
    if (ended || !/^[A-Za-z0-9+/]*={0,2}$/.test(whole)) throw new JobFailure(NOT_BASE64)
    ended = whole.endsWith('=')
    yield Buffer.from(whole, 'base64')
  }
  if (rest !== '') throw new JobFailure(NOT_BASE64)
}

async function fetchRemote(
  url: string,
  path: string,
  limits: InputLimits,
  deps: RetryDeps,
  signal: AbortSignal,
): Promise<void> {
  try {
    await download(url, path, limits, deps, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ByteLimitError) throw new JobFailure(TOO_LARGE)
    if (error instanceof TargetError) throw new JobFailure(`Input URL refused: ${error.message}`)
    if (error instanceof RequestError) throw new JobFailure(`Input could not be fetched: ${error.message}`)
    throw error
  }
}
