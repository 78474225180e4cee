/** A pool of executors of one hardware class: its places, which of them are taken, and the executors that wait in the others. */
import { availableParallelism } from 'node:os'
import type { Log } from '@horde/kit/log'
import { backoff } from '@horde/kit/reconnect'
import { type Clock, withDeadline } from '@horde/kit/time'
import type { Reason } from '@horde/protocol/reasons'
import type { ExecutorLines } from '../../jobs/executor-line.ts'
import type { ExecutorManager, StartedExecutor } from '../manager.ts'
import { type GpuUse, LeavingExecutor } from './leaving-executor.ts'
import { environmentOf, type PoolSettings } from './pool-settings.ts'
import { WarmExecutor } from './warm-executor.ts'

/** How long it rests after an executor that was started ahead came to nothing, in milliseconds; longer each time. */
const REST = { minMs: 1_000, maxMs: 60_000 }
/** How long ending the executors that wait may take when the pool is closed, in milliseconds. */
const CLOSE_MS = 30_000
/** How long a manager may take to say why it could start no executor, in milliseconds: an offer waits for it. */
const WHY_NOT_MS = 4_000

export interface Reservation {
  readonly executorClass: string
  /** The pool's name. */
  readonly pool: string
  /** Which place of which pool, as stored with the job: `gpus/3`. */
  readonly place: string
  /** The executor that waited in this place; undefined: one must be started. */
  readonly warm: WarmExecutor | undefined
  /** Whether executors of an earlier run of this miner were looked for here: then one that was not found is gone. */
  readonly findsLeftovers: boolean
  /** Why no executor could be started here now, asked of where it would be; undefined: it could be, or nobody can tell. */
  whyNot(): Promise<Reason | undefined>
  /**
   * Resolves when the executor that had this place, or its GPUs, before is gone: nothing may be started or used there earlier. It
   * has little time from now on.
   */
  vacated(): Promise<void>
  /** Starts an executor for one job in this place. */
  start(token: string): Promise<StartedExecutor>
  /**
   * Gives the place back although its executor, which has answered, still cleans up: the next job may be accepted. The caller
   * says when it is gone.
   */
  leave(): LeavingExecutor
  /** Gives the place back. Calling it twice, or after `leave`, does no harm. */
  release(): void
}

export type PoolUsage = {
  pool: string
  executorClass: string
  places: number
  taken: number
  /** Free places whose last executor still cleans up. */
  leaving: number
  /** Executors that wait for a job: connected, and on their way. */
  warm: { ready: number; starting: number }
  /** It takes no more jobs, and goes when its last one has ended. */
  draining: boolean
}

export type PoolDeps = {
  manager: ExecutorManager
  /** Whether it has told which executors an earlier run left. */
  findsLeftovers: boolean
  /** Where its executors dial, ws://host:port. */
  minerAddress: string
  lines: ExecutorLines
  gpuUse: GpuUse
  /** How long an executor may take to connect, and to come back when its connection is lost, in milliseconds. */
  startWithinMs: number
  graceMs: number
  clock: Clock
  log: Log
}

type Place = {
  readonly index: number
  taken: boolean
  warm: WarmExecutor | undefined
  /** The executor of the job before, until it is gone. */
  leaving: LeavingExecutor | undefined
}

export class ExecutorPool {
  readonly #deps: PoolDeps
  readonly #dropping = new Set<Promise<void>>()
  #settings: PoolSettings
  #places: Place[] = []
  #draining = false
  #rests = backoff(REST)
  #restUntil = 0

  constructor(settings: PoolSettings, deps: PoolDeps) {
    this.#settings = settings
    this.#deps = deps
    this.#addPlaces()
  }

  get settings(): PoolSettings {
    return this.#settings
  }

  get manager(): ExecutorManager {
    return this.#deps.manager
  }

  /** Whether no job runs in it, and no executor cleans up. */
  get isIdle(): boolean {
    return this.#places.every(({ taken, leaving }) => !taken && !leaving)
  }

