import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { PGlite, type PGliteOptions } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import { migrate } from 'drizzle-orm/pglite/migrator'
import type { Database, OpenDatabase } from '../database.ts'
import type { Log } from '../log.ts'
import { withDeadline } from '../time.ts'
import { DatabaseError } from './errors.ts'
import { lockFolder } from './folder-lock.ts'
import { prepareMigration } from './schema-state.ts'
import { copyTemplate, templateArchive } from './template.ts'

/** How long closing may take, in ms. */
const CLOSE_DEADLINE_MS = 10_000

/** Opens PGlite in a folder (made when missing and to be migrated), or in memory. The data live in `<folder>/data`. */
export async function openPglite(
  folder: string | undefined,
  migrationsFolder: string | undefined,
  log: Log,
): Promise<OpenDatabase> {
  if (migrationsFolder === undefined) ensureMade(folder)
  await using held = new AsyncDisposableStack()
  if (folder !== undefined) held.use(await lockFolder(resolve(folder)))
  const client = await PGlite.create(await source(folder))
  held.defer(() => closeWithin(client, log))
  const db = drizzle({ client })
  if (migrationsFolder !== undefined) {
    await prepareMigration(db as unknown as Database, migrationsFolder)
    await migrate(db, { migrationsFolder })
  }
  const opened = held.move()
  return {
    db: db as unknown as Database,
    dialect: 'pglite',
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

async function source(folder: string | undefined): Promise<PGliteOptions> {
  if (folder === undefined) {
    const archive = await templateArchive()
    return archive === undefined ? {} : { loadDataDir: archive }
  }
  const dataDir = resolve(folder, 'data')
  await copyTemplate(dataDir)
  return { dataDir }
}

function ensureMade(folder: string | undefined): void {
  if (folder !== undefined && existsSync(resolve(folder, 'data', 'PG_VERSION'))) return
  throw new DatabaseError(`there is no database in ${folder ?? 'memory'} yet`, { problem: 'missing' })
}

async function closeWithin(client: PGlite, log: Log): Promise<void> {
  await withDeadline(client.close(), CLOSE_DEADLINE_MS, 'closing pglite').catch(err =>
    log.error({ err }, 'database did not close cleanly'),
  )
}
