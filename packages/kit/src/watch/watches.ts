/** What is looked at again and again while a service works; what was found last is at hand, with its age. */
import type { Log } from '../log.ts'
import { startLoop } from '../loop.ts'
import type { Clock } from '../time.ts'
import { type Finding, type Verdict, warn, worst } from './finding.ts'

/** How long one look may take, in milliseconds. */
const LOOK_MS = 30_000

export type Watch = {
  name: string
  /** From one look to the next, in milliseconds. */
  everyMs: number
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
  readonly #loops: AsyncDisposable[]
  #isClosed = false

  constructor(watches: readonly Watch[], deps: WatchesDeps) {
    this.#deps = deps
    this.#loops = watches.map(watch => {
      this.#seen.set(watch.name, { watch: watch.name, lookedAtMs: null, verdict: 'ok', findings: [] })
      const run = (signal: AbortSignal) => this.#look(watch, signal)
      return startLoop({ name: `watch ${watch.name}`, everyMs: watch.everyMs, deadlineMs: LOOK_MS, run, ...deps })
    })
  }

  state(): Watched[] {
    return [...this.#seen.values()]
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
    const findings = await untilAborted(looking, signal).catch((error: Error) => [couldNotLook(watch.name, error)])
    if (this.#isClosed || this.#deps.signal.aborted) return
    const before = this.#seen.get(watch.name)?.verdict
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

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const onAbort = () => reject(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  return promise
}

function couldNotLook(name: string, error: Error): Finding {
  return warn(name, `could not be looked at: ${error.message}`, 'see whether it works by itself again')
}
