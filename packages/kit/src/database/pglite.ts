import { resolve } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import { migrate } from 'drizzle-orm/pglite/migrator'
import type { Database, OpenDatabase } from '../database.ts'
import type { Log } from '../log.ts'
import { withDeadline } from '../time.ts'
import { lockFolder } from './folder-lock.ts'

/** How long closing may take, in ms. */
const CLOSE_DEADLINE_MS = 10_000

/** Opens PGlite in a folder (made when missing), or in memory. The data live in `<folder>/data`. */
export async function openPglite(
  folder: string | undefined,
  migrationsFolder: string,
  log: Log,
): Promise<OpenDatabase> {
  await using held = new AsyncDisposableStack()
  if (folder !== undefined) held.use(await lockFolder(resolve(folder)))
  const client = await PGlite.create(folder === undefined ? {} : { dataDir: resolve(folder, 'data') })
  held.defer(() => closeWithin(client, log))
  const db = drizzle({ client })
  await migrate(db, { migrationsFolder })
  const opened = held.move()
  return {
    db: db as unknown as Database,
    dialect: 'pglite',
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

async function closeWithin(client: PGlite, log: Log): Promise<void> {
  await withDeadline(client.close(), CLOSE_DEADLINE_MS, 'closing pglite').catch(err =>
    log.error({ err }, 'database did not close cleanly'),
  )
}
