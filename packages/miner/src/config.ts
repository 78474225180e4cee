/** The miner's settings, each an environment variable. */
import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { neuronSettings } from '@horde/chain/settings'
import {
  ConfigError,
  defineSettings,
  envBoolean,
  envDatabaseUrl,
  envInteger,
  envList,
  envPort,
  readSettings,
  type SettingsOf,
  setting,
} from '@horde/kit/config'
import { diskSettings, serviceSettings } from '@horde/kit/config/service-settings'
import { DEFAULT_CLASS, EXECUTOR_CLASSES } from '@horde/protocol/classes'
import { hotkey } from '@horde/protocol/primitives'
import { z } from 'zod'
import { EXECUTOR_PROGRAMS, programMistakes } from './horde/executor-program.ts'
import type { PoolSettings } from './horde/pools/pool-settings.ts'
import { EXECUTOR_SETTINGS } from './horde/pools/pool-settings.ts'
import { MAX_COUNT, readPoolsFile } from './horde/pools/pools-file.ts'

const seconds = (byDefault: number, max = 86_400) => envInteger({ min: 0, max }).default(byDefault)

const address = z
  .string()
  .refine(text => text === 'auto' || (isIP(text) !== 0 && !text.includes('%')), 'must be auto or an IP address')
  .default('auto')

const hotkeys = envList
  .refine(all => all.every(each => hotkey.safeParse(each).success), 'must be ss58 addresses, separated by commas')
  .default([])

const time = z.iso.datetime({ offset: true, error: 'must be a time with a zone, such as 2026-12-24T00:00:00Z' })

