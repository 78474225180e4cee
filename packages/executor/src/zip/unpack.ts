/** Unpacks entries that are neither stored nor deflated. */
import { pipeline } from 'node:stream/promises'
import { constants, createZstdDecompress } from 'node:zlib'
import { JobFailure } from '../job/job-failure.ts'
import { BZIP2, LZMA, ZSTD } from './methods.ts'

/** The largest window that zstd's own program accepts by default, as a power of two: 128 MiB. */
const ZSTD_WINDOW_LOG = 27

/** The header of LZMA data in a zip, in bytes: a version, the size of the properties (2 bytes), the properties. */
const LZMA_VERSION_BYTES = 2
const LZMA_PROPERTIES_BYTES = 5
const LZMA_HEAD_BYTES = LZMA_VERSION_BYTES + 2 + LZMA_PROPERTIES_BYTES
const LZMA_LEAST_DICTIONARY = 4_096

/**
 * The largest entry compressed by LZMA, packed and unpacked, in bytes. The library unpacks in memory: it holds at most
 * the packed contents, a dictionary, and twice the unpacked contents. An executor in a container has 1 GiB.
 */
export const LZMA_MAX_BYTES = 134_217_728

/** The part of the zip's file that holds an entry. */
export interface Packed {
  start: number
  length: number
  chunks(): AsyncIterable<Buffer>
}

/** Unpacks BZIP2 without blocking the event loop. */
export interface Bunzip {
  unpack(packed: Packed, size: number): AsyncIterable<Buffer>
}

/**
 * Unpacks an entry that claims to have `size` bytes; the caller checks that. A wrong entry cannot make it take more
 * memory than those bytes (LZMA), a window of 128 MiB (Zstandard), or a block of 4 MiB (BZIP2).
 */
export function unpack(method: number, packed: Packed, size: number, bunzip: Bunzip): AsyncIterable<Buffer> {
  if (method === BZIP2) return bunzip.unpack(packed, size)
  if (method === LZMA) return unlzma(packed, size)
  if (method === ZSTD) return unzstd(packed)
  throw new Error(`method ${method} is not supported`)
}

async function* unzstd(packed: Packed): AsyncGenerator<Buffer, void, undefined> {
  const stream = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } })
  const fed = pipeline(packed.chunks(), stream)
  // The stream itself reports what went wrong.
  fed.catch(() => {})
  yield* stream as AsyncIterable<Buffer>
  await fed
}

async function* unlzma(packed: Packed, size: number): AsyncGenerator<Buffer, void, undefined> {
  const bytes = await whole(packed)
  if (bytes.length < LZMA_HEAD_BYTES || bytes.readUInt16LE(LZMA_VERSION_BYTES) !== LZMA_PROPERTIES_BYTES) {
    throw new Error('an entry compressed by LZMA has no valid header')
  }
  // Build a .lzma file, whose header has the size: unpacking ends there. A dictionary larger than the contents is of no
  // use, so a larger size in the entry is ignored.
  const head = Buffer.alloc(LZMA_PROPERTIES_BYTES + 8)
  bytes.copy(head, 0, LZMA_VERSION_BYTES + 2, LZMA_HEAD_BYTES)
  head.writeUInt32LE(Math.max(LZMA_LEAST_DICTIONARY, Math.min(head.readUInt32LE(1), size)), 1)
  head.writeBigUInt64LE(BigInt(size), LZMA_PROPERTIES_BYTES)
  const lzma = await loadLzma()
  yield await lzma.decompress(Buffer.concat([head, bytes.subarray(LZMA_HEAD_BYTES)]))
}

/** Loads the library with the first LZMA entry: few inputs have any. */
async function loadLzma() {
  try {
    return (await import('@napi-rs/lzma')).lzma
  } catch {
    // Its binary is an optional dependency, which does not exist for every machine.
    throw new JobFailure('Input zip is compressed by LZMA (method 14), which this host cannot read')
  }
}

async function whole(packed: Packed): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(packed.length)
  let at = 0
  for await (const chunk of packed.chunks()) at += chunk.copy(bytes, at)
  return bytes
}
