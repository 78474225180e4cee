/** The command `serve`: opens everything that must be closed, and runs the validator until a signal. */
import { type Validator, wireValidator } from '../app.ts'
import { startEviction, startLoops, startManifestLoop } from '../loops.ts'
import { openOperator } from '../operator/open-operator.ts'
import type { CommandDeps } from './command-line.ts'
import { openValidator } from './open-validator.ts'

export async function serve({ environment }: CommandDeps, signal: AbortSignal): Promise<number> {
  await using stack = new AsyncDisposableStack()
  const deps = await openValidator(environment, { mayBeAway: true }, signal, stack)
  const { config, hotkey, database, clock, log } = deps
  const { db } = database
  const validator: Validator = wireValidator({ ...deps, keepOpen: true })
  const times = {
    netuid: config.BITTENSOR_NETUID,
    windowMs: config.BATCH_INTERVAL_SECONDS * 1000,
    batchAtStart: config.BATCH_AT_START,
    weightsCheckMs: config.WEIGHTS_CHECK_SECONDS * 1000,
  }
  const loops = startLoops(times, { ...deps, validator, db }, signal)
  if (config.FACILITATOR_URI !== undefined) {
    loops.push(startManifestLoop(config.MANIFEST_POLL_SECONDS * 1000, { validator, clock, log }, signal))
  }
  for (const loop of loops) stack.use(loop)
  const eviction = stack.use(startEviction(config, { database, clock, log }, signal))
  const facilitator = validator.facilitator()
  if (facilitator) stack.use(facilitator)
  const status = {
    ...deps,
    db,
    loops: [...loops, eviction],
    turn: () => validator.schedule.state(),
    facilitator,
    dialects: validator.dialects,
  }
  const adminPort = await openOperator(status, signal, stack)
  log.info({ hotkey: hotkey.ss58, netuid: times.netuid, adminPort }, 'validator started')
  await aborted(signal)
  return 0
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
