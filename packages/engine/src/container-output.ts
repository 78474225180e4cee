/** What a container prints, taken out of the engine's framing: 8 bytes (stream, 0, 0, 0, length), then the payload. */
import type { Readable, Writable } from 'node:stream'

const HEADER_BYTES = 8
const LENGTH_AT = 4
const STDERR = 2

export interface OutputPiece {
  stream: 'stdout' | 'stderr'
  bytes: Buffer
}

/**
 * Takes the frames apart, however the transport has cut them. It keeps nothing but an incomplete header: a reader that
 * takes one chunk at a time holds up the container.
 */
export class Demultiplexer {
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #left = 0

  /** Returns the pieces of output in a chunk, in order. They are views of the chunk. */
  split(chunk: Buffer): OutputPiece[] {
    const pieces: OutputPiece[] = []
    let at = 0
    while (at < chunk.length) {
      if (this.#left === 0) {
        at += this.#readHeader(chunk, at)
        continue
      }
      const end = Math.min(at + this.#left, chunk.length)
      const stream = this.#header[0] === STDERR ? 'stderr' : 'stdout'
      pieces.push({ stream, bytes: chunk.subarray(at, end) })
      this.#left -= end - at
      at = end
    }
    return pieces
  }

  #readHeader(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#header, this.#headerBytes, at, at + HEADER_BYTES - this.#headerBytes)
    this.#headerBytes += taken
    if (this.#headerBytes === HEADER_BYTES) {
      this.#headerBytes = 0
      this.#left = this.#header.readUInt32BE(LENGTH_AT)
    }
    return taken
  }
}

/**
 * Copies both streams of an attached container into one, until it ends and no faster than they are taken. Rejects when
 * the connection breaks.
 */
export async function forwardOutput(output: Readable, to: Writable): Promise<void> {
  for await (const bytes of payloads(output)) {
    await new Promise<void>((resolve, reject) => to.write(bytes, error => (error ? reject(error) : resolve())))
  }
}

/** Returns everything that an attached container prints until it ends, stdout and stderr together. */
export async function readOutput(output: Readable): Promise<string> {
  const pieces: Buffer[] = []
  for await (const bytes of payloads(output)) pieces.push(bytes)
  return Buffer.concat(pieces).toString()
}

async function* payloads(output: Readable): AsyncGenerator<Buffer> {
  const demultiplexer = new Demultiplexer()
  for await (const chunk of output) {
    for (const { bytes } of demultiplexer.split(chunk as Buffer)) yield bytes
  }
}
