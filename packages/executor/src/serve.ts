import type { Log } from '@horde/kit/log'
import { createLateLog } from '@horde/kit/log/late-log'
import { systemClock } from '@horde/kit/time'
import type { ExecutorSettings } from './config.ts'
import { JobProgress } from './job/job-progress.ts'
import { type ConnectionEnd, MinerConnection } from './miner/miner-connection.ts'

/** Exit codes: 0 when the executor answered its job or was not needed, else 1. */
const EXIT_CODES: Record<ConnectionEnd, number> = {
  answered: 0,
  dismissed: 0,
  refused: 1,
  'no offer': 1,
  'gave up': 1,
  aborted: 1,
}

/**
 * Runs one executor: dials its miner, takes one job, and answers it. Returns the exit code.
 *
 * @param startupMs how long it may take from its connection until it is ready, in ms; undefined: no limit of the miner's
 */
export async function serve(
  settings: ExecutorSettings,
  startupMs: number | undefined,
  signal: AbortSignal,
): Promise<number> {
  const log = createLateLog('executor', { level: settings.LOG_LEVEL })
  const progress = new JobProgress(systemClock, log)
  const miner = new MinerConnection({
    address: settings.MINER_ADDRESS,
    token: settings.EXECUTOR_TOKEN,
    attempts: settings.RECONNECT_ATTEMPTS,
    delayMs: settings.RECONNECT_DELAY_SECONDS * 1_000,
    progress,
    log,
  })
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const connection = miner.keep(either).finally(() => stop.abort())
  const health = openHealth(settings, miner, progress, log)
  try {
    const defaultMs = settings.PREPARE_AHEAD ? undefined : settings.OFFER_TIMEOUT_SECONDS * 1_000
    const offered = miner.receiveOffer(startupMs ?? defaultMs, either)
    offered.catch(() => {})
    const startupEnd = startupMs === undefined ? undefined : timeoutAfter(startupMs, miner.connected(either))
    // The engine's client takes time and memory to load: load it with the offer, or at once to prepare ahead of it.
    await (settings.PREPARE_AHEAD ? miner.connected(either) : offered)
    const { executeJob } = await import('./job/execute-job.ts')
    await executeJob(offered, { miner, settings, startupEnd, log }, either, signal)
  } catch (err) {
    // An abort is no error: the miner is gone for good, or this process is asked to stop.
    if (!either.aborted) log.error({ err }, 'job abandoned')
  }
  stop.abort()
  const end = await connection
  await (await health)?.[Symbol.asyncDispose]()
  log.info({ end }, 'executor exits')
  return EXIT_CODES[end]
}

/** Returns a signal that aborts so many ms after an event. */
async function timeoutAfter(ms: number, event: Promise<void>): Promise<AbortSignal> {
  // Its caller waits for the same event, and hears of its failure there.
  await event.catch(() => {})
  return AbortSignal.timeout(ms)
}

/** Serves health and metrics while the job runs. A failure is only logged: it must not cost the job. */
async function openHealth(
  { HEALTH_ADDRESS }: ExecutorSettings,
  miner: MinerConnection,
  progress: JobProgress,
  log: Log,
): Promise<AsyncDisposable | undefined> {
  if (HEALTH_ADDRESS === undefined) return undefined
  try {
    const { serveHealth } = await import('./health.ts')
    return await serveHealth(HEALTH_ADDRESS, { progress, isConnected: () => miner.isConnected, log })
  } catch (err) {
    log.warn({ err }, 'health and metrics are not served')
    return undefined
  }
}
