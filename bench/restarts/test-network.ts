/** Starts a chain, a Postgres and simulated miners for one validator that is killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri, writeHotkeyFile } from '@horde/chain/wallet'
import { startDevchain } from '@horde/devchain/devchain'
import { openDatabase } from '@horde/kit/database'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import { startPostgres } from '@horde/testing/postgres'
import { PROGRAM_ENVIRONMENT } from '@horde/testing/runs/program-environment'
import type { RestartOptions } from './options.ts'

export const NETUID = 3
const HOST = '127.0.0.2'
const VALIDATOR_URI = '//Validator'
const STAKE = '5000000000000'
const MAIN = fileURLToPath(new URL('../../packages/validator/src/main.ts', import.meta.url))
const MINERS = fileURLToPath(new URL('../network/many-miners.ts', import.meta.url))
const MIGRATIONS = fileURLToPath(new URL('../../packages/validator/drizzle', import.meta.url))
/** From the start of a batch to the start of the next. A batch takes some seconds. */
const INTERVAL_SECONDS = '10'
const DAY_SECONDS = '86400'
/** A batch must outlast all kills that fall into it: the validator abandons what is late, which looks like a loss. */
const DEADLINE_SECONDS = '240'
const BLOCK_MS = 200
const MAX_LINES = 200

export async function startTestNetwork({ miners, executors, workSeconds, dialects }: RestartOptions) {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'horde-restarts-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const completed = new Set<string>()
  const ports = new Map<number, Dialect>()
  for (const dialect of dialects) {
    const onCompleted = (uuid: string) => void completed.add(uuid)
    ports.set(await startMiners({ dialect, executors, workSeconds, onCompleted }, stack), dialect)
  }
  const devchain = stack.use(await startDevchain({ blockMs: BLOCK_MS, genesis: genesisOf(miners, [...ports.keys()]) }))
  const chain = stack.use(await connectSubtensor({ endpoints: [devchain.url] }))
  while (!(await chain.metagraph(NETUID)).neurons[0]?.validatorPermit) await devchain.mineBlock()
  await writeHotkeyFile({ directory: folder, name: 'default', hotkey: 'default' }, VALIDATOR_URI)
  const postgres = stack.use(await startPostgres())
  const url = await postgres.newDatabase()
  const { db } = stack.use(await openDatabase({ url, migrationsFolder: MIGRATIONS }))
  const env = {
    ...{ BITTENSOR_NETUID: String(NETUID), BITTENSOR_NETWORK: devchain.url, BITTENSOR_WALLET_DIRECTORY: folder },
    ...{ DATABASE_URL: url, ALLOW_PRIVATE_MINERS: 'true', BENCHMARK: 'echo', BATCH_INTERVAL_SECONDS: INTERVAL_SECONDS },
    ...{
      BATCH_DEADLINE_SECONDS: DEADLINE_SECONDS,
      BATCH_GATHER_SECONDS: '3',
      WEIGHTS_CHECK_SECONDS: '2',
      LOG_LEVEL: 'info',
    },
  }
  const owned = stack.move()
  return {
    db,
    chain,
    /** The uuids of the jobs that the miners completed. */
    completed,
    dialects,
    /** The dialect of the miners at an address. */
    dialectAt: (address: string) => ports.get(Number(address.split(':').at(-1))),
    startValidator: ({ startsBatches = true } = {}) =>
      startValidator({ ...env, ...(startsBatches ? {} : { BATCH_INTERVAL_SECONDS: DAY_SECONDS }) }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

export type TestNetwork = Awaited<ReturnType<typeof startTestNetwork>>

/** Each miner has one of the ports in turn. */
function genesisOf(miners: number, ports: readonly number[]) {
  const coldkey = hotkeyFromUri('//Owner').ss58
  const neurons = [
    { hotkey: hotkeyFromUri(VALIDATOR_URI).ss58, coldkey, stake: STAKE },
    ...Array.from({ length: miners }, (_, i) => ({
      ...{
        hotkey: hotkeyFromUri(`//miner/${i}`).ss58,
        coldkey,
        axon: { ip: HOST, port: ports[i % ports.length] as number },
      },
    })),
  ]
  const hyperparameters = { CommitRevealWeightsEnabled: false, MinAllowedWeights: 1, WeightsSetRateLimit: 1 }
  return { sudo: coldkey, subnets: [{ netuid: NETUID, tempo: 2, hyperparameters, neurons }] }
}

interface SimulatedMiners {
  dialect: Dialect
  executors: number
  workSeconds: number
  onCompleted(uuid: string): void
}

/** Starts the process of all miners of one dialect. Returns their port. */
async function startMiners(miners: SimulatedMiners, stack: AsyncDisposableStack): Promise<number> {
  const { dialect, executors, workSeconds, onCompleted } = miners
  const options = ['--dialect', dialect, '--print-completed', '--work', String(workSeconds)]
  const child = spawn(process.execPath, [MINERS, String(executors), ...options], { stdio: ['pipe', 'pipe', 'inherit'] })
  stack.defer(async () => {
    const closed = once(child, 'close')
    child.stdin.end()
    await closed
  })
  const lines = createInterface({ input: child.stdout })
  const [port] = (await once(lines, 'line')) as [string]
  lines.on('line', onCompleted)
  return Number(port)
}

export interface ValidatorProcess {
  child: ChildProcess
  /** Resolves once it has started. Never resolves when it ends before. */
  started: Promise<void>
  /** Resolves to its exit code, or to null when a signal ended it. */
  ended: Promise<number | null>
  /** The last lines of its stdout, at most `MAX_LINES`. */
  lines: string[]
}

function startValidator(env: Record<string, string>): ValidatorProcess {
  const child = spawn(process.execPath, [MAIN], {
    env: { ...PROGRAM_ENVIRONMENT, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  const { promise: started, resolve } = Promise.withResolvers<void>()
  createInterface({ input: child.stdout }).on('line', line => {
    if (line.includes('"validator started"')) resolve()
    lines.push(line)
    if (lines.length > MAX_LINES) lines.shift()
  })
  return { child, lines, started, ended: once(child, 'close').then(([code]) => code as number | null) }
}
