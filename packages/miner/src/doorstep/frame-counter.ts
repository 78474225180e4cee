/** How many WebSocket frames a peer has sent, counted in its bytes: pings, and pieces of a message, are frames as well. */

/** The length field says these instead of a length: two, or eight, bytes with it follow. */
const LENGTH_IN_TWO = 126
const LENGTH_IN_EIGHT = 127
const MASK_BYTES = 4

export class FrameCounter {
  #frames = 0
  #header: number[] = []
  /** Bytes of the current frame's mask and payload that are still to come. */
  #left = 0

  /** Frames that have begun. */
  get frames(): number {
    return this.#frames
  }

  /** Takes the next bytes of the connection, in order, from the first one behind the upgrade on. */
  take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, bytes.length - at)
        this.#left -= skipped
        at += skipped
      } else {
        this.#takeHeader(bytes[at] as number)
        at += 1
      }
    }
  }

  #takeHeader(byte: number): void {
    if (this.#header.push(byte) === 1) this.#frames += 1
    const rest = bytesBehind(this.#header)
    if (rest === undefined) return
    this.#left = rest
    this.#header = []
  }
}

/** How many bytes follow a header; undefined while it is not whole. */
function bytesBehind([, second, ...lengthBytes]: readonly number[]): number | undefined {
  if (second === undefined) return undefined
  const mask = second & 0x80 ? MASK_BYTES : 0
  const length = second & 0x7f
  if (length < LENGTH_IN_TWO) return mask + length
  if (lengthBytes.length < (length === LENGTH_IN_EIGHT ? 8 : 2)) return undefined
  return mask + lengthBytes.reduce((sum, byte) => sum * 256 + byte, 0)
}
