/**
 * The files of an embedded database, flushed to the disk where Postgres asks for it: PGlite's own way of keeping files in a
 * folder ignores that, and a power cut would lose what was said to be stored.
 *
 * A commit flushes the write-ahead log only. That flush is made off the main thread, once the statement has run and before
 * its caller hears of it, so that a slow disk holds up the database and nothing else. Postgres relies on the log being on
 * the disk before anything else is changed; so the flush is made at once, on the main thread, where another change comes first.
 */
import { fdatasync, fdatasyncSync, fsyncSync } from 'node:fs'
import { promisify } from 'node:util'
import type { PGlite } from '@electric-sql/pglite'
import { NodeFS } from '@electric-sql/pglite/nodefs'

const LOG_FOLDER = 'pg_wal'
/** EIO, and EDQUOT, ENOSPC and EROFS, by Postgres' numbers. */
const EIO = 29
const NO_ROOM = new Set<number | undefined>([19, 51, 69])

const flush = promisify(fdatasync)

type Made = Awaited<ReturnType<NodeFS['init']>>
type Options = Parameters<NodeFS['init']>[1]

/** What is used of the file system that PGlite has in WebAssembly, on Node's files. */
type FileNode = { name: string; parent: FileNode }
type Stream = { nfd: number; node: FileNode }
type Operations = Record<string, (...args: never[]) => unknown>
type Module = { NODEFS: { node_ops: Operations; stream_ops: Operations } }

export class FlushedFiles extends NodeFS {
  readonly #muchLogBytes: number
  /** Called when the log has grown by so much again; it is called in mid-statement. */
  onMuchLog = () => {}
  /** Files of the log that must be on the disk before anything else is changed: their descriptors. */
  readonly #due = new Set<number>()
  /** Of them, those whose flush has begun and not ended: each with a token of that flush, since descriptors are used again. */
  readonly #inFlight = new Map<number, symbol>()
  /** Never rejects. */
  #flushing: Promise<unknown> = Promise.resolve()
  /** Of a flush: what is on the disk is unknown since then. */
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
   * transactions; after a transaction its caller must.
   *
   * @throws from the first failure on, each time: PGlite then gives no statement's outcome any more
   */
  override async syncToFs(): Promise<void> {
    const files = [...this.#due]
    this.#due.clear()
    if (files.length > 0) this.#flushing = Promise.all([this.#flushing, ...files.map(file => this.#flushLater(file))])
    await this.#flushing
    this.throwIfFailed()
  }

  /** Call it before each statement: after a failure Postgres' own state is in pieces. */
  throwIfFailed(): void {
    if (this.#failure) throw this.#failure
  }

  async #flushLater(file: number): Promise<void> {
    const token = Symbol()
    this.#inFlight.set(file, token)
    const isDue = () => this.#inFlight.get(file) === token
    await flush(file).catch((error: NodeJS.ErrnoException) => {
      // A flush may wait for a thread until its file was flushed on the main thread and closed.
      if (isDue() || error.code !== 'EBADF') this.#fail(error)
    })
    if (isDue()) this.#inFlight.delete(file)
  }

  /**
   * Where Postgres would end itself, which PGlite turns into an endless loop, an error is thrown that is no error of a file:
   * it passes through Postgres, and the statement rejects.
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

/** Whether Postgres would end itself: a disk that fails, or that has no room for the log. */
function isFatal(error: unknown, where: Stream | FileNode | undefined): boolean {
  const { errno } = error as { errno?: number }
  if (errno === EIO || where === undefined) return errno === EIO
  const node = 'node' in where ? where.node : where
  return NO_ROOM.has(errno) && (node.name === LOG_FOLDER || isOfLog(node))
}

/** Errors of a file have a number, and no message. */
function asError(error: unknown): Error {
  const { errno } = error as { errno?: number }
  return new Error(`the database can not be written (error ${errno}): start again once its disk is well`, {
    cause: error,
  })
}
