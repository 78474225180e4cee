/** The commands, as an operator runs them. */
import { randomUUID } from 'node:crypto'
import { openDatabase } from '@horde/kit/database'
import { secondValidatorKey, unknownKey, validatorKey } from '@horde/testing/peers/validator'
import { freePort } from '@horde/testing/port'
import { startPostgres, type TestPostgres } from '@horde/testing/postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { insertJob } from '../../src/db/jobs.ts'
import { storePin } from '../../src/db/receipts.ts'
import { pins } from '../../src/db/schema.ts'
import { migrationsFolder, ScriptedManager, startChain, startTestMiner } from '../harness.ts'
import { newOperator, type Operator } from '../program.ts'
import { moveStored } from '../stored-jobs.ts'

const MINUTE_MS = 60_000
const HOSTILE_IMAGE = 'img\u001b[2J\nforged line'
const SHOWN_IMAGE = 'img\ufffd[2J\ufffdforged line'

let stack: AsyncDisposableStack
let chain: Awaited<ReturnType<typeof startChain>>
let operator: Operator
let postgres: TestPostgres

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  chain = stack.use(await startChain())
  postgres = stack.use(await startPostgres())
  operator = stack.use(await newOperator({ BITTENSOR_NETWORK: chain.url, BITTENSOR_MINER_ADDRESS: '127.0.0.2' }))
})
afterAll(() => stack.disposeAsync())

describe('the program', () => {
  it('prints the usage for a wrong command line, and exits with 64', async () => {
    const { code, stdout, stderr } = await operator.run(['nonsense'], { BITTENSOR_NETUID: 'x' })
    expect([code, stdout]).toEqual([64, ''])
    expect(stderr).toMatch(/^error: unknown command 'nonsense'\n\nUsage: /)
  })

  it('prints its help whatever the settings are', async () => {
    const { code, stdout, stderr } = await operator.run(['jobs', '--help'], { BITTENSOR_NETUID: 'x' })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^Usage: .* jobs \[options\]\n/)
  })

  it('exits with 78 when a command finds wrong settings', async () => {
    const { code, stdout, stderr } = await operator.run(['jobs'], { BITTENSOR_NETUID: 'x' })
    expect([code, stdout]).toEqual([78, ''])
    expect(stderr).toMatch(/BITTENSOR_NETUID/)
  })
})

describe('validators', () => {
  const env = { EXTRA_VALIDATORS: unknownKey().ss58, BANNED_VALIDATORS: secondValidatorKey().ss58 }

  it('prints a table', async () => {
    const { code, lines, stderr } = await operator.runHere(['validators'], env)
    expect([code, stderr]).toEqual([0, ''])
    expect(lines[0]).toBe(
      "Validators: at most 64 (the chain's MaxAllowedValidators), of at least 0 TAO (the chain's StakeThreshold).",
    )
    expect(lines.slice(1).map(line => line.split(/ {2,}/))).toEqual([
      ['rank', 'hotkey', 'uid', 'stake TAO', 'permit', 'note'],
      ['1', validatorKey().ss58, '0', '5000', 'yes'],
      ['–', unknownKey().ss58, '–', '–', 'no', 'extra'],
      ['–', secondValidatorKey().ss58, '1', '3000', 'yes', 'banned'],
    ])
  })

  it('prints JSON', async () => {
    const { code, stdout } = await operator.runHere(['validators', '--json'], env)
    expect(code).toBe(0)
    const { rule, validators } = JSON.parse(stdout)
    expect(rule).toEqual({ max: 64, minStakeTao: 0 })
    expect(validators[0]).toEqual({
      ...{ rank: 1, hotkey: validatorKey().ss58, uid: 0, stakeTao: 5000, permit: true, note: null },
    })
  })
})

