/** The `check` line about the port for validators: whether it is free, or which process holds it. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import { askAdminPort } from '@horde/operator/admin/ask-admin-port'
import type { MinerConfig } from '../../config.ts'
import type { MinerStatusJson } from '../status-json.ts'

const UNSEEN = 'whether it can be reached from outside is not to be seen from here'

/** @param databaseInUse whether another process has the embedded database open: then that is the running miner */
export async function portFinding(
  config: MinerConfig,
  hotkey: string | undefined,
  databaseInUse: boolean,
): Promise<Finding> {
  const { LISTEN_HOST: host, BITTENSOR_MINER_PORT: port } = config
  if (port === 0) return warn('port', 'the system chooses another one at each start', 'set BITTENSOR_MINER_PORT')
  const code = await bindError(host, port)
  const name = `${port} on ${host}`
  if (code === undefined) return ok('port', `${name} is free; ${UNSEEN}`)
  if (code !== 'EADDRINUSE') {
    return bad('port', `${name} can not be opened (${code})`, 'see LISTEN_HOST and BITTENSOR_MINER_PORT')
  }
  if (databaseInUse || (await isOwnMiner(config, hotkey)))
    return ok('port', `${name} is held by the running miner; ${UNSEEN}`)
  const advice = `see who has it (ss -ltnp 'sport = :${port}'); with ADMIN_PORT set a running miner is known by itself`
  return warn('port', `${name} is in use, and nobody here can tell by whom`, advice)
}

/** Tries to open the port. Returns the code of the error, or undefined when it could be opened. */
async function bindError(host: string, port: number): Promise<string | undefined> {
  const server = createServer().listen(port, host)
  const code = await once(server, 'listening').then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  )
  await new Promise(resolve => server.close(resolve))
  return code
}

async function isOwnMiner(config: MinerConfig, hotkey: string | undefined): Promise<boolean> {
  const asked = await askAdminPort<Partial<MinerStatusJson>>(config, '/status.json')
  if ('problem' in asked) return false
  const { miner } = asked.answer
  return miner?.hotkey === hotkey && miner?.port === config.BITTENSOR_MINER_PORT
}
