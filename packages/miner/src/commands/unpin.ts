/** The command `unpin`: a validator that has signed its offers and work need not sign them any more. */
import { DatabaseError, openDatabase } from '@horde/kit/database'
import { schemaState } from '@horde/kit/database/schema-state'
import { createLog } from '@horde/kit/log'
import { DATABASE_CONNECT_MS } from '@horde/operator/check/database'
import { readMinerConfig } from '../config.ts'
import { migrationsFolder } from '../db/migrations.ts'
import { removePin } from '../db/receipts.ts'
import type { CommandDeps } from './command-line.ts'

export async function unpin(validator: string, deps: CommandDeps, signal: AbortSignal): Promise<number> {
  const { environment, print, complain, databaseConnectMs: connectWithinMs = DATABASE_CONNECT_MS } = deps
  const { databaseUrl: url } = readMinerConfig(environment)
  const log = createLog('miner', { level: 'warn', destination: process.stderr })
  try {
    await using database = await openDatabase({ url, log, signal, connectWithinMs })
    const { pending, refusal } = await schemaState(database.db, migrationsFolder)
    if (refusal === undefined && pending.length === 0) {
      const wasPinned = await removePin(database.db, validator)
      print(wasPinned ? 'Lifted.\n' : 'This validator was not pinned.\n')
      return 0
    }
    complain(`${refusal ?? 'the tables are not up to date: the next start of the miner sees to that'}\n`)
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    complain(`${error.message}\n`)
  }
  return 1
}