  /** The free place where a job would be ready soonest, or undefined: the answer is immediate. */
  reserve(): Reservation | undefined {
    if (this.#draining) return undefined
    const free = this.#places.filter(place => !place.taken && this.#isOpen(place) && this.#hasFreeGpus(place))
    const [best] = free.sort((a, b) => rank(a) - rank(b))
    return best && this.#take(best)
  }

  /** A certain place, for a job of an earlier run; undefined when it is not there, or taken. */
  occupy(index: number): Reservation | undefined {
    const place = this.#places.find(each => each.index === index)
    return place === undefined || place.taken ? undefined : this.#take(place)
  }

  /** Puts away what waits in vain, and has executors started ahead where there are too few. Called every so often. */
  keepWarm(): void {
    for (const place of this.#places) if (place.warm && !place.taken) this.#inspect(place, place.warm)
    if (this.#draining || this.#deps.clock.monotonic() < this.#restUntil) return
    const waiting = this.#places.filter(({ warm, taken }) => warm && !taken)
    const starting = waiting.filter(({ warm }) => !warm?.line.isConnected).length
    const missing = Math.min(this.#settings.warm - waiting.length, availableParallelism() - starting)
    const isEmpty = (place: Place) => !place.taken && !place.warm && !place.leaving && this.#isOpen(place)
    const empty = this.#places.filter(isEmpty)
    for (const place of empty.slice(0, Math.max(0, missing))) this.#warm(place)
  }

  /** Other settings for executors of the same kind. Running jobs keep what they have. */
  change(settings: PoolSettings): void {
    const before = this.#settings
    this.#settings = settings
    this.#addPlaces()
    const isOther =
      JSON.stringify([before.environment, before.gpus]) !== JSON.stringify([settings.environment, settings.gpus])
    for (const place of this.#places) if (isOther || !this.#isOpen(place)) this.#drop(place)
    this.#forgetClosed()
    this.#restUntil = 0
  }

  /** From now on every reservation is refused, and no executor waits. */
  drain(): void {
    this.#draining = true
    for (const place of this.#places) this.#drop(place)
  }

  usage(): PoolUsage {
    const waiting = this.#places.filter(({ warm, taken }) => warm && !taken)
    const ready = waiting.filter(({ warm }) => warm?.line.isConnected).length
    return {
      pool: this.#settings.name,
      executorClass: this.#settings.executorClass,
      places: this.#settings.count,
      taken: this.#places.filter(({ taken }) => taken).length,
      leaving: this.#places.filter(({ taken, leaving }) => !taken && leaving).length,
      warm: { ready, starting: waiting.length - ready },
      draining: this.#draining,
    }
  }

  /** Takes no more jobs; resolves when no executor that waited is left. */
  async close(): Promise<void> {
    this.drain()
    const { clock, log } = this.#deps
    await withDeadline(Promise.all(this.#dropping), CLOSE_MS, 'ending executors that wait', clock).catch(err =>
      log.error({ err, pool: this.#settings.name }, 'executors that wait could not be ended'),
    )
  }

  #addPlaces(): void {
    for (let index = 0; index < this.#settings.count; index += 1) {
      if (!this.#places.some(place => place.index === index))
        this.#places.push({ index, taken: false, warm: undefined, leaving: undefined })
    }
  }

  #isOpen({ index }: Place): boolean {
    return index < this.#settings.count
  }

  #forgetClosed(): void {
    this.#places = this.#places.filter(place => place.taken || place.leaving || this.#isOpen(place))
  }

  #gpusOf({ index }: Place): string[] {
    const { manager, engine, gpus } = this.#settings
    return (gpus[index] ?? []).map(gpu => `${manager} ${JSON.stringify(engine)} ${gpu}`)
  }

  #hasFreeGpus(place: Place): boolean {
    return this.#deps.gpuUse.areFree(this.#gpusOf(place))
  }

  #take(place: Place): Reservation {
    const settings = this.#settings
    const { manager, findsLeftovers, minerAddress, gpuUse } = this.#deps
    const gpus = this.#gpusOf(place)
    const before = [...(place.leaving ? [place.leaving] : []), ...gpuUse.leavingFrom(gpus)]
    // One that is started when the last one is gone removes what that left; one that waits here has done so long ago.
    const isReady = place.warm !== undefined && before.length === 0 && rank(place) <= STARTING
    const warm = isReady ? place.warm : undefined
    if (!warm) this.#drop(place)
    place.taken = true
    place.warm = undefined
    gpuUse.take(gpus)
    const { executorClass } = settings
    const giveBack = once((leaving?: LeavingExecutor) => {
      gpuUse.release(gpus, leaving)
      place.taken = false
      if (leaving) this.#awaitLeaving(place, leaving)
      this.#forgetClosed()
    })
    return {
      executorClass,
      pool: settings.name,
      place: `${settings.name}/${place.index}`,
      warm,
      findsLeftovers,
      // One that waits for a job needs nothing more.
      whyNot: async () => (warm ? undefined : await this.#whyNot()),
      start: token =>
        manager.start({ token, minerAddress, executorClass, environment: environmentOf(settings, place.index, false) }),
      vacated: async () => {
        for (const leaving of before) leaving.hurry()
        await Promise.all(before.map(({ gone }) => gone))
      },
      leave: () => {
        const leaving = new LeavingExecutor()
        giveBack(leaving)
        return leaving
      },
      release: () => giveBack(),
    }
  }

  #awaitLeaving(place: Place, leaving: LeavingExecutor): void {
    place.leaving = leaving
    void leaving.gone.then(() => {
      if (place.leaving === leaving) place.leaving = undefined
      this.#forgetClosed()
    })
  }

  /** A manager may be the operator's own: one that fails or hangs here cannot tell, and must not keep the place. */
  async #whyNot(): Promise<Reason | undefined> {
    const { manager, clock, log } = this.#deps
    const answer = async () => manager.whyNot?.()
    return withDeadline(answer(), WHY_NOT_MS, 'asking a manager why it could start no executor', clock).catch(err => {
      log.warn({ err, pool: this.#settings.name }, 'the manager cannot tell whether it could start an executor')
      return undefined
    })
  }

  #warm(place: Place): void {
    const { manager, minerAddress, lines, clock } = this.#deps
    const environment = environmentOf(this.#settings, place.index, true)
    const order = { minerAddress, executorClass: this.#settings.executorClass, environment }
    place.warm = new WarmExecutor(manager, order, { lines, since: clock.monotonic() })
  }

  /** Drops an executor that waits for a job and will be of no use to it. */
  #inspect(place: Place, warm: WarmExecutor): void {
    const { clock, log, startWithinMs, graceMs } = this.#deps
    const now = clock.monotonic()
    const { isConnected, lostAt } = warm.line
    if (isConnected) this.#rests = backoff(REST)
    const isLate = !isConnected && lostAt === undefined && now - warm.since > startWithinMs
    const isLost = lostAt !== undefined && now - lostAt > graceMs
    if (!warm.error && !warm.hasExited && !isLate && !isLost) return
    const restMs = this.#rests.next().value
    this.#restUntil = now + restMs
    const why = warm.error ? 'not started' : warm.hasExited ? 'exited' : isLate ? 'did not connect' : 'connection lost'
    log.warn(
      { err: warm.error, pool: this.#settings.name, why, restMs },
      'an executor that was started ahead came to nothing',
    )
    this.#drop(place)
  }

  #drop(place: Place): void {
    const { warm } = place
    place.warm = undefined
    if (!warm) return
    const dropped: Promise<void> = warm
      .discard()
      .catch(err => this.#deps.log.error({ err, pool: this.#settings.name }, 'executor could not be stopped'))
      .finally(() => this.#dropping.delete(dropped))
    this.#dropping.add(dropped)
  }
}

const READY = 0
const STARTING = 1
const EMPTY = 2
const USELESS = 3
const LEAVING = 4

/** How soon a job would be ready in a place: the less the sooner. */
function rank({ warm, leaving }: Place): number {
  if (leaving) return LEAVING
  if (!warm) return EMPTY
  if (warm.error || warm.hasExited || warm.line.lostAt !== undefined) return USELESS
  return warm.line.isConnected ? READY : STARTING
}

function once<T>(work: (value?: T) => void): (value?: T) => void {
  let isDone = false
  return value => {
    if (!isDone) work(value)
    isDone = true
  }
}
