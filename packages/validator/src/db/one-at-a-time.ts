import { createHash } from 'node:crypto'
import type { OpenDatabase } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { Client } from 'pg'

/** How long getting hold of the server may take, in ms. */
const CONNECT_TIMEOUT_MS = 10_000

const TAKE = 'select pg_try_advisory_lock($1) as taken, pg_backend_pid() as holder'
/** Postgres shows the halves of a key of 64 bits apart. */
const HOLDERS = `
  select pid as holder from pg_locks
  where locktype = 'advisory' and granted and objsubid = 1 and (classid::bigint << 32 | objid::bigint) = $1
    and database = (select oid from pg_database where datname = current_database())`

/** The right to do something. Disposing of it gives it back. */
export interface Lock extends AsyncDisposable {
  /** Aborts when it was lost and somebody else may have it: with the connection to the server. */
  readonly lost: AbortSignal
  /** The server's process that holds it; undefined where no server does. */
  readonly holder?: number | undefined
}

/**
 * Takes the right to do something; undefined while somebody else has it.
 *
 * @param before the holder of a lock of ours whose connection was lost: rejects while the server still counts it as ours, since
 *   the server may notice the loss late
 */
export type TryLock = (before?: number) => Promise<Lock | undefined>

/**
 * The right to do what `what` names, for one caller at a time: of all processes on a Postgres database, by an advisory
 * lock that ends with its process however it dies; of this process on PGlite, whose folder is one process's anyway.
 */
export function oneAtATime(dialect: OpenDatabase['dialect'], url: string, what: string, log: Log): TryLock {
  const take = dialect === 'postgres' ? (before?: number) => lockOnServer(url, what, log, before) : async () => FREE
  return oneHere(take)
}

/** What no other process can have. */
const FREE: Lock = { lost: new AbortController().signal, async [Symbol.asyncDispose]() {} }

/** Callers of this process are told at once: the one who asks later does not get it because its connection took longer. */
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

/** Holds the lock on a connection of its own, for it belongs to the session. */
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
