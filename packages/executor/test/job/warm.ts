/** Executors that prepare ahead of their offer, and a job that uses everything they prepare. */

import { expectGoodEnd, type Job, job, PYTHON, resultOn } from '@horde/testing/jobs/executor-job'
import type { UploadServer } from '@horde/testing/peers/http-target'
import { type Connection, receive, type TestExecutor, type TestMiner } from '@horde/testing/peers/miner-for-executors'
import { expect } from 'vitest'

const PREPARED = 'prepared ahead of the offer'

const WARM = { PREPARE_AHEAD: 'true', ALLOW_PRIVATE_TARGETS: 'true' }

export interface Warm {
  executor: TestExecutor
  connection: Connection
}

/** Starts an executor that prepares ahead, and waits for its connection. */
export async function warming(miner: TestMiner, env: Record<string, string> = {}): Promise<Warm> {
  const executor = miner.spawn({ ...WARM, ...env })
  return { executor, connection: await executor.connection() }
}

/** Starts one and waits until it has prepared all that it can before an offer. */
export async function warmed(miner: TestMiner, env: Record<string, string> = {}): Promise<Warm> {
  const warm = await warming(miner, env)
  await expect.poll(() => warm.executor.log).toContain(PREPARED)
  return warm
}

export async function ready({ connection }: Warm, wanted: Job): Promise<void> {
  await connection.send(wanted.offer)
  expect(await receive(connection, 'V0ReadyRequest')).toMatchObject({ job_uuid: wanted.job_uuid })
}

/** Returns a job with an input, a script and outputs. With `waits` it runs until there is a file /tmp/go. */
export function wholeJob(uploads: UploadServer, waits = false): Promise<Job> {
  const script = `
import os, time
while ${waits ? 'not os.path.exists("/tmp/go")' : 'False'}: time.sleep(0.02)
open(os.path.expanduser("~/note"), "w").write("home")
open("/output/result", "w").write(open("/volume/in.txt").read().upper())
print("went")
`
  return job({ script, offeredImage: PYTHON, files: { 'in.txt': 'of the job' }, upload: uploads.put() })
}

/** Expects a whole job to succeed after its work was sent. */
export async function expectWhole({ executor, connection }: Warm, uploads: UploadServer): Promise<void> {
  expect(await resultOn(connection)).toMatchObject({
    message_type: 'V0FinishedRequest',
    docker_process_stdout: 'went\n',
    docker_process_stderr: '',
  })
  await expectGoodEnd(executor, connection)
  expect(await uploads.texts()).toMatchObject({ result: 'OF THE JOB', 'stdout.txt': 'went\n' })
}
