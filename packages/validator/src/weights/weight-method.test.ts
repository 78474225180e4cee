import type { CommitCall, CommitReveal } from '@horde/chain/chain'
import { describe, expect, it } from 'vitest'
import { type CommitBy, chooseMethod } from './weight-method.ts'

const NOW_MS = 1_750_000_000_000
const ROUND = Math.floor((NOW_MS / 1_000 - 1_692_803_367) / 3)
const [HASH, SEALED, OLD_SEALED] = ['commit_weights', 'commit_timelocked_weights', 'commit_crv3_weights'] as const

const state = (calls: CommitCall[], drandRound: number | null = ROUND, enabled = true): CommitReveal => ({
  ...{ netuid: 1, block: 50, enabled, revealPeriodEpochs: 1, blockMs: 12_000, calls, commits: [], sealed: [] },
  ...{ sealedVersion: 4, drandRound },
  epochs: { netuid: 1, block: 50, lengthBlocks: 10, index: 5, nextBlock: 58 },
})

describe('chooseMethod', () => {
  it.each<[CommitBy, CommitCall[], number | null, string, RegExp]>([
    ['auto', [HASH, SEALED], ROUND, 'commit-timelocked', /opens them itself/],
    ['auto', [HASH, OLD_SEALED], null, 'commit-timelocked', /opens them itself/],
    ['auto', [HASH, SEALED], ROUND - 1_000, 'commit-hash', /no round of drand/],
    ['auto', [HASH], null, 'commit-hash', /has no sealed commits/],
    ['auto', [SEALED], 0, 'commit-timelocked', /no commits by hash/],
    ['hash', [HASH, SEALED], ROUND, 'commit-hash', /WEIGHTS_COMMIT_BY=hash/],
    ['hash', [SEALED], ROUND, 'commit-timelocked', /no commits by hash/],
    ['timelock', [HASH, SEALED], 0, 'commit-timelocked', /WEIGHTS_COMMIT_BY=timelock/],
    ['timelock', [HASH], ROUND, 'commit-hash', /no sealed commits/],
  ])('with %s, calls %j and latest round %j chooses %s', (commitBy, calls, round, method, why) => {
    expect(chooseMethod(state(calls, round), commitBy, NOW_MS)).toEqual({ method, why: expect.stringMatching(why) })
  })

  it('sets weights without commit-reveal, and throws when the chain has no call for commits', () => {
    expect(chooseMethod(state([], ROUND, false), 'auto', NOW_MS)).toMatchObject({ method: 'set' })
    expect(() => chooseMethod(state([]), 'auto', NOW_MS)).toThrow('NoCommits')
  })
})
