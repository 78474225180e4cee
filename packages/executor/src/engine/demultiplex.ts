/** The engine's framing of a container's stdout and stderr: 8 bytes (stream, 0, 0, 0, length), then the payload. */
const HEADER_BYTES = 8
const LENGTH_AT = 4
const STDERR = 2

export interface OutputPiece {
  stream: 'stdout' | 'stderr'
  bytes: Buffer
}

/**
 * Takes the frames apart, however the transport has cut them: chunks in, pieces out, nothing kept but an incomplete
 * header. It holds no queue, so whoever reads the transport one chunk at a time also holds up the container.
 */
export class Demultiplexer {
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #left = 0

  /** The pieces of output in a chunk, in order. They are views of the chunk. */
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