describe('announce', () => {
  it('says why the chain refuses', async () => {
    const { code, stderr } = await operator.runHere(['announce'], { BITTENSOR_MINER_ADDRESS: '127.0.0.1' })
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^127\.0\.0\.1 port 8000 could not be announced: /)])
  })

  it('announces once, and then reports that the chain has the address', async () => {
    const first = await operator.runHere(['announce'])
    expect([first.code, first.stderr]).toEqual([0, ''])
    const [, block] = /^announced: 127\.0\.0\.2 port 8000, in block (\d+)\n$/.exec(first.stdout) ?? []
    const second = await operator.runHere(['announce'])
    expect([second.code, second.stdout]).toEqual([
      0,
      `the chain says already: 127.0.0.2 port 8000, since block ${block}\n`,
    ])
  })

  it('prints the block from which the chain accepts another address', async () => {
    const { code, stderr } = await operator.runHere(['announce'], { BITTENSOR_MINER_ADDRESS: '127.0.0.3' })
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/the last announcement is too recent, try again in block \d+\n$/),
    ])
  })

  it('refuses a port that only the running miner knows', async () => {
    const { code, stderr } = await operator.runHere(['announce'], { BITTENSOR_MINER_PORT: '0' })
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^BITTENSOR_MINER_PORT is 0/)])
  })

  it('does not send what the chain would refuse', async () => {
    const { code, stderr } = await operator.runHere(['announce'], { BITTENSOR_MINER_ADDRESS: '127.0.0.3' })
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/the last announcement is too recent, try again in block \d+\n$/),
    ])
  })

  it('refuses while the miner is migrating', async () => {
    const { code, stderr } = await operator.runHere(['announce'], { MIGRATING: 'true' })
    expect([code, stderr]).toEqual([1, 'MIGRATING is set: this miner is not announced\n'])
  })
})

/** Stores a declined offer, a job that failed, and one that was accepted, in that order. */
async function fill(url: string): Promise<string[]> {
  await using database = await openDatabase({ url, migrationsFolder })
  // Recent, because a running miner removes old jobs.
  const at = new Date(Date.now() - MINUTE_MS)
  const uuids = [randomUUID(), randomUUID(), randomUUID()]
  for (const [i, uuid] of uuids.entries()) {
    const fields = { uuid, validator: validatorKey().ss58, executorClass: 'always_on.test', imageName: HOSTILE_IMAGE }
    const more = { timeoutSeconds: 5, volumeType: 'inline', executorToken: 'hush', place: null }
    const state = i === 0 ? ('rejected' as const) : ('running' as const)
    const row = await insertJob(database.db, { ...fields, ...more, state }, at)
    if (i !== 1 || !row) continue
    const result = { exitStatus: 3, stdout: 'hush', stderr: '' }
    const end = { to: 'failed', reason: 'exit-status', result } as const
    await moveStored(database.db, row.id, end, new Date(at.getTime() + 2_500))
  }
  return uuids
}

describe.each(['pglite', 'postgres'])('jobs on %s', engine => {
  let DATABASE_URL: string
  let uuids: string[]
  beforeAll(async () => {
    DATABASE_URL = engine === 'postgres' ? await postgres.newDatabase() : `pglite://${operator.folder}/jobs-database`
    uuids = await fill(DATABASE_URL)
  })

  it('prints a table, the latest first, in which a peer cannot forge a line', async () => {
    const { code, lines, stdout, stderr } = await operator.runHere(['jobs'], { DATABASE_URL })
    expect([code, stderr]).toEqual([0, ''])
    expect(lines.map(line => line.split(/ {2,}/))).toEqual([
      ['offered, UTC', 'job', 'state', 'reason', 'seconds', 'class', 'validator', 'image'],
      expect.arrayContaining([uuids[2], 'running', SHOWN_IMAGE]),
      expect.arrayContaining([
        expect.stringMatching(/^[-\d]{10} [:\d]{8}$/),
        uuids[1],
        'failed',
        'exit-status',
        '2.5',
        SHOWN_IMAGE,
      ]),
      expect.arrayContaining([uuids[0], 'rejected']),
    ])
    expect(stdout).not.toContain('hush')
  })

  it('prints the jobs of one state as JSON', async () => {
    const { stdout } = await operator.runHere(['jobs', '--state', 'failed', '--json'], { DATABASE_URL })
    expect(JSON.parse(stdout).jobs).toMatchObject([{ uuid: uuids[1], reason: 'exit-status', image: SHOWN_IMAGE }])
    const { stdout: last } = await operator.runHere(['jobs', '--last', '1', '--json'], { DATABASE_URL })
    expect(JSON.parse(last).jobs).toMatchObject([{ uuid: uuids[2] }])
  })
})

