import type { RankedValidator } from '@horde/chain/rank-validators'
import { bad, ok, warn } from '@horde/kit/check/finding'
import { serviceHealth } from '@horde/operator/admin/health'
import type { Watched } from '@horde/operator/watch/watches'
import { describe, expect, it } from 'vitest'
import { lacksOf } from './health.ts'
import type { MinerStatus } from './status.ts'

const validator: RankedValidator = {
  ...{ rank: 1, uid: 0, hotkey: '5Validator', stakeTao: 5_000, permit: true, note: null },
}

const WELL = { live: true, ready: true, complete: true, bad: [], warned: [] }

const watched = (...findings: Watched['findings']): Watched => {
  return { watch: 'one', lookedAtMs: 0, verdict: 'ok', findings }
}

type Input = Parameters<typeof lacksOf>[0] & Pick<MinerStatus, 'watches'>

function healthOf(changes: Partial<Input> = {}) {
  const status: Input = {
    ...{ listAgeMs: 1_000, oldListMs: 10_000, validators: [validator], migrating: false, jobs: [] },
    ...{ watches: [watched(ok('disk', 'room'))], chain: { connected: true, endpoint: 'ws://node', lastBlock: null } },
    ...changes,
  }
  return serviceHealth(lacksOf(status), status.watches)
}

describe('the miner', () => {
  it('is ready when it knows its validators and no watch found a problem', () => {
    expect(healthOf()).toEqual({ ...WELL, reasons: [] })
  })

  it.each<[string, Partial<Input>, name: string, sentence: string]>([
    [
      'the chain has not answered yet',
      { listAgeMs: undefined },
      'chain',
      'The chain has not named the validators yet.',
    ],
    [
      'every validator is banned',
      { validators: [{ ...validator, rank: null, note: 'banned' }] },
      'validators',
      'The chain names no validators on this subnet.',
    ],
    [
      'it migrates',
      { migrating: true, jobs: [{}, {}] as never },
      'migrating',
      'The miner is migrating: it takes no new jobs. Jobs still open: 2.',
    ],
    [
      'a watch found something bad',
      { watches: [watched(ok('disk', 'room'), bad('clock', '12.0 s behind', 'set it'))] },
      'clock',
      'Clock: 12.0 s behind. To do: set it.',
    ],
  ])('is live and not ready while %s, and names it', (_, changes, name, sentence) => {
    expect(healthOf(changes)).toEqual({ ...WELL, ready: false, bad: [name], reasons: [sentence] })
  })

  it('is ready for a validator that only a setting adds', () => {
    const extra = { ...validator, rank: null, uid: null, stakeTao: null, permit: false, note: 'extra' } as const
    expect(healthOf({ validators: [extra] }).ready).toBe(true)
  })

  it('stays ready with warnings, and names its own before those of the watches', () => {
    const old = { listAgeMs: 70_000, watches: [watched(warn('disk', '9 GB free', 'make room'))] }
    expect(healthOf(old)).toEqual({
      ...WELL,
      warned: ['chain', 'disk'],
      reasons: ['The list of validators is 70 s old: the chain does not answer.', 'Disk: 9 GB free. To do: make room.'],
    })
  })

  it('warns as soon as the connection to the chain is lost', () => {
    const away = { chain: { connected: false, endpoint: null, lastBlock: null } }
    expect(healthOf(away)).toMatchObject({ ready: true, warned: ['chain'] })
  })

  it('is not complete until every watch has looked', () => {
    expect(healthOf({ watches: [{ ...watched(), lookedAtMs: null }] })).toMatchObject({ complete: false })
  })
})
