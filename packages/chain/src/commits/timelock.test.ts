import { expect, it } from 'vitest'
import { epochsByFormula } from './epochs.ts'
import { revealRound, sealedCallOf } from './timelock.ts'

it('seals for the round three blocks into the epoch of the reveal, as the Python SDK does', () => {
  for (const [netuid, tempo, block, period, nowMs] of [
    [12, 360, 1_000, 1, 1_750_000_000_000],
    [1, 99, 5_000_123, 3, 1_750_000_001_999],
    [64, 9, 77, 2, 1_692_803_400_000],
  ] as const) {
    const epoch = Math.floor((block + netuid + 1) / (tempo + 1))
    const first = (epoch + period) * (tempo + 1) - (netuid + 1)
    const round = Math.floor((nowMs / 1_000 + (first + 3 - block) * 12 - 1_692_803_367) / 3)
    const state = {
      ...{ netuid, block, enabled: true, revealPeriodEpochs: period, epochs: epochsByFormula(netuid, tempo, block) },
      ...{ blockMs: 12_000, calls: [], commits: [], sealed: [], sealedVersion: 4 },
    }
    expect(revealRound(state, nowMs)).toBe(round)
    const none = { ...state, epochs: epochsByFormula(netuid, 0, block) }
    expect(() => revealRound(none, nowMs)).toThrow('no epochs')
  }
})

it('takes the newer call where there are both', () => {
  const [both, older] = [['commit_crv3_weights', 'commit_timelocked_weights'], ['commit_crv3_weights']] as const
  expect([both, older, ['commit_weights'] as const].map(calls => sealedCallOf({ calls }))).toEqual([
    'commit_timelocked_weights',
    'commit_crv3_weights',
    undefined,
  ])
})
