import { manualClock } from '@horde/kit/time'
import type { JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { type CountedJob, JobCounters } from './job-counters.ts'

function start() {
  const registry = new Registry()
  const clock = manualClock()
  const counters = new JobCounters(registry, clock)
  type Job = { executorClass: string; state: JobState; reason?: Reason; isResumed?: boolean }
  const job = (changes: Partial<Job> = {}): Job => ({ executorClass: 'always_on.test', state: 'accepted', ...changes })
  const move = (each: Job, state: JobState, reason?: Reason) => {
    const from = each.state
    Object.assign(each, { state, reason })
    counters.moved(each as CountedJob, from)
  }
  /** The seconds in each stage, summed over its jobs. */
  const seconds = async () => {
    const sums = (await registry.metrics()).matchAll(/^miner_job_stage_seconds_sum\{.*stage="(\w+)"\} (\S+)$/gm)
    return Object.fromEntries([...sums].map(([, stage, sum]) => [stage, Number(sum)]))
  }
  return { registry, clock, counters, job, move, seconds }
}

it('measures how long each stage took', async () => {
  const { clock, counters, job, move, seconds } = start()
  const one = job()
  counters.took(one)
  await clock.advance(1_000)
  counters.connected(one)
  await clock.advance(500)
  // A reconnect does not start the job again.
  counters.connected(one)
  await clock.advance(1_500)
  move(one, 'ready')
  await clock.advance(4_000)
  move(one, 'running')
  await clock.advance(8_000)
  move(one, 'finished')
  expect(await seconds()).toEqual({ start: 1, prepare: 2, offer_to_ready: 3, work: 4, run: 8 })
  expect(counters.ends()).toEqual({ finished: 1, failed: 0, broken: 0, rejected: 0 })
})

it('measures no later stage of a job that broke', async () => {
  const { clock, counters, job, move, seconds } = start()
  const one = job()
  counters.took(one)
  await clock.advance(1_000)
  move(one, 'broken', 'executor-exited')
  expect(await seconds()).toEqual({})
  expect(counters.ends()).toMatchObject({ broken: 1 })
})

it('measures only the stages that begin in this process for a resumed job', async () => {
  const { clock, counters, job, move, seconds } = start()
  const one = job({ state: 'ready', isResumed: true })
  counters.took(one)
  await clock.advance(9_000)
  counters.connected(one)
  move(one, 'running')
  await clock.advance(2_000)
  move(one, 'failed', 'exit-status')
  expect(await seconds()).toEqual({ run: 2 })
})

it('counts refused frames from zero, so that a rate has the first one', async () => {
  const { registry, counters } = start()
  counters.refusedFrame('unsigned')
  const text = await registry.metrics()
  expect(text).toContain('miner_frames_refused_total{reason="invalid-signature"} 0')
  expect(text).toContain('miner_frames_refused_total{reason="unsigned"} 1')
})

it('uses no text of a peer as a label', async () => {
  const { registry, counters, job, move } = start()
  const one = job({ executorClass: 'drop table "jobs"' })
  counters.took(one)
  move(one, 'ready')
  move(one, 'broken', 'executor-lost')
  counters.declined('\n', 'declined')
  counters.refused('unknown-validator')
  const text = await registry.metrics()
  expect(text).toContain('miner_jobs_total{executor_class="other",end="broken",reason="executor-lost"} 1')
  expect(text).toContain('miner_offers_declined_total{executor_class="other",reason="declined"} 1')
  expect(text).toContain('miner_refusals_total{reason="unknown-validator"} 1')
  expect(text).not.toContain('table')
})
