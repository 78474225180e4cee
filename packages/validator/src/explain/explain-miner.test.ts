import { REASONS } from '@horde/protocol/reasons'
import { describe, expect, it } from 'vitest'
import type { ScoreExplanation } from '../db/json-columns.ts'
import { explainMiner, type MinerReport, type ReportedJob, type ReportedSetting } from './explain-miner.ts'

const GPU = 'always_on.gpu-24gb'

const EXPLANATION: ScoreExplanation = {
  ...{ scoring: 'efficiency', batches: [7, 8], setAside: [], windowSeconds: 86_400 },
  classes: [
    {
      ...{ name: GPU, operatorWeight: 1, demandSeconds: 1200.4, demandFactor: 1.25, sum: 8 },
      ...{ offered: 4, demanded: 4, share: 1 },
    },
  ],
  miners: [
    {
      hotkey: 'bob',
      score: 0.25,
      classes: [{ name: GPU, jobs: 2, excused: 1, sum: 2, ofClass: 0.25, part: 0.25 }],
    },
  ],
}

const SETTING = {
  ...{ id: 12, netuid: 1, hotkey: 'alice', state: 'included', basis: 'batches', explanation: EXPLANATION },
  scores: [
    { hotkey: 'bob', uid: 1, score: 0.25 },
    { hotkey: 'carol', uid: 2, score: 0.75 },
  ],
  ...{ uids: [1, 2], weights: [21_845, 65_535], plannedAt: new Date('2026-01-02T00:00:00Z'), block: 345 },
} as ReportedSetting

const JOB: ReportedJob = {
  ...{ batchId: 7, benchmark: 'sha256', uuid: 'u', executorClass: GPU, state: 'finished', reason: null },
  ...{ seconds: 19.456, score: 1, comment: null },
}

const REPORT: MinerReport = {
  ...{ hotkey: 'bob', uid: 1, setting: SETTING, weight: 21_845, held: 21_845, handovers: [] },
  jobs: [
    JOB,
    {
      ...JOB,
      executorClass: null,
      state: 'rejected',
      reason: 'declined',
      seconds: null,
      score: 0,
      comment: 'a\u001b[2J\nb',
    },
    { ...JOB, batchId: 8, state: 'broken', reason: 'validator-away', seconds: null, score: null },
  ],
}

/** Returns the lines of an explanation. */
const lines = (over: Partial<MinerReport> = {}) => explainMiner({ ...REPORT, ...over }).split('\n')
const setting = (over: Partial<ReportedSetting>): Partial<MinerReport> => ({ setting: { ...SETTING, ...over } })

describe('explainMiner', () => {
  it('reports when a uid of the weights has another hotkey now', () => {
    expect(explainMiner({ ...REPORT, handovers: [{ uid: 1, from: 'bob', to: 'dave' }] })).toContain(
      'Uid 1 belonged to bob when these weights were computed, and belongs to dave now',
    )
    expect(explainMiner(REPORT)).not.toContain('when these weights were computed')
  })

  it('explains the way from jobs to weight', () => {
    expect(lines()).toEqual([
      'Miner bob, uid 1.',
      'Setting 12, planned at 2026-01-02T00:00:00.000Z, is in block 345. ' +
        'Its scores come from 2 batches (7, 8), scored by efficiency.',
      '',
      'Its jobs in these batches',
      'batch  benchmark  class                             state     seconds  score    why',
      '7      sha256     always_on.gpu-24gb                finished  19.46    1.0000',
      `7      sha256     always_on.gpu-24gb (no manifest)  rejected  –        0.0000   ${REASONS.declined} a [2J b`,
      `8      sha256     always_on.gpu-24gb                broken    –        excused  ${REASONS['validator-away']}`,
      '',
      'Its scores',
      'class               jobs  excused  sum     of its class  part of the score',
      'always_on.gpu-24gb  2     1        2.0000  25.00 %       0.250000',
      '',
      'Its score is 0.250000, 25.00 % of the sum of 2 miners. This gives a weight of 21845 of 65535.',
      'The chain holds 21845 for uid 1, the same weight.',
      '',
      'How classes got their shares',
      'class               weight  demand  factor  scores  offered  demanded  share',
      'always_on.gpu-24gb  1       1200 s  1.25    8.0000  4.00     4.00      100.00 %',
      '',
    ])
  })

  it('reports when no weights have been set, or the miner has no jobs', () => {
    expect(lines({ setting: undefined, jobs: [], weight: 0, held: 0 })).toEqual([
      'Miner bob, uid 1.',
      'No weights have been set yet.',
      '',
    ])
    const withoutJobs = lines({ hotkey: 'dave', uid: 3, jobs: [], weight: 0, held: 0 })
    expect(withoutJobs).toContain('none')
    expect(withoutJobs).toContain(
      'Its score is 0.000000, 0.00 % of the sum of 2 miners. This gives a weight of 0 of 65535.',
    )
  })

  it('reports that a hotkey has left the subnet', () => {
    const text = lines({ uid: undefined, held: undefined })
    expect(text[0]).toBe('Miner bob, which has left the subnet.')
    expect(text).toContain('The chain holds no weight for a hotkey that has left.')
  })

  it('shows another weight on the chain without calling it wrong', () => {
    expect(lines({ held: 7 })).toContain('The chain holds 7 for uid 1, where the largest weight is 65535.')
    const committed = lines({ ...setting({ state: 'committed', commitBlock: 300 }), held: 0 })
    expect(committed[1]).toContain('is committed in block 300 and will be revealed.')
    expect(lines(setting({ state: 'planned' }))[1]).toContain('is being sent to the chain.')
  })

  it.each([
    [
      { basis: 'last setting', explanation: { ...EXPLANATION, repeats: 9 } },
      'repeat those of setting 9, which come from 2 batches (7, 8)',
    ],
    [
      { basis: 'last setting', explanation: null },
      'repeat those of the previous setting, because no batch has a score.',
    ],
    [{ basis: 'batches', explanation: null }, 'come from the batches since the previous setting.'],
    [{ basis: 'chain', explanation: null }, 'come from the weights on the chain, because no batch has a score.'],
    [{ basis: 'uniform', explanation: null }, 'are the same for every neuron, because there are no scores'],
  ])('reports where scores come from: %j', (over, words) => {
    expect(lines(setting(over))[1]).toContain(`Its scores ${words}`)
  })

  it('leaves out classes if they do not count', () => {
    const classes = [{ name: null, jobs: 2, excused: 0, sum: 3.5, ofClass: 0, part: 3.5 }]
    const miners = [{ hotkey: 'bob', score: 3.5, classes }]
    const text = lines(setting({ explanation: { ...EXPLANATION, scoring: '2024', classes: [], miners } }))
    expect(text).toContain('all    2     0        3.5000  –             3.500000')
    expect(text).not.toContain('How classes got their shares')
  })
})
