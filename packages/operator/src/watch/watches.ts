/** Runs checks again and again while a service runs, and keeps what each found last. */

import { type Finding, unknown, type Verdict, worst } from '@horde/kit/check/finding'
import type { Log } from '@horde/kit/log'
import { type Loop, startLoop } from '@horde/kit/loop'
import type { Clock } from '@horde/kit/time'

/** How long one look may take before it counts as failed, in milliseconds. */
const LOOK_MS = 30_000

export type Watch = {
  name: string
  /** The time from one look to the next, in milliseconds. */
  everyMs: number
  /** The time from a look that found a problem to the next, in milliseconds. Default: everyMs. */
  againMs?: number
  look(signal: AbortSignal): Promise<Finding[]>
}

/** What one watch found last. */
export type Watched = {
  watch: string
  /** When it looked last, since the epoch, in milliseconds; null before the first look. */
  lookedAtMs: number | null
  verdict: Verdict
  findings: readonly Finding[]
}

export type WatchesDeps = { clock: Clock; log: Log; signal: AbortSignal }

export class Watches implements AsyncDisposable {
  readonly #deps: WatchesDeps
  readonly #seen = new Map<string, Watched>()
  /** Looks in progress. One that hangs is not repeated: it may hold a resource that the next look needs. */
  readonly #looking = new Map<string, Promise<Finding[]>>()
  readonly #loops: readonly Loop[]
  #isClosed = false

  constructor(watches: readonly Watch[], deps: WatchesDeps) {
    this.#deps = deps
    this.#loops = watches.map(watch => {
      this.#seen.set(watch.name, { watch: watch.name, lookedAtMs: null, verdict: 'ok', findings: [] })
      const run = (signal: AbortSignal) => this.#look(watch, signal)
      const nextInMs = () => (this.#seen.get(watch.name)?.verdict === 'ok' ? undefined : watch.againMs)
      const { everyMs } = watch
      return startLoop({ name: loopName(watch.name), everyMs, deadlineMs: LOOK_MS, run, nextInMs, ...deps })
    })
  }

  state(): Watched[] {
    return [...this.#seen.values()]
  }

  /** Makes a watch look now. For callers that know that its last findings no longer hold. */
  lookNow(name: string): void {
    this.#loops.find(loop => loop.name === loopName(name))?.wake()
  }

  /** Does not wait for looks in progress. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#loops.map(loop => loop[Symbol.asyncDispose]()))
  }

  async #look(watch: Watch, signal: AbortSignal): Promise<void> {
    const looking = this.#looking.get(watch.name) ?? watch.look(signal)
    this.#looking.set(watch.name, looking)
    const ended = () => this.#looking.delete(watch.name)
    looking.then(ended, ended)
    const seen = await untilAborted(looking, signal).catch((error: Error) => [couldNotLook(watch.name, error)])
    if (this.#isClosed || this.#deps.signal.aborted) return
    const { verdict: before, findings: known = [] } = this.#seen.get(watch.name) ?? {}
    const findings = [...seen, ...stillBad(known, seen, watch.name)]
    const verdict = worst(findings)
    this.#seen.set(watch.name, { watch: watch.name, lookedAtMs: this.#deps.clock.now(), verdict, findings })
    if (verdict !== before) this.#logChange(watch.name, verdict, findings)
  }

  #logChange(watch: string, verdict: Verdict, findings: readonly Finding[]): void {
    const { log } = this.#deps
    const found = findings.filter(each => each.verdict === verdict).map(({ found }) => found)
    if (verdict === 'ok') log.info({ watch }, 'watch finds no problem any more')
    else log.warn({ watch, verdict, found }, 'watch found a problem')
  }
}

/** Returns the earlier bad findings about pools whose state could not be determined this time. They stay in force. */
function stillBad(known: readonly Finding[], seen: readonly Finding[], watch: string): Finding[] {
  const unknowns = seen.filter(({ isUnknown }) => isUnknown)
  return known.flatMap(finding => {
    const { verdict, subject, pools } = finding
    if (verdict !== 'bad' || pools === undefined) return []
    const about = unknowns.filter(each => each.subject === subject || each.subject === watch)
    const still = pools.filter(pool => about.some(each => each.pools === undefined || each.pools.includes(pool)))
    return still.length > 0 ? [{ ...finding, pools: still }] : []
  })
}

function loopName(watch: string): string {
  return `watch ${watch}`
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const onAbort = () => reject(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  return promise
}

function couldNotLook(name: string, error: Error): Finding {
  return unknown(name, `could not be looked at: ${error.message}`, 'see whether it works by itself again')
}
