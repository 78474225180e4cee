/** Counts what all volumes of a job take together. */
import { type InputLimit, LimitFailure } from './limit-failure.ts'

/** The largest file that is downloaded from a URL, in bytes. */
export const MAX_DOWNLOAD_BYTES = 2_147_483_648

export interface InputLimits {
  /** The most bytes of all volumes, both as they come and unpacked. */
  maxBytes: number
  /** The most files and folders of all volumes. */
  maxEntries: number
}

export class InputBudget {
  readonly #limits: InputLimits
  #received = 0
  #contents = 0
  #entries = 0

  constructor(limits: InputLimits) {
    this.#limits = limits
  }

  /** How many bytes the volumes that are still to come may have as they come. */
  get bytesToReceive(): number {
    return this.#limits.maxBytes - this.#received
  }

  /** How many bytes they may have unpacked. */
  get bytesLeft(): number {
    return this.#limits.maxBytes - this.#contents
  }

  get entriesLeft(): number {
    return this.#limits.maxEntries - this.#entries
  }

  /** The largest file that may be downloaded from a URL now, in bytes, and the limit that says so. */
  get download(): { maxBytes: number; limit: InputLimit } {
    const left = this.bytesToReceive
    return left < MAX_DOWNLOAD_BYTES
      ? { maxBytes: left, limit: 'bytes' }
      : { maxBytes: MAX_DOWNLOAD_BYTES, limit: 'download' }
  }

  /** Counts bytes as they came. Throws LimitFailure. */
  addReceived(bytes: number): void {
    if (bytes > this.bytesToReceive) throw new LimitFailure('bytes')
    this.#received += bytes
  }

  /** Counts files' bytes. Throws LimitFailure. */
  addContents(bytes: number): void {
    if (bytes > this.bytesLeft) throw new LimitFailure('bytes')
    this.#contents += bytes
  }

  /** Counts files and folders. Throws LimitFailure. */
  addEntries(count: number): void {
    if (count > this.entriesLeft) throw new LimitFailure('files', 'Input volume has too many files and folders')
    this.#entries += count
  }

  /** Returns the words for a limit, with its value and the setting that holds it. */
  describe(limit: InputLimit): string {
    const { maxBytes, maxEntries } = this.#limits
    if (limit === 'download') return `one download may have ${MAX_DOWNLOAD_BYTES} bytes`
    if (limit === 'bytes') return `all volumes together may have ${maxBytes} bytes: VOLUME_MAX_SIZE_BYTES`
    return `all volumes together may have ${maxEntries} files and folders: VOLUME_MAX_FILES`
  }
}
