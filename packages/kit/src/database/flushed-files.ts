/**
 * The files of an embedded database, flushed to the disk when Postgres asks for it. PGlite's own NodeFS ignores these
 * requests, so that a power cut would lose committed data.
 *
 * A commit flushes only the write-ahead log. That flush runs off the main thread after the statement and before its
 * caller gets the result, so that a slow disk delays the database and nothing else. Postgres relies on the log being on
 * the disk before it changes any other file. When such a change comes first, the flush runs at once on the main thread.
 */
import { fdatasync, fdatasyncSync, fsyncSync } from 'node:fs'
import { promisify } from 'node:util'
import type { PGlite } from '@electric-sql/pglite'
import { NodeFS } from '@electric-sql/pglite/nodefs'

const LOG_FOLDER = 'pg_wal'
/** EIO, and EDQUOT, ENOSPC and EROFS, with the numbers that Postgres uses. */
const EIO = 29
const NO_ROOM = new Set<number | undefined>([19, 51, 69])

const flush = promisify(fdatasync)

type Made = Awaited<ReturnType<NodeFS['init']>>
type Options = Parameters<NodeFS['init']>[1]

/** The parts used of PGlite's file system in WebAssembly. */
type FileNode = { name: string; parent: FileNode }
type Stream = { nfd: number; node: FileNode }
type Operations = Record<string, (...args: never[]) => unknown>
type Module = { NODEFS: { node_ops: Operations; stream_ops: Operations } }

export class FlushedFiles extends NodeFS {
  readonly #muchLogBytes: number
  /** Called in the middle of a statement each time the log has grown by `muchLogBytes`. */
  onMuchLog = () => {}
  /** Descriptors of log files to flush before any other file changes. */
  readonly #due = new Set<number>()
  /** Descriptors with a flush in progress, each with a token of that flush, because descriptors are reused. */
  readonly #inFlight = new Map<number, symbol>()
  /** Never rejects. */
  #flushing: Promise<unknown> = Promise.resolve()
  /** The first error of a flush. From then on it is unknown what is on the disk. */
  #failure: Error | undefined
  #logBytes = 0

  constructor(folder: string, muchLogBytes: number) {
    super(folder)
    this.#muchLogBytes = muchLogBytes
  }

  override async init(client: PGlite, options: Options): Promise<Made> {
    const patch = (module: unknown) => this.#patch(module as Module)
    return super.init(client, { ...options, preRun: [...(options.preRun ?? []), patch] })
  }

  /**
   * Resolves once all that Postgres wants flushed is on the disk. PGlite waits for it after each statement outside of
   * transactions. After a transaction the caller must.
   *
   * @throws after the first failure, every time, so that no statement succeeds any more
   */
  override async syncToFs(): Promise<void> {
    const files = [...this.#due]
    this.#due.clear()
    if (files.length > 0) this.#flushing = Promise.all([this.#flushing, ...files.map(file => this.#flushLater(file))])
    await this.#flushing
    this.throwIfFailed()
  }

  /** Throws after a failure. Call it before each statement, because Postgres' state in memory is broken then. */
  throwIfFailed(): void {
    if (this.#failure) throw this.#failure
  }

  async #flushLater(file: number): Promise<void> {
    const token = Symbol()
    this.#inFlight.set(file, token)
    const isDue = () => this.#inFlight.get(file) === token
    await flush(file).catch((error: NodeJS.ErrnoException) => {
      // While the flush waited for a thread, the file may have been flushed on the main thread and closed.
      if (isDue() || error.code !== 'EBADF') this.#fail(error)
    })
    if (isDue()) this.#inFlight.delete(file)
  }

  /**
   * Wraps the file operations. Where Postgres would abort, which PGlite turns into an endless loop, they throw an error
   * that is not a file error: it passes through Postgres, and the statement rejects.
   */
  #patch({ NODEFS }: Module): void {
    const files = NODEFS.stream_ops
    const before = (operations: Operations, name: string, first: (...args: never[]) => void) => {
      const operation = operations[name]
      operations[name] = (...args: never[]) => {
        first(...args)
        try {
          return operation?.(...args)
        } catch (error) {
          if (isFatal(error, args[0])) this.#fail(asError(error))
          this.throwIfFailed()
          throw error
        }
      }
    }
    before(files, 'write', (stream: Stream, _buffer: unknown, _offset: unknown, length: number) => {
      if (isOfLog(stream.node)) this.#count(length)
      else this.#flushDue()
    })
    before(files, 'close', ({ nfd }: Stream) => {
      if (this.#due.has(nfd) || this.#inFlight.has(nfd)) this.#flushDue()
    })
    before(files, 'fsync', (stream: Stream) => {
      if (isOfLog(stream.node)) this.#due.add(stream.nfd)
      else this.#flushNow(stream.nfd)
    })
    before(files, 'setattr', () => this.#flushDue())
    for (const name of ['setattr', 'mknod', 'rename', 'unlink', 'rmdir', 'symlink']) {
      before(NODEFS.node_ops, name, () => this.#flushDue())
    }
  }

  #flushNow(file: number): void {
    this.#flushDue()
    this.#orFail(() => fsyncSync(file))
  }

  #flushDue(): void {
    const files = [...this.#due, ...this.#inFlight.keys()]
    this.#due.clear()
    for (const file of files) this.#orFail(() => fdatasyncSync(file))
    this.#inFlight.clear()
    this.throwIfFailed()
  }

  #orFail(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#fail(error as Error)
      throw error
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error
  }

  #count(bytes: number): void {
    this.#logBytes += bytes
    if (this.#logBytes < this.#muchLogBytes) return
    this.#logBytes = 0
    this.onMuchLog()
  }
}

function isOfLog(node: FileNode): boolean {
  return node.parent.name === LOG_FOLDER
}

/** Returns whether Postgres would abort: the disk fails, or has no space for the log. */
function isFatal(error: unknown, where: Stream | FileNode | undefined): boolean {
  const { errno } = error as { errno?: number }
  if (errno === EIO || where === undefined) return errno === EIO
  const node = 'node' in where ? where.node : where
  return NO_ROOM.has(errno) && (node.name === LOG_FOLDER || isOfLog(node))
}

/** Makes an error with a message. File errors of PGlite have only a number. */
function asError(error: unknown): Error {
  const { errno } = error as { errno?: number }
  return new Error(`cannot write the database (error ${errno}): restart the service once its disk works`, {
    cause: error,
  })
}
