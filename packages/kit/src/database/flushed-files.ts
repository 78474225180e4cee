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
/** The number of the error EIO, to Postgres. */
const EIO = 29

const flush = promisify(fdatasync)

type Made = Awaited<ReturnType<NodeFS['init']>>
type Options = Parameters<NodeFS['init']>[1]

/** What is used of the file system that PGlite has in WebAssembly, on Node's files. */
type FileNode = { name: string; parent: FileNode }
type Stream = { nfd: number; node: FileNode }
type Operations = Record<string, (...args: never[]) => unknown>
type Module = {
  FS: { ErrnoError: new (code: number) => Error }
  NODEFS: { node_ops: Operations; stream_ops: Operations }
}

export class FlushedFiles extends NodeFS {
  readonly #muchLogBytes: number
  /** Called when the log has grown by so much again; it is called in mid-statement. */
  onMuchLog = () => {}
  /** Files of the log that must be on the disk before anything else is changed: their descriptors. */
  readonly #due = new Set<number>()
  /** Of them, those whose flush has begun. */
  readonly #inFlight = new Set<number>()
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
   * @throws from the first flush that failed on, each time: PGlite then gives no statement's outcome any more
   */
  override async syncToFs(): Promise<void> {
    const files = [...this.#due]
    this.#due.clear()
    if (files.length > 0) this.#flushing = Promise.all([this.#flushing, ...files.map(file => this.#flushLater(file))])
    await this.#flushing
    if (this.#failure) throw this.#failure
  }

  async #flushLater(file: number): Promise<void> {
    this.#inFlight.add(file)
    await flush(file).catch(error => this.#fail(error))
    this.#inFlight.delete(file)
  }

  #patch({ FS, NODEFS }: Module): void {
    const files = NODEFS.stream_ops
    const before = (operations: Operations, name: string, first: (...args: never[]) => void) => {
      const operation = operations[name]
      operations[name] = (...args: never[]) => {
        try {
          first(...args)
        } catch {
          throw new FS.ErrnoError(EIO)
        }
        return operation?.(...args)
      }
    }
    before(files, 'write', (stream: Stream, _buffer: unknown, _offset: unknown, length: number) => {
      if (isLog(stream)) this.#count(length)
      else this.#flushDue()
    })
    before(files, 'close', ({ nfd }: Stream) => {
      if (this.#due.has(nfd) || this.#inFlight.has(nfd)) this.#flushDue()
    })
    before(files, 'fsync', (stream: Stream) => {
      if (isLog(stream)) this.#due.add(stream.nfd)
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
    const files = [...this.#due, ...this.#inFlight]
    this.#due.clear()
    for (const file of files) this.#orFail(() => fdatasyncSync(file))
    if (this.#failure) throw this.#failure
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

function isLog({ node }: Stream): boolean {
  return node.parent.name === LOG_FOLDER
}
