/** Runs beside a slow name (`runBesideSlowName`). Prints what `check` reports about a chain and a facilitator. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { startDevchain } from '@horde/devchain/devchain'
import { upgradeRouter } from '@horde/kit/http'
import { silentLog } from '@horde/kit/log'
import { SLOW_ADDRESS, SLOW_NAME } from '@horde/testing/slow-name'
import { startProgram } from '../program.ts'
import { NETUID } from '../world.ts'

const sudo = hotkeyFromUri('//Owner').ss58
const genesis = { sudo, subnets: [{ netuid: NETUID, neurons: [] }] }
await using chain = await startDevchain({ host: SLOW_ADDRESS, blockMs: 200, genesis })
const facilitator = createServer().listen(0, SLOW_ADDRESS)
await using router = upgradeRouter(facilitator, { log: silentLog })
router.onUpgrade(/^\/ws\/v0\/$/, () => {})
await once(facilitator, 'listening')
const { port } = facilitator.address() as AddressInfo
const env = { BITTENSOR_NETUID: String(NETUID), BITTENSOR_NETWORK: `ws://${SLOW_NAME}:${chain.port}` }
await using program = startProgram(['check'], { ...env, FACILITATOR_URI: `ws://${SLOW_NAME}:${port}/ws/v0/` })
await program.ended
const lines = program.stdout.filter(line => / (chain|facilitator): /.test(line))
process.stdout.write(lines.map(line => `${line}\n`).join(''))
facilitator.close()
