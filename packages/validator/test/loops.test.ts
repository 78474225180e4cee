import type { Chain, Hyperparameters } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import { DEFAULT_VALIDATOR_RULE } from '@horde/chain/metagraph'
import { silentLog } from '@horde/kit/log'
import { type ManualClock, manualClock } from '@horde/kit/time'
import { eq } from 'drizzle-orm'
import { afterEach, describe, expect, it } from 'vitest'
import type { Validator } from '../src/app.ts'
import { BatchSchedule } from '../src/batches/batch-schedule.ts'
import { closeBatch, openBatch } from '../src/batches/stored-batch.ts'
import { batches } from '../src/db/schema.ts'
import { planSetting, refuseSetting } from '../src/db/weight-settings.ts'
import { startLoops } from '../src/loops.ts'
import { withDatabase } from './db/databases.ts'
import { VALIDATOR } from './jobs/drive.ts'

const database = withDatabase()
const NOON = Date.UTC(2026, 0, 1, 12)
const TWO_HOURS_MS = 7_200_000
const MINUTE_MS = 60_000

let netuid = 200
const opened: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of opened.splice(0)) await each[Symbol.asyncDispose]()
})

/** Runs the loops of a validator on a chain at block 1000, and records what they do. */
async function start(
  clock: ManualClock,
  {
    lastUpdate = 1_000,
    batchAtStart = false,
    answers = [] as (Error | 'ok')[],
    reveals = [] as number[],
    commits = false,
    richer = 0,
    resumed = 0,
  } = {},
) {
  const did: string[] = []
  const neuron = {
    uid: 0,
    hotkey: VALIDATOR.ss58,
    coldkey: '',
    stakeRao: DEFAULT_VALIDATOR_RULE.minStakeRao,
    validatorPermit: true,
    lastUpdate,
    axon: null,
  }
  const others = Array.from({ length: richer }, (_, i) => ({
    ...neuron,
    ...{ uid: i + 1, hotkey: `richer ${i}`, stakeRao: 2n * DEFAULT_VALIDATOR_RULE.minStakeRao },
  }))
  const chain = {
    metagraph: async () => ({ netuid, block: 1_000, neurons: [neuron, ...others] }),
    hyperparameters: async () => ({ activityCutoff: 100, weightsSetRateLimit: 10 }) as Hyperparameters,
  } as unknown as Chain
  const at = () => (clock.now() - NOON) / 1000
  const validator = {
    batch: async () => {
      const answer = answers.shift()
      did.push(`${at()} batch${answer instanceof Error ? ' refused' : ''}`)
      if (answer instanceof Error) throw answer
      await batchAt(new Date(clock.now()), true)
    },
    resume: async () => {
      if (resumed > 0) did.push(`${at()} resumed`)
      return Array.from({ length: resumed-- > 0 ? 1 : 0 })
    },
    weights: async () => {
      did.push(`${at()} weights`)
      return { outcome: commits ? 'committed' : 'set' }
    },
    reveals: async () => {
      const againInMs = reveals.shift()
      if (commits) did.push(`${at()} reveals`)
      return againInMs
    },
    sweep: async () => {},
    schedule: new BatchSchedule({
      ...{ netuid, windowMs: TWO_HOURS_MS, outside: false, chain, hotkey: VALIDATOR, db: database().db, clock },
      log: silentLog,
    }),
  } as unknown as Validator
  const times = { netuid, windowMs: TWO_HOURS_MS, batchAtStart, weightsCheckMs: MINUTE_MS }
  const deps = { validator, chain, hotkey: VALIDATOR, db: database().db, clock, log: silentLog }
  opened.push(...startLoops(times, deps, new AbortController().signal))
  return did
}

/** Advances the clock in steps. Lets the database finish after each step. */
async function pass(clock: ManualClock, ms: number, stepMs: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += stepMs) {
    await clock.whenSleeping(3)
    await clock.advance(stepMs)
  }
  await clock.whenSleeping(3)
}

async function batchAt(startedAt: Date, closed: boolean): Promise<void> {
  const { db } = database()
  const { batch } = await openBatch(db, { netuid, benchmark: 'sha256', startedAt, deadline: startedAt, jobs: [] })
  if (closed) await closeBatch(db, { id: batch.id, at: startedAt, counts: true }, silentLog)
}

/** Stores a batch of this window that is scored already. */
async function batchToday(): Promise<void> {
  const { db } = database()
  const startedAt = new Date(NOON)
  const { batch } = await openBatch(db, { netuid, benchmark: 'sha256', startedAt, deadline: startedAt, jobs: [] })
  await closeBatch(db, { id: batch.id, at: startedAt, counts: true }, silentLog)
  await db.update(batches).set({ scoredAt: startedAt }).where(eq(batches.id, batch.id))
}

const batchesOf = (did: readonly string[]) => did.filter(line => !line.endsWith('weights'))

