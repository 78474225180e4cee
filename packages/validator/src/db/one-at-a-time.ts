import { createHash } from 'node:crypto'
import type { OpenDatabase } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { Client } from 'pg'

/** How long getting hold of the server may take, in ms. */
const CONNECT_TIMEOUT_MS = 10_000

/** The right to do something. Disposing of it gives it back. */
export interface Lock extends AsyncDisposable {
  /** Aborts when it was lost and somebody else may have it: with the connection to the server. */
  readonly lost: AbortSignal
}

/** Takes the right to do something; undefined while somebody else has it. */
export type TryLock = () => Promise<Lock | undefined>

/**
 * The right to do what `what` names, for one caller at a time: of all processes on a Postgres database, by an advisory
 * lock that ends with its process however it dies; of this process on PGlite, whose folder is one process's anyway.
 */
export function oneAtATime(dialect: OpenDatabase['dialect'], url: string, what: string, log: Log): TryLock {
  const take = dialect === 'postgres' ? () => lockOnServer(url, what, log) : async () => FREE
  return oneHere(take)
}

/** What no other process can have. */
const FREE: Lock = { lost: new AbortController().signal, async [Symbol.asyncDispose]() {} }

/** Callers of this process are told at once: the one who asks later does not get it because its connection took longer. */
function oneHere(take: TryLock): TryLock {
  let taken = false
  return async () => {
    if (taken) return undefined
    taken = true
    const lock = await take().catch(error => {
      taken = false
      throw error
    })
    if (!lock) taken = false
    return (
      lock && {
        lost: lock.lost,
        async [Symbol.asyncDispose]() {
          await lock[Symbol.asyncDispose]()
          taken = false
        },
      }
    )
  }
}

/** Holds the lock on a connection of its own, for it belongs to the session. */
async function lockOnServer(connectionString: string, what: string, log: Log): Promise<Lock | undefined> {
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
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [keyOf(what)])
    if (rows[0]?.taken) return { lost: lost.signal, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
  await close()
  return undefined
}

/** 63 bits of a hash, as text: Postgres' bigint. */
function keyOf(what: string): string {
  return (createHash('sha256').update(what).digest().readBigUInt64BE() >> 1n).toString()
}
