import { manualClock } from '@horde/kit/time'
import type { JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { type CountedJob, Tally } from './tally.ts'

function start() {
  const registry = new Registry()
  const clock = manualClock()
  const tally = new Tally(registry, clock)
  type Job = { executorClass: string; state: JobState; reason?: Reason; isResumed?: boolean }
  const job = (changes: Partial<Job> = {}): Job => ({ executorClass: 'always_on.test', state: 'accepted', ...changes })
  const move = (each: Job, state: JobState, reason?: Reason) => {
    const from = each.state
    Object.assign(each, { state, reason })
    tally.moved(each as CountedJob, from)
  }
  /** The seconds in each stage, summed over its jobs. */
  const seconds = async () => {
    const sums = (await registry.metrics()).matchAll(/^miner_job_stage_seconds_sum\{.*stage="(\w+)"\} (\S+)$/gm)
    return Object.fromEntries([...sums].map(([, stage, sum]) => [stage, Number(sum)]))
  }
  return { registry, clock, tally, job, move, seconds }
}

it('knows how long each stage took', async () => {
  const { clock, tally, job, move, seconds } = start()
  const one = job()
  tally.took(one)
  await clock.advance(1_000)
  tally.connected(one)
  await clock.advance(500)
  // It lost its connection and came back: it started once.
  tally.connected(one)
  await clock.advance(1_500)
  move(one, 'ready')
  await clock.advance(4_000)
  move(one, 'running')
  await clock.advance(8_000)
  move(one, 'finished')
  expect(await seconds()).toEqual({ start: 1, prepare: 2, offer_to_ready: 3, work: 4, run: 8 })
  expect(tally.ends()).toEqual({ finished: 1, failed: 0, broken: 0, rejected: 0 })
})

it('a job that broke was in no later stage', async () => {
  const { clock, tally, job, move, seconds } = start()
  const one = job()
  tally.took(one)
  await clock.advance(1_000)
  move(one, 'broken', 'executor-exited')
  expect(await seconds()).toEqual({})
  expect(tally.ends()).toMatchObject({ broken: 1 })
})

it('of a job that an earlier run began only the stages that begin here are known', async () => {
  const { clock, tally, job, move, seconds } = start()
  const one = job({ state: 'ready', isResumed: true })
  tally.took(one)
  await clock.advance(9_000)
  tally.connected(one)
  move(one, 'running')
  await clock.advance(2_000)
  move(one, 'failed', 'exit-status')
  expect(await seconds()).toEqual({ run: 2 })
})

it('what a stranger calls a class or a reason is no label', async () => {
  const { registry, tally, job, move } = start()
  const one = job({ executorClass: 'drop table "jobs"' })
  tally.took(one)
  move(one, 'ready')
  move(one, 'broken', 'executor-lost')
  tally.declined('\n', 'declined')
  tally.refused('unknown-validator')
  const text = await registry.metrics()
  expect(text).toContain('miner_jobs_total{executor_class="other",end="broken",reason="executor-lost"} 1')
  expect(text).toContain('miner_offers_declined_total{executor_class="other",reason="declined"} 1')
  expect(text).toContain('miner_refusals_total{reason="unknown-validator"} 1')
  expect(text).not.toContain('table')
})
