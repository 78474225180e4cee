/** The command `check`: reports whether this miner can work, one line for each finding. Changes nothing. */
import { ownHotkey } from '@horde/chain/settings'
import { engineUrl } from '@horde/engine/engine-address'
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import { printFindings } from '@horde/kit/check/report'
import { createLog } from '@horde/kit/log'
import { systemClock as clock, withDeadline } from '@horde/kit/time'
import { checkDatabase } from '@horde/operator/check/database'
import { hotkeyFindings, settingsFindings } from '@horde/operator/check/own-settings'
import { diskRules, lookAtDisks } from '@horde/operator/watch/disk'
import { CLASSES } from '@horde/protocol/classes'
import { type MinerConfig, readMinerConfig, readPools } from '../config.ts'
import { migrationsFolder } from '../db/migrations.ts'
import { exitCodeOf } from '../horde/manager.ts'
import { openManager } from '../horde/open-manager.ts'
import { environmentOf, type PoolSettings } from '../horde/pools/pool-settings.ts'
import { addressFindings, chainFindings, portFinding } from '../operator/check.ts'
import { diskFolders } from '../operator/watches/disks.ts'
import { lookAtEngine } from '../operator/watches/engine.ts'
import { lookAtGpus } from '../operator/watches/gpus.ts'
import { enginesOf } from '../operator/watches/miner-watches.ts'
import { gpuPool } from '../operator/watches/used-gpus.ts'
import type { CommandDeps } from './command-line.ts'

/** How long an executor may take to check its host, in milliseconds. */
const CHECK_MS = 120_000

type Settings = { config: MinerConfig; pools: PoolSettings[] }

/** Returns the exit code: 0 when nothing is bad, else 1. */
export function check(deps: CommandDeps, signal: AbortSignal): Promise<number> {
  return printFindings(findings(deps, signal), deps.print)
}

async function* findings(deps: CommandDeps, signal: AbortSignal): AsyncGenerator<Finding> {
  const settings = yield* settingsFindings(() => readSettings(deps.environment))
  if (settings === undefined) return
  const { config } = settings
  if (config.MIGRATING)
    yield warn('migrating', 'the miner takes no new jobs', 'unset MIGRATING when it is to work again')
  const hotkey = yield* hotkeyFindings(() => ownHotkey(config))
  yield* surroundings(settings, hotkey, deps.databaseConnectMs, signal)
  yield* hosts(settings, hotkey)
}

async function readSettings(environment: NodeJS.ProcessEnv): Promise<Settings> {
  const config = readMinerConfig(environment)
  return { config, pools: await readPools(config) }
}

async function* surroundings(
  { config, pools }: Settings,
  hotkey: string | undefined,
  connectMs: number | undefined,
  signal: AbortSignal,
) {
  const metagraph = yield* chainFindings(config, pools, hotkey, signal)
  const owner = { service: 'miner', migrationsFolder, connectMs }
  const { finding, isInUse } = await checkDatabase(config.databaseUrl, owner, signal)
  yield finding
  yield await portFinding(config, hotkey, isInUse)
  yield* addressFindings(config, hotkey, metagraph, signal)
}

/** Checks the hosts of the executors. */
async function* hosts({ config, pools }: Settings, hotkey: string | undefined) {
  const engines = enginesOf(pools, config)
  yield* await lookAtDisks(await diskFolders(config, pools), diskRules(config))
  const missing = new Set<string>()
  for (const use of engines) {
    const found = await lookAtEngine(use)
    yield* found
    if (found.some(({ verdict }) => verdict !== 'ok')) missing.add(engineUrl(use.engine))
  }
  for (const pool of pools) {
    const { manager, engine, name } = pool
    if (manager === 'docker' && missing.has(engineUrl(engine))) {
      yield warn(`executors of ${name}`, 'could not be looked at', 'see the lines about their engine above')
    } else yield* poolFindings(pool, config, `check of ${hotkey ?? 'a miner'}`)
  }
}

/**
 * An executor with the pool's settings checks the host that it runs on.
 *
 * @param owner the owner of the executor that is started. Not the miner's, whose executors must not be disturbed
 */
async function* poolFindings(pool: PoolSettings, config: MinerConfig, owner: string): AsyncGenerator<Finding> {
  const subject = `executors of ${pool.name}`
  const { manager: kind, count, environment, gpus } = pool
  const log = createLog('miner', { level: 'warn', destination: process.stderr })
  const { processEnvironment, EXECUTOR_NETWORK: network } = config
  const stopWithinMs = config.EXECUTOR_STOP_SECONDS * 1000
  try {
    const manager = await openManager(pool, {
      ...{ owner, processEnvironment, network, pullImage: false, stopWithinMs, clock, log },
      startupSeconds: config.PREPARE_SECONDS,
    })
    await using stack = new AsyncDisposableStack()
    stack.defer(() => manager.close?.())
    if (manager.check === undefined) {
      const which = pool.program === 'compute-horde' ? `the manager ${kind}` : 'a Python executor'
      yield warn(subject, `${which} cannot check them`, 'look at their hosts yourself')
      return
    }
    yield* gpuFindings(pool)
    yield* await lookAtGpus(gpuPool(pool, manager, config))
    yield ok(subject, `${count} by ${kind}, and what one finds out there:`)
    const executor = await manager.check(environmentOf({ environment, gpus }, 0, false))
    stack.defer(() => executor.stop())
    const exit = Promise.all([executor.exited, exitCodeOf(executor)])
    const [how, code] = await withDeadline(exit, CHECK_MS, 'the check of an executor')
    if (code !== 0) yield bad(subject, `no job can run there (${how})`, 'see what is bad above')
  } catch (error) {
    yield bad(subject, `can not be checked: ${(error as Error).message}`, 'see what is bad above')
  }
}

function* gpuFindings({ name, executorClass, environment, gpus }: PoolSettings): Generator<Finding> {
  if (CLASSES[executorClass].preset !== 'nvidia_all' || gpus.length > 0) return
  if (environment.EXECUTOR_GPU_DEVICE_IDS?.trim() !== 'none') return
  const found = `pool ${name} is of a class with GPUs, ${executorClass}, and EXECUTOR_GPU_DEVICE_IDS=none`
  yield warn('gpus', found, 'jobs that want GPUs fail: name them, or choose another class')
}
