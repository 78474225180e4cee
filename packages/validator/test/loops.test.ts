import type { Chain, Hyperparameters } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import { silentLog } from '@horde/kit/log'
import { type ManualClock, manualClock } from '@horde/kit/time'
import { afterEach, describe, expect, it } from 'vitest'
import type { Validator } from '../src/app.ts'
import { closeBatch, openBatch } from '../src/db/batches.ts'
import { startLoops } from '../src/loops.ts'
import { withDatabase } from './databases.ts'
import { VALIDATOR } from './drive.ts'

const database = withDatabase()
const NOON = Date.UTC(2026, 0, 1, 12)
const TWO_HOURS_MS = 7_200_000
const MINUTE_MS = 60_000

let netuid = 200
const opened: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of opened.splice(0)) await each[Symbol.asyncDispose]()
})

/** What a validator on a chain at block 1000 does by itself, as it happens. */
async function start(
  clock: ManualClock,
  { lastUpdate = 1_000, batchAtStart = false, answers = [] as (Error | 'ok')[] } = {},
) {
  const did: string[] = []
  const neuron = {
    uid: 0,
    hotkey: VALIDATOR.ss58,
    coldkey: '',
    stakeRao: 0n,
    validatorPermit: true,
    lastUpdate,
    axon: null,
  }
  const chain = {
    metagraph: async () => ({ netuid, block: 1_000, neurons: [neuron] }),
    hyperparameters: async () => ({ activityCutoff: 100 }) as Hyperparameters,
  } as unknown as Chain
  const at = () => (clock.now() - NOON) / 1000
  const validator = {
    batch: async () => {
      const answer = answers.shift()
      did.push(`${at()} batch${answer instanceof Error ? ' refused' : ''}`)
      if (answer instanceof Error) throw answer
    },
    weights: async () => void did.push(`${at()} weights`),
    sweep: async () => void did.push(`${at()} sweep`),
  } as unknown as Validator
  const times = { netuid, batchEveryMs: TWO_HOURS_MS, batchAtStart, weightsCheckMs: MINUTE_MS }
  const deps = { validator, chain, hotkey: VALIDATOR, db: database().db, clock, log: silentLog }
  opened.push(...(await startLoops(times, deps, new AbortController().signal)))
  return did
}

/** Lets time pass in steps, with the database's own pace in between. */
async function pass(clock: ManualClock, ms: number, stepMs: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += stepMs) {
    await clock.whenSleeping(2)
    await clock.advance(stepMs)
  }
  await clock.whenSleeping(2)
}

async function batchAt(startedAt: Date, closed: boolean): Promise<void> {
  const { db } = database()
  const id = await openBatch(db, { netuid, benchmark: 'sha256', startedAt, deadline: startedAt, jobs: [] })
  if (closed) await closeBatch(db, id, startedAt, true)
}

describe('batches', () => {
  it('run at the start when told to, and every interval after', async () => {
    netuid += 1
    const clock = manualClock(NOON)
    const did = await start(clock, { batchAtStart: true })
    await pass(clock, TWO_HOURS_MS, TWO_HOURS_MS / 2)
    expect(did).toEqual(['0 sweep', '0 batch', '0 weights', '7200 sweep', '7200 batch', '7200 weights'])
  })

  it('keep their rhythm over a restart', async () => {
    netuid += 1
    await batchAt(new Date(NOON - TWO_HOURS_MS + 90_000), false)
    const clock = manualClock(NOON)
    const did = await start(clock)
    await pass(clock, 2 * MINUTE_MS, 30_000)
    expect(did).toEqual(['90 sweep', '90 batch', '90 weights'])
  })

  it('wait for a chain that is away, not for the next interval', async () => {
    netuid += 1
    const clock = manualClock(NOON)
    const away = new ChainError('Unavailable')
    const did = await start(clock, { batchAtStart: true, answers: [away, away, 'ok'] })
    await pass(clock, 20_000, 5_000)
    expect(did).toEqual(['0 sweep', '0 batch refused', '5 batch refused', '15 batch', '15 weights'])
  })
})

describe('weights', () => {
  it('are left alone while they count', async () => {
    netuid += 1
    const clock = manualClock(NOON)
    const did = await start(clock, { lastUpdate: 951 })
    await pass(clock, 3 * MINUTE_MS, MINUTE_MS)
    expect(did).toEqual([])
  })

  it('are set again after half of the activity cutoff', async () => {
    netuid += 1
    const clock = manualClock(NOON)
    const did = await start(clock, { lastUpdate: 950 })
    await pass(clock, MINUTE_MS, MINUTE_MS)
    expect(did).toEqual(['60 weights'])
  })

  it('are set when a batch waits for them', async () => {
    netuid += 1
    await batchAt(new Date(NOON - MINUTE_MS), true)
    const clock = manualClock(NOON)
    const did = await start(clock)
    await pass(clock, MINUTE_MS, MINUTE_MS)
    expect(did).toEqual(['60 weights'])
  })
})
