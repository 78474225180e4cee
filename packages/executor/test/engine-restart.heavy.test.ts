/** A job whose engine is restarted under it, with live-restore, as an upgrade of Docker does. */

import { WAIT_MS } from '@horde/kit/testing/limits'
import { PrivateEngine } from '@horde/kit/testing/private-engine'
import { withDeadline } from '@horde/kit/time'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { job, PYTHON, readied, result, resultOn } from './jobs.ts'
import { TestMiner } from './miner.ts'
import { textsIn } from './read-zip.ts'
import { TestWeb } from './web.ts'

const TICKS = 30
const STOPPED = 'The job was stopped from outside: by the container engine, or by whoever runs it.\n'

let miner: TestMiner
let engine: PrivateEngine
beforeAll(async () => {
  miner = await TestMiner.start()
  engine = await PrivateEngine.start({ settings: { 'live-restore': true } })
  await engine.load(PYTHON)
})
afterAll(async () => {
  await miner[Symbol.asyncDispose]()
  await engine[Symbol.asyncDispose]()
})

async function untilRunning(image: string): Promise<void> {
  while ((await engine.docker('ps', '--quiet', '--filter', `ancestor=${image}`)) === '');
}

test('its end is told, and of its output nothing is lost in silence', async () => {
  const bodies: Buffer[] = []
  await using web = await TestWeb.start(async (request, response) => {
    bodies.push(Buffer.concat(await request.toArray()))
    response.end()
  })
  const script = `
import time
for tick in range(${TICKS}):
  print("tick", tick, flush=True)
  time.sleep(0.2)
open("/output/result", "w").write("of the job")
`
  const upload = { output_upload_type: 'zip_and_http_put', url: web.url('/') }
  const wanted = await job({ script, upload })
  const env = { DOCKER_HOST: engine.dockerHost, ALLOW_PRIVATE_TARGETS: 'true' }
  const { executor, connection } = await readied(miner, wanted, env)
  await connection.say(wanted.work)
  await withDeadline(untilRunning(PYTHON), WAIT_MS, 'waiting for the job to run')
  await engine.restart()
  const answer = await resultOn(connection)
  expect(await executor.exit()).toBe(0)

  expect(answer.docker_process_stdout).toMatch(new RegExp(`^tick 0\n[^]*tick ${TICKS - 1}\n$`))
  expect(answer.docker_process_stderr).toContain("Some of the job's output did not arrive from the container engine.\n")
  const [zip = Buffer.alloc(0)] = bodies
  const files = await textsIn(zip)
  expect(bodies).toHaveLength(1)
  // Engine 20.10 forgets that the volume was mounted; later ones keep it.
  const hasResult = answer.message_type === 'V0FinishedRequest'
  expect(Object.keys(files).includes('result')).toBe(hasResult)
  expect(answer.docker_process_stderr.includes('The outputs were lost when the container engine was restarted.')).toBe(
    !hasResult,
  )
})

test('a job that the engine ended when it stopped is not told as one that failed by itself', async () => {
  const stopping = await PrivateEngine.start()
  await using _ = stopping
  await stopping.load(PYTHON)
  const wanted = await job({ script: 'import time; time.sleep(60)' })
  const { connection } = await readied(miner, wanted, { DOCKER_HOST: stopping.dockerHost })
  await connection.say(wanted.work)
  while ((await stopping.docker('ps', '--quiet', '--filter', `ancestor=${PYTHON}`)) === '');
  await stopping.restart()
  const answer = await resultOn(connection)
  expect(answer).toMatchObject({
    message_type: 'V0FailedRequest',
    docker_process_exit_status: null,
    timeout: false,
    docker_process_stderr: STOPPED,
  })
})

test.each(['SIGTERM', 'SIGKILL'])('a job that the operator ends by %s is told as such', async signal => {
  const wanted = await job({ script: 'import time; time.sleep(60)' })
  const { connection } = await readied(miner, wanted, { DOCKER_HOST: engine.dockerHost })
  await connection.say(wanted.work)
  await withDeadline(untilRunning(PYTHON), WAIT_MS, 'waiting for the job to run')
  await engine.docker(
    'kill',
    '--signal',
    signal,
    await engine.docker('ps', '--quiet', '--filter', `ancestor=${PYTHON}`),
  )
  const answer = await resultOn(connection)
  expect(answer).toMatchObject({ docker_process_exit_status: null, docker_process_stderr: STOPPED })
})

test.each([
  ['SIGTERM', 143, ''],
  ['SIGKILL', 137, 'The job was killed from outside, most likely for running out of memory.\n'],
])('a job that ends itself by %s exits with %d', async (signal, exitStatus, stderr) => {
  const script = `import os, signal; os.kill(os.getpid(), signal.${signal})`
  const answer = await result(miner, { script }, { DOCKER_HOST: engine.dockerHost })
  expect(answer).toMatchObject({ docker_process_exit_status: exitStatus, docker_process_stderr: stderr })
})
