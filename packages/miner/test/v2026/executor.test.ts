/** Jobs of v2026 with a real executor and real containers: what v0 cannot express reaches the job and comes back. */
import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { systemClock } from '@horde/kit/time'
import { zipBase64 } from '@horde/testing/jobs/executor-job'
import { WAIT_MS } from '@horde/testing/limits'
import { TestWeb } from '@horde/testing/peers/http-target'
import { TestMiner as TestExecutors } from '@horde/testing/peers/miner-for-executors'
import {
  connectValidator2026,
  offer2026,
  receipt2026,
  signed2026,
  work2026,
} from '@horde/testing/peers/v2026/validator'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { receipts } from '../../src/db/schema.ts'
import { processManager } from '../../src/horde/process/process-manager.ts'
import { startChain, temporaryFolder } from '../harness.ts'
import { type Started, startMiner2026 } from './started.ts'

const PYTHON = 'compute-horde/python:3.11'
const SCRIPT = `
import os, pathlib
print(os.environ['GREETING'])
texts = [pathlib.Path('/volume', name).read_text() for name in ('in/a.txt', 'b.txt', 'c.txt')]
pathlib.Path('/output/all.txt').write_text(' '.join(texts))
pathlib.Path('/artifacts/r.txt').write_text('artifact')
`

let stack: AsyncDisposableStack
let network: Awaited<ReturnType<typeof startChain>>
let started: Started
let web: TestWeb
const uploaded = new Map<string, string>()
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startChain())
  web = stack.use(
    await TestWeb.start(async (request, response) => {
      if (request.url === '/missing') return response.writeHead(404).end()
      if (request.method === 'PUT') uploaded.set(request.url ?? '', (await buffer(request)).toString())
      response.setHeader('etag', 'x').end(request.method === 'GET' ? 'from the web' : 'stored')
    }),
  )
  const home = stack.use(await temporaryFolder()).path
  const environment = { PATH: process.env.PATH ?? '', HOME: home, ALLOW_PRIVATE_TARGETS: 'true' }
  const owner = `v2026 test ${randomUUID()}`
  const manager = await processManager({ owner, clock: systemClock, environment, stopWithinMs: 10_000 })
  started = stack.use(await startMiner2026({ manager, env: { PORT_FOR_EXECUTORS: '0' } }, network))
})
afterAll(() => stack.disposeAsync())

it('runs a job with variables, three volumes of different kinds, an upload and artifacts', async () => {
  await using validator = await connectValidator2026(started.miner)
  const uuid = randomUUID()
  const volume = {
    volume_type: 'multi_volume',
    volumes: [
      { volume_type: 'inline', contents: await zipBase64({ 'a.txt': 'inline' }), relative_path: 'in' },
      { volume_type: 'single_file', url: web.url('/b'), relative_path: 'b.txt' },
      { volume_type: 'inline', contents: await zipBase64({ 'c.txt': 'last' }), relative_path: null },
    ],
  }
  await validator.send(signed2026(offer2026(uuid, { changes: { docker_image: PYTHON, volume } })))
  expect(await validator.next()).toMatchObject({ message_type: 'V0AcceptJobRequest' })
  expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorReadyRequest' })
  const upload = { output_upload_type: 'single_file_put', url: web.url('/all'), relative_path: 'all.txt' }
  const work = {
    docker_image: PYTHON,
    docker_run_cmd: ['python', '-c', SCRIPT],
    env: { GREETING: 'hello' },
    output_upload: { output_upload_type: 'multi_upload', uploads: [{ ...upload, signed_headers: null }] },
    artifacts_dir: '/artifacts',
  }
  await validator.send(signed2026(work2026(uuid, work)))
  const steps = [await validator.next(), await validator.next()].map(({ message_type }) => message_type)
  expect(steps).toEqual(['V0VolumesReadyRequest', 'V0ExecutionDoneRequest'])
  expect(await validator.next()).toMatchObject({
    message_type: 'V0JobFinishedRequest',
    docker_process_stdout: 'hello\n',
    artifacts: { '/artifacts/r.txt': Buffer.from('artifact').toString('base64') },
    upload_results: { 'all.txt': expect.stringContaining('"etag":"x"') },
  })
  expect(uploaded.get('/all')).toBe('inline from the web last')
  // Without it, the validator's next connection gets all of this again.
  await validator.send(receipt2026(uuid, 'finished'))
  const stored = () => started.miner.db.select().from(receipts).where(eq(receipts.jobUuid, uuid))
  await expect.poll(async () => (await stored()).map(({ receiptType }) => receiptType)).toContain('JobFinishedReceipt')
})

it('reports the exit status of a job that failed, and its stage', async () => {
  await using validator = await connectValidator2026(started.miner)
  const uuid = randomUUID()
  await validator.send(signed2026(offer2026(uuid, { changes: { docker_image: PYTHON } })))
  await validator.next()
  await validator.next()
  const docker_run_cmd = ['python', '-c', 'print("out"); exit(3)']
  await validator.send(signed2026(work2026(uuid, { docker_image: PYTHON, docker_run_cmd })))
  expect(await validator.next()).toMatchObject({ message_type: 'V0VolumesReadyRequest' })
  expect(await validator.next()).toMatchObject({
    message_type: 'V0JobFailedRequest',
    reason: 'nonzero_return_code',
    stage: 'execution',
    docker_process_exit_status: 3,
    docker_process_stdout: 'out\n',
  })
})

it('reports that an input of the offer could not be loaded as the fault of the job', async () => {
  await using own = await startMiner2026({}, network)
  await using executors = await TestExecutors.start()
  await using validator = await connectValidator2026(own.miner)
  const uuid = randomUUID()
  const volume = { volume_type: 'single_file', url: web.url('/missing'), relative_path: 'a.txt' }
  await validator.send(signed2026(offer2026(uuid, { changes: { docker_image: PYTHON, volume } })))
  expect(await validator.next()).toMatchObject({ message_type: 'V0AcceptJobRequest' })
  const { token, minerAddress } = await own.manager.order()
  const executor = executors.spawn({ MINER_ADDRESS: minerAddress, ALLOW_PRIVATE_TARGETS: 'true' }, token)
  expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorReadyRequest' })
  await expect.poll(() => executor.log, { timeout: WAIT_MS }).toContain('the input could not be loaded')
  await validator.send(signed2026(work2026(uuid, { docker_image: PYTHON })))
  expect(await validator.next()).toEqual({
    message_type: 'V0JobFailedRequest',
    job_uuid: uuid,
    message: 'Volume (file-url): Input could not be fetched: the server answered with status 404',
    reason: 'download_failed',
    stage: 'volume_download',
    docker_process_exit_status: null,
    docker_process_stdout: null,
    docker_process_stderr: null,
    context: null,
  })
})
