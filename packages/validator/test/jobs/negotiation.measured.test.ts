/** Measures what finding the dialect of a miner adds to its job. */
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { type Miner2026, type Peer2026, play2026, startMiner2026 } from '@horde/testing/peers/v2026/scripted-miner'
import { beforeAll, describe, expect, it } from 'vitest'
import { withDatabase } from '../db/databases.ts'
import { type DriveOptions, drive, MINER, unknownDialects } from './drive.ts'
import { FINISHED, MINERS, type MinerCase, work2024 } from './miner-kinds.ts'

/** The most that may be added to the job of a miner, in ms: twice the aims. */
const KNOWN_MS = 2 * 50
const UNKNOWN_MS = 2 * 2_000
/** How often a job is run on a busy machine until its best time is good. */
const MAX_ROUNDS = 10

const database = withDatabase()
const DONE = MINERS.filter(({ ends = FINISHED }) => ends === FINISHED)
const REMEMBERED = DONE.filter(({ remembered, isConfused }) => remembered !== undefined && !isConfused)

/** The yardstick: the best times of honest miners whose dialect is given, in ms. */
const told = new Map<string, number>()
beforeAll(async () => {
  for (const [dialect, script] of [
    ['v0', (peer: Peer2026) => work2024(peer)],
    ['v2026', (peer: Peer2026) => play2026.finished(peer)],
  ] as const) {
    await using miner = await startMiner2026(MINER, script)
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const ms = await msOf(miner, { startedIn: dialect })
      told.set(dialect, Math.min(ms, told.get(dialect) ?? ms))
    }
  }
})

async function msOf(miner: Miner2026, options: Pick<DriveOptions, 'dialects' | 'startedIn'>): Promise<number> {
  const from = performance.now()
  const job = { db: database().db, log: silentLog, clock: systemClock, executorClass: 'always_on.test' } as const
  const { end } = await drive(miner, { ...job, ...options })
  expect(end?.state).toBe('finished')
  return performance.now() - from
}

/** Returns how much longer a job takes than the yardstick, at best. Stops at less than `goodMs`. */
async function addedTo(dialect: string, goodMs: number, job: () => Promise<number>): Promise<number> {
  const yardstick = told.get(dialect) ?? 0
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < MAX_ROUNDS && best - yardstick >= goodMs; round += 1) best = Math.min(best, await job())
  return best - yardstick
}

const start = ({ script, says }: MinerCase) =>
  startMiner2026(MINER, script, says === undefined ? {} : { capabilities: says })

describe.each(DONE)('a miner $miner', ({ remembered = 'v0', ...parts }) => {
  it('has its first job done soon', async () => {
    await using miner = await start({ remembered, ...parts })
    const job = () => msOf(miner, { dialects: unknownDialects() })
    expect(await addedTo(remembered, UNKNOWN_MS, job)).toBeLessThan(UNKNOWN_MS)
  })
})

describe.each(REMEMBERED)('a miner $miner', ({ remembered = 'v0', ...parts }) => {
  it('has its next job done at once', async () => {
    await using miner = await start({ remembered, ...parts })
    const dialects = unknownDialects()
    await msOf(miner, { dialects })
    expect(await addedTo(remembered, KNOWN_MS, () => msOf(miner, { dialects }))).toBeLessThan(KNOWN_MS)
  })
})
