/** What a stranger's zip says that is in it, checked as a whole. */
import { type Entry, getFileNameLowLevel, type ZipFile } from 'yauzl'
import { JobFailure } from '../job/job-failure.ts'
import { checkedName } from './entry-name.ts'
import { LZMA, methodName, READABLE } from './methods.ts'
import { LZMA_MAX_BYTES } from './unpack.ts'

const TYPE_MASK = 0o170000
const REGULAR = 0o100000
const DIRECTORY = 0o040000
const SYMLINK = 0o120000
const TOO_LARGE = 'Input volume too large'
const NOT_READ = ', which is not read here; it may be stored, or compressed by Deflate, BZIP2, LZMA or Zstandard'
const TOO_MANY = 'Input zip has too many entries'

/** The fixed part of what stands before each entry's contents, in bytes. */
const LOCAL_HEADER_BYTES = 30

export interface DirectoryLimits {
  /** Of all entries together, uncompressed. */
  maxBytes: number
  /** With the folders that are only in the names of others. */
  maxEntries: number
}

export interface InputEntry {
  /** Relative, without `..`, and no two entries get in each other's way. */
  name: string
  isDirectory: boolean
  isExecutable: boolean
  /** Uncompressed, in bytes; reading fails when it is not so. */
  size: number
  entry: Entry
}

/** The entries of a zip that was opened without decoding strings. Rejects with JobFailure, or an error of the library. */
export async function checkedDirectory(zip: ZipFile, limits: DirectoryLimits): Promise<InputEntry[]> {
  // A zip that says so itself need not be counted.
  if (zip.entryCount > limits.maxEntries) throw new JobFailure(TOO_MANY)
  const entries = new Map<string, InputEntry>()
  let bytes = 0
  let count = 0
  for await (const entry of zip.eachEntry()) {
    count += 1
    if (count > limits.maxEntries) throw new JobFailure(TOO_MANY)
    const checked = checkedEntry(entry)
    bytes += checked.size
    if (bytes > limits.maxBytes) throw new JobFailure(TOO_LARGE)
    refuseLargeLzma(entry)
    if (checked.name !== '') add(checked, entries)
    else if (!checked.isDirectory) throw new JobFailure('Input zip has a file without a name')
  }
  checkFolders(entries, limits.maxEntries - count)
  refuseOverlaps(entries.values())
  return [...entries.values()]
}

function checkedEntry(entry: Entry): InputEntry {
  const type = (entry.externalFileAttributes >>> 16) & TYPE_MASK
  const raw = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true)
  if (type === SYMLINK) throw new JobFailure('Input zip holds a symbolic link')
  if (type !== 0 && type !== REGULAR && type !== DIRECTORY)
    throw new JobFailure('Input zip holds a device or other special file')
  if (entry.isEncrypted()) throw new JobFailure('Input zip is encrypted')
  checkMethod(entry)
  return {
    name: checkedName(raw),
    isDirectory: /[/\\]$/.test(raw),
    isExecutable: ((entry.externalFileAttributes >>> 16) & 0o111) !== 0,
    size: entry.uncompressedSize,
    entry: withoutTexts(entry),
  }
}

function checkMethod({ compressionMethod: method }: Entry): void {
  if (!READABLE.includes(method)) throw new JobFailure(`Input zip is compressed by ${methodName(method)}${NOT_READ}`)
}

function refuseLargeLzma({ compressionMethod: method, compressedSize, uncompressedSize }: Entry): void {
  if (method === LZMA && Math.max(compressedSize, uncompressedSize) > LZMA_MAX_BYTES) {
    throw new JobFailure(`Input zip has a file of more than ${LZMA_MAX_BYTES} bytes that is compressed by LZMA`)
  }
}

/** Comments and extra fields may be most of a zip, and would stay in memory with each entry. */
function withoutTexts(entry: Entry): Entry {
  const empty = Buffer.alloc(0)
  const texts = { fileName: '', fileComment: '', comment: '' }
  return Object.assign(entry, texts, {
    fileNameRaw: empty,
    fileCommentRaw: empty,
    extraFieldRaw: empty,
    extraFields: [],
  })
}

/** A folder may be told of twice; which of two files is meant, nobody can know. */
function add(entry: InputEntry, entries: Map<string, InputEntry>): void {
  const other = entries.get(entry.name)
  if (other === undefined) entries.set(entry.name, entry)
  else if (other.isDirectory !== entry.isDirectory)
    throw new JobFailure('Input zip has a file and a folder of one name')
  else if (!entry.isDirectory) throw new JobFailure('Input zip has several files of one name')
}

/** A zip need not tell of its folders; in a few long names there may be more of them than a disk has room for. */
function checkFolders(entries: ReadonlyMap<string, InputEntry>, maxUntold: number): void {
  const untold = new Set<string>()
  for (const name of entries.keys()) {
    for (const folder of parentsOf(name)) {
      const entry = entries.get(folder)
      if (entry === undefined) untold.add(folder)
      else if (!entry.isDirectory) throw new JobFailure('Input zip has a file and a folder of one name')
    }
    if (untold.size > maxUntold) throw new JobFailure(TOO_MANY)
  }
}

function* parentsOf(name: string): Generator<string> {
  for (let end = name.lastIndexOf('/'); end > 0; end = name.lastIndexOf('/', end - 1)) yield name.slice(0, end)
}

/** Entries that share their contents make a large input of a small zip; no honest tool writes them. */
function refuseOverlaps(entries: Iterable<InputEntry>): void {
  const places = [...entries].map(({ entry }) => entry)
  places.sort((a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader)
  let end = 0
  for (const { relativeOffsetOfLocalHeader: start, compressedSize } of places) {
    if (start < end) throw new JobFailure('Input zip has entries that overlap')
    end = start + LOCAL_HEADER_BYTES + compressedSize
  }
}
