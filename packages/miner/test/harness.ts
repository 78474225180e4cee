/** A real miner on loopback for tests, with scripted peers: validators and executors. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Chain } from '@horde/chain/chain'
import { connectSubtensor } from '@horde/chain/subtensor'
import { type Hotkey, hotkeyFromUri } from '@horde/chain/wallet'
import { startDevchain } from '@horde/devchain/devchain'
import { type Database, type OpenDatabase, openDatabase } from '@horde/kit/database'
import { type Log, silentLog } from '@horde/kit/log'
import { type Clock, systemClock, withDeadline } from '@horde/kit/time'
import { WAIT_MS } from '@horde/testing/limits'
import { minerKey, secondValidatorKey, validatorKey } from '@horde/testing/peers/validator'
import { type RunningMiner, startMiner } from '../src/app.ts'
import { readMinerConfig, readPools } from '../src/config.ts'
import { jobs, pins, receipts } from '../src/db/schema.ts'
import type { ExecutorManager, ExecutorOrder, StartedExecutor } from '../src/horde/manager.ts'
import type { PoolSettings } from '../src/horde/pools/pool-settings.ts'

export const migrationsFolder = fileURLToPath(new URL('../drizzle', import.meta.url))
const NETUID = 1

/** A chain with two validators and the miner. */
export async function startChain(port = 0): Promise<{ chain: Chain; url: string } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const neuron = (key: Hotkey, tao: number) => ({ hotkey: key.ss58, coldkey: key.ss58, stake: `${tao}000000000` })
  const neurons = [neuron(validatorKey(), 5000), neuron(secondValidatorKey(), 3000), neuron(minerKey(), 0)]
  const subnets = [{ netuid: NETUID, neurons }]
  const genesis = { balances: {}, sudo: hotkeyFromUri('//Alice').ss58, subnets }
  const devchain = stack.use(await startDevchain({ port, blockMs: 200, genesis }))
  const chain = stack.use(await connectSubtensor({ endpoints: [devchain.url], log: silentLog }))
  const opened = stack.move()
  return { chain, url: devchain.url, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** A manager for scripted executors: each order waits until the test takes it. */
export class ScriptedManager implements ExecutorManager {
  readonly #orders: ExecutorOrder[] = []
  readonly #waiting: ((order: ExecutorOrder) => void)[] = []
  readonly #exits = new Map<string, (how: string) => void>()
  readonly stopped: string[] = []
  /** The same, with the time that each executor was given. */
  readonly stops: { token: string; withinMs: number | undefined }[] = []
  failNext = false
  /** Tokens of executors of an earlier run that still run. */
  readonly orphans = new Set<string>()

  async start(order: ExecutorOrder) {
    if (this.failNext) {
      this.failNext = false
      throw new Error('no executor today')
    }
    const taker = this.#waiting.shift()
    if (taker) taker(order)
    else this.#orders.push(order)
    return this.#executor(order.token)
  }

  async takeOver(tokens: ReadonlySet<string>) {
    return new Map([...this.orphans].filter(token => tokens.has(token)).map(token => [token, this.#executor(token)]))
  }

  #executor(token: string): StartedExecutor {
    const exited = new Promise<string>(resolve => this.#exits.set(token, resolve))
    const stop = async (withinMs?: number) => {
      this.stopped.push(token)
      this.stops.push({ token, withinMs })
      this.exit(token, 'stopped')
    }
    return { id: 'scripted', exited, stop }
  }

  /** The next executor that the miner asked for. */
  async order(): Promise<ExecutorOrder> {
    const ready = this.#orders.shift()
    if (ready) return ready
    const next = new Promise<ExecutorOrder>(resolve => this.#waiting.push(resolve))
    return withDeadline(next, WAIT_MS, 'an executor to be asked for')
  }

  exit(token: string, how = 'exit code 1'): void {
    this.#exits.get(token)?.(how)
  }
}

export type TestMiner = RunningMiner & { db: Database; manager: ExecutorManager; url: string }

export type MinerOptions = {
  chain: Chain
  chainUrl: string
  manager: ExecutorManager
  databaseUrl?: string
  /** An open database, in place of one of its own. */
  database?: Database
  addressForExecutors?: string
  /** What starts the executors of each pool, in place of `manager` for all. */
  openManager?(pool: PoolSettings): Promise<ExecutorManager>
  env?: Record<string, string>
  clock?: Clock
  log?: Log
  /** Puts what an earlier run left into the database. */
  before?(db: Database): Promise<void>
  /** Whether to wait until the miner is ready. Unset: unless it is migrating. */
  isAwaited?: boolean
  /** What the miner is given instead of the database. */
  disturb?(db: Database): Database
}

const IN_MEMORY = 'pglite://memory'
/** A database in memory that no miner has now: to make one takes half a second of processor time. */
let spare: OpenDatabase | undefined

/** Opens a miner's database. One in memory is lent: the next miner of the same file has it, emptied. */
async function openOwnDatabase(url: string): Promise<{ db: Database } & AsyncDisposable> {
  if (url !== IN_MEMORY) return openDatabase({ url, migrationsFolder })
  const lent = spare ?? (await openDatabase({ url, migrationsFolder }))
  spare = undefined
  const giveBack = async () => {
    for (const table of [jobs, receipts, pins]) await lent.db.delete(table)
    if (spare) await lent[Symbol.asyncDispose]()
    else spare = lent
  }
  return { db: lent.db, [Symbol.asyncDispose]: giveBack }
}

export async function startTestMiner(options: MinerOptions): Promise<TestMiner> {
  await using stack = new AsyncDisposableStack()
  const { chain, manager, databaseUrl = IN_MEMORY, clock = systemClock } = options
  const { addressForExecutors = '127.0.0.1', log = silentLog, disturb = db => db } = options
  const config = readMinerConfig({
    BITTENSOR_NETUID: String(NETUID),
    BITTENSOR_NETWORK: options.chainUrl,
    BITTENSOR_MINER_ADDRESS: '127.0.0.2',
    BITTENSOR_MINER_PORT: '0',
    LISTEN_HOST: '127.0.0.1',
    DATABASE_URL: databaseUrl,
    ADMIN_PORT: '0',
    // A scripted executor has no engine to watch.
    EXECUTOR_MANAGER: 'process',
    ...options.env,
  })
  const db = options.database ?? stack.use(await openOwnDatabase(databaseUrl)).db
  await options.before?.(db)
  const aborted = new AbortController()
  const deps = {
    config,
    chain,
    hotkey: minerKey(),
    pools: await readPools(config),
    openManager: options.openManager ?? (() => Promise.resolve(manager)),
    hostFor: () => Promise.resolve(addressForExecutors),
    db: disturb(db),
    reclaimSpace: async () => {},
    clock,
    log,
  }
  const miner = stack.use(await startMiner(deps, aborted.signal))
  stack.defer(() => aborted.abort())
  const isAwaited = options.isAwaited ?? !config.MIGRATING
  while (isAwaited && !(await miner.health()).ready) await clock.sleep(20)
  const opened = stack.move()
  const url = `ws://127.0.0.1:${miner.port}`
  return { ...miner, db, manager, url, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'miner-test-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
