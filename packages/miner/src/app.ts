/** Wires the parts of a miner: its jobs, its ports and its loops. */
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import { ConfigError } from '@horde/kit/config'
import type { Database, OpenDatabase } from '@horde/kit/database'
import type { Health } from '@horde/kit/http'
import type { Log } from '@horde/kit/log'
import { createMetrics } from '@horde/kit/metrics/registry'
import type { Clock } from '@horde/kit/time'
import { type AnnouncementState, Announcer } from './announce/announcer.ts'
import { ManifestCommitter } from './announce/manifest-committer.ts'
import { type MinerConfig, minerSettings } from './config.ts'
import { ExecutorChannels } from './executors/executor-channel.ts'
import { Horde, type HordeDeps } from './horde/horde.ts'
import type { PoolSettings } from './horde/pools/pool-settings.ts'
import { startPreload } from './horde/preload-images.ts'
import { Admission, type AdmissionRules, FloodLog } from './jobs/admission.ts'
import { openDelivery } from './jobs/delivery.ts'
import { type DriveJobDeps, driveJob } from './jobs/drive-job.ts'
import { type LiveJob, LiveJobs } from './jobs/live-job.ts'
import { findUnfinished, recoverJobs } from './jobs/recover-jobs.ts'
import { startLoops } from './loops.ts'
import { JobCounters } from './operator/metrics/job-counters.ts'
import { openOperator } from './operator/open-operator.ts'
import { type OpenPort, openPort, serveExecutorsOn, serveValidatorsOn } from './ports/open-port.ts'
import { Pins } from './receipts/pins.ts'
import { SeenSignatures } from './validators/authenticate.ts'
import { connectionHandlers } from './validators/handlers.ts'
import { ValidatorConnections } from './validators/validator-connection.ts'
import { ValidatorList } from './validators/validator-list.ts'

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
  /** Changes the pools; running jobs stay. Rejects, and changes nothing, when a new pool cannot be opened. */
  reload(pools: readonly PoolSettings[]): Promise<void>
}

/**
 * Starts a miner. Disposing of it takes no new job, lets running ones go on for the set time, and closes everything.
 */
