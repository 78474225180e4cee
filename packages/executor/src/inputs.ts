/** A job's input: from the wire to a zip on this disk, from there, entry by entry, into the volume. */
import { createWriteStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Volume } from '@horde/protocol/job'
import { pack } from 'tar-stream'
import { SCRIPT_PATH } from './engine/workspace.ts'
import { openResponse, RequestError, requestError, withRetries } from './http/request.ts'
import { TargetError } from './http/targets.ts'
import { JobFailure } from './job-failure.ts'
import { ByteLimit, ByteLimitError } from './zip/byte-limit.ts'
import { InputZip } from './zip/input-zip.ts'

/** What a job whose input is too large has as its stdout, to the letter. */
export const TOO_LARGE = 'Input volume too large'

const MAX_REDIRECTS = 5
const FETCH_TRIES = 2
const FETCH_PAUSE_MS = 500

export interface InputLimits {
  /** Of the zip, and of what is in it, in bytes. */
  maxBytes: number
  maxEntries: number
  allowPrivate: boolean
}

/** Brings the zip of a volume into a folder and gives its path. Rejects with JobFailure. */
export async function fetchInput(
  volume: Volume,
  folder: string,
  limits: InputLimits,
  signal: AbortSignal,
): Promise<string> {
  const path = join(folder, 'input.zip')
  if (volume.volume_type === 'inline') await writeInline(volume.contents, path, limits)
  else await download(volume.contents, path, limits, signal)
  return path
}

/** Everything that a job finds when it starts, as a tar for the workspace: the input, an empty /output, the script. */
export function loadingArchive(
  zipPath: string,
  script: string | null,
  limits: InputLimits,
  isWritable = false,
): Readable {
  const tar = pack()
  fill(tar, zipPath, script, limits, isWritable).then(
    () => tar.finalize(),
    error => tar.destroy(error as Error),
  )
  return tar as unknown as Readable
}

type Pack = ReturnType<typeof pack>

async function fill(
  tar: Pack,
  zipPath: string,
  script: string | null,
  limits: InputLimits,
  isWritable: boolean,
): Promise<void> {
  // Any uid may change what is writable.
  const others = isWritable ? 0o022 : 0
  await using zip = await InputZip.open(zipPath, limits)
  // Any uid may write to /output; nobody may take another's files away.
  tar.entry({ name: 'output/', type: 'directory', mode: 0o1777 })
  tar.entry({ name: 'volume/', type: 'directory', mode: 0o755 | others })
  if (script !== null) tar.entry({ name: SCRIPT_PATH, mode: 0o644 }, script)
  for (const { name, isDirectory, size, isExecutable, entry } of zip.entries) {
    if (isDirectory) {
      tar.entry({ name: `volume/${name}`, type: 'directory', mode: 0o755 | others })
    } else {
      const target = tar.entry({ name: `volume/${name}`, size, mode: (isExecutable ? 0o755 : 0o644) | others })
      await pipeline(zip.read(entry), target as unknown as NodeJS.WritableStream)
    }
  }
}

async function writeInline(contents: string, path: string, { maxBytes }: InputLimits): Promise<void> {
  const text = contents.replace(/\s+/g, '')
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
    throw new JobFailure('Input volume is not valid base64')
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length > maxBytes) throw new JobFailure(TOO_LARGE)
  await writeFile(path, bytes, { mode: 0o600 })
}

async function download(url: string, path: string, limits: InputLimits, signal: AbortSignal): Promise<void> {
  try {
    await withRetries(FETCH_TRIES, FETCH_PAUSE_MS, signal, () => downloadOnce(url, path, limits, signal))
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ByteLimitError) throw new JobFailure(TOO_LARGE)
    if (error instanceof TargetError) throw new JobFailure(`Input URL refused: ${error.message}`)
    if (error instanceof RequestError) throw new JobFailure(`Input could not be fetched: ${error.message}`)
    throw error
  }
}

async function downloadOnce(start: string, path: string, limits: InputLimits, signal: AbortSignal): Promise<void> {
  let url = start
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await openResponse(url, { method: 'GET', allowPrivate: limits.allowPrivate, signal })
    const { statusCode: status = 0, headers } = response
    if (status >= 300 && status < 400 && headers.location !== undefined) {
      response.destroy()
      url = URL.parse(headers.location, url)?.href ?? headers.location
      continue
    }
    if (status !== 200) {
      response.destroy()
      throw new RequestError(`the server answered with status ${status}`, { retryable: status >= 500 })
    }
    if (Number(headers['content-length'] ?? 0) > limits.maxBytes) {
      response.destroy()
      throw new ByteLimitError(limits.maxBytes)
    }
    try {
      return await pipeline(response, new ByteLimit(limits.maxBytes), createWriteStream(path, { mode: 0o600 }), {
        signal,
      })
    } catch (error) {
      throw error instanceof ByteLimitError ? error : requestError(error)
    }
  }
  throw new RequestError(`more than ${MAX_REDIRECTS} redirects`, { retryable: false })
}
