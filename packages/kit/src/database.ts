import type { PgDatabase, PgQueryResultHKT, PgTransactionConfig } from 'drizzle-orm/pg-core'
import { DatabaseError } from './database/errors.ts'
import { parseDatabaseUrl } from './database/url.ts'
import { type Log, silentLog } from './log.ts'

export { DatabaseError }

/** The result of `execute`, the same on both engines. */
export interface Rows<Row> {
  rows: Row[]
}

interface RowsHKT extends PgQueryResultHKT {
  type: Rows<this['row']>
}

/** A Postgres or PGlite database, or a transaction on either. Query functions take it first. */
export type Database = PgDatabase<RowsHKT, Record<string, unknown>>

export interface OpenDatabase extends AsyncDisposable {
  readonly db: Database
  readonly dialect: 'postgres' | 'pglite'
  /** Frees the space of removed rows, which PGlite does not do by itself. Call it after removing rows. */
  reclaimSpace(): Promise<void>
}

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/name`, `pglite://<folder>` or `pglite://memory`. */
  url: string
  /** The folder of drizzle-kit's migrations. Without it an existing database is opened and not migrated. */
  migrationsFolder?: string
  log?: Log
  /** Aborts the wait for a server that does not answer yet. */
  signal?: AbortSignal
  /** How long to wait for a server that does not answer yet, in ms. Default: 30 s. */
  connectWithinMs?: number
}

/**
 * Opens a database and, with a folder of migrations, applies those that are missing. Processes that start at once
 * migrate one after the other. A newer schema is used as it is if its release says that this one can read it
 * (`database/schema-state`).
 *
 * @throws DatabaseError when the URL is wrong, the server cannot be reached, another process uses the folder, a newer
 *   release has migrated the database so that this one cannot read it, or there is no database and no folder of
 * migrations
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
 * Runs `work` in a transaction, or in a savepoint when `db` is a transaction. Rolls back when `work` throws. Inside,
 * use only the given `tx`.
 */
export function inTransaction<T>(
  db: Database,
  work: (tx: Database) => Promise<T>,
  config?: PgTransactionConfig,
): Promise<T> {
  return db.transaction(tx => work(tx), config)
}
