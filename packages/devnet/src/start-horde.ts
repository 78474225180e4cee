/** Starts a local horde: a chain, miners and a validator, each as a process with its files in one folder. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Chain } from '@horde/chain/chain'
import { isServing } from '@horde/chain/metagraph'
import { connectSubtensor } from '@horde/chain/subtensor'
import { silentLog } from '@horde/kit/log'
import { type Clock, systemClock, withDeadline } from '@horde/kit/time'
import { type Member, makeWallets, NETUID, writeGenesis } from './genesis.ts'
import { buildExecutorImage, checkRequirements } from './requirements.ts'
import { Service, type ServiceLine } from './service.ts'

/** Node's compile cache. With it a service starts in two thirds of the processor time. */
const COMPILE_CACHE = fileURLToPath(new URL('../../../node_modules/.cache/compute-horde', import.meta.url))

/** A loopback address that can be announced on the chain, unlike 127.0.0.1. */
const MINER_HOST = '127.0.0.2'
/** How long one service may take to start, in milliseconds. */
const START_WITHIN_MS = 40_000
/** How long the miners may take to announce themselves and to become ready, in milliseconds. */
const SERVE_WITHIN_MS = 40_000
const POLL_MS = 250

export const EXECUTOR_KINDS = ['process', 'docker'] as const
export type ExecutorKind = (typeof EXECUTOR_KINDS)[number]

const HASHCAT_IMAGE = 'compute-horde/hashcat:v0'
const EXECUTOR_IMAGE = 'compute-horde/executor:v0'
const PYTHON_IMAGE = 'compute-horde/python:3.11'
/** Local names for the images that v0 validators use, so that a local horde needs no registry. */
const IMAGE_ALIASES = [
  `backenddevelopersltd/compute-horde-job:v0-latest=${HASHCAT_IMAGE}`,
  'backenddevelopersltd/compute-horde-job-echo:v0-latest=compute-horde/echo:v0',
  `python:3.11-slim=${PYTHON_IMAGE}`,
].join(',')

export type HordeOptions = {
  miners: number
  executors?: ExecutorKind
  blockMs?: number
  /** The chain's port; 0 lets the system choose. */
  chainPort?: number
  /** The length of the passwords that jobs crack, in characters: 3 or 4 suit a laptop's processor. */
  passwordLength?: number
  /** Seconds from the start of one batch to the start of the next. */
  batchSeconds?: number
  /** Settings of the services beside those of a local horde. */
  settings?: { miner?: Record<string, string>; validator?: Record<string, string> }
  onLine?: (line: ServiceLine) => void
  clock?: Clock
  signal?: AbortSignal
  /** The environment of devnet itself; services get only the variables that every program needs. */
  environment: Readonly<Record<string, string | undefined>>
}

export type RunningMiner = { member: Member; service: Service; url: string; adminUrl: string }

export type Horde = AsyncDisposable & {
  folder: string
  chainUrl: string
  chain: Chain
  validator: Member
  miners: RunningMiner[]
  /** Starts the validator: without arguments it serves, `batch --json` runs one batch. `watch` gets its lines. */
  startValidator(args: readonly string[], watch?: (line: ServiceLine) => void): Service
  /** Never resolves; rejects when a miner exits unexpectedly. */
  rejectOnExit(): Promise<never>
}

