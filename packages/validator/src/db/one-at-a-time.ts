import { createHash } from 'node:crypto'
import type { OpenDatabase } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { Client } from 'pg'

/** How long getting hold of the server may take, in ms. */
const CONNECT_TIMEOUT_MS = 10_000

/** Takes the right to do something; undefined while somebody else has it. Disposing of it gives it back. */
export type TryLock = () => Promise<AsyncDisposable | undefined>

/**
 * The right to do what `what` names, for one caller at a time: of all processes on a Postgres database, by an advisory
 * lock that ends with its process however it dies; of this process on PGlite, whose folder is one process's anyway.
 */
export function oneAtATime(dialect: OpenDatabase['dialect'], url: string, what: string, log: Log): TryLock {
  return dialect === 'postgres' ? () => lockOnServer(url, what, log) : lockHere()
}

function lockHere(): TryLock {
  let taken = false
  return async () => {
    if (taken) return undefined
    taken = true
    return {
      async [Symbol.asyncDispose]() {
        taken = false
      },
    }
  }
}

/** Holds the lock on a connection of its own, for it belongs to the session. */
async function lockOnServer(connectionString: string, what: string, log: Log): Promise<AsyncDisposable | undefined> {
  const client = new Client({
    connectionString,
    application_name: 'horde lock',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  })
  client.on('error', err => log.warn({ err }, 'connection of a lock lost'))
  const close = () => client.end().catch(err => log.debug({ err }, 'connection of a lock did not close cleanly'))
  try {
    await client.connect()
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [keyOf(what)])
    if (rows[0]?.taken) return { [Symbol.asyncDispose]: close }
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
