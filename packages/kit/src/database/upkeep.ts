/** What Postgres' background processes do on a server, for an embedded database that has none. */
import { setImmediate as breathe } from 'node:timers/promises'
import type { PGlite } from '@electric-sql/pglite'

/**
 * As autovacuum does: a table is vacuumed when it, or the table of its large values, has more dead rows than this and than
 * this share of the others.
 */
const DEAD_ROWS = 50
const DEAD_SHARE = 0.2

/** What is dead is counted in memory, and shown with a delay unless it is asked for. */
const TELL_COUNTS = 'select pg_stat_force_next_flush()'

const TABLES = `
  select format('%I.%I', owner.schemaname, owner.relname) as name,
    owner.n_dead_tup > ${DEAD_ROWS} + ${DEAD_SHARE} * owner.n_live_tup
      or coalesce(large.n_dead_tup > ${DEAD_ROWS} + ${DEAD_SHARE} * large.n_live_tup, false) as is_due
  from pg_stat_user_tables owner
    join pg_class on pg_class.oid = owner.relid
    left join pg_stat_all_tables large on large.relid = pg_class.reltoastrelid`

export class Upkeep {
  readonly #client: PGlite
  /** A process that was killed took its counts of dead rows with it. */
  #isFirst = true

  constructor(client: PGlite) {
    this.#client = client
  }

  /** Makes the room of dead rows usable again, table by table: nothing else is answered while one is vacuumed. */
  async reclaimSpace(): Promise<void> {
    await this.#client.query(TELL_COUNTS)
    const { rows } = await this.#client.query<{ name: string; is_due: boolean }>(TABLES)
    const due = rows.filter(({ is_due }) => is_due || this.#isFirst)
    this.#isFirst = false
    for (const { name } of due) {
      await breathe()
      await this.#client.query(`vacuum ${name}`)
    }
    await this.checkpoint()
  }

  /** Writes the data files, so that the log before is needed no more. */
  async checkpoint(): Promise<void> {
    await this.#client.query('checkpoint')
  }
}
