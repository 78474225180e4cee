import type { PgTransactionConfig } from 'drizzle-orm/pg-core'
import { type Database, DatabaseError, type DatabaseOptions, type OpenDatabase } from './database/engine.ts'
import { parseDatabaseUrl } from './database/url.ts'
import { silentLog } from './log.ts'

export { type Database, DatabaseError, type OpenDatabase }

/**
 * Opens a database and, with a folder of migrations, applies those that are missing. Processes that start at once
 * migrate one after the other. A newer schema is used as it is if its release says that this one can read it
 * (`database/schema-state`).
 *
 * @throws DatabaseError when the URL is wrong, the server cannot be reached, another process uses the folder, a newer
 *   release has migrated the database so that this one cannot read it, or there is neither a database nor migrations
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