export const minerSettings = defineSettings({
  ...neuronSettings,
  BITTENSOR_MINER_PORT: setting(envPort.default(8000), {
    about: 'The port on which validators connect, announced on the chain.',
    example: '8000',
  }),
  BITTENSOR_MINER_ADDRESS: setting(address, {
    about: 'The address announced on the chain: auto, or an IP address.',
    example: '203.0.113.7',
  }),
  LISTEN_HOST: setting(z.string().default('0.0.0.0'), {
    about: 'The address that the port for validators is opened on.',
    example: '0.0.0.0',
  }),
  ADDRESS_FOR_EXECUTORS: setting(z.string().optional(), {
    about:
      'The host that executors dial to reach this miner. ' +
      "Unset: the address of Docker's bridge for EXECUTOR_MANAGER=docker, else 127.0.0.1.",
    example: '172.17.0.1',
  }),
  PORT_FOR_EXECUTORS: setting(envPort.optional(), {
    about:
      'The port that executors dial. When it differs from BITTENSOR_MINER_PORT, executors are served only there. ' +
      'Unset: BITTENSOR_MINER_PORT.',
    example: '8001',
  }),
  LISTEN_HOST_FOR_EXECUTORS: setting(z.string().optional(), {
    about: 'The address that PORT_FOR_EXECUTORS is opened on. Unset: ADDRESS_FOR_EXECUTORS.',
    example: '172.17.0.1',
  }),
  EXECUTOR_MANAGER: setting(z.string().default('docker'), {
    about: 'What starts executors: docker, process, or the path of a module of your own.',
    example: 'docker',
  }),
  EXECUTOR_IMAGE: setting(z.string().default('compute-horde/executor:v0'), {
    about: 'The image of an executor, for EXECUTOR_MANAGER=docker.',
    example: 'compute-horde/executor:v0',
  }),
  EXECUTOR_PROGRAM: setting(
    z.enum(EXECUTOR_PROGRAMS, `must be one of ${EXECUTOR_PROGRAMS.join(', ')}`).default('compute-horde'),
    {
      about:
        "What the executor image is: compute-horde for this project's executor, python-2024 or python-2026 for one " +
        "that ComputeHorde published in that year. It decides the executor's command and its dialect.",
      example: 'python-2026',
    },
  ),
  EXECUTOR_FOLDER: setting(z.string().optional(), {
    about: 'The folder with manage.py of a Python executor, for EXECUTOR_MANAGER=process.',
    example: '/opt/compute-horde-executor/app/src',
  }),
  EXECUTOR_NETWORK: setting(z.string().optional(), {
    about:
      "The engine's network that executors' containers join, for EXECUTOR_MANAGER=docker on this machine. " +
      "Unset: the engine's bridge.",
    example: 'compute-horde-executors',
  }),
  EXECUTOR_CLASS: setting(
    z.enum(EXECUTOR_CLASSES, `must be one of ${EXECUTOR_CLASSES.join(', ')}`).default(DEFAULT_CLASS),
    {
      about: 'The hardware class of the executors.',
      example: DEFAULT_CLASS,
    },
  ),
  EXECUTOR_COUNT: setting(envInteger({ min: 0, max: MAX_COUNT }).default(1), {
    about: 'How many executors may run at once.',
    example: '1',
  }),
  CLASS_MISMATCH: setting(z.enum(['refuse', 'warn']).default('refuse'), {
    about:
      "What to do when a pool's GPUs are surely not those of its class: " +
      'leave it out of the manifest and decline its offers, or only warn.',
    example: 'warn',
  }),
  EXECUTOR_ENV_NAMES: setting(envList.default(EXECUTOR_SETTINGS), {
    about: "Names of variables of the miner's environment that are passed on to executors, separated by commas.",
    example: 'MEMORY_LIMIT_BYTES,PULL_TIMEOUT_SECONDS',
  }),
  EXECUTOR_WARM_COUNT: setting(envInteger({ min: 0, max: MAX_COUNT }).default(0), {
    about: 'How many executors are kept started and connected, so that jobs need not wait for a start.',
    example: '1',
  }),
  POOLS_FILE: setting(z.string().optional(), {
    about:
      'A YAML file with pools of executors, of several classes or on several hosts; read again on SIGHUP. ' +
      'Unset: one pool from the EXECUTOR_ settings.',
    example: '/etc/compute-horde/pools.yml',
  }),
  DOCKER_SOCKET: setting(z.string().default('/var/run/docker.sock'), {
    about: "The container engine's socket, for EXECUTOR_MANAGER=docker.",
    example: '/var/run/docker.sock',
  }),
  DEBUG_SKIP_PULLING_EXECUTOR_IMAGE: setting(envBoolean.default(false), {
    about: 'Whether the miner does not pull an executor image that the engine lacks.',
    example: 'true',
  }),
  DATABASE_URL: setting(envDatabaseUrl.optional(), {
    about:
      'Where jobs are kept: postgres://user:password@host/name, or pglite://folder for the embedded database. ' +
      'Unset: the embedded one in ~/.compute-horde/miner.',
    example: 'postgres://miner:password@localhost/miner',
    secret: true,
  }),
  EXTRA_VALIDATORS: setting(hotkeys, {
    about: 'Hotkeys that are always served as validators, whatever the chain says, separated by commas.',
    example: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
  }),
  BANNED_VALIDATORS: setting(hotkeys, {
    about: 'Hotkeys that are never served, separated by commas.',
    example: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
  }),
  SIGNED_FRAMES_FROM: setting(time.optional(), {
    about:
      'From when on validators of the dialect v2026 must sign their offers and work. ' +
      'Unset: only those that have signed within 7 days.',
    example: '2026-12-24T00:00:00Z',
  }),
  MAIN_HOTKEY: setting(
    z
      .string()
      .refine(text => hotkey.safeParse(text).success, 'must be an ss58 address')
      .optional(),
    {
      about: "The hotkey that validators of v2026 are told as this miner's main one. Unset: its own.",
      example: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
    },
  ),
  TRUSTED_MINER: setting(envBoolean.default(false), {
    about: "Whether validators may write 48 zeros in place of this miner's hotkey: it is their trusted miner.",
    example: 'true',
  }),
  VALIDATORS_REFRESH_SECONDS: setting(envInteger({ min: 1, max: 86_400 }).default(60), {
    about: 'How often the list of validators is read from the chain, in seconds.',
    example: '60',
  }),
  MIGRATING: setting(envBoolean.default(false), {
    about:
      'Whether this miner is about to move or stop: it announces nothing and accepts no offers, ' +
      'but finishes its jobs and delivers their results.',
    example: 'true',
  }),
  ANNOUNCE_SECONDS: setting(envInteger({ min: 1, max: 86_400 }).default(60), {
    about: 'How often the announced address is compared with the chain, in seconds.',
    example: '60',
  }),
  COMMIT_MANIFEST: setting(envBoolean.default(false), {
    about:
      'Whether the miner commits its manifest to the chain, behind what else its hotkey has committed there, for ' +
      'validators that read it there. It stays there when this is unset.',
    example: 'true',
  }),
  ADDRESS_SERVICES: setting(envList.default(['https://checkip.amazonaws.com', 'https://api.ipify.org']), {
    about: "URLs that answer with the caller's public address, for BITTENSOR_MINER_ADDRESS=auto.",
    example: 'https://checkip.amazonaws.com',
  }),
  ADDRESS_CHECK_SECONDS: setting(envInteger({ min: 1, max: 604_800 }).default(600), {
    about: 'How often the services are asked again whether the address has changed, in seconds.',
    example: '600',
  }),
  AUTHENTICATE_SECONDS: setting(envInteger({ min: 1, max: 3_600 }).default(5), {
    about: 'How long a connection may take to ask for a WebSocket, and then to authenticate, in seconds.',
    example: '5',
  }),
  MAX_UNKNOWN_CONNECTIONS: setting(envInteger({ min: 1, max: 65_535 }).default(256), {
    about:
      'How many unauthenticated connections one port may have; ' +
      'one more closes the oldest one of the address that has most.',
    example: '256',
  }),
  MAX_UNKNOWN_CONNECTIONS_PER_ADDRESS: setting(envInteger({ min: 1, max: 65_535 }).default(64), {
    about:
      'The same for one IPv4 address, or one /64 of IPv6. ' +
      'Set it to MAX_UNKNOWN_CONNECTIONS when all peers share one address, such as that of a proxy.',
    example: '64',
  }),
  MAX_CONNECTIONS_PER_VALIDATOR: setting(envInteger({ min: 1, max: 4_096 }).default(256), {
    about: 'How many connections one validator may have at once; v2026 validators open one for each job.',
    example: '256',
  }),
  MAX_OPEN_JOBS_PER_VALIDATOR: setting(envInteger({ min: 1, max: 1_000_000 }).default(1_024), {
    about: 'How many open jobs one validator may have; further offers are declined.',
    example: '1024',
  }),
  MAX_OFFERS_PER_MINUTE: setting(envInteger({ min: 1, max: 1_000_000 }).default(6_000), {
    about: 'How many offers one validator may make within a minute, all at once or one by one; more are declined.',
    example: '6000',
  }),
  MAX_TIMEOUT_SECONDS: setting(envInteger({ min: 1, max: 31_536_000 }).default(86_400), {
    about: 'The longest time limit that a job may ask for, in seconds; an offer that asks for more is declined.',
    example: '86400',
  }),
  EXECUTOR_START_SECONDS: setting(seconds(60), {
    about: "How long an executor may take to connect, beyond its class's spin-up time, in seconds.",
    example: '60',
  }),
  PREPARE_SECONDS: setting(seconds(300), {
    about: 'How long an executor may take to prepare a job, image pulls included, in seconds.',
    example: '300',
  }),
  WORK_SECONDS: setting(seconds(300), {
    about: 'How long a job that is ready waits for its work, in seconds.',
    example: '300',
  }),
  RUN_SLACK_SECONDS: setting(seconds(660), {
    about: "How long a run may take beyond the job's own time limit, input and upload included, in seconds.",
    example: '660',
  }),
  DEFAULT_TIMEOUT_SECONDS: setting(seconds(300), {
    about: 'The time limit of a job whose offer names none, in seconds.',
    example: '300',
  }),
  EXECUTOR_GRACE_SECONDS: setting(seconds(70), {
    about: 'How long an executor whose connection was lost may take to come back, in seconds.',
    example: '70',
  }),
  EXECUTOR_STOP_SECONDS: setting(seconds(10), {
    about: 'How long an executor may take to clean up before it is killed, in seconds.',
    example: '10',
  }),
  STOP_GRACE_SECONDS: setting(seconds(0), {
    about: 'How long running jobs may go on when the miner is stopped, in seconds.',
    example: '300',
  }),
  RESULTS_KEPT_DAYS: setting(envInteger({ min: 1, max: 365 }).default(7), {
    about: 'How long an undelivered result is kept for its validator, in days.',
    example: '7',
  }),
  ...diskSettings,
  DELIVERED_RESULTS_KEPT_HOURS: setting(envInteger({ min: 0, max: 8_760 }).default(24), {
    about:
      'How long the output of a job is kept whole after its delivery, in hours; ' +
      'then only its beginning and end are kept.',
    example: '24',
  }),
  JOBS_KEPT_DAYS: setting(envInteger({ min: 1, max: 3_650 }).default(30), {
    about: 'How long ended jobs are kept, in days; undelivered ones are kept for RESULTS_KEPT_DAYS in any case.',
    example: '30',
  }),
  RECEIPTS_KEPT_DAYS: setting(envInteger({ min: 1, max: 3_650 }).default(7), {
    about: 'How long the receipts of jobs of the dialect v2026 are kept, in days.',
    example: '7',
  }),
  ...serviceSettings,
})

