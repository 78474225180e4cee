/** The right to do something that only one process may do at a time, on a database. */
import { createHash } from 'node:crypto'
import type { OpenDatabase } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { Client } from 'pg'

/** How long connecting to the server may take, in ms. */
const CONNECT_TIMEOUT_MS = 10_000

const TAKE = 'select pg_try_advisory_lock($1) as taken, pg_backend_pid() as holder'
/** Postgres shows the two halves of a 64-bit key separately. */
const HOLDERS = `
  select pid as holder from pg_locks
  where locktype = 'advisory' and granted and objsubid = 1 and (classid::bigint << 32 | objid::bigint) = $1
    and database = (select oid from pg_database where datname = current_database())`

/** Disposing of it releases it. */
export interface Lock extends AsyncDisposable {
  /** Aborts when the connection to the server is lost: another process may take the lock then. */
  readonly lost: AbortSignal
  /** The server process that holds it; undefined without a server. */
  readonly holder?: number | undefined
}

/**
 * Takes the lock; returns undefined while another caller has it.
 *
 * @param before the holder of our lock whose connection was lost. Rejects while the server still counts that lock as
 *   held, since the server may notice the loss late
 */
export type TryLock = (before?: number) => Promise<Lock | undefined>

/**
 * Returns how to take the lock named `what`. On Postgres it holds against all processes, by an advisory lock that ends
 * with its process however that dies. On PGlite it holds within this process: no other process can open the folder.
 */
export function oneAtATime(dialect: OpenDatabase['dialect'], url: string, what: string, log: Log): TryLock {
  const take = dialect === 'postgres' ? (before?: number) => lockOnServer(url, what, log, before) : async () => FREE
  return oneHere(take)
}

/** A lock that no other process can want. */
const FREE: Lock = { lost: new AbortController().signal, async [Symbol.asyncDispose]() {} }

/** Refuses further callers of this process at once, so that a later caller cannot win by connecting faster. */
function oneHere(take: TryLock): TryLock {
  let taken = false
  return async before => {
    if (taken) return undefined
    taken = true
    const lock = await take(before).catch(error => {
      taken = false
      throw error
    })
    if (!lock) taken = false
    return (
      lock && {
        lost: lock.lost,
        holder: lock.holder,
        async [Symbol.asyncDispose]() {
          await lock[Symbol.asyncDispose]()
          taken = false
        },
      }
    )
  }
}

/** Holds the lock on a connection of its own: an advisory lock belongs to its session. */
async function lockOnServer(
  connectionString: string,
  what: string,
  log: Log,
  before: number | undefined,
): Promise<Lock | undefined> {
  const client = new Client({
    connectionString,
    application_name: 'horde lock',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  })
  const lost = new AbortController()
  client.on('error', err => {
    log.warn({ err }, 'connection of a lock lost')
    lost.abort(new Error('the connection of the lock was lost', { cause: err }))
  })
  const close = () => client.end().catch(err => log.debug({ err }, 'connection of a lock did not close cleanly'))
  try {
    await client.connect()
    const { rows } = await client.query<{ taken: boolean; holder: number }>(TAKE, [keyOf(what)])
    const [answer] = rows
    if (answer?.taken) return { lost: lost.signal, holder: answer.holder, [Symbol.asyncDispose]: close }
    if (before !== undefined && (await isHeldBy(before, what, client))) {
      throw new Error('the server has not noticed yet that the connection of the lock was lost')
    }
  } catch (error) {
    await close()
    throw error
  }
  await close()
  return undefined
}

async function isHeldBy(holder: number, what: string, client: Client): Promise<boolean> {
  const { rows } = await client.query<{ holder: number }>(HOLDERS, [keyOf(what)])
  return rows.some(row => row.holder === holder)
}

/** 63 bits of a hash, as text: Postgres' bigint. */
function keyOf(what: string): string {
  return (createHash('sha256').update(what).digest().readBigUInt64BE() >> 1n).toString()
}

/** How long the database may be away before the lock counts as lost, and the pause between tries, in ms. */
const TAKE_AGAIN_WITHIN_MS = 60_000
const TAKE_AGAIN_MS = 200

/** Another process has the lock, or may have it: stop working on what the lock protects. */
export class LockLostError extends Error {
  override readonly name = 'LockLostError'
}

export interface KeptLock extends AsyncDisposable {
  /**
   * Resolves once the lock is ours: at once, or after a lost connection once the lock was taken again. Rejects with
   * LockLostError.
   */
  held(): Promise<void>
  /** Aborts with a LockLostError when another process has taken the lock, or it could not be taken again in time. */
  readonly lost: AbortSignal
}

/**
 * Takes a lock, and takes it again whenever its connection is lost: a restart of the database must not end a batch.
 * Returns undefined while another caller has it.
 */
export async function keepLock(tryLock: TryLock, deps: { clock: Clock; log: Log }): Promise<KeptLock | undefined> {
  const lock = await tryLock()
  return lock && new Kept(lock, tryLock, deps)
}

class Kept implements KeptLock {
  readonly #tryLock: TryLock
  readonly #deps: { clock: Clock; log: Log }
  readonly #lost = new AbortController()
  readonly #closed = new AbortController()
  #lock: Lock
  /** While the lock is being taken again. */
  #takingAgain: Promise<void> | undefined

  constructor(lock: Lock, tryLock: TryLock, deps: { clock: Clock; log: Log }) {
    this.#tryLock = tryLock
    this.#deps = deps
    this.#lock = lock
    this.#watch()
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  async held(): Promise<void> {
    while (this.#takingAgain) await this.#takingAgain
    this.#lost.signal.throwIfAborted()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    await this.#takingAgain
    await this.#lock[Symbol.asyncDispose]()
  }

  #watch(): void {
    const { lost } = this.#lock
    const begin = () => {
      this.#takingAgain = this.#takeAgain().finally(() => {
        this.#takingAgain = undefined
        if (!this.#lost.signal.aborted && !this.#closed.signal.aborted) this.#watch()
      })
    }
    if (lost.aborted) begin()
    else lost.addEventListener('abort', begin, { once: true, signal: this.#closed.signal })
  }

  async #takeAgain(): Promise<void> {
    const { clock, log } = this.#deps
    const { holder } = this.#lock
    await this.#lock[Symbol.asyncDispose]()
    const until = clock.monotonic() + TAKE_AGAIN_WITHIN_MS
    while (!this.#closed.signal.aborted) {
      try {
        const lock = await this.#tryLock(holder)
        if (!lock) return this.#lose('another process of this validator has taken the lock')
        this.#lock = lock
        return log.info('lock taken again after its connection was lost')
      } catch (err) {
        log.debug({ err }, 'lock could not be taken again yet')
        if (clock.monotonic() >= until) return this.#lose('the lock could not be taken again in time')
      }
      await clock.sleep(TAKE_AGAIN_MS, this.#closed.signal).catch(() => {})
    }
  }

  #lose(why: string): void {
    this.#lost.abort(new LockLostError(why))
  }
}
