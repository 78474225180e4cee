/** The command `unpin`: a validator that has signed its offers and work need not sign them any more. */
import { DatabaseError, openDatabase } from '@horde/kit/database'
import { schemaState } from '@horde/kit/database/schema-state'
import { createLog } from '@horde/kit/log'
import { askAdminPort } from '@horde/operator/admin/ask-admin-port'
import { DATABASE_CONNECT_MS } from '@horde/operator/check/database'
import { type MinerConfig, readMinerConfig } from '../config.ts'
import { migrationsFolder } from '../db/migrations.ts'
import { removePin } from '../db/receipts.ts'
import { UNPIN_PATH, type Unpinned } from '../operator/unpin-route.ts'
import type { CommandDeps } from './command-line.ts'

/** What an operator can do when neither the database nor the running miner can be reached. */
const REMEDY = 'stop the miner, run this command, and start the miner again'

export async function unpin(validator: string, deps: CommandDeps, signal: AbortSignal): Promise<number> {
  const { environment, print, complain, databaseConnectMs: connectWithinMs = DATABASE_CONNECT_MS } = deps
  const config = readMinerConfig(environment)
  const url = config.databaseUrl
  const log = createLog('miner', { level: 'warn', destination: process.stderr })
  try {
    await using database = await openDatabase({ url, log, signal, connectWithinMs })
    const { pending, refusal } = await schemaState(database.db, migrationsFolder)
    if (refusal === undefined && pending.length === 0) {
      print(told(await removePin(database.db, validator)))
      return 0
    }
    complain(`${refusal ?? 'the tables are not up to date: the next start of the miner sees to that'}\n`)
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    if (error.problem === 'in use') return unpinByMiner(validator, config, error, deps)
    complain(`${error.message}\n`)
  }
  return 1
}

/** The running miner has the embedded database open, so it lifts the pin. */
async function unpinByMiner(
  validator: string,
  config: MinerConfig,
  { message }: DatabaseError,
  { print, complain }: CommandDeps,
): Promise<number> {
  const asked = await askAdminPort<Unpinned>(config, UNPIN_PATH, { validator })
  if ('problem' in asked) {
    complain(`${message}, and its admin port ${asked.problem}; or ${REMEDY}\n`)
    return 1
  }
  print(told(asked.answer.wasPinned))
  return 0
}

function told(wasPinned: boolean): string {
  return wasPinned ? 'Lifted.\n' : 'This validator was not pinned.\n'
}
