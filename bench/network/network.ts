/** Starts a chain with registered validators and a miner, and runs the miner as a process, all in one folder. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Hotkey, hotkeyFromUri, writeHotkeyFile } from '@horde/chain/wallet'
import { startDevchain } from '@horde/devchain/devchain'
import { Relay } from '@horde/testing/peers/relay'
import { freePort } from '@horde/testing/port'
import { startPostgres } from '@horde/testing/postgres'
import { executorPids } from './executor-processes.ts'
import { MinerProcess } from './miner-process.ts'

const NETUID = 1
const BLOCK_MS = 1_000
const STAKE_RAO = '5000000000000'
const PYTHON_IMAGE = 'compute-horde/python:3.11'

export interface NetworkOptions {
  validators: number
  /** Whether the miner stores its jobs in Postgres. Otherwise it uses the embedded database. */
  postgres: boolean
  /** Further settings of the miner. */
  settings: Readonly<Record<string, string>>
  /** Whether to keep the miner's log when the network is closed. */
  keepLog?(): boolean
}

export interface Network extends AsyncDisposable {
  validators: Hotkey[]
  minerHotkey: string
  miner: MinerProcess
  /** The miner's address for validators, host:port. */
  address: string
  adminUrl: string
  /** Leads to the miner; a test can cut its connections. */
  relay: Relay
  databaseUrl: string
}

/** Starts everything but the miner. Disposing of it stops and removes everything, the miner included. */
export async function startNetwork({ keepLog = () => false, ...options }: NetworkOptions): Promise<Network> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'bench-'))
  stack.defer(async () => {
    if (keepLog()) process.stderr.write(`the miner's log is in ${folder}\n`)
    else await rm(folder, { recursive: true, force: true })
  })
  const seed = `0x${randomBytes(32).toString('hex')}`
  const validators = Array.from({ length: options.validators }, (_, at) => hotkeyFromUri(`${seed}//validator-${at}`))
  const minerUri = `${seed}//miner`
  const minerHotkey = hotkeyFromUri(minerUri).ss58
  await writeHotkeyFile({ directory: join(folder, 'wallets'), name: 'miner' }, minerUri)
  const neurons = [
    ...validators.map(({ ss58 }) => ({ hotkey: ss58, coldkey: ss58, stake: STAKE_RAO })),
    { hotkey: minerHotkey, coldkey: minerHotkey, stake: '0' },
  ]
  const genesis = { balances: {}, sudo: hotkeyFromUri('//Alice').ss58, subnets: [{ netuid: NETUID, neurons }] }
  const chain = stack.use(await startDevchain({ blockMs: BLOCK_MS, genesis }))
  const databaseUrl = options.postgres ? stack.use(await startPostgres()).url : `pglite://${join(folder, 'database')}`
  const [port, adminPort] = [await freePort(), await freePort()]
  const logFile = join(folder, 'miner.log')
  const environment = environmentOf({ folder, port, adminPort, databaseUrl, chainUrl: chain.url })
  const miner = new MinerProcess({ ...environment, ...options.settings }, logFile)
  stack.defer(async () => {
    await miner.kill()
    for (const pid of await executorPids(minerHotkey)) process.kill(pid, 'SIGKILL')
  })
  const relay = stack.use(await Relay.start(port))
  const opened = stack.move()
  return {
    validators,
    minerHotkey,
    miner,
    address: `127.0.0.1:${port}`,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    relay,
    databaseUrl,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

type EnvironmentOptions = { folder: string; port: number; adminPort: number; databaseUrl: string; chainUrl: string }

function environmentOf({ folder, port, adminPort, databaseUrl, chainUrl }: EnvironmentOptions): Record<string, string> {
  return {
    BITTENSOR_NETUID: String(NETUID),
    BITTENSOR_NETWORK: chainUrl,
    BITTENSOR_WALLET_DIRECTORY: join(folder, 'wallets'),
    BITTENSOR_WALLET_NAME: 'miner',
    BITTENSOR_MINER_ADDRESS: '127.0.0.2',
    BITTENSOR_MINER_PORT: String(port),
    LISTEN_HOST: '127.0.0.1',
    DATABASE_URL: databaseUrl,
    EXECUTOR_MANAGER: 'process',
    EXECUTOR_CLASS: 'always_on.test',
    ADMIN_PORT: String(adminPort),
    VALIDATORS_REFRESH_SECONDS: '2',
    PYTHON_IMAGE,
    STATE_FOLDER: join(folder, 'executors'),
    TMPDIR: folder,
    LOG_LEVEL: 'info',
  }
}
