/** Unpacks the BZIP2 entries of one zip in a thread of its own. */
import { on } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Packed } from './unpack.ts'

/** The size of a message, in bytes, and how many unread ones there may be before the thread waits. */
const CHUNK_BYTES = 262_144
const UNREAD_CHUNKS = 4

/** The limit for JavaScript objects in the thread, in MiB; a block of 4 MiB and the chunks come on top. */
const THREAD_HEAP_MIB = 64

/** A message of the thread: some contents, or how the entry ended. */
type Message = { chunk: Uint8Array<ArrayBuffer> } | { error: string } | { end: true }

export class BunzipThread implements AsyncDisposable {
  readonly #fd: number
  readonly #unread = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  #worker: Worker | undefined
  #isOver = false

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Unpacks one entry. Read it to its end before the next one. Rejects when the thread ends before. */
  async *unpack({ start, length }: Packed, size: number): AsyncGenerator<Buffer, void, undefined> {
    if (this.#isOver) throw new Error('the zip is closed')
    this.#worker ??= this.#start()
    const messages = on(this.#worker, 'message', { close: ['exit'] }) as AsyncIterable<[Message]>
    this.#worker.postMessage({ start, length, size })
    for await (const [message] of messages) {
      if ('error' in message) throw new Error(message.error)
      if ('end' in message) return
      const { buffer, byteOffset, byteLength } = message.chunk
      yield Buffer.from(buffer, byteOffset, byteLength)
      Atomics.sub(this.#unread, 0, 1)
      Atomics.notify(this.#unread, 0)
    }
    throw new Error('the unpacking was stopped')
  }

  /** Ends the thread at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await this.#worker?.terminate()
  }

  #start(): Worker {
    const sizes = { chunkBytes: CHUNK_BYTES, maxUnread: UNREAD_CHUNKS }
    const workerData = { fd: this.#fd, unread: this.#unread.buffer, ...sizes }
    const resourceLimits = { maxOldGenerationSizeMb: THREAD_HEAP_MIB }
    return new Worker(new URL('./bunzip-thread.js', import.meta.url), { workerData, resourceLimits })
  }
}
