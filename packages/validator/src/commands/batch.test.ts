import { ChainError } from '@horde/chain/errors'
import { silentLog } from '@horde/kit/log'
import { jobUuid } from '@horde/protocol/primitives'
import { describe, expect, it } from 'vitest'
import type { Validator } from '../app.ts'
import type { BatchReport } from '../batches/drive-batch.ts'
import { EMPTY_RESULT, type JobResult } from '../db/jobs.ts'
import type { WeightsOutcome } from '../weights/set-weights.ts'
import { runBatchOnce } from './batch.ts'

const uuid = jobUuid.parse('9a74be09-d985-4a66-9d28-554f00ad7cfa')
const miner = (uid: number) => ({ uid, hotkey: `hotkey-${uid}`, address: '127.0.0.2:1' })
const right: JobResult = { ...EMPTY_RESULT, state: 'finished', reason: null, seconds: 9, score: 1.9, rightAnswer: true }
const declined: JobResult = {
  ...{ ...EMPTY_RESULT, state: 'rejected', reason: 'declined', seconds: null, score: 0, rightAnswer: false },
}

const REPORT: BatchReport = {
  ...{ id: 4, benchmark: 'sha384', counts: true },
  jobs: [
    { miner: miner(1), uuid, end: right },
    { miner: miner(2), uuid, end: declined },
    { miner: miner(3), uuid, end: undefined },
  ],
}
const SET: WeightsOutcome = {
  ...{ outcome: 'set', basis: 'batches', block: 42, confirmed: true, weights: [{ uid: 1, weight: 65_535 }] },
}

/** What the command prints and exits with when the batch and the weights turn out so. */
async function run(json: boolean, report: BatchReport, outcome: WeightsOutcome | Error, miners: string[] = []) {
  let settings = 0
  let only: readonly string[] | undefined
  const validator: Pick<Validator, 'batch' | 'weights' | 'sweep'> = {
    batch: async (_signal, options) => {
      only = options?.only
      return report
    },
    weights: async () => {
      settings += 1
      if (outcome instanceof Error) throw outcome
      return outcome
    },
    sweep: async () => {},
  }
  let printed = ''
  const print = (text: string) => {
    printed += text
  }
  const code = await runBatchOnce({ json, miners }, { validator, print, log: silentLog }, new AbortController().signal)
  return { code, printed, settings, only }
}

describe('the command batch', () => {
  it('prints the result as one JSON line', async () => {
    const { code, printed } = await run(true, REPORT, SET)
    expect(code).toBe(0)
    expect(printed.match(/\n/g)).toHaveLength(1)
    expect(JSON.parse(printed)).toEqual({
      ...{ batch: 4, algorithm: 'sha384', block: 42, commitBlock: null, weights: [{ uid: 1, weight: 65_535 }] },
      jobs: [
        { miner: 'hotkey-1', uid: 1, state: 'finished', seconds: 9, score: 1.9, reason: null, answer: true },
        { miner: 'hotkey-2', uid: 2, state: 'rejected', seconds: null, score: 0, reason: 'declined', answer: false },
        { miner: 'hotkey-3', uid: 3, state: 'broken', seconds: null, score: 0, reason: 'abandoned', answer: false },
      ],
    })
  })

  it('prints the result as a table', async () => {
    const { printed } = await run(false, REPORT, SET)
    expect(printed.split('\n')).toEqual([
      'Batch 4: sha384, 3 jobs',
      'uid  miner     state     seconds  score   weight  reason',
      '1    hotkey-1  finished  9.00     1.9000  65535',
      '2    hotkey-2  rejected  –        0.0000  0       declined',
      '3    hotkey-3  broken    –        0.0000  0       abandoned',
      'Weights are in block 42.',
      '',
    ])
  })

  it.each<[string, WeightsOutcome | Error]>([
    ['are refused', new ChainError('NoValidatorPermit')],
    ['are not due', { outcome: 'too soon', dueAtBlock: 100 }],
    ['are being set by another process', { outcome: 'busy' }],
  ])('exits with 1 when the weights %s, and still prints how the jobs ended', async (_, outcome) => {
    const { code, printed } = await run(true, REPORT, outcome)
    expect(code).toBe(1)
    expect(JSON.parse(printed)).toMatchObject({ jobs: [{ uid: 1 }, { uid: 2 }, { uid: 3 }], weights: [], block: null })
  })

  it('reports that weights are committed, and exits with 0', async () => {
    const committed: WeightsOutcome = { outcome: 'committed', basis: 'batches', block: 7, epoch: 3 }
    const { code, printed } = await run(false, REPORT, committed)
    expect(code).toBe(0)
    expect(printed).toContain('Weights are committed in block 7, to be revealed.')
    expect(JSON.parse((await run(true, REPORT, committed)).printed)).toMatchObject({ block: null, commitBlock: 7 })
  })

  it('exits with 1 when the chain holds other weights', async () => {
    expect((await run(true, REPORT, { ...SET, confirmed: false } as WeightsOutcome)).code).toBe(1)
  })

  it('runs on some miners only, sets no weights, and exits by their answers', async () => {
    const trial = { ...REPORT, counts: false }
    expect(await run(false, trial, SET, ['1', '2'])).toMatchObject({
      ...{ code: 1, settings: 0, only: ['1', '2'] },
      printed: expect.stringContaining('A trial: no weights were set.'),
    })
    const right = { ...trial, jobs: trial.jobs.slice(0, 1) }
    expect(await run(true, right, SET, ['1'])).toMatchObject({ code: 0, settings: 0 })
    expect((await run(true, { ...trial, jobs: [] }, SET, ['1'])).code).toBe(1)
    expect((await run(true, REPORT, SET)).only).toBeUndefined()
  })

  it('sets no weights after a batch that a stop interrupted', async () => {
    expect(await run(true, { ...REPORT, counts: false }, SET)).toMatchObject({ code: 1, settings: 0 })
  })
})
