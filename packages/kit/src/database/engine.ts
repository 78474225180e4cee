/** What Postgres and PGlite have in common: an open database, the options to open it, and its error. */
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import type { Log } from '../log.ts'

/** The result of `execute`, the same on both engines. */
interface Rows<Row> {
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

export type DatabaseProblem = 'in use' | 'missing' | 'newer'

/** A database cannot be opened. The message is for operators and contains no password. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  /** Another process uses the folder, there is no database yet, or a newer release has migrated it. */
  readonly problem: DatabaseProblem | undefined

  constructor(message: string, options: ErrorOptions & { problem?: DatabaseProblem } = {}) {
    super(message, options)
    this.problem = options.problem
  }
}
