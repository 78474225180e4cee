/** A stranger's zip: everything in its directory is checked before the first byte of it is unpacked. */
import { crc32 } from 'node:zlib'
import { type Entry, getFileNameLowLevel, openPromise, type ZipFile } from 'yauzl'
import { JobFailure } from '../job-failure.ts'
import { checkedName } from './entry-name.ts'

const TYPE_MASK = 0o170000
const REGULAR = 0o100000
const DIRECTORY = 0o040000
const SYMLINK = 0o120000
const TOO_LARGE = 'Input volume too large'

export interface InputEntry {
  /** Relative, without `..`, and no two entries get in each other's way. */
  name: string
  isDirectory: boolean
  isExecutable: boolean
  /** Uncompressed, in bytes; reading fails when it is not so. */
  size: number
  entry: Entry
}

export class InputZip implements AsyncDisposable {
  readonly entries: readonly InputEntry[]
  readonly #zip: ZipFile

  private constructor(zip: ZipFile, entries: readonly InputEntry[]) {
    this.#zip = zip
    this.entries = entries
  }

  /**
   * Opens a zip and checks its directory. Rejects with JobFailure, each kind of trouble with its own sentence.
   *
   * @param limits maxBytes: of all entries together, uncompressed
   */
  static async open(path: string, limits: { maxBytes: number; maxEntries: number }): Promise<InputZip> {
    const zip = await openPromise(path, { autoClose: false, decodeStrings: false }).catch(broken)
    try {
      return new InputZip(zip, await checkedEntries(zip, limits))
    } catch (error) {
      zip.close()
      throw error
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
  }
}

async function checkedEntries(zip: ZipFile, limits: { maxBytes: number; maxEntries: number }): Promise<InputEntry[]> {
  const entries = new Map<string, InputEntry>()
  const folders = new Set<string>()
  let bytes = 0
  let count = 0
  try {
    for await (const entry of zip.eachEntry()) {
      count += 1
      if (count > limits.maxEntries) throw new JobFailure('Input zip has too many entries')
      const checked = checkedEntry(entry)
      bytes += checked.size
      if (bytes > limits.maxBytes) throw new JobFailure(TOO_LARGE)
      if (checked.name === '') continue
      entries.set(checked.name, checked)
      for (const folder of parentsOf(checked.name)) folders.add(folder)
    }
  } catch (error) {
    broken(error)
  }
  for (const folder of folders) {
    if (entries.get(folder)?.isDirectory === false)
      throw new JobFailure('Input zip has a file and a folder of one name')
  }
  return [...entries.values()]
}

function checkedEntry(entry: Entry): InputEntry {
  const type = (entry.externalFileAttributes >>> 16) & TYPE_MASK
  const raw = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true)
  if (type === SYMLINK) throw new JobFailure('Input zip holds a symbolic link')
  if (type !== 0 && type !== REGULAR && type !== DIRECTORY)
    throw new JobFailure('Input zip holds a device or other special file')
  if (entry.isEncrypted()) throw new JobFailure('Input zip is encrypted')
  if (!entry.canDecodeFileData()) throw new JobFailure('Input zip is compressed by an unknown method')
  const name = checkedName(raw)
  return {
    name,
    isDirectory: raw.endsWith('/') || raw.endsWith('\\'),
    isExecutable: ((entry.externalFileAttributes >>> 16) & 0o111) !== 0,
    size: entry.uncompressedSize,
    entry,
  }
}

function* parentsOf(name: string): Generator<string> {
  for (let end = name.lastIndexOf('/'); end > 0; end = name.lastIndexOf('/', end - 1)) yield name.slice(0, end)
}

function broken(error: unknown): never {
  if (error instanceof JobFailure) throw error
  const { message } = error as Error
  if (message.includes('encryption')) throw new JobFailure('Input zip is encrypted')
  throw new JobFailure(`Input zip is broken: ${message}`)
}
