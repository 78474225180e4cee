/** What is looked at again and again while a service works; what was found last is at hand, with its age. */

import { type Finding, unknown, type Verdict, worst } from '@horde/kit/check/finding'
import type { Log } from '@horde/kit/log'
import { type Loop, startLoop } from '@horde/kit/loop'
import type { Clock } from '@horde/kit/time'

/** How long one look may take, in milliseconds. */
const LOOK_MS = 30_000

export type Watch = {
  name: string
  /** From one look to the next, in milliseconds. */
  everyMs: number
  /** From a look that found something wrong to the next, in milliseconds. Unset: as everyMs says. */
  againMs?: number
  look(signal: AbortSignal): Promise<Finding[]>
}

/** What a watch found last. */
export type Watched = {
  watch: string
  /** Since the epoch, in milliseconds; null: it has not looked yet. */
  lookedAtMs: number | null
  verdict: Verdict
  findings: readonly Finding[]
}

export type WatchesDeps = { clock: Clock; log: Log; signal: AbortSignal }

export class Watches implements AsyncDisposable {
  readonly #deps: WatchesDeps
  readonly #seen = new Map<string, Watched>()
  /** Looks that have not ended. One that hangs is waited for again, and not repeated: it may hold what others need. */
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

  /** Has a watch look at once: something else has noticed that what it found last is true no more. */
  lookNow(name: string): void {
    this.#loops.find(loop => loop.name === loopName(name))?.wake()
  }

  /** Does not wait for looks that go on. */
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
    const findings = [...seen, ...stillClosing(known, seen, watch.name)]
    const verdict = worst(findings)
    this.#seen.set(watch.name, { watch: watch.name, lookedAtMs: this.#deps.clock.now(), verdict, findings })
    if (verdict !== before) this.#tell(watch.name, verdict, findings)
  }

  #tell(watch: string, verdict: Verdict, findings: readonly Finding[]): void {
    const { log } = this.#deps
    const found = findings.filter(each => each.verdict === verdict).map(({ found }) => found)
    if (verdict === 'ok') log.info({ watch }, 'all is well again where a watch looks')
    else log.warn({ watch, verdict, found }, 'a watch found something')
  }
}

/** What closed pools before, and can't be told now: of one subject for some pools, or by the whole watch for all. */
function stillClosing(known: readonly Finding[], seen: readonly Finding[], watch: string): Finding[] {
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