describe('batches', () => {
  it('run at the start when configured, and then once in each window', async () => {
    netuid += 1
    const clock = manualClock(NOON)
    const did = await start(clock, { batchAtStart: true, richer: 3 })
    await pass(clock, 2 * TWO_HOURS_MS, MINUTE_MS)
    expect(batchesOf(did)).toEqual(['0 batch', '12600 batch'])
    expect(did.slice(0, 2)).toEqual(['0 batch', '0 weights'])
  })

  it('wait for their turn, and run once a window after a restart too', async () => {
    netuid += 1
    const clock = manualClock(NOON)
    const did = await start(clock, { richer: 3 })
    await pass(clock, TWO_HOURS_MS, MINUTE_MS)
    expect(batchesOf(did)).toEqual(['5400 batch'])
    const later = manualClock(clock.now() - MINUTE_MS)
    const again = await start(later, { richer: 3 })
    await pass(later, 30_000, 10_000)
    expect(batchesOf(again)).toEqual([])
  })

  it('do not run for a hotkey that is no validator', async () => {
    netuid += 1
    const clock = manualClock(NOON)
    const did = await start(clock, { richer: 24 })
    await pass(clock, TWO_HOURS_MS, 10 * MINUTE_MS)
    expect(batchesOf(did)).toEqual([])
  })

  it('that are open at the start are resumed first, and then weights are set', async () => {
    netuid += 1
    await batchAt(new Date(NOON), true)
    const clock = manualClock(NOON)
    const did = await start(clock, { resumed: 1 })
    await pass(clock, 1_000, 1_000)
    expect(did).toEqual(['0 resumed', '0 weights'])
  })

  it('wait until the chain answers, not for the next window', async () => {
    netuid += 1
    const clock = manualClock(NOON)
    const away = new ChainError('Unavailable')
    const did = await start(clock, { batchAtStart: true, answers: [away, away, 'ok'] })
    await pass(clock, 20_000, 5_000)
    expect(did).toEqual(['0 batch refused', '5 batch refused', '15 batch', '15 weights'])
  })
})

describe('weights', () => {
  it('are not set again while the chain counts them', async () => {
    netuid += 1
    await batchToday()
    const clock = manualClock(NOON)
    const did = await start(clock, { lastUpdate: 951 })
    await pass(clock, 3 * MINUTE_MS, MINUTE_MS)
    expect(did).toEqual([])
  })

  it('are set again after half of the activity cutoff', async () => {
    netuid += 1
    await batchToday()
    const clock = manualClock(NOON)
    const did = await start(clock, { lastUpdate: 950 })
    await pass(clock, MINUTE_MS, MINUTE_MS)
    expect(did).toEqual(['60 weights'])
  })

  it('are set when a batch is unscored', async () => {
    netuid += 1
    await batchAt(new Date(NOON), true)
    const clock = manualClock(NOON)
    const did = await start(clock)
    await pass(clock, MINUTE_MS, MINUTE_MS)
    expect(did).toEqual(['60 weights'])
  })

  const setting = async (state: 'planned' | 'refused', plannedAtBlock: number) => {
    const { db } = database()
    const empty = { basis: 'uniform', batchIds: [], scores: [], uids: [], weights: [], versionKey: 2n }
    const planned = { ...empty, netuid, hotkey: VALIDATOR.ss58, plannedAt: new Date(NOON), plannedAtBlock }
    const id = await planSetting(db, planned)
    if (state === 'refused') await refuseSetting(db, id, { at: new Date(NOON), why: 'NoValidatorPermit' })
  }

  it('that were refused are retried no more often than the chain accepts weights', async () => {
    netuid += 1
    await batchAt(new Date(NOON), true)
    await setting('refused', 991)
    const clock = manualClock(NOON)
    const did = await start(clock)
    await pass(clock, 3 * MINUTE_MS, MINUTE_MS)
    expect(did).toEqual([])
    netuid += 1
    await batchAt(new Date(NOON), true)
    await setting('refused', 990)
    const again = manualClock(NOON)
    const didAgain = await start(again)
    await pass(again, MINUTE_MS, MINUTE_MS)
    expect(didAgain).toEqual(['60 weights'])
  })

  it('of a killed process are reconciled at the start', async () => {
    netuid += 1
    await batchToday()
    await setting('planned', 1_000)
    const clock = manualClock(NOON)
    const did = await start(clock)
    await pass(clock, 1_000, 500)
    expect(did).toEqual(['0 weights'])
  })

  it('that are committed are revealed in time', async () => {
    netuid += 1
    await batchAt(new Date(NOON), true)
    const clock = manualClock(NOON)
    const did = await start(clock, { commits: true, reveals: [45_000, 90_000, 5_000] })
    await pass(clock, MINUTE_MS, 15_000)
    await expect.poll(() => did).toEqual(['0 reveals', '45 reveals', '60 weights', '60 reveals'])
    await pass(clock, 5_000, 5_000)
    expect(did.at(-1)).toBe('65 reveals')
  })
})