it('lists no jobs when there is no database, and says why when it does not answer', async () => {
  const none = await operator.runHere(['jobs', '--json'], { DATABASE_URL: `pglite://${operator.folder}/never-made` })
  expect([none.code, none.stdout]).toEqual([0, '{"jobs":[]}\n'])
  const bare = await operator.runHere(['jobs'], { DATABASE_URL: await postgres.newDatabase() })
  expect([bare.code, bare.stderr]).toEqual([1, expect.stringMatching(/^its tables are not up to date: .*0000_jobs/)])
  const away = await operator.runHere(['jobs'], { DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/x' })
  expect([away.code, away.stdout]).toEqual([1, ''])
  expect(away.stderr).toMatch(/cannot connect to Postgres at u@127\.0\.0\.1:1\/x/)
  expect(away.stderr).not.toContain('hunter2')
})

it('asks the running miner, in jobs, unpin and check, when that has the embedded database open', async () => {
  const DATABASE_URL = `pglite://${operator.folder}/running`
  const uuids = await fill(DATABASE_URL)
  const ports = { BITTENSOR_MINER_PORT: String(await freePort()), ADMIN_PORT: String(await freePort()) }
  const own = { DATABASE_URL, LISTEN_HOST: '127.0.0.1', ...ports }
  const network = { chain: chain.chain, chainUrl: chain.url }
  const miner = await startTestMiner({
    ...network,
    manager: new ScriptedManager(),
    databaseUrl: DATABASE_URL,
    env: own,
  })
  await using _ = miner

  const asked = await operator.runHere(['jobs', '--json', '--state', 'failed'], own)
  expect([asked.code, asked.stderr]).toEqual([0, ''])
  expect(JSON.parse(asked.stdout).jobs).toMatchObject([{ uuid: uuids[1], reason: 'exit-status' }])
  const { code, stderr } = await operator.runHere(['jobs'], { ...own, ADMIN_PORT: '' })
  expect(code).toBe(1)
  expect(stderr).toMatch(/in use by another process \(pid \d+\), and its admin port is not known: set ADMIN_PORT/)

  const pinned = () => miner.db.$count(pins)
  await storePin(miner.db, validatorKey().ss58, new Date(Date.now() + MINUTE_MS))
  const unpin = ['unpin', validatorKey().ss58]
  const hidden = await operator.runHere(unpin, { ...own, ADMIN_PORT: '' })
  expect([hidden.code, hidden.stderr]).toEqual([
    1,
    expect.stringMatching(
      /its admin port is not known: set ADMIN_PORT.*; or stop the miner, run this command, and start/,
    ),
  ])
  const body = JSON.stringify({ validator: validatorKey().ss58 })
  const post = (url: string, headers: object) =>
    fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
  const route = `http://127.0.0.1:${miner.adminPort}/unpin`
  expect((await post(route, { origin: 'http://127.0.0.1' })).status, 'a page in a browser').toBe(403)
  expect((await post(route.replace('127.0.0.1', 'localhost'), {})).status, 'by a name').toBe(403)
  expect(await pinned()).toBe(1)
  expect(await operator.runHere(unpin, own)).toMatchObject({ code: 0, stdout: 'Lifted.\n' })
  expect(await operator.runHere(unpin, own)).toMatchObject({ code: 0, stdout: 'This validator was not pinned.\n' })
  expect(await pinned()).toBe(0)

  const { lines } = await operator.run(['check'], own)
  expect(lines).toContainEqual(expect.stringMatching(/^ok {3}database: in use by the running miner: /))
  expect(lines).toContainEqual(expect.stringMatching(/^ok {3}port: \d+ on 127\.0\.0\.1 is held by the running miner; /))
  expect((await fetch(`http://127.0.0.1:${miner.adminPort}/health`)).status, 'the miner goes on').toBe(200)
})
