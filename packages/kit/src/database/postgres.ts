import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import { Client, type ClientConfig, Pool, type PoolClient } from 'pg'
import type { Log } from '../log.ts'
import { backoff } from '../reconnect.ts'
import { systemClock, withDeadline } from '../time.ts'
import { type Database, DatabaseError, type DatabaseOptions, type OpenDatabase } from './engine.ts'
import { prepareMigration } from './schema-state.ts'
import type { PostgresTarget } from './url.ts'

const MAX_CONNECTIONS = 10
/** How long a query waits for a free or new connection, in ms. */
const CONNECT_TIMEOUT_MS = 10_000
/** How long the server lets a statement run, and a transaction idle, in ms. */
const STATEMENT_TIMEOUT_MS = 30_000
const IDLE_TRANSACTION_TIMEOUT_MS = 60_000
/** How long we wait for an answer if the server does not stop the statement, in ms. */
const QUERY_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 5_000
/** How long a migration waits for another process's migration, or for a table in use, in ms. */
const MIGRATION_LOCK_TIMEOUT_MS = 120_000
/** The key of the lock for migrations. Any number that is the same in every service. */
const MIGRATION_LOCK = 4_242_001
const CONNECT_WITHIN_MS = 30_000
const CLOSE_DEADLINE_MS = 10_000
/** Error codes of a server that is starting, stopping, full, or not listening yet. */
const TRY_AGAIN = new Set(['57P03', '57P01', '53300', 'ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT'])

/** Undoes what a transaction has set or locked for its session before the connection goes back to the pool. */
const RESET_SESSION = 'reset all; select pg_advisory_unlock_all()'

type PostgresOptions = DatabaseOptions & { log: Log }

/** Migrates the database and opens a pool of connections to it. */
export async function openPostgres(target: PostgresTarget, options: PostgresOptions): Promise<OpenDatabase> {
  await migrateAlone(target, options)
  const { log } = options
  const pool = new Pool({
    connectionString: target.url,
    application_name: 'horde',
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
    keepAlive: true,
  })
  // A connection may break while idle, or between two queries. The pool replaces it.
  pool.on('error', err => log.warn({ err }, 'database connection lost'))
  pool.on('connect', client => client.on('error', err => log.debug({ err }, 'database connection broke')))
  return {
    db: withSafeTransactions(pool),
    dialect: 'postgres',
    // The server's autovacuum does this.
    reclaimSpace: async () => {},
    async [Symbol.asyncDispose]() {
      if (pool.ended || pool.ending) return
      await withDeadline(pool.end(), CLOSE_DEADLINE_MS, 'closing the pool').catch(err =>
        log.error({ err }, 'database did not close cleanly'),
      )
    },
  }
}

/**
 * Replaces drizzle's transaction on a pool, which never returns the connection when `begin` fails, and hides the first
 * error when `rollback` fails on a broken connection. Here the connection is always returned, and a broken one is
 * discarded.
 */
function withSafeTransactions(pool: Pool): Database {
  const db = drizzle({ client: pool }) as unknown as Database
  db.transaction = async (work, config) => {
    const client = await pool.connect()
    let broken: Error | undefined
    const onError = (error: Error) => {
      broken = error
    }
    client.on('error', onError)
    try {
      return await transactOn(client, work, config)
    } finally {
      await client.query(RESET_SESSION).catch(onError)
      client.off('error', onError)
      client.release(broken)
    }
  }
  return db
}

async function transactOn<T>(
  client: PoolClient,
  work: (tx: Parameters<Parameters<Database['transaction']>[0]>[0]) => Promise<T>,
  config: Parameters<Database['transaction']>[1],
): Promise<T> {
  const db = drizzle({ client }) as unknown as Database
  let first: { error: unknown } | undefined
  try {
    return await db.transaction(async tx => {
      try {
        return await work(tx)
      } catch (error) {
        first = { error }
        throw error
      }
    }, config)
  } catch (error) {
    throw first ? first.error : error
  }
}

/** Applies the migrations, if any, on a separate connection, whose lock and settings end with it. */
async function migrateAlone(target: PostgresTarget, options: PostgresOptions): Promise<void> {
  const { migrationsFolder } = options
  const client = await connect(target, options)
  try {
    if (migrationsFolder === undefined) return
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    const db = drizzle({ client })
    await prepareMigration(db as unknown as Database, migrationsFolder)
    await migrate(db, { migrationsFolder })
  } finally {
    await client.end().catch(err => options.log.debug({ err }, 'migration connection did not close cleanly'))
  }
}

async function connect(target: PostgresTarget, options: PostgresOptions): Promise<Client> {
  const { log, signal, connectWithinMs = CONNECT_WITHIN_MS } = options
  const startedAt = performance.now()
  const config: ClientConfig = {
    connectionString: target.url,
    application_name: 'horde migration',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    lock_timeout: MIGRATION_LOCK_TIMEOUT_MS,
  }
  const delays = backoff({ minMs: 100, maxMs: 2_000 })
  for (;;) {
    const delayMs = delays.next().value
    const client = new Client(config)
    client.on('error', err => log.debug({ err }, 'migration connection broke'))
    try {
      await client.connect()
      return client
    } catch (cause) {
      await client.end().catch(() => {})
      const { code = '', message } = cause as Error & { code?: string }
      if (!TRY_AGAIN.has(code) || performance.now() - startedAt + delayMs > connectWithinMs) {
        throw new DatabaseError(`cannot connect to Postgres at ${target.shown}: ${message || code}`, { cause })
      }
      log.info({ database: target.shown, code }, 'database does not answer yet, trying again')
      await systemClock.sleep(delayMs, signal)
    }
  }
}
