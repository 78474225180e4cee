/**
 * The published validator client loses its connection in every stage of a job. It dials again and authenticates, and
 * repeats nothing that it has written: so a lost offer or lost work costs the job, and nothing else does.
 */
import { containersWith } from '@horde/testing/local-engine'
import { TestWeb } from '@horde/testing/peers/http-target'
import { type Cut, startCuttingRelay } from '@horde/testing/peers/v2026/cutting-relay'
import { inArray } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { jobs } from '../src/db/schema.ts'
import type { TestMiner } from '../test/harness.ts'
import {
  type End,
  type Job,
  type PythonValidator,
  program,
  startMinerForPython,
  startPythonValidator,
  TIMING,
} from './python-validator.ts'

let python: PythonValidator
let miner: TestMiner
beforeAll(async () => {
  python = startPythonValidator()
  miner = await startMinerForPython(1)
})
afterAll(async () => {
  await python[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
})

/** Gives a job while the connection is cut once. Returns its end, and what passed. */
async function giveCut(job: Job, cut: Cut): Promise<{ end: End | undefined; passed: string[] }> {
  await using relay = await startCuttingRelay(miner.url, cut)
  const [end] = await python.give(relay.port, job)
  expect(relay.connections()).toBeGreaterThan(1)
  return { end, passed: relay.passed }
}

/** Expects that the job's place is free and its container gone, and that the next job runs in it. */
async function expectNothingLeft({ job_uuid }: Job): Promise<void> {
  const open = () => miner.db.$count(jobs, inArray(jobs.state, ['offered', 'accepted', 'ready', 'running']))
  await expect.poll(open, { timeout: 20_000 }).toBe(0)
  const [next] = await python.give(miner.port, program('print("next")'))
  expect(next).toMatchObject({ end: 'finished', stdout: 'next\n' })
  expect(await containersWith(`compute-horde.job=${job_uuid}`)).toEqual([])
}

const FINISHED = { end: 'finished', stdout: 'went\n' }
const says = (type: string, isLost = false): Cut => ({ from: 'validator', type, isLost })
const hears = (type: string, isLost = false): Cut => ({ from: 'miner', type, isLost })

describe('a job whose connection is cut finishes', () => {
  it.each<[string, Cut]>([
    ['before the miner has accepted it', says('V0InitialJobRequest')],
    ['when the acceptance is lost', hears('V0AcceptJobRequest', true)],
    ['after the acceptance', hears('V0AcceptJobRequest')],
    ['while its executor prepares, and the receipt is lost', says('V0JobAcceptedReceiptRequest', true)],
    ['while its executor prepares', says('V0JobAcceptedReceiptRequest')],
    ['when ready is lost', hears('V0ExecutorReadyRequest', true)],
    ['after its work was sent', says('V0JobRequest')],
    ['when the message that its input is there is lost', hears('V0VolumesReadyRequest', true)],
    ['while it runs', hears('V0VolumesReadyRequest')],
    ['when the message that its container has ended is lost', hears('V0ExecutionDoneRequest', true)],
    ['while its output is delivered', hears('V0ExecutionDoneRequest')],
    ['before its end is read', hears('V0JobFinishedRequest', true)],
  ])('%s', async (_, cut) => {
    const job = program('import time; time.sleep(1); print("went")')
    expect((await giveCut(job, cut)).end).toMatchObject(FINISHED)
    await expectNothingLeft(job)
  })

  it('while its input is loaded', async () => {
    const answers: (() => void)[] = []
    await using web = await TestWeb.start((_, response) => void answers.push(() => response.end('input')))
    const job = program('print(open("/volume/a").read())', {
      volume: { volume_type: 'single_file', url: web.url('/'), relative_path: 'a' },
    })
    await using relay = await startCuttingRelay(miner.url, says('V0JobRequest'))
    const given = python.give(relay.port, job)
    await expect.poll(() => answers.length > 0 && relay.passed.includes('2 ValidatorAuthForMiner')).toBe(true)
    for (const answer of answers) answer()
    expect(await given).toMatchObject([{ end: 'finished', stdout: 'input\n' }])
    await expectNothingLeft(job)
  })
})

describe('a job whose connection is cut ends, and leaves nothing, when', () => {
  it.each([
    ['its authentication is lost', says('ValidatorAuthForMiner', true)],
    ['only its authentication has arrived', says('ValidatorAuthForMiner')],
  ])('%s', async (_, cut) => {
    const job = program('print("went")')
    const { end, passed } = await giveCut(job, cut)
    // The client writes its offer behind the authentication: before or after it notices the loss.
    const isOffered = passed.includes('2 V0InitialJobRequest')
    expect(end).toMatchObject(isOffered ? FINISHED : { end: 'MinerTimedOut' })
    expect(passed).toContain('2 ValidatorAuthForMiner')
    await expectNothingLeft(job)
  })

  it('its offer is lost', async () => {
    const job = program('print()')
    const { end, passed } = await giveCut(job, says('V0InitialJobRequest', true))
    expect(end).toMatchObject({ end: 'MinerTimedOut' })
    expect(passed.filter(type => type.endsWith('V0InitialJobRequest'))).toEqual([])
    await expectNothingLeft(job)
  })

  it('its work is lost', async () => {
    const job = program('print()', { job_timing: { ...TIMING, allowed_leeway: 1, download_time_limit: 1 } })
    const { end, passed } = await giveCut(job, says('V0JobRequest', true))
    // The executor gives up when the validator does. Either may be first.
    expect(['MinerTimedOut', 'MinerReportedJobFailed']).toContain(end?.end)
    expect(passed.filter(type => type.endsWith('V0JobRequest'))).toEqual([])
    expect(passed.at(-1)).toBe('2 V0JobFinishedReceiptRequest')
    await expectNothingLeft(job)
  })
})

it('a job whose last receipt is lost has finished all the same', async () => {
  const job = program('print("went")')
  await using relay = await startCuttingRelay(miner.url, says('V0JobFinishedReceiptRequest', true))
  expect(await python.give(relay.port, job)).toMatchObject([FINISHED])
  await expectNothingLeft(job)
})
