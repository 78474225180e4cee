import type { Metagraph } from '@horde/chain/metagraph'
import { bad, ok, warn } from '@horde/kit/watch/finding'
import type { Watched } from '@horde/kit/watch/watches'
import { describe, expect, it } from 'vitest'
import { type HealthSources, healthOf } from './health.ts'

const validator = {
  ...{ uid: 0, hotkey: '5Validator', coldkey: '5Cold', stakeRao: 5_000_000_000_000n },
  ...{ validatorPermit: true, lastUpdate: 0, axon: null },
}
const metagraph: Metagraph = { netuid: 1, block: 7, neurons: [validator] }

const watched = (...findings: Watched['findings']): Watched => {
  return { watch: 'one', lookedAtMs: 0, verdict: 'ok', findings }
}

const sources = (changes: Partial<HealthSources> = {}): HealthSources => ({
  ...{ listAgeMs: () => 1_000, oldListMs: 10_000, metagraph: () => metagraph, extra: [], banned: [] },
  ...{ watches: () => [watched(ok('disk', 'room'))], migrating: false, jobs: () => [] },
  ...changes,
})

describe('the miner', () => {
  it('is ready when validators are known and all is well', () => {
    expect(healthOf(sources())).toEqual({ live: true, ready: true, reasons: [] })
  })

  it.each<[string, Partial<HealthSources>, string]>([
    [
      'the chain has not answered yet',
      { listAgeMs: () => undefined },
      'The chain has not said yet who the validators are.',
    ],
    ['nobody may talk to it', { banned: ['5Validator'] }, 'The chain names no validators on this subnet.'],
    [
      'it is about to be moved',
      { migrating: true, jobs: () => [{}, {}] as never },
      'The miner is migrating: it takes no new jobs. Jobs still open: 2.',
    ],
    [
      'a watch found something bad',
      { watches: () => [watched(ok('disk', 'room'), bad('clock', '12.0 s behind', 'set it'))] },
      'Clock: 12.0 s behind. To do: set it.',
    ],
  ])('is not ready while %s', (_, changes, reason) => {
    expect(healthOf(sources(changes))).toEqual({ live: true, ready: false, reasons: [reason] })
  })

  it('is ready for those whom a setting adds, whatever the chain says', () => {
    const empty = { ...metagraph, neurons: [] }
    expect(healthOf(sources({ metagraph: () => empty, extra: ['5Extra'] })).ready).toBe(true)
  })

  it('stays ready with what is only a warning, and says it, worse things first', () => {
    const old = { listAgeMs: () => 70_000, watches: () => [watched(warn('disk', '9 GB free', 'make room'))] }
    expect(healthOf(sources(old))).toEqual({
      live: true,
      ready: true,
      reasons: ['The list of validators is 70 s old: the chain does not answer.', 'Disk: 9 GB free. To do: make room.'],
    })
  })
})