export async function startMiner(deps: MinerDeps, signal: AbortSignal): Promise<RunningMiner> {
  const { config, hotkey, clock, log } = deps
  await using stack = new AsyncDisposableStack()
  const parts = await openParts(deps, stack)
  const { horde } = parts
  const ports = await openPorts(config, horde.hosts, log, stack)
  const { port } = ports.validators
  horde.begin(ports.executors.port)
  const jobs = jobRunner(parts, config)
  for (const job of recoverJobs(parts.unfinished, parts)) jobs.drive(job)
  servePeers(ports, { ...parts, drive: jobs.drive }, deps)

  const announcer = announcerOf(deps, port)
  const committer = committerOf(deps, horde)
  const operator = { ...deps, ...parts, announcer, committer, port }
  const { adminPort, health } = await openOperator(operator, signal, stack)
  stack.defer(() => jobs.stop(config.STOP_GRACE_SECONDS * 1000))
  stack.defer(() => horde.close())
  startPreload(horde.pools(), clock, log, stack)
  horde.keepWarm()
  startLoops({ ...deps, ...parts, announcer, committer }, signal, stack)
  log.info({ hotkey: hotkey.ss58, port, adminPort }, 'miner started')

  const opened = stack.move()
  return {
    port,
    adminPort,
    health,
    announcement: () => announcer.state(),
    reload: pools => horde.reload(pools),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

type Parts = Awaited<ReturnType<typeof openParts>>

/** Opens what the miner works with, and finds the jobs and executors of an earlier run. Serves no peer yet. */
async function openParts(deps: MinerDeps, stack: AsyncDisposableStack) {
  const { config, chain, db, clock, log } = deps
  const registry = createMetrics('miner')
  const counters = new JobCounters(registry, clock)
  const live = new LiveJobs()
  const channels = new ExecutorChannels(clock)
  const horde = stack.use(await openHorde(deps, channels))
  const common = { db, counters, clock, log, live, channels, horde }
  const unfinished = await findUnfinished(common)
  const connections = new ValidatorConnections(config.MAX_CONNECTIONS_PER_VALIDATOR)
  const keepMs = config.RESULTS_KEPT_DAYS * DAY_MS
  const delivery = stack.use(openDelivery({ ...common, connections, keepMs }))
  const { BITTENSOR_NETUID: netuid, EXTRA_VALIDATORS: extra, BANNED_VALIDATORS: banned } = config
  const validators = new ValidatorList({ chain, netuid, extra, banned, clock, log })
  return { ...common, registry, unfinished, connections, delivery, validators }
}

/** From now on validators and executors are served on the ports. `drive` starts the driver of an accepted job. */
function servePeers(ports: Ports, parts: Parts & { drive(job: LiveJob): void }, { config, hotkey }: MinerDeps): void {
  const { channels, connections, counters, validators, clock, log } = parts
  const admission = new Admission(admissionRules(config, validators), clock)
  const from = config.SIGNED_FRAMES_FROM
  const proofs = {
    ...{ hotkey, isTrustedMiner: config.TRUSTED_MINER, pins: new Pins(parts.db, clock), clock },
    signedFromMs: from === undefined ? undefined : Date.parse(from),
  }
  serveValidatorsOn(ports.validators, {
    handlers: connectionHandlers({ ...parts, proofs, admission, floods: new FloodLog(clock, log) }),
    mainHotkey: config.MAIN_HOTKEY ?? hotkey.ss58,
    validators,
    connections,
    rules: { minerHotkey: hotkey.ss58, seen: new SeenSignatures(clock), clock },
    authenticateWithinMs: config.AUTHENTICATE_SECONDS * 1000,
    counters,
    clock,
    log,
  })
  serveExecutorsOn(ports.executors, { channels, log })
}

function openHorde(
  { config, pools, openManager, hostFor, clock, log }: MinerDeps,
  channels: ExecutorChannels,
): Promise<Horde> {
  return Horde.open(pools, {
    openManager,
    hostFor,
    channels,
    startMs: config.EXECUTOR_START_SECONDS * 1000,
    graceMs: config.EXECUTOR_GRACE_SECONDS * 1000,
    clock,
    log,
  })
}

/** The ports for peers; the same one for both unless the settings name another for executors. */
type Ports = { validators: OpenPort; executors: OpenPort }

async function openPorts(
  config: MinerConfig,
  hosts: readonly string[],
  log: Log,
  stack: AsyncDisposableStack,
): Promise<Ports> {
  const { MAX_UNKNOWN_CONNECTIONS: maxUnauthenticated, MAX_UNKNOWN_CONNECTIONS_PER_ADDRESS: perGroup } = config
  const requestWithinMs = config.AUTHENTICATE_SECONDS * 1000
  const open = (host: string, port: number, maxUnauthenticatedPerGroup: number) =>
    openPort({ host, port, maxUnauthenticated, maxUnauthenticatedPerGroup, requestWithinMs, log }, stack)
  const validators = await open(config.LISTEN_HOST, config.BITTENSOR_MINER_PORT, perGroup)
  const port = config.PORT_FOR_EXECUTORS
  // 0 lets the system choose: that is never the public port.
  const apart = port !== undefined && (port === 0 || port !== config.BITTENSOR_MINER_PORT)
  if (!apart) return { validators, executors: validators }
  const [host, ...others] = config.LISTEN_HOST_FOR_EXECUTORS ? [config.LISTEN_HOST_FOR_EXECUTORS] : hosts
  if (host === undefined || others.length > 0) {
    const problem = `is needed: executors dial this miner at ${hosts.join(' and ')}`
    throw new ConfigError([{ name: 'LISTEN_HOST_FOR_EXECUTORS', problem }], minerSettings)
  }
  // A whole host's executors may come from one address, and all at once.
  return { validators, executors: await open(host, port, maxUnauthenticated) }
}

function announcerOf({ config, chain, hotkey, clock, log }: MinerDeps, port: number): Announcer {
  return new Announcer({
    ...{ chain, netuid: config.BITTENSOR_NETUID, hotkey, port, clock, log },
    given: config.BITTENSOR_MINER_ADDRESS,
    services: config.ADDRESS_SERVICES,
    checkEveryMs: config.ADDRESS_CHECK_SECONDS * 1000,
  })
}

/** Undefined when the settings keep the manifest off the chain. */
function committerOf({ config, chain, hotkey, log }: MinerDeps, horde: Horde): ManifestCommitter | undefined {
  if (!config.COMMIT_MANIFEST) return undefined
  const netuid = config.BITTENSOR_NETUID
  return new ManifestCommitter({ chain, netuid, hotkey, manifest: () => horde.manifest(), log })
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

function jobRunner(deps: Omit<DriveJobDeps, 'deadlines'>, config: MinerConfig) {
  const stopped = new AbortController()
  const running = new Set<Promise<void>>()
  const full: DriveJobDeps = {
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
    const run: Promise<void> = driveJob(job, full, stopped.signal)
      .catch(err => deps.log.error({ err, jobUuid: job.uuid }, 'job could not be driven'))
      .finally(() => running.delete(run))
    running.add(run)
  }
  // An offer that was being stored when the stop began may still start a job.
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
