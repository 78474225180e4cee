import type { PgDatabase, PgQueryResultHKT, PgTransactionConfig } from 'drizzle-orm/pg-core'
import { DatabaseError } from './database/errors.ts'
import { parseDatabaseUrl } from './database/url.ts'
import { type Log, silentLog } from './log.ts'

export { DatabaseError }

/** What `execute` gives on both engines. */
export interface Rows<Row> {
  rows: Row[]
}

interface RowsHKT extends PgQueryResultHKT {
  type: Rows<this['row']>
}

/** A Postgres or PGlite database, or a transaction on either: what query functions take first. */
export type Database = PgDatabase<RowsHKT, Record<string, unknown>>

export interface OpenDatabase extends AsyncDisposable {
  readonly db: Database
  readonly dialect: 'postgres' | 'pglite'
  /** Makes the room of removed rows usable again, where no server does that by itself. Call it when rows were removed. */
  reclaimSpace(): Promise<void>
}

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/name`, `pglite://<folder>` or `pglite://memory`. */
  url: string
  /** The folder that drizzle-kit writes migrations to. Without it only a database that is there is opened, as it is. */
  migrationsFolder?: string
  log?: Log
  /** Gives up waiting for a server that is starting. */
  signal?: AbortSignal
  /** How long to wait for a server that does not answer yet, in ms. Default: 30 s. */
  connectWithinMs?: number
}

/**
 * Opens a database and brings its schema up to date, if there is a folder of migrations; two processes that start at
 * once do so one after the other. A newer schema is used as it is where its release says that this one can read it
 * (`database/schema-state`).
 *
 * @throws DatabaseError when the URL is wrong, the server cannot be reached, a folder is in use by another process, a
 *   newer release has migrated the database to what this one cannot read, or what was to be opened as it is has never been made
 */
export async function openDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  const { log = silentLog } = options
  const target = parseDatabaseUrl(options.url)
  if ('problem' in target) throw new DatabaseError(`the database's URL ${target.problem}`)
  if (target.dialect === 'pglite') {
    const { openPglite } = await import('./database/pglite.ts')
    return openPglite(target.folder, options.migrationsFolder, log)
  }
  const { openPostgres } = await import('./database/postgres.ts')
  return openPostgres(target, { ...options, log })
}

/**
 * Runs `work` in a transaction, or in a savepoint of the one that `db` is; it is undone when `work` throws. Inside, use
 * only the given `tx`.
 */
export function inTransaction<T>(
  db: Database,
  work: (tx: Database) => Promise<T>,
  config?: PgTransactionConfig,
): Promise<T> {
  return db.transaction(tx => work(tx), config)
}
