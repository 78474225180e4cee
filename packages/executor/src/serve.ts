import { createLateLog } from '@horde/kit/late-log'
import type { Log } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import type { ExecutorSettings } from './config.ts'
import { type LinkEnd, MinerLink } from './miner-link.ts'
import { Stages } from './stages.ts'

/** How an executor exits: 0 when it answered or was not needed, else 1. */
const EXIT_CODES: Record<LinkEnd, number> = {
  answered: 0,
  dismissed: 0,
  refused: 1,
  'no offer': 1,
  'gave up': 1,
  aborted: 1,
}

/** One executor's life: dials its miner, takes one job to its answer. Gives the exit code. */
export async function serve(settings: ExecutorSettings, signal: AbortSignal): Promise<number> {
  const log = createLateLog('executor', { level: settings.LOG_LEVEL })
  const link = new MinerLink({
    address: settings.MINER_ADDRESS,
    token: settings.EXECUTOR_TOKEN,
    attempts: settings.RECONNECT_ATTEMPTS,
    delayMs: settings.RECONNECT_DELAY_SECONDS * 1_000,
    log,
  })
  const stages = new Stages(systemClock)
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const staying = link.stay(either).finally(() => stop.abort())
  const health = openHealth(settings, link, stages, log)
  try {
    const offerMs = settings.PREPARE_AHEAD ? undefined : settings.OFFER_TIMEOUT_SECONDS * 1_000
    const offered = link.hearOffer(offerMs, either)
    offered.catch(() => {})
    // The engine's client is heavy: an executor that waits for its job does without, unless it is to be ready at once.
    await (settings.PREPARE_AHEAD ? link.connected(either) : offered)
    const { takeJob } = await import('./take-job.ts')
    await takeJob(offered, { miner: link, settings, stages, log }, either, signal)
  } catch (err) {
    // Once the miner is gone for good, or the process is asked to stop, the walk ends in this way.
    if (!either.aborted) log.error({ err }, 'the job was given up')
  }
  stop.abort()
  const end = await staying
  await (await health)?.[Symbol.asyncDispose]()
  log.info({ end }, 'executor ends')
  return EXIT_CODES[end]
}

/** Beside the job, which waits for none of this and never fails for it. */
async function openHealth(
  { HEALTH_ADDRESS }: ExecutorSettings,
  link: MinerLink,
  stages: Stages,
  log: Log,
): Promise<AsyncDisposable | undefined> {
  if (HEALTH_ADDRESS === undefined) return undefined
  try {
    const { serveHealth } = await import('./health.ts')
    return await serveHealth(HEALTH_ADDRESS, { stages, isConnected: () => link.isConnected, log })
  } catch (err) {
    log.warn({ err }, 'health and metrics are not served')
    return undefined
  }
}
