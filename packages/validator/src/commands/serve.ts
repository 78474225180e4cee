import type { Subtensor } from '@horde/chain/subtensor'
import { createHttp, type Health } from '@horde/kit/http'
import type { Loop } from '@horde/kit/loop'
import { createMetrics } from '@horde/kit/metrics'
import { type Validator, type ValidatorDeps, wireValidator } from '../app.ts'
import type { FacilitatorLink } from '../facilitator.ts'
import { startLoops } from '../loops.ts'

/** How many runs in a row may fail before a loop makes the validator unready. */
const TOLERATED_FAILURES = 2

export type ServeDeps = ValidatorDeps & { chain: Subtensor }

/** Runs a validator until the signal aborts. */
export async function serve(deps: ServeDeps, signal: AbortSignal): Promise<void> {
  const { config, hotkey, database, log } = deps
  const validator: Validator = wireValidator({ ...deps, leaveOpen: true })
  await using stack = new AsyncDisposableStack()
  const times = {
    netuid: config.BITTENSOR_NETUID,
    windowMs: config.BATCH_INTERVAL_SECONDS * 1000,
    batchAtStart: config.BATCH_AT_START,
    weightsCheckMs: config.WEIGHTS_CHECK_SECONDS * 1000,
  }
  const loops = startLoops(times, { ...deps, validator, db: database.db }, signal)
  for (const loop of loops) stack.use(loop)
  const facilitator = validator.facilitator()
  if (facilitator) stack.use(facilitator)
  const adminPort = await openAdmin(deps, loops, facilitator, stack)
  log.info({ hotkey: hotkey.ss58, netuid: times.netuid, adminPort }, 'validator started')
  await aborted(signal)
}

async function openAdmin(
  { config, chain, log }: ServeDeps,
  loops: readonly Loop[],
  facilitator: FacilitatorLink | undefined,
  stack: AsyncDisposableStack,
): Promise<number | undefined> {
  const { ADMIN_HOST: host, ADMIN_PORT: port } = config
  if (port === undefined) return undefined
  const metrics = createMetrics('validator')
  const http = createHttp({ log, health: async () => healthOf(chain, loops, facilitator), metrics })
  stack.defer(() => http.close())
  await http.listen({ host, port })
  const address = http.server.address()
  return typeof address === 'object' ? address?.port : undefined
}

function healthOf(chain: Subtensor, loops: readonly Loop[], facilitator: FacilitatorLink | undefined): Health {
  const failing = loops.filter(loop => loop.state().failuresInARow > TOLERATED_FAILURES)
  const reasons = failing.map(loop => `The last ${loop.state().failuresInARow} runs of ${loop.name} failed.`)
  if (!chain.connected) reasons.unshift('There is no connection to the chain.')
  if (facilitator && !facilitator.connected) reasons.push('There is no connection to the facilitator.')
  return { live: true, ready: reasons.length === 0, reasons }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
