import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { addReceipts, type JobChange, type SignedReceipt, saveChanges } from './jobs.ts'

/** How many jobs one statement saves at most. */
const MAX_JOBS_A_STATEMENT = 64
/** How many receipts one statement saves at most. */
const MAX_RECEIPTS_A_STATEMENT = 256

/**
 * How long changes are collected before they are saved, in ms: a statement costs about the same for one job as for
 * many.
 */
const COLLECT_MS = 25

export interface JournalDeps {
  db: Database
  clock: Clock
  log: Log
}

interface Waiting {
  change: JobChange
  saved: PromiseWithResolvers<boolean>
}

/**
 * Saves changes of jobs in the background, so that a job waits for the database only at its end. What comes while a
 * statement runs goes with the next one: a thousand jobs that move at once cost a few statements. Disposing of it saves
 * what is left.
 */
export class Journal implements AsyncDisposable {
  readonly #deps: JournalDeps
  readonly #signal: AbortSignal
  #waiting = new Map<string, Waiting>()
  #receipts: (SignedReceipt & { createdAt: Date })[] = []
  #saving: Promise<void> | undefined

  /** Aborting makes it stop retrying while the database is away. */
  constructor(deps: JournalDeps, signal: AbortSignal) {
    this.#deps = deps
    this.#signal = signal
  }

  /**
   * Saves a change of a job. Resolves with true once it is saved, with false when the row's state does not allow it:
   * another process has finalised the job. Rejects when the database stays away.
   */
  save(change: JobChange): Promise<boolean> {
    const already = this.#waiting.get(change.uuid)
    if (already) {
      already.change = { ...already.change, set: { ...already.change.set, ...change.set } }
      return already.saved.promise
    }
    const saved = Promise.withResolvers<boolean>()
    this.#waiting.set(change.uuid, { change, saved })
    this.#saving ??= this.#saveAll()
    return saved.promise
  }

  /** Stores a receipt. When the database stays away it is lost: the miner has it. */
  keepReceipt(receipt: SignedReceipt): void {
    this.#receipts.push({ ...receipt, createdAt: new Date(this.#deps.clock.now()) })
    this.#saving ??= this.#saveAll()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#saving
  }

  async #saveAll(): Promise<void> {
    while (this.#waiting.size + this.#receipts.length > 0) {
      await this.#deps.clock.sleep(COLLECT_MS, this.#signal).catch(() => {})
      const all = [...this.#waiting.values()]
      this.#waiting = new Map()
      for (let i = 0; i < all.length; i += MAX_JOBS_A_STATEMENT)
        await this.#save(all.slice(i, i + MAX_JOBS_A_STATEMENT))
      const receipts = this.#receipts.splice(0)
      for (let i = 0; i < receipts.length; i += MAX_RECEIPTS_A_STATEMENT)
        await this.#saveReceipts(receipts.slice(i, i + MAX_RECEIPTS_A_STATEMENT))
    }
    this.#saving = undefined
  }

  async #saveReceipts(some: readonly (SignedReceipt & { createdAt: Date })[]): Promise<void> {
    try {
      await untilSaved(() => addReceipts(this.#deps.db, some), this.#deps, this.#signal)
    } catch (err) {
      this.#deps.log.warn({ err, receipts: some.length }, 'receipts could not be stored')
    }
  }

  async #save(some: readonly Waiting[]): Promise<void> {
    try {
      const changes = some.map(({ change }) => change)
      let tries = 0
      const save = () => saveChanges(this.#deps.db, changes, tries++ > 0)
      const saved = await untilSaved(save, this.#deps, this.#signal)
      for (const { change, saved: resolvers } of some) resolvers.resolve(saved.has(change.uuid))
    } catch (error) {
      for (const { saved: resolvers } of some) resolvers.reject(error)
    }
  }
}

/** How long to retry while the database is away, and the pause between tries, in ms. */
const SAVE_WITHIN_MS = 60_000
const SAVE_AGAIN_MS = 1_000

/**
 * Retries `save` while the database is away: a restart of Postgres in the middle of a batch must not cost a miner
 * anything. Rejects with the last error after a minute, and at once when the validator stops.
 */
export async function untilSaved<T>(
  save: () => Promise<T>,
  { clock, log }: { clock: Clock; log: Log },
  signal: AbortSignal,
): Promise<T> {
  const until = clock.monotonic() + SAVE_WITHIN_MS
  for (;;) {
    try {
      return await save()
    } catch (err) {
      if (signal.aborted || clock.monotonic() >= until) throw err
      log.warn({ err }, 'saving to the database failed; trying again')
      await clock.sleep(SAVE_AGAIN_MS, signal).catch(() => {})
    }
  }
}
