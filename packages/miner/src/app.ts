/** Wires a miner: its jobs, its edges and its loops. */
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import { ConfigError } from '@horde/kit/config'
import type { Database, OpenDatabase } from '@horde/kit/database'
import type { Health } from '@horde/kit/http'
import type { Log } from '@horde/kit/log'
import { createMetrics } from '@horde/kit/metrics'
import type { Clock } from '@horde/kit/time'
import { type AnnouncementState, Announcer } from './announce/announcer.ts'
import { type MinerConfig, minerSettings } from './config.ts'
import { Horde, type HordeDeps } from './horde/horde.ts'
import type { PoolSettings } from './horde/pools/pool-settings.ts'
import { ExecutorLines } from './jobs/executor-line.ts'
import { type LiveJob, LiveJobs } from './jobs/live-job.ts'
import { openNews } from './jobs/news.ts'
import { Admission, type AdmissionRules } from './jobs/offers/admission.ts'
import { FloodLog } from './jobs/offers/flood-log.ts'
import { findLeftovers, recoverJobs } from './jobs/recover-jobs.ts'
import { startLoops } from './loops.ts'
import { JobCounters } from './operator/metrics/job-counters.ts'
import { openOperator } from './operator/open-operator.ts'
import { preloadImages } from './preload-images.ts'
import { type RunJobDeps, runJob } from './run-job.ts'
import { openPort, serveExecutorsOn, serveValidatorsOn } from './servers.ts'
import { openDesk } from './validator-desk.ts'
import { SeenSignatures } from './validators/authenticate.ts'
import { ValidatorSessions } from './validators/validator-sessions.ts'
import { ValidatorList } from './validators.ts'

const DAY_MS = 86_400_000

export type MinerDeps = {
  config: MinerConfig
  chain: Chain
  hotkey: Hotkey
  pools: readonly PoolSettings[]
  db: Database
  reclaimSpace: OpenDatabase['reclaimSpace']
  openManager: HordeDeps['openManager']
  hostFor: HordeDeps['hostFor']
  clock: Clock
  log: Log
}

export type RunningMiner = AsyncDisposable & {
  /** The port that validators connect to. */
  port: number
  adminPort: number | undefined
  health(): Promise<Health>
  announcement(): AnnouncementState
  /** Goes on with other pools; running jobs stay. Rejects, and changes nothing, when they can't be opened. */
  reload(pools: readonly PoolSettings[]): Promise<void>
}

