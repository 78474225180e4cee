/** A stranger's zip. Its whole directory is checked before the first byte is unpacked. */
import { type FileHandle, open } from 'node:fs/promises'
import { crc32, inflateRawSync } from 'node:zlib'
import { type Entry, fromRandomAccessReaderPromise, type ZipFile } from 'yauzl'
import { JobFailure } from '../job/job-failure.ts'
import { BunzipThread } from './bunzip.ts'
import { FileReader } from './file-reader.ts'
import { checkedDirectory, type DirectoryLimits, type InputEntry } from './input-directory.ts'
import { DEFLATED, STORED } from './methods.ts'
import { unpack } from './unpack.ts'

/** Entries up to this size, in bytes, are unpacked at once: a stream would cost more than the file. */
const AT_ONCE_BYTES = 65_536

const WRONG_SIZE = 'an entry does not have the size that it claims'

export class InputZip implements AsyncDisposable {
  readonly entries: readonly InputEntry[]
  readonly #zip: ZipFile
  readonly #reader: FileReader
  readonly #file: FileHandle
  readonly #bunzip: BunzipThread

  private constructor(zip: ZipFile, reader: FileReader, file: FileHandle, entries: readonly InputEntry[]) {
    this.#zip = zip
    this.#reader = reader
    this.#file = file
    this.#bunzip = new BunzipThread(file.fd)
    this.entries = entries
  }

  /** Opens a zip and checks its directory. Rejects with JobFailure, which has a sentence for each kind of problem. */
  static async open(path: string, limits: DirectoryLimits): Promise<InputZip> {
    const file = await open(path)
    try {
      const { size } = await file.stat()
      const options = { autoClose: false, decodeStrings: false }
      const reader = new FileReader(file, size)
      const zip = await fromRandomAccessReaderPromise(reader, size, options)
      return new InputZip(zip, reader, file, await checkedDirectory(zip, limits))
    } catch (error) {
      await file.close()
      broken(error)
    }
  }

  /**
   * Returns an entry's contents; small ones at once. It and the stream reject with JobFailure when size or checksum is
   * wrong.
   */
  async contents(entry: Entry): Promise<Buffer | AsyncGenerator<Buffer, void, undefined>> {
    if (!isCommon(entry)) return this.#stream(entry, this.#unpacked(entry))
    if (entry.compressedSize > AT_ONCE_BYTES || entry.uncompressedSize > AT_ONCE_BYTES) {
      return this.#stream(entry, await this.#zip.openReadStreamPromise(entry).catch(broken))
    }
    try {
      const { fileDataStart } = await this.#zip.readLocalFileHeaderPromise(entry, { minimal: true })
      const stored = await this.#reader.bytes(fileDataStart, entry.compressedSize)
      const contents = entry.compressionMethod === STORED ? stored : inflated(stored, entry.uncompressedSize)
      checkChecksum(crc32(contents), entry)
      return contents
    } catch (error) {
      broken(error)
    }
  }

  async *#unpacked(entry: Entry): AsyncGenerator<Buffer, void, undefined> {
    const { fileDataStart: start } = await this.#zip.readLocalFileHeaderPromise(entry, { minimal: true })
    const length = entry.compressedSize
    const packed = { start, length, chunks: () => this.#reader.chunks(start, start + length) }
    yield* unpack(entry.compressionMethod, packed, entry.uncompressedSize, this.#bunzip)
  }

  async *#stream(entry: Entry, contents: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    try {
      let checksum = 0
      let bytes = 0
      for await (const chunk of contents) {
        bytes += chunk.length
        if (bytes > entry.uncompressedSize) throw new Error(WRONG_SIZE)
        checksum = crc32(chunk, checksum)
        yield chunk
      }
      if (bytes !== entry.uncompressedSize) throw new Error(WRONG_SIZE)
      checkChecksum(checksum, entry)
    } catch (error) {
      broken(error)
    }
  }

  /** Ends the unpacking of BZIP2. */
  async stop(): Promise<void> {
    await this.#bunzip[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    this.#zip.close()
    await this.#file.close()
  }
}

function isCommon({ compressionMethod: method }: Entry): boolean {
  return method === STORED || method === DEFLATED
}

function inflated(stored: Buffer, size: number): Buffer {
  let contents: Buffer | undefined
  try {
    contents = inflateRawSync(stored, { maxOutputLength: Math.max(1, size) })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw error
  }
  if (contents?.length !== size) throw new Error(WRONG_SIZE)
  return contents
}

function checkChecksum(checksum: number, { crc32: expected }: Entry): void {
  if (checksum !== expected) throw new Error('the checksum of an entry is wrong')
}

/** What the library's messages mean to the author of a job. */
const SENTENCES: [RegExp, string][] = [
  [/^End of central directory record signature/, 'it has no directory at its end; it is not a zip, or not all of one'],
  [/bytes in the stream|Expected unpacked size|end reached but not decoder finished/, WRONG_SIZE],
]

function broken(error: unknown): never {
  if (error instanceof JobFailure) throw error
  const { message } = error as Error
  if (message.includes('encryption')) throw new JobFailure('Input zip is encrypted')
  const [, sentence] = SENTENCES.find(([pattern]) => pattern.test(message)) ?? []
  throw new JobFailure('Input zip is broken', sentence ?? message)
}
