/** The `check` line about the database. Nothing in it is changed. */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import { DatabaseError, openDatabase } from '@horde/kit/database'
import { schemaState } from '@horde/kit/database/schema-state'
import { silentLog } from '@horde/kit/log'
import { databaseFolder } from '../watch/disk.ts'

/** How long a command waits for a database server to accept the connection, in milliseconds. */
export const DATABASE_CONNECT_MS = 10_000

const NEWER_ADVICE = 'start the newer release again, or restore the backup that was made before the update'

/** `isInUse`: whether another process has the embedded database open. */
export type DatabaseCheck = { finding: Finding; isInUse: boolean }

/** The service's name, the folder of its migrations, and how long to wait for its server, in milliseconds. */
export type DatabaseOwner = { service: string; migrationsFolder: string; connectMs?: number | undefined }

export async function checkDatabase(url: string, owner: DatabaseOwner, signal: AbortSignal): Promise<DatabaseCheck> {
  try {
    return { finding: await openFinding(url, owner, signal), isInUse: false }
  } catch (error) {
    if (error instanceof DatabaseError && error.problem === 'in use') {
      return { finding: ok('database', `in use by the running ${owner.service}: ${error.message}`), isInUse: true }
    }
    return { finding: await problemFinding(error as Error, url, owner), isInUse: false }
  }
}

async function openFinding(url: string, owner: DatabaseOwner, signal: AbortSignal): Promise<Finding> {
  const { migrationsFolder, connectMs = DATABASE_CONNECT_MS } = owner
  await using database = await openDatabase({ url, log: silentLog, signal, connectWithinMs: connectMs })
  const { pending, refusal } = await schemaState(database.db, migrationsFolder)
  if (refusal !== undefined) return bad('database', refusal, NEWER_ADVICE)
  if (pending.length === 0) return ok('database', 'opens, and its tables are up to date')
  return ok('database', `opens; the next start brings its tables up to date (${pending.join(', ')})`)
}

async function problemFinding(error: Error, url: string, owner: DatabaseOwner): Promise<Finding> {
  if (!(error instanceof DatabaseError)) {
    return bad('database', `does not open: ${error.message}`, 'see DATABASE_URL, and the log of its server')
  }
  if (error.problem === 'missing') return newFinding(url, owner)
  return bad('database', error.message, 'see whether its server runs, and DATABASE_URL')
}

/** The first start creates an embedded database, if it may create the folder. */
async function newFinding(url: string, { service }: DatabaseOwner): Promise<Finding> {
  const folder = databaseFolder(url)
  if (folder === undefined) {
    return warn(
      'database',
      `in memory: what it holds is gone with the ${service}`,
      'set DATABASE_URL to pglite://<folder>',
    )
  }
  const above = await nearestExisting(resolve(folder))
  if (await mayCreateIn(above)) return ok('database', `the first start makes it in ${folder}`)
  return bad('database', `can not be made in ${folder}`, `let this user make folders in ${above}, or set DATABASE_URL`)
}

async function mayCreateIn(path: string): Promise<boolean> {
  const [seen, mayWrite] = await Promise.all([stat(path), isAllowed(path, constants.W_OK)])
  return seen.isDirectory() && mayWrite
}

async function nearestExisting(path: string): Promise<string> {
  return (await isAllowed(path, constants.F_OK)) || dirname(path) === path ? path : nearestExisting(dirname(path))
}

function isAllowed(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}
