/** The connection to a miner of 2026: which dialect it speaks, and what is said again after a loss. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { job as jobOfV0 } from '@horde/testing/jobs/executor-job'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { RawMiner } from '@horde/testing/peers/raw-miner'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { untilRunning } from '../container/running.ts'
import { Job2026 } from './job-2026.ts'

const WAIT = 'import os, time\nwhile not os.path.exists("/tmp/go"): time.sleep(0.02)\nprint("went")'
const UNKNOWN = 'message_type is missing or not one of this link'

let miner: RawMiner
let spawner: TestMiner
beforeAll(async () => {
  miner = await RawMiner.start()
  spawner = await TestMiner.start()
})
afterAll(async () => {
  await spawner[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
})

async function letGo(job: Job2026): Promise<void> {
  await promisify(execFile)('docker', ['exec', '--detach', await untilRunning(job), 'touch', '/tmp/go'])
}

async function expectError(job: Job2026, frame: unknown, details: unknown): Promise<void> {
  job.connection.send(frame)
  expect(await job.connection.receive()).toEqual({ message_type: 'GenericError', details })
}

describe('the first offer decides the dialect', () => {
  test('before it, each message is answered in the dialect that it is of', async () => {
    const job = await Job2026.begin(miner, spawner)
    const { work } = await jobOfV0({ script: 'print(1)' })
    await expectError(job, {}, UNKNOWN)
    await expectError(job, work, 'no job was prepared here')
    await expectError(job, job.work, 'no job was prepared here')
    await expectError(job, { ...job.offer, executor_class: 'no.class' }, expect.stringMatching(/^executor_class: /))
    await expectError(job, { ...job.offer, job_uuid: 'mine' }, 'job_uuid: must be a uuid')
    await job.prepare()
    await job.run()
    await job.expectFinished()
  })

  test('after it, the other dialect is unknown', async () => {
    const job = await Job2026.begin(miner, spawner)
    const ofV0 = await jobOfV0({ script: 'print(1)' })
    await job.prepare()
    await expectError(job, ofV0.offer, UNKNOWN)
    await expectError(job, { ...ofV0.work, job_uuid: job.job_uuid }, UNKNOWN)
    await job.run()
    await job.expectFinished()
  })

  test('also when it is of v0', async () => {
    const job = await Job2026.begin(miner, spawner)
    const ofV0 = await jobOfV0({ script: 'print(1)' })
    job.connection.send(ofV0.offer)
    const ready = { message_type: 'V0ReadyRequest', job_uuid: ofV0.job_uuid }
    expect(await job.connection.receive()).toEqual(ready)
    await expectError(job, job.offer, UNKNOWN)
    job.connection.send(ofV0.work)
    expect(await job.connection.receive()).toMatchObject({
      message_type: 'V0FinishedRequest',
      docker_process_stdout: '1\n',
    })
    await job.expectEnd()
  })
})

test('refuses an upload out of /output as a malformed frame, and takes the next work', async () => {
  const job = await Job2026.begin(miner, spawner)
  const output_upload = { output_upload_type: 'single_file_put', url: 'http://files.example/', relative_path: '../a' }
  await job.prepare()
  await expectError(job, { ...job.work, output_upload }, expect.stringMatching(/^output_upload/))
  await job.run()
  await job.expectFinished()
})

describe('after a loss', () => {
  test('says again that the job is ready', async () => {
    const job = await Job2026.begin(miner, spawner)
    await job.prepare()
    await job.reconnect()
    await job.expect('V0ExecutorReadyRequest', { executor_token: null })
    await job.run()
    await job.expectFinished()
  })

  test('repeats the stages of a run, and delivers the result', async () => {
    const job = await Job2026.begin(miner, spawner, { work: { docker_run_cmd: ['python', '-c', WAIT] } })
    await job.prepare()
    job.connection.send(job.work)
    await job.expect('V0VolumesReadyRequest')
    await job.reconnect()
    await job.expect('V0VolumesReadyRequest')
    await letGo(job)
    await job.expect('V0ExecutionDoneRequest')
    const result = { docker_process_stdout: 'went\n', docker_process_stderr: '', artifacts: {}, upload_results: {} }
    await job.expect('V0JobFinishedRequest', result)
    expect(await job.connection.receive()).toEqual({ closed: 1000 })
    // The miner has not acknowledged the result.
    await job.reconnect()
    await job.expect('V0VolumesReadyRequest')
    await job.expect('V0ExecutionDoneRequest')
    await job.expectFinished(result)
  })
})