/** Starts everything but the validator. Resolves once every miner is announced on the chain and ready. */
export async function startHorde(options: HordeOptions): Promise<Horde> {
  const { executors = 'process', clock = systemClock, onLine = () => {}, signal } = options
  await checkRequirements([HASHCAT_IMAGE])
  if (executors === 'docker') await buildExecutorImage()
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'compute-horde-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const wallets = join(folder, 'wallets')
  const [validator, ...members] = await makeWallets(wallets, options.miners)
  if (!validator) throw new Error('no validator among the wallets')

  const inherited = inheritedVariables(options.environment)
  const start = (
    program: keyof typeof MAINS,
    name: string,
    environment: Record<string, string>,
    args: readonly string[] = [],
  ) => {
    return stack.use(
      new Service({
        name,
        main: mainOf(program),
        args,
        environment: { ...inherited, ...environment },
        onLine,
        clock,
        signal,
      }),
    )
  }
  const chainUrl = await startChain(folder, [validator, ...members], options, start)
  const common = {
    BITTENSOR_NETUID: String(NETUID),
    BITTENSOR_NETWORK: chainUrl,
    BITTENSOR_WALLET_DIRECTORY: wallets,
  }
  const connecting = connectSubtensor({ endpoints: [chainUrl], log: silentLog }).then(chain => stack.use(chain))
  const starting = members.map(member =>
    startMiner(member, { folder, common, executors, settings: options.settings?.miner }, start),
  )
  const [chain, ...miners] = await Promise.all([connecting, ...starting])
  const services = miners.map(({ service }) => service)
  stack.defer(async () => void (await Promise.all(services.map(service => service.stop()))))
  await waitUntilReady(chain, miners, clock, options.signal)

  const opened = stack.move()
  return {
    folder,
    chainUrl,
    chain,
    validator,
    miners,
    startValidator(args, watch) {
      const environment = { ...inherited, ...common, ...validatorSettings(validator, folder, options) }
      const main = mainOf('validator')
      const service = new Service({ name: 'validator', main, args, environment, onLine, clock, signal })
      if (watch) service.watch(watch)
      return opened.use(service)
    },
    rejectOnExit: () => Promise.race(services.map(service => service.rejectOnExit())),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

type Start = (
  program: keyof typeof MAINS,
  name: string,
  environment: Record<string, string>,
  args?: readonly string[],
) => Service

async function startChain(
  folder: string,
  members: readonly Member[],
  { blockMs = 1000, chainPort = 0 }: HordeOptions,
  start: Start,
): Promise<string> {
  const genesis = await writeGenesis(folder, members)
  const args = ['--port', String(chainPort), '--block-ms', String(blockMs), '--genesis', genesis]
  const line = await start('devchain', 'devchain', {}, args).line('listening', START_WITHIN_MS)
  return String(line.url)
}

type MinerOptions = {
  folder: string
  common: Record<string, string>
  executors: ExecutorKind
  settings: Record<string, string> | undefined
}

async function startMiner(
  member: Member,
  { folder, common, executors, settings }: MinerOptions,
  start: Start,
): Promise<RunningMiner> {
  const service = start('miner', member.name, {
    ...common,
    BITTENSOR_WALLET_NAME: member.name,
    BITTENSOR_MINER_ADDRESS: MINER_HOST,
    BITTENSOR_MINER_PORT: '0',
    LISTEN_HOST: MINER_HOST,
    PORT_FOR_EXECUTORS: '0',
    ADMIN_PORT: '0',
    EXECUTOR_MANAGER: executors,
    EXECUTOR_IMAGE,
    EXECUTOR_CLASS: 'always_on.test',
    PYTHON_IMAGE,
    IMAGE_ALIASES,
    ...(executors === 'process' ? { STATE_FOLDER: join(folder, 'executors') } : {}),
    VALIDATORS_REFRESH_SECONDS: '2',
    DATABASE_URL: await databaseIn(folder, member.name),
    ...settings,
  })
  const line = await service.line('miner started', START_WITHIN_MS)
  return {
    member,
    service,
    url: `ws://${MINER_HOST}:${String(line.port)}`,
    adminUrl: `http://127.0.0.1:${String(line.adminPort)}`,
  }
}

function validatorSettings(validator: Member, folder: string, options: HordeOptions): Record<string, string> {
  const length = String(options.passwordLength ?? 4)
  return {
    BITTENSOR_WALLET_NAME: validator.name,
    DATABASE_URL: `pglite://${join(folder, 'databases', validator.name)}`,
    SYNTHETIC_JOB_IMAGE: HASHCAT_IMAGE,
    ALLOW_PRIVATE_MINERS: 'true',
    HASHCAT_PASSWORD_LENGTH_SHA256: length,
    HASHCAT_PASSWORD_LENGTH_SHA384: length,
    HASHCAT_PASSWORD_LENGTH_SHA512: length,
    BATCH_INTERVAL_SECONDS: String(options.batchSeconds ?? 60),
    BATCH_AT_START: 'true',
    ADMIN_PORT: '0',
    ...options.settings?.validator,
  }
}

async function databaseIn(folder: string, name: string): Promise<string> {
  const databases = join(folder, 'databases')
  await mkdir(databases, { recursive: true })
  return `pglite://${join(databases, name)}`
}

/** Resolves once every miner has announced itself and reports that it is ready. */
async function waitUntilReady(
  chain: Chain,
  miners: readonly RunningMiner[],
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<void> {
  const poll = async () => {
    for (;;) {
      const { neurons } = await chain.metagraph(NETUID)
      const serving = miners.every(({ member }) => neurons.some(n => n.hotkey === member.hotkey && isServing(n)))
      if (serving && (await Promise.all(miners.map(isReady))).every(Boolean)) return
      await clock.sleep(POLL_MS, signal)
    }
  }
  const exited = Promise.race(miners.map(({ service }) => service.rejectOnExit()))
  exited.catch(() => {})
  await withDeadline(Promise.race([poll(), exited]), SERVE_WITHIN_MS, 'the miners to be ready', clock)
}

async function isReady({ adminUrl }: RunningMiner): Promise<boolean> {
  const response = await fetch(`${adminUrl}/health`).catch(() => undefined)
  await response?.body?.cancel()
  return response?.ok ?? false
}

/** The programs, each in a package that devnet depends on. */
const MAINS = {
  devchain: import.meta.resolve('@horde/devchain/main'),
  miner: import.meta.resolve('@horde/miner/main'),
  validator: import.meta.resolve('@horde/validator/main'),
}

function mainOf(program: keyof typeof MAINS): string {
  return fileURLToPath(MAINS[program])
}

/** Returns the variables of devnet's environment that every program needs. Services get no others. */
function inheritedVariables(environment: HordeOptions['environment']): Record<string, string> {
  const names = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'DOCKER_HOST', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'LOG_LEVEL']
  const passed = names.flatMap(name => (environment[name] ? [[name, environment[name]]] : []))
  return { ...Object.fromEntries(passed), NODE_COMPILE_CACHE: COMPILE_CACHE }
}
