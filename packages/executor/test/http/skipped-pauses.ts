/** The time of a transfer's stage, for tests: pauses before another try pass at once, and are noted. */
import { Writable } from 'node:stream'
import { createLog } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { RetryDeps } from '../../src/http/retry.ts'

export class SkippedPauses implements RetryDeps {
  /** What was waited, in ms, in order. */
  readonly pauses: number[] = []
  /** What was logged at debug and above. */
  readonly lines: Record<string, unknown>[] = []
  readonly log = createLog('test', {
    level: 'debug',
    destination: new Writable({
      write: (line, _, done) => {
        this.lines.push(JSON.parse(line))
        done()
      },
    }),
  })
  readonly clock: Clock = {
    now: () => Date.now(),
    monotonic: () => this.#waited(),
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      this.pauses.push(ms)
      await new Promise(setImmediate)
      signal?.throwIfAborted()
    },
  }
  readonly #stageMs: number

  /** @param stageMs how much the pauses may take together */
  constructor(stageMs = 60_000) {
    this.#stageMs = stageMs
  }

  msLeft(): number {
    return this.#stageMs - this.#waited()
  }

  #waited(): number {
    return this.pauses.reduce((sum, ms) => sum + ms, 0)
  }
}
