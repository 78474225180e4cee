import { Transform, type TransformCallback } from 'node:stream'

/** More bytes arrived than allowed. */
export class ByteLimitError extends Error {
  override readonly name = 'ByteLimitError'

  constructor(maxBytes: number) {
    super(`more than ${maxBytes} bytes`)
  }
}

/** Passes on up to `maxBytes`; with more it breaks the pipeline with ByteLimitError. */
export class ByteLimit extends Transform {
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    super()
    this.#maxBytes = maxBytes
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#maxBytes) done(new ByteLimitError(this.#maxBytes))
    else done(null, chunk)
  }
}
