/**
 * The thread that unpacks BZIP2, one entry after the other. The library unpacks an entry in one blocking call, which
 * takes seconds; a thread can be ended from outside. `bunzip.ts` starts it and describes the messages.
 *
 * Plain JavaScript, because each thread would load Node's type stripper again.
 */
import { readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import Bunzip from 'seek-bzip'

const { fd, unread, chunkBytes, maxUnread } = workerData
const unreadChunks = new Int32Array(unread)

/** A part of a file, byte by byte. */
class Input {
  #buffer = Buffer.allocUnsafe(chunkBytes)
  #left
  #position
  #at = 0
  #filled = 0

  constructor(start, length) {
    this.#position = start
    this.#left = length
  }

  readByte() {
    if (this.#at === this.#filled) this.#fill()
    const byte = this.#buffer[this.#at]
    this.#at += 1
    return byte
  }

  read(buffer, offset, length) {
    for (let read = 0; read < length; read += 1) buffer[offset + read] = this.readByte()
    return length
  }

  #fill() {
    const bytes = readSync(fd, this.#buffer, 0, Math.min(this.#left, chunkBytes), this.#position)
    if (bytes === 0) throw new Error('unexpected end of file')
    this.#position += bytes
    this.#left -= bytes
    this.#at = 0
    this.#filled = bytes
  }
}

/** Sends what is unpacked in chunks, and waits while too many chunks are unread. */
class Output {
  #left
  #chunk
  #at = 0

  constructor(size) {
    this.#left = size
    this.#chunk = new Uint8Array(Math.min(size, chunkBytes))
  }

  writeByte(byte) {
    if (this.#at === this.#chunk.length) this.flush()
    if (this.#left === 0) throw new Error('too many bytes in the stream')
    this.#chunk[this.#at] = byte
    this.#at += 1
    this.#left -= 1
  }

  flush() {
    if (this.#at === 0) return
    for (let count = Atomics.load(unreadChunks, 0); count >= maxUnread; count = Atomics.load(unreadChunks, 0)) {
      Atomics.wait(unreadChunks, 0, count)
    }
    Atomics.add(unreadChunks, 0, 1)
    const chunk = this.#chunk.subarray(0, this.#at)
    this.#chunk = new Uint8Array(Math.min(this.#left, chunkBytes))
    this.#at = 0
    parentPort.postMessage({ chunk }, [chunk.buffer])
  }
}

parentPort.on('message', ({ start, length, size }) => {
  try {
    const output = new Output(size)
    Bunzip.decode(new Input(start, length), output)
    output.flush()
    parentPort.postMessage({ end: true })
  } catch (error) {
    parentPort.postMessage({ error: error.message })
  }
})
