import { describe, expect, it } from 'vitest'
import type { CommitReveal } from '../chain.ts'
import { epochsByFormula } from './epochs.ts'
import { blockToSealAt, receivesDrand, revealRound, sealedCallOf } from './timelock.ts'

const stateOf = ({ netuid = 12, tempo = 360, block = 1_000, period = 1 }): CommitReveal => ({
  ...{ netuid, block, enabled: true, revealPeriodEpochs: period, epochs: epochsByFormula(netuid, tempo, block) },
  ...{ blockMs: 12_000, calls: [], commits: [], sealed: [], sealedVersion: 4, drandRound: null },
})

it('uses the round three blocks after the reveal epoch begins, as the Python SDK does', () => {
  for (const [netuid, tempo, block, period, nowMs] of [
    [12, 360, 1_000, 1, 1_750_000_000_000],
    [1, 99, 5_000_123, 3, 1_750_000_001_999],
    [64, 9, 77, 2, 1_692_803_400_000],
  ] as const) {
    const epoch = Math.floor((block + netuid + 1) / (tempo + 1))
    const first = (epoch + period) * (tempo + 1) - (netuid + 1)
    const round = Math.floor((nowMs / 1_000 + (first + 3 - block) * 12 - 1_692_803_367) / 3)
    const state = stateOf({ netuid, tempo, block, period })
    expect(revealRound(state, 'commit_timelocked_weights', nowMs)).toBe(round)
    const none = { ...state, epochs: epochsByFormula(netuid, 0, block) }
    expect(() => revealRound(none, 'commit_timelocked_weights', nowMs)).toThrow('no epochs')
  }
})

it('prefers the newer call when the chain has both', () => {
  const [both, older] = [['commit_crv3_weights', 'commit_timelocked_weights'], ['commit_crv3_weights']] as const
  expect([both, older, ['commit_weights'] as const].map(calls => sealedCallOf({ calls }))).toEqual([
    'commit_timelocked_weights',
    'commit_crv3_weights',
    undefined,
  ])
})

describe('on a chain that opens commits only in the block before the reveal epoch', () => {
  const NOW_MS = 1_750_000_000_000
  const atMs = (round: number) => (1_692_803_367 + 3 * round) * 1_000
  const crv3 = (block: number, tempo = 360, period = 1): CommitReveal => ({
    ...stateOf({ tempo, block, period }),
    calls: ['commit_crv3_weights'],
  })

  it('uses the round 72 s before that block, as the SDK of that time did', () => {
    for (const [block, period] of [
      [1_000, 1],
      [1_200, 1],
      [1_000, 3],
    ] as const) {
      const state = crv3(block, 360, period)
      const look = (Math.floor((block + 13) / 361) + period) * 361 - 13 - 1
      const lookMs = NOW_MS + (look - block) * 12_000
      const openMs = atMs(revealRound(state, 'commit_crv3_weights', NOW_MS))
      expect(lookMs - openMs).toBeGreaterThanOrEqual(72_000)
      expect(lookMs - openMs).toBeLessThan(75_000)
    }
  })

  it('never uses a past round', () => {
    const state = crv3(3 * 361 - 13 - 2)
    expect(atMs(revealRound(state, 'commit_crv3_weights', NOW_MS))).toBeGreaterThan(NOW_MS)
  })

  it('waits for the next epoch when the round would come too late', () => {
    const first = 3 * 361 - 13
    expect(blockToSealAt(crv3(first - 9))).toBe(first)
    expect(blockToSealAt(crv3(first - 20))).toBeUndefined()
    expect(blockToSealAt(crv3(first - 9, 360, 2)), 'the reveal is an epoch later').toBeUndefined()
    expect(blockToSealAt({ ...crv3(first - 9), calls: ['commit_timelocked_weights'] })).toBeUndefined()
    expect(blockToSealAt(crv3(5, 9)), 'every epoch is too short').toBeUndefined()
  })
})

it('detects a chain that has received no round for ten minutes', () => {
  const nowMs = 1_750_000_000_000
  const round = Math.floor((nowMs / 1_000 - 1_692_803_367) / 3)
  expect([round, round - 199, round - 201, 0].map(drandRound => receivesDrand({ drandRound }, nowMs))).toEqual([
    ...[true, true, false, false],
  ])
  expect(receivesDrand({ drandRound: null }, nowMs)).toBe(true)
})
