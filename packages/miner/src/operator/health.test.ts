import type { Metagraph } from '@horde/chain/metagraph'
import { bad, ok, warn } from '@horde/kit/check/finding'
import type { Watched } from '@horde/operator/watch/watches'
import { describe, expect, it } from 'vitest'
import { type HealthSources, healthOf } from './health.ts'

const validator = {
  ...{ uid: 0, hotkey: '5Validator', coldkey: '5Cold', stakeRao: 5_000_000_000_000n },
  ...{ validatorPermit: true, lastUpdate: 0, axon: null },
}
const metagraph: Metagraph = { netuid: 1, block: 7, neurons: [validator] }

const WELL = { live: true, ready: true, complete: true, bad: [], warned: [] }

const watched = (...findings: Watched['findings']): Watched => {
  return { watch: 'one', lookedAtMs: 0, verdict: 'ok', findings }
}

const sources = (changes: Partial<HealthSources> = {}): HealthSources => ({
  ...{ listAgeMs: () => 1_000, oldListMs: 10_000, metagraph: () => metagraph, extra: [], banned: [] },
  ...{ watches: () => [watched(ok('disk', 'room'))], migrating: false, jobs: () => [] },
  chain: () => ({ connected: true, endpoint: 'ws://node', lastBlock: null }),
  ...changes,
})

describe('the miner', () => {
  it('is ready when validators are known and all is well', () => {
    expect(healthOf(sources())).toEqual({ ...WELL, reasons: [] })
  })

  it.each<[string, Partial<HealthSources>, name: string, sentence: string]>([
    [
      'the chain has not answered yet',
      { listAgeMs: () => undefined },
      'chain',
      'The chain has not said yet who the validators are.',
    ],
    [
      'nobody may talk to it',
      { banned: ['5Validator'] },
      'validators',
      'The chain names no validators on this subnet.',
    ],
    [
      'it is about to be moved',
      { migrating: true, jobs: () => [{}, {}] as never },
      'migrating',
      'The miner is migrating: it takes no new jobs. Jobs still open: 2.',
    ],
    [
      'a watch found something bad',
      { watches: () => [watched(ok('disk', 'room'), bad('clock', '12.0 s behind', 'set it'))] },
      'clock',
      'Clock: 12.0 s behind. To do: set it.',
    ],
  ])('is live and not ready while %s, and names it', (_, changes, name, sentence) => {
    expect(healthOf(sources(changes))).toEqual({ ...WELL, ready: false, bad: [name], reasons: [sentence] })
  })

  it('is ready for those whom a setting adds, whatever the chain says', () => {
    const empty = { ...metagraph, neurons: [] }
    expect(healthOf(sources({ metagraph: () => empty, extra: ['5Extra'] })).ready).toBe(true)
  })

  it('stays ready with what is only a warning, and says its own before what the watches found', () => {
    const old = { listAgeMs: () => 70_000, watches: () => [watched(warn('disk', '9 GB free', 'make room'))] }
    expect(healthOf(sources(old))).toEqual({
      ...WELL,
      warned: ['chain', 'disk'],
      reasons: ['The list of validators is 70 s old: the chain does not answer.', 'Disk: 9 GB free. To do: make room.'],
    })
  })

  it('warns of a chain that is away as soon as it is', () => {
    const away = { chain: () => ({ connected: false, endpoint: null, lastBlock: null }) }
    expect(healthOf(sources(away))).toMatchObject({ ready: true, warned: ['chain'] })
  })

  it('says whether something has not been looked at yet', () => {
    const before = { watches: () => [{ ...watched(), lookedAtMs: null }] }
    expect(healthOf(sources(before))).toMatchObject({ complete: false })
  })
})
