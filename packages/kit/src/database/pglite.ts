import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { PGlite, type PGliteOptions } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import { migrate } from 'drizzle-orm/pglite/migrator'
import type { Log } from '../log.ts'
import { withDeadline } from '../time.ts'
import { type Database, DatabaseError, type OpenDatabase } from './engine.ts'
import { FlushedFiles } from './flushed-files.ts'
import { lockFolder } from './folder-lock.ts'
import { prepareMigration } from './schema-state.ts'
import { copyTemplate, INIT_PARAMETERS, templateArchive } from './template.ts'
import { Upkeep } from './upkeep.ts'

/** How long closing may take, in ms. */
const CLOSE_DEADLINE_MS = 10_000
/** A checkpoint follows each time the write-ahead log has grown by this, so that it does not grow without limit. */
const CHECKPOINT_BYTES = 32 * 1024 * 1024

/**
 * PGlite's start parameters with two changes. Flushing is on (`-F` turns it off), by the method that `flushed-files`
 * implements. Buffers have the size of a small database; the default would take 128 MB at once.
 */
const START_PARAMETERS = [
  ...PGlite.defaultStartParams.filter(parameter => parameter !== '-F'),
  ...['-c', 'wal_sync_method=fsync'],
  ...['-c', 'shared_buffers=16MB'],
  ...['-c', 'min_wal_size=32MB', '-c', 'max_wal_size=64MB'],
]

// Optimising Postgres' code costs V8 half a gigabyte and seconds of CPU time, more than it gains in a day (decision
// 20).
setFlagsFromString('--no-wasm-tier-up')
setFlagsFromString('--no-wasm-dynamic-tiering')

/** Opens PGlite in a folder or in memory. The data are in `<folder>/data`, which is made if there are migrations. */
export async function openPglite(
  folder: string | undefined,
  migrationsFolder: string | undefined,
  log: Log,
): Promise<OpenDatabase> {
  if (migrationsFolder === undefined) requireDatabase(folder)
  await using held = new AsyncDisposableStack()
  if (folder !== undefined) held.use(await lockFolder(resolve(folder)))
  const { options, flushed, throwIfFailed, startCheckpoints } = await source(folder)
  const start = { startParams: START_PARAMETERS, initDbStartParams: INIT_PARAMETERS }
  const client = await PGlite.create({ ...options, ...start })
  held.defer(() => closeWithin(client, log))
  const { execProtocolRawSync } = client
  client.execProtocolRawSync = message => {
    throwIfFailed()
    return execProtocolRawSync.call(client, message)
  }
  const upkeep = new Upkeep(client)
  startCheckpoints(() => upkeep.checkpoint().catch(err => log.warn({ err }, 'database checkpoint failed')))
  const db = drizzle({ client })
  const transact = db.transaction.bind(db)
  db.transaction = async (...work) => {
    const outcome = await transact(...work)
    await flushed()
    return outcome
  }
  if (migrationsFolder !== undefined) {
    await prepareMigration(db as unknown as Database, migrationsFolder)
    await migrate(db, { migrationsFolder })
  }
  const opened = held.move()
  return {
    db: db as unknown as Database,
    dialect: 'pglite',
    reclaimSpace: () => upkeep.reclaimSpace(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

type Source = {
  options: PGliteOptions
  /** Resolves once all commits are on the disk. */
  flushed(): Promise<void>
  /** Throws once the disk has failed. */
  throwIfFailed(): void
  /** Calls `checkpoint` each time the log has grown by CHECKPOINT_BYTES. */
  startCheckpoints(checkpoint: () => void): void
}

async function source(folder: string | undefined): Promise<Source> {
  if (folder === undefined) {
    const archive = await templateArchive()
    const options = archive === undefined ? {} : { loadDataDir: archive }
    return { options, flushed: async () => {}, throwIfFailed: () => {}, startCheckpoints: () => {} }
  }
  const dataDir = resolve(folder, 'data')
  await copyTemplate(dataDir)
  const files = new FlushedFiles(dataDir, CHECKPOINT_BYTES)
  return {
    options: { dataDir, fs: files },
    flushed: () => files.syncToFs(),
    throwIfFailed: () => files.throwIfFailed(),
    startCheckpoints: checkpoint => {
      files.onMuchLog = checkpoint
    },
  }
}

function requireDatabase(folder: string | undefined): void {
  if (folder !== undefined && existsSync(resolve(folder, 'data', 'PG_VERSION'))) return
  throw new DatabaseError(`there is no database in ${folder ?? 'memory'} yet`, { problem: 'missing' })
}

async function closeWithin(client: PGlite, log: Log): Promise<void> {
  await withDeadline(client.close(), CLOSE_DEADLINE_MS, 'closing pglite').catch(err =>
    log.error({ err }, 'database did not close cleanly'),
  )
}
