/** Our miner with executors of every year, with confused ones, and with hostile ones; jobs are offered in both dialects. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Started, startMiner2026 } from '../v2026/started.ts'
import { BAD_EXECUTORS, GOOD_EXECUTORS, runWith, V0, V2026 } from './executor-kinds.ts'

let started: Started
beforeAll(async () => {
  started = await startMiner2026()
})
afterAll(() => started[Symbol.asyncDispose]())

describe.each(GOOD_EXECUTORS)('an executor $executor', ({ kind, ofV0, ofV2026 }) => {
  it.each([
    ['v0', ofV0],
    ['v2026', ofV2026],
  ] as const)('does the job of a validator of %s', async (dialect, expected) => {
    expect(await runWith(kind, dialect, started)).toEqual({ end: 'V0JobFinishedRequest', heard: expected })
  })
})

describe.each(BAD_EXECUTORS)('an executor $executor', ({ kind, ofV0, ofV2026 }) => {
  it.each([
    ['v0', ofV0],
    ['v2026', ofV2026],
  ] as const)('gets what it may understand of the job of a validator of %s', async (dialect, expected) => {
    const { end, heard } = await runWith(kind, dialect, started)
    expect(heard).toEqual(expected)
    // Where it understands everything, the job is as good as any.
    const isDone = heard.length === 2 && (heard[1] === V0[1] || heard[1] === V2026[1])
    const failed = dialect === 'v0' ? 'V0ExecutorFailedRequest' : 'V0HordeFailedRequest'
    expect(end).toBe(isDone ? 'V0JobFinishedRequest' : failed)
  })
})
