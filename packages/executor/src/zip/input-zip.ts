/** A stranger's zip: everything in its directory is checked before the first byte of it is unpacked. */
import { type FileHandle, open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { type Entry, fromRandomAccessReaderPromise, type ZipFile } from 'yauzl'
import { JobFailure } from '../job-failure.ts'
import { FileReader } from './file-reader.ts'
import { checkedDirectory, type DirectoryLimits, type InputEntry } from './input-directory.ts'

export class InputZip implements AsyncDisposable {
  readonly entries: readonly InputEntry[]
  readonly #zip: ZipFile
  readonly #file: FileHandle

  private constructor(zip: ZipFile, file: FileHandle, entries: readonly InputEntry[]) {
    this.#zip = zip
    this.#file = file
    this.entries = entries
  }

  /** Opens a zip and checks its directory. Rejects with JobFailure, each kind of trouble with its own sentence. */
  static async open(path: string, limits: DirectoryLimits): Promise<InputZip> {
    const file = await open(path)
    try {
      const { size } = await file.stat()
      const options = { autoClose: false, decodeStrings: false }
      const zip = await fromRandomAccessReaderPromise(new FileReader(file, size), size, options)
      return new InputZip(zip, file, await checkedDirectory(zip, limits))
    } catch (error) {
      await file.close()
      broken(error)
    }
  }

  /** An entry's contents. Throws JobFailure when they are not what the directory says. */
  async *read(entry: Entry): AsyncGenerator<Buffer, void, undefined> {
    try {
      let checksum = 0
      for await (const chunk of await this.#zip.openReadStreamPromise(entry)) {
        checksum = crc32(chunk, checksum)
        yield chunk
      }
      if (checksum !== entry.crc32) throw new Error('the checksum of an entry is wrong')
    } catch (error) {
      broken(error)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#zip.close()
    await this.#file.close()
  }
}

/** What the library says, in the words of whoever sent the zip. */
const WORDS: [RegExp, string][] = [
  [/^End of central directory record signature/, 'it has no directory at its end; it is not a zip, or not all of one'],
  [/bytes in the stream/, 'an entry is not of the size that it tells'],
]

function broken(error: unknown): never {
  if (error instanceof JobFailure) throw error
  const { message } = error as Error
  if (message.includes('encryption')) throw new JobFailure('Input zip is encrypted')
  const [, words] = WORDS.find(([pattern]) => pattern.test(message)) ?? []
  throw new JobFailure(`Input zip is broken: ${words ?? message}`)
}