/** Starts a miner. Disposing of it takes no new job, lets running ones go on for the set time, and closes in reverse. */
export async function startMiner(deps: MinerDeps, signal: AbortSignal): Promise<RunningMiner> {
  const { config, chain, hotkey, db, clock, log } = deps
  await using stack = new AsyncDisposableStack()
  const registry = createMetrics('miner')
  const counters = new JobCounters(registry, clock)
  const live = new LiveJobs()
  const lines = new ExecutorLines(clock)
  const horde = stack.use(await openHorde(deps, lines))
  const leftovers = await findLeftovers({ db, horde, lines, live, clock, log })
  const sessions = new ValidatorSessions(config.MAX_CONNECTIONS_PER_VALIDATOR)
  const news = stack.use(openNews({ db, live, sessions, clock, log, keepMs: config.RESULTS_KEPT_DAYS * DAY_MS }))
  const validators = new ValidatorList({
    chain,
    netuid: config.BITTENSOR_NETUID,
    extra: config.EXTRA_VALIDATORS,
    banned: config.BANNED_VALIDATORS,
    clock,
    log,
  })

  const ports = await openPorts(config, horde.hosts, log, stack)
  horde.begin((ports.executors ?? ports.validators).port)
  const jobs = jobRunner({ db, live, lines, news, counters, clock, log }, config)
  for (const job of recoverJobs(leftovers, { db, horde, lines, live, clock, log })) jobs.drive(job)
  const admission = new Admission(admissionRules(config, validators), clock)
  const floods = new FloodLog(clock, log)
  serveValidatorsOn(ports.validators, {
    desk: openDesk({ db, live, lines, news, horde, admission, floods, drive: jobs.drive, counters, clock, log }),
    validators,
    sessions,
    rules: { minerHotkey: hotkey.ss58, seen: new SeenSignatures(clock), clock },
    authenticateWithinMs: config.AUTHENTICATE_SECONDS * 1000,
    counters,
    clock,
    log,
  })
  serveExecutorsOn(ports.executors ?? ports.validators, { lines, log })

  const announcer = announcerOf(deps, ports.validators.port)
  const shown = { live, horde, sessions, validators, announcer, counters, registry, port: ports.validators.port }
  const { adminPort, health } = await openOperator({ ...deps, ...shown }, signal, stack)
  stack.defer(() => jobs.stop(config.STOP_GRACE_SECONDS * 1000))
  stack.defer(() => horde.close())
  startPreload(horde, clock, log, stack)
  horde.keepWarm()
  startLoops({ ...deps, sessions, validators, live, announcer }, signal, stack)
  log.info({ hotkey: hotkey.ss58, port: ports.validators.port, adminPort }, 'miner started')

  const opened = stack.move()
  return {
    port: ports.validators.port,
    adminPort,
    health,
    announcement: () => announcer.state(),
    reload: pools => horde.reload(pools),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

function openHorde(
  { config, pools, openManager, hostFor, clock, log }: MinerDeps,
  lines: ExecutorLines,
): Promise<Horde> {
  return Horde.open(pools, {
    openManager,
    hostFor,
    lines,
    startMs: config.EXECUTOR_START_SECONDS * 1000,
    graceMs: config.EXECUTOR_GRACE_SECONDS * 1000,
    clock,
    log,
  })
}

/** Opens the port for validators, and the one for executors where it is another. */
async function openPorts(config: MinerConfig, hosts: readonly string[], log: Log, stack: AsyncDisposableStack) {
  const { MAX_UNKNOWN_CONNECTIONS: maxUnknown, MAX_UNKNOWN_CONNECTIONS_PER_ADDRESS: perAddress } = config
  const requestWithinMs = config.AUTHENTICATE_SECONDS * 1000
  const open = (host: string, port: number, maxUnknownPerAddress: number) =>
    openPort({ host, port, maxUnknown, maxUnknownPerAddress, requestWithinMs, log }, stack)
  const validators = await open(config.LISTEN_HOST, config.BITTENSOR_MINER_PORT, perAddress)
  const port = config.PORT_FOR_EXECUTORS
  // 0 lets the system choose: that is never the public port.
  const apart = port !== undefined && (port === 0 || port !== config.BITTENSOR_MINER_PORT)
  if (!apart) return { validators, executors: undefined }
  const [host, ...others] = config.LISTEN_HOST_FOR_EXECUTORS ? [config.LISTEN_HOST_FOR_EXECUTORS] : hosts
  if (host === undefined || others.length > 0) {
    const problem = `is needed: executors dial this miner at ${hosts.join(' and ')}`
    throw new ConfigError([{ name: 'LISTEN_HOST_FOR_EXECUTORS', problem }], minerSettings)
  }
  // A whole host's executors may come from one address, and all at once.
  return { validators, executors: await open(host, port, maxUnknown) }
}

function announcerOf({ config, chain, hotkey, clock, log }: MinerDeps, port: number): Announcer {
  return new Announcer({
    ...{ chain, netuid: config.BITTENSOR_NETUID, hotkey, port, clock, log },
    given: config.BITTENSOR_MINER_ADDRESS,
    services: config.ADDRESS_SERVICES,
    checkEveryMs: config.ADDRESS_CHECK_SECONDS * 1000,
  })
}

function admissionRules(config: MinerConfig, validators: ValidatorList): AdmissionRules {
  return {
    maxOpenJobs: config.MAX_OPEN_JOBS_PER_VALIDATOR,
    maxOffersPerMinute: config.MAX_OFFERS_PER_MINUTE,
    maxTimeoutSeconds: config.MAX_TIMEOUT_SECONDS,
    isValidator: hotkey => validators.has(hotkey),
    migrating: config.MIGRATING,
  }
}

function jobRunner(deps: Omit<RunJobDeps, 'deadlines'>, config: MinerConfig) {
  const stopped = new AbortController()
  const running = new Set<Promise<void>>()
  const full: RunJobDeps = {
    ...deps,
    deadlines: {
      startMs: config.EXECUTOR_START_SECONDS * 1000,
      prepareMs: config.PREPARE_SECONDS * 1000,
      workMs: config.WORK_SECONDS * 1000,
      runSlackMs: config.RUN_SLACK_SECONDS * 1000,
      defaultRunMs: config.DEFAULT_TIMEOUT_SECONDS * 1000,
      graceMs: config.EXECUTOR_GRACE_SECONDS * 1000,
    },
  }
  const drive = (job: LiveJob) => {
    full.counters.took(job)
    const run: Promise<void> = runJob(job, full, stopped.signal)
      .catch(err => deps.log.error({ err, jobUuid: job.uuid }, 'job could not be driven'))
      .finally(() => running.delete(run))
    running.add(run)
  }
  // An offer that was being stored when the stop began may still bring a job.
  const allEnded = async () => {
    while (running.size > 0) await Promise.all(running)
  }
  const stop = async (graceMs: number) => {
    const over = new AbortController()
    const grace = deps.clock.sleep(graceMs, over.signal).catch(() => {})
    await Promise.race([grace, allEnded()])
    over.abort()
    stopped.abort()
    await allEnded()
  }
  return { drive, stop }
}

/** In the background: a miner whose images are not there yet works all the same. */
function startPreload(horde: Horde, clock: Clock, log: Log, stack: AsyncDisposableStack): void {
  const stopped = new AbortController()
  const preload = Promise.all(
    horde.pools().map(({ settings: { environment }, manager }) => {
      return preloadImages({ manager, environment, clock, log }, stopped.signal)
    }),
  )
  stack.defer(async () => {
    stopped.abort()
    await preload
  })
}
