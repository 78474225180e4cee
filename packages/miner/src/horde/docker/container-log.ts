/** An executor's own log lines come out where the miner's do. */
import type { Readable, Writable } from 'node:stream'

/** The engine's framing of a container's stdout and stderr: stream, 0, 0, 0, and the payload's length in four bytes. */
const HEADER_BYTES = 8
const LENGTH_AT = 4

/** Copies both streams of a container until it ends, no faster than they are taken. Rejects when the connection breaks. */
export async function forwardLog(output: Readable, to: Writable): Promise<void> {
  const payloads = demultiplexer()
  for await (const chunk of output) {
    for (const bytes of payloads(chunk as Buffer)) await written(to, bytes)
  }
}

function written(to: Writable, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => to.write(bytes, error => (error ? reject(error) : resolve())))
}

/** The payloads in each chunk, in order, however the connection has cut the frames. */
function demultiplexer(): (chunk: Buffer) => Generator<Buffer> {
  const header = Buffer.alloc(HEADER_BYTES)
  let headerBytes = 0
  let left = 0
  return function* payloads(chunk) {
    let at = 0
    while (at < chunk.length) {
      if (left === 0) {
        const taken = chunk.copy(header, headerBytes, at, at + HEADER_BYTES - headerBytes)
        at += taken
        headerBytes = (headerBytes + taken) % HEADER_BYTES
        if (headerBytes === 0) left = header.readUInt32BE(LENGTH_AT)
      } else {
        const payload = chunk.subarray(at, at + left)
        at += payload.length
        left -= payload.length
        yield payload
      }
    }
  }
}
