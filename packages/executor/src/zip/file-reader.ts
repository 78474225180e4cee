import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { RandomAccessReader } from 'yauzl'

/** How much is read at once, in bytes: from a directory, and from the contents of a large file. */
const WINDOW_BYTES = 65_536
const PIECE_BYTES = 262_144

/**
 * Reads a zip's file for yauzl. Unlike yauzl's own reader it checks the offsets that a stranger wrote: a too large one
 * would throw where it cannot be caught. It also reads a directory in large steps, instead of twice for every entry.
 */
export class FileReader extends RandomAccessReader {
  readonly #file: FileHandle
  readonly #size: number
  #window: { start: number; bytes: Buffer } = { start: 0, bytes: Buffer.alloc(0) }

  /** @param size the file's size, in bytes. The caller closes the handle. */
  constructor(file: FileHandle, size: number) {
    super()
    this.#file = file
    this.#size = size
  }

  /** Returns a copy of some bytes. */
  async bytes(position: number, length: number): Promise<Buffer> {
    this.#check(position, length)
    const bytes = Buffer.allocUnsafe(length)
    await this.#copy(bytes, position)
    return bytes
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (err: Error | null) => void,
  ): void {
    this.#copy(buffer.subarray(offset, offset + length), position).then(() => callback(null), callback)
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(this.chunks(start, end), { objectMode: false })
  }

  /** Yields some bytes, piece by piece. */
  async *chunks(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    for (let at = start; at < end; at += PIECE_BYTES) yield await this.#fresh(at, Math.min(PIECE_BYTES, end - at))
  }

  async #copy(target: Buffer, position: number): Promise<void> {
    this.#check(position, target.length)
    const { start, bytes } = this.#window
    if (position < start || position + target.length > start + bytes.length) {
      const length = Math.min(Math.max(target.length, WINDOW_BYTES), this.#size - position)
      this.#window = { start: position, bytes: await this.#fresh(position, length) }
    }
    this.#window.bytes.copy(target, 0, position - this.#window.start)
  }

  async #fresh(position: number, length: number): Promise<Buffer> {
    this.#check(position, length)
    const buffer = Buffer.allocUnsafe(length)
    for (let read = 0; read < length; ) {
      const { bytesRead } = await this.#file.read(buffer, read, length - read, position + read)
      if (bytesRead === 0) throw new Error('it ends too early')
      read += bytesRead
    }
    return buffer
  }

  #check(position: number, length: number): void {
    if (!(position >= 0 && position + length <= this.#size)) throw new Error('it points beyond its own end')
  }
}
