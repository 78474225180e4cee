/** The command `check`, as an operator runs it. */

import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { writeHotkeyFile } from '@horde/chain/wallet'
import { openDatabase } from '@horde/kit/database'
import { minerKey, secondValidatorKey, unknownKey, validatorKey } from '@horde/testing/peers/validator'
import { freePort } from '@horde/testing/port'
import { startPostgres } from '@horde/testing/postgres'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { migrationsFolder, startChain } from '../harness.ts'
import { startGpulessEngine } from '../horde/docker/gpuless-engine.ts'
import { newOperator, type Operator } from '../program.ts'

let stack: AsyncDisposableStack
let operator: Operator
let manager: string
let port: string
let network: string

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const chain = stack.use(await startChain())
  network = chain.url
  port = String(await freePort())
  operator = stack.use(
    await newOperator({
      ...{ BITTENSOR_NETWORK: chain.url, BITTENSOR_MINER_ADDRESS: '127.0.0.2', BITTENSOR_MINER_PORT: port },
      ...{ LISTEN_HOST: '127.0.0.1', EXECUTOR_GPU_DEVICE_IDS: 'none' },
    }),
  )
  manager = join(operator.folder, 'manager.mjs')
  await writeFile(manager, 'export const createExecutorManager = () => ({ start() {} })')
})
afterAll(() => stack.disposeAsync())

/** A miner without executors, because checking one takes seconds. */
const checkRest = (env: Record<string, string> = {}) =>
  operator.runHere(['check'], { EXECUTOR_MANAGER: manager, ...env })
/** The lines about a subject. */
const about = (subject: string, lines: readonly string[]) =>
  lines.filter(line => line.slice(5).startsWith(`${subject}: `))

describe.each(['process', 'docker'])('executors by %s', EXECUTOR_MANAGER => {
  it('check their host with the limits of jobs there', async () => {
    const { code, lines, stderr } = await operator.run(['check'], { EXECUTOR_MANAGER, PIDS_LIMIT: '77' })
    expect(stderr).toBe('')
    expect(lines.slice(0, 2)).toEqual(['ok   settings: all can be read', `ok   hotkey: ${minerKey().ss58}`])
    expect(lines).toContain(`ok   executors of always_on.test: 1 by ${EXECUTOR_MANAGER}, and what one finds out there:`)
    expect(lines).toContainEqual(expect.stringMatching(/^ok {3}seccomp: /))
    expect(lines).toContain('ok   limit: PIDS_LIMIT=77')
    expect(lines.filter(line => line.startsWith('bad'))).toEqual([])
    expect(code).toBe(0)
    if (EXECUTOR_MANAGER === 'docker') expect(lines).toContain('ok   image: compute-horde/executor:v0 is there')
  })

  it('fail the check when they could run no job', async () => {
    const { code, lines } = await operator.run(['check'], { EXECUTOR_MANAGER, RUNTIME: 'no-such' })
    expect(lines).toContainEqual(expect.stringMatching(/^bad {2}runtime: the engine has none named no-such/))
    expect(lines.at(-1)).toMatch(/^bad {2}executors of always_on\.test: no job can run there \(exit code 1\)/)
    expect(code).toBe(1)
  })
})

