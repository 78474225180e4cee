/** The command `check`: whether this miner can work, one line for everything that was looked at; its executors' lines follow. */
import { ownHotkey } from '@horde/chain/settings'
import { ConfigError } from '@horde/kit/config'
import { createLog } from '@horde/kit/log'
import { systemClock, withDeadline } from '@horde/kit/time'
import { type MinerConfig, readMinerConfig, readPools } from './config.ts'
import { openManager } from './horde/open.ts'
import { environmentOf, type PoolSettings } from './horde/pools/pool-settings.ts'

const EXIT_BAD = 1
/** How long an executor may take to look at its host, in milliseconds. */
const CHECK_MS = 120_000

/** Gives the exit code: 0 when everything is as it must be, else 1. */
export async function check(environment: NodeJS.ProcessEnv): Promise<number> {
  try {
    const config = readMinerConfig(environment)
    say('ok', 'settings: all can be read')
    const { ss58 } = await ownHotkey(config)
    say('ok', `hotkey: ${ss58}`)
    return await checkExecutors(config, ss58)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const { name, problem } of error.mistakes) say('bad', `settings: ${name} ${problem}`)
    return EXIT_BAD
  }
}

/** Has an executor of every pool look at its host, where executors run and with what they are given. */
async function checkExecutors(config: MinerConfig, hotkey: string): Promise<number> {
  const codes: number[] = []
  for (const pool of await readPools(config)) codes.push(await checkPool(pool, config, hotkey))
  return Math.max(...codes)
}

async function checkPool(pool: PoolSettings, config: MinerConfig, hotkey: string): Promise<number> {
  const { name, count, manager: kind, environment } = pool
  try {
    // Under a name of its own: what the miner's own executors do goes on.
    const owner = `check of ${hotkey}`
    const { processEnvironment } = config
    const stopWithinMs = config.EXECUTOR_STOP_SECONDS * 1000
    const log = createLog('miner', { level: 'warn' })
    const manager = await openManager(pool, {
      owner,
      processEnvironment,
      pullImage: false,
      stopWithinMs,
      clock: systemClock,
      log,
    })
    await using stack = new AsyncDisposableStack()
    stack.defer(() => manager.close?.())
    if (manager.check === undefined) {
      say('warn', `executors of ${name}: the manager ${kind} cannot check them`)
      return 0
    }
    say('ok', `executors of ${name}: ${count} by ${kind}, and what one finds out there:`)
    const executor = await manager.check(environmentOf({ environment, gpus: pool.gpus }, 0, false))
    stack.defer(() => executor.stop())
    const how = await withDeadline(executor.exited, CHECK_MS, 'the check of an executor')
    return how === 'exit code 0' ? 0 : EXIT_BAD
  } catch (error) {
    say('bad', `executors of ${name}: ${(error as Error).message}`)
    return EXIT_BAD
  }
}

function say(verdict: 'ok' | 'warn' | 'bad', text: string): void {
  process.stdout.write(`${verdict.padEnd(4)} ${text}\n`)
}
