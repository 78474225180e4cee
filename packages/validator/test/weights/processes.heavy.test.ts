import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeHotkeyFile } from '@horde/chain/wallet'
import { upscaled } from '@horde/chain/weights/row'
import type { OpenDatabase } from '@horde/kit/database'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openTestDatabase, withPostgres } from '../databases.ts'
import { type Program, startProgram } from '../program.ts'
import { isScored, type Net, scored, settingsOf, startNet } from './net.ts'

const postgres = withPostgres()
const NETUID = 3
/** A block time so long that only the test makes blocks. */
const BY_HAND = 3_600_000

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'horde-weights-'))
  await writeHotkeyFile({ directory: folder, name: 'default', hotkey: 'default' }, '//Alice')
})
afterAll(() => rm(folder, { recursive: true }))

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]()
})

/** Starts a chain and a database with a batch to score. Returns functions that start and kill validators. */
async function setUp(hyperparameters: Parameters<typeof startNet>[0]['subnets'][number]['hyperparameters'] = {}) {
  const net: Net = await startNet({ blockMs: BY_HAND, subnets: [{ netuid: NETUID, tempo: 9, hyperparameters }] })
  open.push(net)
  const url = await postgres().newDatabase()
  const database: OpenDatabase = await openTestDatabase(url)
  open.push(database)
  const batchId = await scored(database.db, NETUID, [2, 1])
  const start = (): Program => {
    const program = startProgram([], {
      ...{ BITTENSOR_NETUID: String(NETUID), BITTENSOR_NETWORK: net.devchain.url, BITTENSOR_WALLET_DIRECTORY: folder },
      ...{ DATABASE_URL: url, WEIGHTS_CHECK_SECONDS: '1', LOG_LEVEL: 'debug' },
    })
    open.push(program)
    return program
  }
  const { db } = database
  const states = async () => (await settingsOf(db, NETUID)).map(({ state }) => state)
  /** Waits until an extrinsic is in the pool. */
  const sent = () => expect.poll(() => net.devchain.waiting()).toBe(1)
  const kill = (program: Program) => program[Symbol.asyncDispose]()
  return { net, db, batchId, start, states, sent, kill }
}
const ROW = upscaled([2, 1]).map((weight, i) => ({ uid: i + 1, weight }))

describe('a killed validator', () => {
  it('finds the weights it sent in the next block, and the batch counts once', async () => {
    const { net, db, batchId, start, states, sent, kill } = await setUp()
    const first = start()
    await sent()
    await kill(first)
    expect(await states()).toEqual(['planned'])
    await net.mine(1)
    expect(await net.held(NETUID)).toEqual(ROW)
    expect(await isScored(db, batchId)).toBe(false)

    const second = start()
    await second.line('weights set')
    expect(await settingsOf(db, NETUID)).toMatchObject([{ state: 'included', block: 1, batchIds: [batchId] }])
    expect(await isScored(db, batchId)).toBe(true)
    expect(net.devchain.waiting()).toBe(0)
  })

  it('reveals its commit after further restarts', async () => {
    const { net, db, batchId, start, states, sent, kill } = await setUp({ CommitRevealWeightsEnabled: true })
    await net.passEpochs(NETUID, 1)
    const first = start()
    await sent()
    await net.mine(1)
    await first.line('weights committed')
    await kill(first)
    expect(await states()).toEqual(['committed'])
    expect(await isScored(db, batchId)).toBe(true)
    expect(await net.held(NETUID)).toEqual([])

    const second = start()
    await second.line('validator started')
    await kill(second)
    await net.passEpochs(NETUID, 1)
    const third = start()
    await sent()
    await kill(third)
    expect(await states()).toEqual(['committed'])
    await net.mine(1)
    expect(await net.held(NETUID)).toEqual(ROW)

    const fourth = start()
    await fourth.line('weights revealed')
    expect(await states()).toEqual(['included'])
    expect(await isScored(db, batchId)).toBe(true)
    expect(await net.commits(NETUID)).toEqual([])
    expect(net.devchain.waiting()).toBe(0)
  })

  it('finds a commit that it could not save, and reveals it', async () => {
    const { net, db, batchId, start, states, sent, kill } = await setUp({ CommitRevealWeightsEnabled: true })
    await net.passEpochs(NETUID, 1)
    const first = start()
    await sent()
    await kill(first)
    await net.mine(1)
    expect(await states()).toEqual(['planned'])

    const second = start()
    await second.line('weights committed')
    expect(await isScored(db, batchId)).toBe(true)
    await net.passEpochs(NETUID, 1)
    await sent()
    await net.mine(1)
    await second.line('weights revealed')
    expect(await net.held(NETUID)).toEqual(ROW)
    expect(await states()).toEqual(['included'])
  })
})

it('two validators with the same key and database submit once', async () => {
  const { net, db, batchId, start, states, sent } = await setUp({ WeightsSetRateLimit: 1_000 })
  const both = [start(), start()]
  await sent()
  await Promise.any(both.map(program => program.line('"outcome":"busy"')))
  expect(net.devchain.waiting()).toBe(1)
  expect(await states()).toEqual(['planned'])
  await net.mine(1)
  await Promise.any(both.map(program => program.line('weights set')))
  expect(await isScored(db, batchId)).toBe(true)
  // With a new batch both try, and both wait for the chain's rate limit.
  await scored(db, NETUID, [1, 2])
  await Promise.all(both.map(program => program.line('"outcome":"too soon"')))
  expect(await settingsOf(db, NETUID)).toMatchObject([{ state: 'included', block: 1 }])
  expect(net.devchain.waiting()).toBe(0)
})