it('prints a line for everything when all is in order', async () => {
  const { code, lines } = await checkRest()
  const subjects = lines.map(line => line.slice(5).replace(/: .*/s, ''))
  expect(subjects).toEqual([
    ...['settings', 'hotkey', 'chain', 'clock', 'registration', 'validators', 'database', 'port', 'address'],
    ...['announced', 'disk', 'executors of always_on.test'],
  ])
  expect(about('chain', lines)).toEqual([
    expect.stringMatching(/^ok {3}chain: 127\.0\.0\.1:\d+ answers, block \d+, \d+ s old$/),
  ])
  expect(about('clock', lines)).toEqual([
    expect.stringMatching(/^ok {3}clock: \d\.\d s (ahead of|behind) the chain's$/),
  ])
  expect(about('registration', lines)).toEqual(['ok   registration: the hotkey has uid 2 on subnet 1'])
  expect(about('validators', lines)).toEqual([
    expect.stringMatching(
      /^ok {3}validators: 2 may talk to this miner .*: at most 64 \(the chain's MaxAllowedValidators\)/,
    ),
  ])
  expect(about('port', lines)).toEqual([
    `ok   port: ${port} on 127.0.0.1 is free; this check cannot see whether it can be reached from outside`,
  ])
  expect(about('address', lines)).toEqual([
    expect.stringMatching(/^warn address: 127\.0\.0\.2, as set, is not one of the internet/),
  ])
  expect(about('announced', lines)).toEqual([
    `warn announced: the chain says no address, not 127.0.0.2 port ${port}. To do: start the miner, or: announce; ` +
      `or, on a machine that has the hotkey: btcli tx serve-axon --netuid 1 --ip 127.0.0.2 --port ${port} ` +
      `--network ${network} --wallet default --wallet-hotkey default`,
  ])
  expect(about('executors of always_on.test', lines)).toEqual([
    `warn executors of always_on.test: the manager ${manager} cannot check them. To do: look at their hosts yourself`,
  ])
  expect(code).toBe(0)
})

it('lists all wrong settings at once', async () => {
  const { code, lines } = await checkRest({ BITTENSOR_NETUID: 'x', EXECUTOR_COUNT: 'y' })
  expect(lines).toEqual([
    expect.stringMatching(/^bad {2}settings: BITTENSOR_NETUID /),
    expect.stringMatching(/^bad {2}settings: EXECUTOR_COUNT /),
  ])
  expect(code).toBe(1)
})

it('checks the rest when the wallet is missing', async () => {
  const { code, lines } = await checkRest({ BITTENSOR_WALLET_HOTKEY_NAME: 'other' })
  expect(lines[1]).toMatch(/^bad {2}settings: BITTENSOR_WALLET_HOTKEY_NAME /)
  expect(about('validators', lines)).toEqual([expect.stringMatching(/^ok/)])
  expect(about('registration', lines)).toEqual([])
  expect(code).toBe(1)
})

it('prints the whole registration command for a hotkey that is not registered', async () => {
  await writeHotkeyFile({ directory: operator.folder, name: 'my-wallet', hotkey: 'miner-7' }, '//Unregistered')
  const names = { BITTENSOR_WALLET_NAME: 'my-wallet', BITTENSOR_WALLET_HOTKEY_NAME: 'miner-7' }
  const { code, lines } = await checkRest(names)
  const keys = `--network ${network} --wallet my-wallet --wallet-hotkey miner-7`
  expect(about('registration', lines)).toEqual([expect.stringContaining(`btcli subnets register --netuid 1 ${keys})`)])
  expect(code).toBe(1)
})

describe('the chain', () => {
  it('is bad when it does not know the subnet', async () => {
    const { code, lines } = await checkRest({ BITTENSOR_NETUID: '9' })
    expect(lines).toContainEqual(expect.stringMatching(/^bad {2}chain: .*the subnet does not exist/))
    expect(code).toBe(1)
  })

  it('is bad when it names no validators', async () => {
    const env = { BANNED_VALIDATORS: [validatorKey(), secondValidatorKey()].map(({ ss58 }) => ss58).join(',') }
    expect(about('validators', (await checkRest(env)).lines)).toEqual([expect.stringMatching(/^bad/)])
    const extra = { ...env, EXTRA_VALIDATORS: unknownKey().ss58 }
    expect(about('validators', (await checkRest(extra)).lines)).toEqual([expect.stringMatching(/^ok .* 1 may talk/)])
  })
})

describe('the database', () => {
  const database = async (DATABASE_URL: string) => about('database', (await checkRest({ DATABASE_URL })).lines)

  it('is not created by the check', async () => {
    const url = `pglite://${operator.folder}/new/database`
    for (const _ of Array(2))
      expect(await database(url)).toEqual([expect.stringMatching(/^ok {3}database: the first start makes it in /)])
    expect(await database(`pglite://${manager}/is/a/file`)).toEqual([
      expect.stringMatching(/^bad {2}database: can not be made in /),
    ])
  })

  it('is not migrated by the check', async () => {
    await using postgres = await startPostgres()
    const url = await postgres.newDatabase()
    for (const _ of Array(2))
      expect(await database(url)).toEqual([
        expect.stringMatching(/^ok {3}database: opens; the next start brings its tables up to date \(0000_jobs/),
      ])
    await using _ = await openDatabase({ url, migrationsFolder })
    expect(await database(url)).toEqual(['ok   database: opens, and its tables are up to date'])
  })

  it('is bad when a newer release has changed it', async () => {
    await using postgres = await startPostgres()
    const url = await postgres.newDatabase()
    await using opened = await openDatabase({ url, migrationsFolder })
    await opened.db.execute(
      sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('x', ${Date.UTC(2099, 0, 2)})`,
    )
    expect(await database(url)).toEqual([
      expect.stringMatching(
        /^bad {2}database: a newer release has changed the database .*To do: start the newer release/,
      ),
    ])
  })

  it('is bad when it does not answer, and its password is not printed', async () => {
    const [line = '', ...more] = await database('postgres://u:hunter2@127.0.0.1:1/x')
    expect(more).toEqual([])
    expect(line).toMatch(/^bad {2}database: cannot connect to Postgres at u@127\.0\.0\.1:1\/x/)
    expect(line).not.toContain('hunter2')
  })
})

it('warns while the miner is migrating', async () => {
  const { lines } = await checkRest({ MIGRATING: 'true' })
  expect(about('migrating', lines)).toEqual([expect.stringMatching(/^warn migrating: the miner takes no new jobs/)])
})

it('warns when another process holds the port', async () => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port: taken } = server.address() as { port: number }
  expect(about('port', (await checkRest({ BITTENSOR_MINER_PORT: String(taken) })).lines)).toEqual([
    expect.stringMatching(/^warn port: \d+ on 127\.0\.0\.1 is in use by an unknown process/),
  ])
  expect(about('port', (await checkRest({ LISTEN_HOST: '203.0.113.1' })).lines)).toEqual([
    expect.stringMatching(/^bad {2}port: \d+ on 203\.0\.113\.1 can not be opened \(EADDRNOTAVAIL\)/),
  ])
  await new Promise(resolve => server.close(resolve))
})

it('fails when a disk is too full', async () => {
  const { code, lines } = await checkRest({ DISK_FULL_BYTES: '9000000000000000' })
  expect(about('disk', lines)).toEqual([expect.stringMatching(/^bad {2}disk: .*To do: make room/)])
  expect(code).toBe(1)
})

it('checks the GPUs that executors use', async () => {
  const folder = join(operator.folder, 'programs')
  await mkdir(folder)
  await writeFile(join(folder, 'nvidia-smi'), "#!/bin/sh\necho '0, GPU-a, NVIDIA RTX A6000, 0, 49140'\n")
  await chmod(join(folder, 'nvidia-smi'), 0o755)
  const env = { EXECUTOR_MANAGER: 'process', PATH: `${folder}:${process.env.PATH}` }
  const { lines } = await checkRest({ ...env, EXECUTOR_GPU_DEVICE_IDS: '0,1' })
  expect(about('gpus', lines)).toEqual([expect.stringMatching(/^bad {2}gpus: 1 are here, but not 1\./)])
})

describe('a pool of a class with GPUs on an engine without any', () => {
  const EXECUTOR_IMAGE = 'compute-horde/echo:v0'
  let env: Record<string, string>
  let engine: Awaited<ReturnType<typeof startGpulessEngine>>
  beforeAll(async () => {
    engine = await startGpulessEngine(EXECUTOR_IMAGE)
    const base = { EXECUTOR_MANAGER: 'docker', DOCKER_SOCKET: engine.socket, EXECUTOR_IMAGE }
    env = { ...base, EXECUTOR_CLASS: 'always_on.gpu-24gb', EXECUTOR_GPU_DEVICE_IDS: 'all' }
  })
  afterAll(() => engine?.[Symbol.asyncDispose]())

  it('is bad, and the line has advice', async () => {
    const { code, lines } = await checkRest(env)
    expect(about('class', lines)).toEqual([
      expect.stringMatching(
        new RegExp(
          "^bad {2}class: pool .* is of the class .*, and the engine offers no GPUs\\. To do: install NVIDIA's .* " +
            'or choose another class; or insist by CLASS_MISMATCH=warn$',
        ),
      ),
    ])
    expect(code).toBe(1)
  })

  it('is a warning when the operator insists', async () => {
    const { lines } = await checkRest({ ...env, CLASS_MISMATCH: 'warn' })
    expect(about('class', lines)).toEqual([expect.stringMatching(/^warn class: pool .* the engine offers no GPUs/)])
  })
})

describe('an engine without the executor image', () => {
  const env = { EXECUTOR_MANAGER: 'docker', EXECUTOR_IMAGE: 'no/such:image' }
  it('is a warning when the miner may pull it', async () => {
    const { code, lines } = await checkRest(env)
    expect(about('image', lines)).toEqual([expect.stringMatching(/^warn image: no\/such:image is not there/)])
    expect(lines.at(-1)).toMatch(/^warn executors of always_on\.test: could not be looked at/)
    expect(code).toBe(0)
  })

  it('is bad when the miner must not pull it', async () => {
    const { code, lines } = await checkRest({ ...env, DEBUG_SKIP_PULLING_EXECUTOR_IMAGE: 'true' })
    expect(about('image', lines)).toEqual([expect.stringMatching(/^bad {2}image: no\/such:image is not there/)])
    expect(code).toBe(1)
  })
})

it('finds an engine bad that does not answer', async () => {
  const { code, lines } = await checkRest({ EXECUTOR_MANAGER: 'docker', DOCKER_SOCKET: '/nowhere.sock' })
  expect(about('engine', lines)).toEqual([
    expect.stringMatching(/^bad {2}engine: Docker at unix:\/\/\/nowhere\.sock is away: .*no such socket/),
  ])
  expect(code).toBe(1)
})
