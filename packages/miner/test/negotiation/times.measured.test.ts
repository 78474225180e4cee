/** Measures what finding the dialect of a peer adds to its job at our miner. */
import { authentication2026 } from '@horde/testing/peers/v2026/validator'
import { authentication, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { pins } from '../../src/db/schema.ts'
import { type Started, startMiner2026 } from '../v2026/started.ts'
import { GOOD_EXECUTORS, runWith } from './executor-kinds.ts'
import { OUR_EXECUTOR, playExecutor } from './peers.ts'
import { GOOD_VALIDATORS, play, type Side, workOf2026, workOfV0 } from './validator-kinds.ts'

/** The most that may be added to the job of a peer, in ms: twice the aims. */
const KNOWN_MS = 2 * 50
const UNKNOWN_MS = 2 * 2_000
/** How often a job is run on a busy machine until its best time, and the yardstick's, are good. */
const MAX_ROUNDS = 20

let started: Started
beforeAll(async () => {
  started = await startMiner2026()
})
afterAll(() => started[Symbol.asyncDispose]())
beforeEach(() => started.miner.db.delete(pins))

async function msOf(act: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await act()
  return performance.now() - from
}

/** Returns how much longer a job takes at best than the yardstick's at best, in ms. Stops at less than `goodMs`. */
async function addedBy(job: () => Promise<number>, yardstick: () => Promise<number>, goodMs: number): Promise<number> {
  let [those, ours] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let round = 0; round < MAX_ROUNDS && (round < 2 || those - ours >= goodMs); round += 1) {
    ours = Math.min(ours, await yardstick())
    those = Math.min(those, await job())
  }
  return those - ours
}

describe.each(GOOD_EXECUTORS)('an executor $executor', ({ kind, isKnown = true }) => {
  it.each(['v0', 'v2026'] as const)('does a job of %s as soon as one that is spoken to at once', async dialect => {
    const mostMs = isKnown ? KNOWN_MS : UNKNOWN_MS
    const job = () => msOf(() => runWith(kind, dialect, started))
    const yardstick = () => msOf(() => runWith(OUR_EXECUTOR, dialect, started))
    expect(await addedBy(job, yardstick, mostMs)).toBeLessThan(mostMs)
  })
})

describe.each(GOOD_VALIDATORS)('a validator $validator', ({ hears, ...parts }) => {
  it('has its job done as soon as on a connection that is open', async () => {
    const isOf2026 = hears.includes('V0VolumesReadyRequest')
    const job = () => msOf(() => Promise.all([playExecutor(started.manager, OUR_EXECUTOR), play(started.miner, parts)]))
    expect(await addedBy(job, () => onOpenConnection(isOf2026), KNOWN_MS)).toBeLessThan(KNOWN_MS)
    await started.miner.db.delete(pins)
  })
})

/** Measures a job of a validator whose dialect is found already. */
async function onOpenConnection(isOf2026: boolean): Promise<number> {
  let ms = 0
  const script = async (side: Side) => {
    await side.send(isOf2026 ? authentication2026() : authentication(validatorKey(), {}, ['manifest']))
    await side.until('V0ExecutorManifestRequest')
    const work = () => (isOf2026 ? workOf2026(side) : workOfV0(side))
    ms = await msOf(() => Promise.all([playExecutor(started.manager, OUR_EXECUTOR), work()]))
  }
  await play(started.miner, { script })
  // The next validator may sign nothing.
  await started.miner.db.delete(pins)
  return ms
}
