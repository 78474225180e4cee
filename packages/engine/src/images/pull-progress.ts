/** Counts how far a pull is, over all layers of the image. */
import type { PullEvent } from './images.ts'

interface Layer {
  bytes: number
  totalBytes: number
  isDone: boolean
}

/** The engine has the layer: it was downloaded and unpacked, or was there before. */
const DONE = ['Already exists', 'Pull complete']
const DOWNLOADED = ['Download complete', 'Verifying Checksum', 'Extracting', 'Pull complete']

export class PullProgress {
  readonly #layers = new Map<string, Layer>()

  /** Whether the registry has begun to send: from then on the engine knows the image's layers. */
  get hasBegun(): boolean {
    return this.#layers.size > 0
  }

  add({ status = '', id, progressDetail }: PullEvent): void {
    // Only events about layers have the detail, which may be empty.
    if (id === undefined || progressDetail === undefined) return
    const layer = this.#layers.get(id) ?? { bytes: 0, totalBytes: 0, isDone: false }
    this.#layers.set(id, layer)
    if (status === 'Downloading') {
      layer.bytes = progressDetail.current ?? layer.bytes
      layer.totalBytes = Math.max(progressDetail.total ?? 0, layer.totalBytes, layer.bytes)
    }
    if (DOWNLOADED.includes(status)) layer.bytes = layer.totalBytes
    if (DONE.includes(status)) layer.isDone = true
  }

  /** Returns the sums for a log line, in bytes. The total grows while layers appear whose size was not known before. */
  sum(): { layers: number; layersDone: number; bytes: number; totalBytes: number } {
    const layers = [...this.#layers.values()]
    return {
      layers: layers.length,
      layersDone: layers.filter(({ isDone }) => isDone).length,
      bytes: layers.reduce((sum, { bytes }) => sum + bytes, 0),
      totalBytes: layers.reduce((sum, { totalBytes }) => sum + totalBytes, 0),
    }
  }
}
