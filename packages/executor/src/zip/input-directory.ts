/** Checks the directory of a stranger's zip as a whole. */
import { type Entry, getFileNameLowLevel, type ZipFile } from 'yauzl'
import { LimitFailure } from '../inputs/limits/limit-failure.ts'
import { MAX_DEPTH, MAX_PART_BYTES, MAX_PATH_BYTES } from '../inputs/volume-path.ts'
import { JobFailure } from '../job/job-failure.ts'
import { LZMA, methodName, READABLE } from './methods.ts'
import { LZMA_MAX_BYTES } from './unpack.ts'

const TYPE_MASK = 0o170000
const REGULAR = 0o100000
const DIRECTORY = 0o040000
const SYMLINK = 0o120000
const NOT_READ = ', which is not supported; it may be stored, or compressed by Deflate, BZIP2, LZMA or Zstandard'
const TOO_MANY = 'Input zip has too many entries'

/** The fixed part of the header before each entry's contents, in bytes. */
const LOCAL_HEADER_BYTES = 30

/** Replaces bytes that are not UTF-8; two such names would become the same. */
const UNREADABLE = '\ufffd'

export interface DirectoryLimits {
  /** The size of all entries together, uncompressed. */
  maxBytes: number
  /** The number of entries, with the folders that occur only in the names of others. */
  maxEntries: number
}

export interface InputEntry {
  /** Relative, without `..`. No two files have the same name, and no file has the name of a folder. */
  name: string
  isDirectory: boolean
  isExecutable: boolean
  /** Uncompressed, in bytes. Reading the entry fails when this is wrong. */
  size: number
  entry: Entry
}

/**
 * Returns the entries of a zip that was opened without decoding strings. Rejects with JobFailure, or an error of the
 * library.
 */
export async function checkedDirectory(zip: ZipFile, limits: DirectoryLimits): Promise<InputEntry[]> {
  // A zip whose own count is too large need not be read.
  if (zip.entryCount > limits.maxEntries) throw new LimitFailure('files', TOO_MANY)
  const entries = new Map<string, InputEntry>()
  let bytes = 0
  let count = 0
  for await (const entry of zip.eachEntry()) {
    count += 1
    if (count > limits.maxEntries) throw new LimitFailure('files', TOO_MANY)
    const checked = checkedEntry(entry)
    bytes += checked.size
    if (bytes > limits.maxBytes) throw new LimitFailure('bytes')
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

/** Drops comments and extra fields: they may be most of a zip, and would stay in memory with each entry. */
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

/** Adds an entry. A folder may occur twice; two files of one name are refused, since either could be meant. */
function add(entry: InputEntry, entries: Map<string, InputEntry>): void {
  const other = entries.get(entry.name)
  if (other === undefined) entries.set(entry.name, entry)
  else if (other.isDirectory !== entry.isDirectory)
    throw new JobFailure('Input zip has a file and a folder of one name')
  else if (!entry.isDirectory) throw new JobFailure('Input zip has several files of one name')
}

/** Counts folders without an entry of their own: a few long names may hold more of them than a disk has room for. */
function checkFolders(entries: ReadonlyMap<string, InputEntry>, maxImplied: number): void {
  const implied = new Set<string>()
  for (const name of entries.keys()) {
    for (const folder of parentsOf(name)) {
      const entry = entries.get(folder)
      if (entry === undefined) implied.add(folder)
      else if (!entry.isDirectory) throw new JobFailure('Input zip has a file and a folder of one name')
    }
    if (implied.size > maxImplied) throw new LimitFailure('files', TOO_MANY)
  }
}

function* parentsOf(name: string): Generator<string> {
  for (let end = name.lastIndexOf('/'); end > 0; end = name.lastIndexOf('/', end - 1)) yield name.slice(0, end)
}

/**
 * Refuses entries that share their contents: they make a large input of a small zip, and no honest tool writes them.
 */
function refuseOverlaps(entries: Iterable<InputEntry>): void {
  const byOffset = [...entries].map(({ entry }) => entry)
  byOffset.sort((a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader)
  let end = 0
  for (const { relativeOffsetOfLocalHeader: start, compressedSize } of byOffset) {
    if (start < end) throw new JobFailure('Input zip has entries that overlap')
    end = start + LOCAL_HEADER_BYTES + compressedSize
  }
}

/**
 * Returns a zip entry's name as a relative path without empty, `.` and `..` parts; empty for the root itself.
 * Backslashes count as separators, as Windows programs write them. Throws JobFailure.
 */
function checkedName(raw: string): string {
  const path = raw.replaceAll('\\', '/')
  if (path.includes('\0')) throw new JobFailure('Input zip has a name with a zero byte')
  if (path.includes(UNREADABLE)) throw new JobFailure('Input zip has a name that is not valid UTF-8')
  if (path.startsWith('/') || /^[a-z]:/i.test(path)) throw new JobFailure('Input zip has an absolute name')
  const parts = path.split('/').filter(part => part !== '' && part !== '.')
  if (parts.includes('..')) throw new JobFailure('Input zip has a name that leads out of its folder')
  if (parts.length > MAX_DEPTH) throw new JobFailure('Input zip has folders nested too deeply')
  if (parts.some(part => Buffer.byteLength(part) > MAX_PART_BYTES) || Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new JobFailure('Input zip has a name that is too long')
  }
  return parts.join('/')
}
