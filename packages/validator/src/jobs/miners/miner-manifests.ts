/** Knows how many executors of each class every miner lists, by asking them. In memory only. */
import type { Hotkey } from '@horde/chain/wallet'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { DEFAULT_CLASS, type ExecutorClass } from '@horde/protocol/classes'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import type { Manifest } from '../dialects/miner-dialect.ts'
import { MinerConnection, type MinerConnectionOptions } from '../miner-connection.ts'
import type { ServingMiner } from './find-miners.ts'
import { awaitManifest } from './manifest.ts'

/** How many miners are asked at once. */
const AT_ONCE = 32
/** How long connecting to one of them may take, in ms. */
const CONNECT_MS = 10_000
/** How long after a question without an answer the miner is asked again for a pick, in ms. */
const ASK_AGAIN_MS = 20_000
/** The largest frame accepted from a miner that is asked, in bytes. */
const MAX_FRAME_BYTES = 256 * 1024

export interface MinerManifestsOptions {
  hotkey: Hotkey
  dialects: MinerConnectionOptions['dialects']
  /** How long an answer counts, in ms. */
  keptMs: number
  /** How long a connected miner may take to send its manifest, in ms. */
  manifestMs: number
  /** How many executors of a class count at most, whatever a miner lists: it may list any number. */
  maxExecutors: number
  clock: Clock
  log: Log
}

interface Answer {
  address: string
  /** Undefined: the miner could not be reached. */
  dialect: Dialect | undefined
  /** Undefined: it sent none, as v0 miners of others. */
  manifest: Manifest | undefined
  /** Until when it counts, in ms of the monotonic clock. */
  until: number
  /**
   * When to ask again before that, in ms of the monotonic clock: the miner was asked without success. Undefined: it has
   * answered the last question.
   */
  askAgainAt?: number
}

/** What a miner offers of one class. */
export interface Offered {
  dialect: Dialect
  executors: number
}

export class MinerManifests {
  readonly #options: MinerManifestsOptions
  /** By hotkey. */
  readonly #answers = new Map<string, Answer>()
  /** The questions that are under way, by hotkey. */
  readonly #asking = new Map<string, Promise<void>>()

  constructor(options: MinerManifestsOptions) {
    this.#options = options
  }

  /** Returns what a miner offers of a class; undefined when it cannot be reached or has not been asked yet. */
  offered({ hotkey, address }: ServingMiner, executorClass: ExecutorClass): Offered | undefined {
    const answer = this.#answers.get(hotkey)
    if (answer?.dialect === undefined || answer.address !== address) return undefined
    const { dialect, manifest } = answer
    // A miner without a manifest has one executor of the default class.
    if (!manifest) return { dialect, executors: executorClass === DEFAULT_CLASS ? 1 : 0 }
    const counts = manifest.filter(({ executor_class }) => executor_class === executorClass)
    const listed = counts.reduce((sum, { count }) => sum + count, 0)
    return { dialect, executors: Math.min(listed, this.#options.maxExecutors) }
  }

  /** Whether what is known of a miner is recent. */
  isKnown({ hotkey, address }: ServingMiner): boolean {
    const answer = this.#answers.get(hotkey)
    return answer?.address === address && this.#options.clock.monotonic() < answer.until
  }

  /** Whether the miner did not answer the last question, so that what it offers may be out of date. */
  isDoubted({ hotkey, address }: ServingMiner): boolean {
    const answer = this.#answers.get(hotkey)
    return answer?.address === address && answer.askAgainAt !== undefined
  }

  /** Whether the miner could not be reached, and nothing is known from before. */
  isUnreachable({ hotkey, address }: ServingMiner): boolean {
    const answer = this.#answers.get(hotkey)
    return answer?.address === address && answer.dialect === undefined
  }

  /** Asks all of these miners whose answer is not recent. Never rejects. */
  async askUnknown(miners: readonly ServingMiner[], signal: AbortSignal): Promise<void> {
    await this.ask(
      miners.filter(miner => !this.isKnown(miner)),
      signal,
    )
  }

  /** Asks those of these miners again that did not answer a while ago. Undefined when there are none. Never rejects. */
  askAgain(miners: readonly ServingMiner[], signal: AbortSignal): Promise<void> | undefined {
    const now = this.#options.clock.monotonic()
    const isDue = ({ hotkey }: ServingMiner) => (this.#answers.get(hotkey)?.askAgainAt ?? now + 1) <= now
    const due = miners.filter(miner => this.isKnown(miner) && isDue(miner))
    return due.length === 0 ? undefined : this.ask(due, signal)
  }

  /** Asks miners for their manifests, some at once. Never rejects. */
  async ask(miners: readonly ServingMiner[], signal: AbortSignal): Promise<void> {
    const waiting = [...miners]
    const askNext = async (): Promise<void> => {
      for (let miner = waiting.shift(); miner && !signal.aborted; miner = waiting.shift()) {
        await this.#askOnce(miner, signal)
      }
    }
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, waiting.length) }, askNext))
  }

  #askOnce(miner: ServingMiner, signal: AbortSignal): Promise<void> {
    const { log } = this.#options
    const asked =
      this.#asking.get(miner.hotkey) ??
      this.#ask(miner, signal)
        .catch(err => log.debug({ err, miner: miner.hotkey }, 'miner was not asked for its manifest'))
        .finally(() => this.#asking.delete(miner.hotkey))
    this.#asking.set(miner.hotkey, asked)
    return asked
  }

  async #ask(miner: ServingMiner, signal: AbortSignal): Promise<void> {
    const { hotkey, dialects, keptMs, manifestMs, clock, log } = this.#options
    await using connection = new MinerConnection({
      ...{ miner, hotkey, dialects, clock, log, signal, attempts: 1, maxFrameBytes: MAX_FRAME_BYTES },
    })
    const endsAt = clock.monotonic() + CONNECT_MS + manifestMs
    const manifest = await awaitManifest(connection, { connectMs: CONNECT_MS, manifestMs, endsAt }, clock, signal)
    if (signal.aborted) return
    const dialect = manifest !== undefined || connection.isConnected ? dialectOf(connection) : undefined
    const answer: Answer = { address: miner.address, dialect, manifest, until: clock.monotonic() + keptMs }
    this.#keep(miner, answer, connection.isBySilence)
  }

  /** Keeps an answer. One that shows nothing does not replace what the miner has said before. */
  #keep(miner: ServingMiner, answer: Answer, isBySilence: boolean): void {
    const { hotkey } = miner
    const last = this.isKnown(miner) ? this.#answers.get(hotkey) : undefined
    const showsNothing = answer.dialect === undefined || isBySilence || last?.manifest !== undefined
    if (answer.manifest !== undefined || !showsNothing) return void this.#answers.set(hotkey, answer)
    const known = last?.dialect === undefined ? answer : last
    this.#answers.set(hotkey, { ...known, askAgainAt: this.#options.clock.monotonic() + ASK_AGAIN_MS })
  }
}

function dialectOf({ isPerJob }: MinerConnection): Dialect {
  return isPerJob ? 'v2026' : 'v0'
}