export type MinerConfig = SettingsOf<typeof minerSettings> & {
  /** DATABASE_URL, or the place of the embedded database without it. */
  databaseUrl: string
  /** The variables of the miner's environment that executors get. */
  executorEnvironment: Readonly<Record<string, string>>
  /** The variables that every child process needs. */
  processEnvironment: Readonly<Record<string, string>>
}

/** Variables that any program needs, an executor among them. */
const NEEDED_BY_PROCESSES = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'DOCKER_HOST', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE']

/** @throws ConfigError that lists every mistake */
export function readMinerConfig(env: NodeJS.ProcessEnv): MinerConfig {
  const settings = readSettings(minerSettings, env)
  return {
    ...settings,
    databaseUrl: settings.DATABASE_URL ?? `pglite://${homedir()}/.compute-horde/miner`,
    executorEnvironment: pick(env, settings.EXECUTOR_ENV_NAMES),
    processEnvironment: pick(env, NEEDED_BY_PROCESSES),
  }
}

/**
 * The pools of executors that the settings name; the file is read each time.
 *
 * @throws ConfigError with every mistake in it
 */
export async function readPools(config: MinerConfig): Promise<PoolSettings[]> {
  const defaults = {
    manager: config.EXECUTOR_MANAGER,
    image: config.EXECUTOR_IMAGE,
    program: config.EXECUTOR_PROGRAM,
    folder: config.EXECUTOR_FOLDER,
    engine: { socket: config.DOCKER_SOCKET },
    environment: config.executorEnvironment,
  }
  if (config.POOLS_FILE !== undefined) return readPoolsFile(config.POOLS_FILE, defaults)
  const { EXECUTOR_CLASS: executorClass, EXECUTOR_COUNT: count, EXECUTOR_WARM_COUNT: warm } = config
  const pool = { ...defaults, name: executorClass, executorClass, count, warm, gpus: [], address: undefined }
  const mistakes = programMistakes(pool).map(({ key, problem }) => ({ name: SETTING_OF[key], problem }))
  if (mistakes.length > 0) throw new ConfigError(mistakes, minerSettings)
  return [pool]
}

/** The settings of the one pool without a file. */
const SETTING_OF = {
  count: 'EXECUTOR_COUNT',
  warm: 'EXECUTOR_WARM_COUNT',
  gpus: 'POOLS_FILE',
  folder: 'EXECUTOR_FOLDER',
}

function pick(env: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap(name => (env[name] === undefined ? [] : [[name, env[name]]])))
}
