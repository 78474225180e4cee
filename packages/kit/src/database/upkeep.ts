/** Does for an embedded database what background processes do on a Postgres server: vacuum and checkpoints. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { PGlite } from '@electric-sql/pglite'

/**
 * autovacuum's rule: a table is vacuumed when it, or its TOAST table, has more dead rows than DEAD_ROWS plus this share
 * of its live rows.
 */
const DEAD_ROWS = 50
const DEAD_SHARE = 0.2

/** Postgres counts dead rows in memory and shows them with a delay; this query shows them at once. */
const FLUSH_COUNTS = 'select pg_stat_force_next_flush()'

const TABLES = `
  select format('%I.%I', owner.schemaname, owner.relname) as name,
    owner.n_dead_tup > ${DEAD_ROWS} + ${DEAD_SHARE} * owner.n_live_tup
      or coalesce(large.n_dead_tup > ${DEAD_ROWS} + ${DEAD_SHARE} * large.n_live_tup, false) as is_due
  from pg_stat_user_tables owner
    join pg_class on pg_class.oid = owner.relid
    left join pg_stat_all_tables large on large.relid = pg_class.reltoastrelid`

export class Upkeep {
  readonly #client: PGlite
  /** The first run vacuums all tables, because a killed process lost its counts of dead rows. */
  #isFirst = true

  constructor(client: PGlite) {
    this.#client = client
  }

  /** Frees the space of dead rows, table by table. The database answers no query while it vacuums a table. */
  async reclaimSpace(): Promise<void> {
    await this.#client.query(FLUSH_COUNTS)
    const { rows } = await this.#client.query<{ name: string; is_due: boolean }>(TABLES)
    const due = rows.filter(({ is_due }) => is_due || this.#isFirst)
    this.#isFirst = false
    for (const { name } of due) {
      await nextTurn()
      await this.#client.query(`vacuum ${name}`)
    }
    await this.checkpoint()
  }

  /** Writes the data files, so that the log up to now can be dropped. */
  async checkpoint(): Promise<void> {
    await this.#client.query('checkpoint')
  }
}
