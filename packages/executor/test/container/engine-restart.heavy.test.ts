/** A job whose engine is restarted under it, with live-restore, as an upgrade of Docker does. */

import { withDeadline } from '@horde/kit/time'
import { job, PYTHON, readied, result, resultOn } from '@horde/testing/jobs/executor-job'
import { WAIT_MS } from '@horde/testing/limits'
import { TestWeb } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { PrivateEngine } from '@horde/testing/private-engine'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { textsIn } from '../zip/read-zip.ts'

const STOPPED = 'The job was stopped from outside: by the container engine, or by its operator.\n'

let miner: TestMiner
let engine: PrivateEngine
beforeAll(async () => {
  miner = await TestMiner.start()
  engine = await PrivateEngine.start({ hasImages: true, settings: { 'live-restore': true } })
})
afterAll(async () => {
  await miner[Symbol.asyncDispose]()
  await engine[Symbol.asyncDispose]()
})

async function untilRunning(image: string): Promise<void> {
  while ((await engine.docker('ps', '--quiet', '--filter', `ancestor=${image}`)) === '');
}

/** The times since its start at which the engine was asked for a container's output. */
function attachedTo(id: string): Promise<string> {
  const filters = ['--filter', 'event=attach', '--filter', `container=${id}`]
  return engine.docker('events', '--since', '1', '--until', String(Date.now() / 1000), ...filters)
}

/** Runs a job that ticks, and restarts the engine under it, `when` its container runs. */
async function runAcrossRestart(when: (containerId: string) => Promise<unknown>) {
  const bodies: Buffer[] = []
  await using web = await TestWeb.start(async (request, response) => {
    bodies.push(Buffer.concat(await request.toArray()))
    response.end()
  })
  const script = `
import itertools, os, time
for tick in itertools.count():
  print("tick", tick, flush=True)
  open("/output/ticked", "w")
  if os.path.exists("/tmp/go"):
    break
  time.sleep(0.2)
print("last")
open("/output/result", "w").write("of the job")
`
  const upload = { output_upload_type: 'zip_and_http_put', url: web.url('/') }
  const wanted = await job({ script, upload })
  const env = { DOCKER_HOST: engine.dockerHost, ALLOW_PRIVATE_TARGETS: 'true' }
  const { executor, connection } = await readied(miner, wanted, env)
  await connection.send(wanted.work)
  await withDeadline(untilRunning(PYTHON), WAIT_MS, 'waiting for the job to run')
  const id = await engine.docker('ps', '--quiet', '--filter', `ancestor=${PYTHON}`)
  await when(id)
  await engine.restart()
  await expect.poll(() => attachedTo(id)).not.toBe('')
  await engine.docker('exec', '--detach', id, 'touch', '/tmp/go')
  const answer = await resultOn(connection)
  expect(await executor.exit()).toBe(0)
  expect(bodies).toHaveLength(1)
  return { answer, files: await textsIn(bodies[0] ?? Buffer.alloc(0)) }
}

test('reports the end of a job, and everything that it printed before the restart', async () => {
  const ticked = (id: string) => engine.docker('exec', id, 'test', '-e', '/output/ticked')
  const { answer, files } = await runAcrossRestart(id => vi.waitFor(() => ticked(id), { timeout: WAIT_MS }))
  expect(answer.docker_process_stdout).toMatch(/^tick 0\n(.*\n)*last\n$/)
  expect(answer.docker_process_stderr).toContain("Some of the job's output did not arrive from the container engine. ")
  // Engine 20.10 forgets that the volume was mounted; later ones keep it.
  const hasResult = answer.message_type === 'V0FinishedRequest'
  expect(Object.keys(files).includes('result')).toBe(hasResult)
  expect(answer.docker_process_stderr.includes('The outputs were lost when the container engine was restarted.')).toBe(
    !hasResult,
  )
})

test('notes where the output broke off, also at its beginning', async () => {
  const { answer } = await runAcrossRestart(async () => {})
  const { docker_process_stdout: stdout, docker_process_stderr: stderr } = answer
  const [, bytes] = /It broke off after (\d+) bytes of stdout and 0 bytes of stderr\./.exec(stderr) ?? []
  expect(bytes).toBeDefined()
  const before = stdout.slice(0, Number(bytes)).split('\n').slice(0, -1)
  expect(before).toEqual(before.map((_, tick) => `tick ${tick}`))
  expect(stdout).toMatch(/last\n$/)
})

test('does not report a job that the engine ended as failed by itself', async () => {
  await engine.restart({})
  const wanted = await job({ script: 'import time; time.sleep(60)' })
  const { connection } = await readied(miner, wanted, { DOCKER_HOST: engine.dockerHost })
  await connection.send(wanted.work)
  await withDeadline(untilRunning(PYTHON), WAIT_MS, 'waiting for the job to run')
  await engine.restart()
  const answer = await resultOn(connection)
  expect(answer).toMatchObject({
    message_type: 'V0FailedRequest',
    docker_process_exit_status: null,
    timeout: false,
    docker_process_stderr: STOPPED,
  })
})

test.each(['SIGTERM', 'SIGKILL'])('reports a job that the operator ends by %s as stopped', async signal => {
  const wanted = await job({ script: 'import time; time.sleep(60)' })
  const { connection } = await readied(miner, wanted, { DOCKER_HOST: engine.dockerHost })
  await connection.send(wanted.work)
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
])('reports a job that ends itself by %s with exit code %d', async (signal, exitStatus, stderr) => {
  const script = `import os, signal; os.kill(os.getpid(), signal.${signal})`
  const answer = await result(miner, { script }, { DOCKER_HOST: engine.dockerHost })
  expect(answer).toMatchObject({ docker_process_exit_status: exitStatus, docker_process_stderr: stderr })
})
