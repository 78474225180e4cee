/** Frames of every size, from authenticated validators, and to peers that accept less. */
import { randomUUID } from 'node:crypto'
import { LARGE_FRAME_BYTES, SMALL_FRAME_BYTES } from '@horde/protocol/frame'
import type { V0JobRequest } from '@horde/protocol/v0/validator-miner'
import { connectExecutor } from '@horde/testing/peers/executor'
import { connectValidator, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { findJob } from '../../src/db/jobs.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf, workOf } from '../messages.ts'

const MIB = 1024 * 1024

let stack: AsyncDisposableStack
let miner: TestMiner
const manager = new ScriptedManager()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  miner = stack.use(await startTestMiner({ chain, chainUrl, manager, env: { EXECUTOR_CLASS: 'always_on.test' } }))
})
afterAll(() => stack.disposeAsync())

/** Work whose frame is exactly so long. */
function workOfBytes(uuid: string, bytes: number): V0JobRequest {
  const work = (contents: string) => workOf(uuid, { volume: { volume_type: 'inline', contents } })
  return work('A'.repeat(bytes - Buffer.byteLength(JSON.stringify(work('')))))
}

it('passes on work of 50 MiB; one byte more closes the connection, and the job goes on', async () => {
  const uuid = randomUUID()
  const validator = await connectValidator(miner)
  await validator.send(offerOf(uuid))
  await validator.next()
  const executor = await connectExecutor(await manager.order(), manager)
  await executor.next()
  await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  await validator.next()
  await validator.send(workOfBytes(uuid, LARGE_FRAME_BYTES + 1)).catch(() => {})
  expect((await validator.closed).code).toBe(1009)
  expect(await findJob(miner.db, validatorKey().ss58, uuid)).toMatchObject({ state: 'ready' })

  await using again = await connectValidator(miner)
  expect(await again.next()).toMatchObject({ message_type: 'V0ExecutorReadyRequest' })
  const work = workOfBytes(uuid, LARGE_FRAME_BYTES)
  await again.send(work)
  expect(await executor.next()).toEqual({ ...work, message_type: 'V0RunJobRequest' })
  const output = { docker_process_stdout: 'x', docker_process_stderr: '' }
  await executor.send({ message_type: 'V0FinishedRequest', job_uuid: uuid as never, ...output })
  expect(await again.next()).toMatchObject({ message_type: 'V0JobFinishedRequest' })
})

/** Brings a job to ready. Its executor connects with these headers. */
async function readyJob(headers: Record<string, string>) {
  const uuid = randomUUID()
  const validator = await connectValidator(miner)
  await validator.send(offerOf(uuid))
  await validator.next()
  const order = await manager.order()
  const executor = await connectExecutor(order, manager, headers)
  await executor.next()
  await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  await validator.next()
  return { uuid, validator, executor, order }
}

it.each([
  ['no capability', {}],
  ['other capabilities', { 'X-Horde-Capabilities': 'job-output, larger-frames' }],
])('fails a job at once whose work of over 1 MiB is for an executor that named %s', async (_, headers) => {
  const { uuid, validator, executor, order } = await readyJob(headers)
  await validator.send(workOfBytes(uuid, MIB))
  const { message_type, docker_process_stdout, docker_process_exit_status } = (await validator.next()) as never
  expect(message_type).toBe('V0JobFailedRequest')
  expect(docker_process_exit_status).toBeNull()
  expect(docker_process_stdout).toBe('The work is larger than the 1048576 bytes that this executor takes')
  expect(await findJob(miner.db, validatorKey().ss58, uuid)).toMatchObject({
    state: 'failed',
    reason: 'work-too-large',
  })
  await expect.poll(() => manager.stopped).toContain(order.token)
  expect(await executor.nextUntilClosed()).toEqual([])
})

it.each([
  [MIB, {}],
  [MIB + 1, { 'X-Horde-Capabilities': 'job-output,Large-Frames' }],
  [MIB + 1, { 'x-horde-capabilities': ' large-frames , later' }],
])('passes on work of %d bytes to an executor that named %j', async (bytes, headers) => {
  const { uuid, validator, executor } = await readyJob(headers)
  // V0RunJobRequest is three characters longer than V0JobRequest.
  await validator.send(workOfBytes(uuid, bytes - 3))
  const work = await executor.next()
  expect(Buffer.byteLength(JSON.stringify(work))).toBe(bytes)
  const output = { docker_process_stdout: 'x', docker_process_stderr: '' }
  await executor.send({ message_type: 'V0FinishedRequest', job_uuid: uuid as never, ...output })
  expect(await validator.next()).toMatchObject({ message_type: 'V0JobFinishedRequest' })
})

it('sends no large work to an executor that reconnects without the capability', async () => {
  const { uuid, validator, executor, order } = await readyJob({ 'X-Horde-Capabilities': 'large-frames' })
  const again = await connectExecutor(order, manager, {})
  await executor.close(1000)
  await again.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  await validator.send(workOfBytes(uuid, MIB + 1))
  expect(await validator.next()).toMatchObject({ message_type: 'V0JobFailedRequest' })
  expect(await again.nextUntilClosed()).toEqual([])
})

it.each([[undefined], [['large-frames', 'manifest']]])(
  'sends short messages to a peer with the capabilities %j, whatever it receives',
  async capabilities => {
    await using validator = await connectValidator(miner, validatorKey(), capabilities)
    if (capabilities) {
      const manifest = await validator.next()
      expect(manifest).toMatchObject({ message_type: 'V0ExecutorManifestRequest' })
      expect(JSON.stringify(manifest).length).toBeLessThan(SMALL_FRAME_BYTES)
    }
    const long = 'x'.repeat(2_000_000)
    const manyMistakes = Object.fromEntries(
      Array.from({ length: 50_000 }, (_, index) => [`${long.slice(0, 20)}${index}`, {}]),
    )
    const nonsense: object[] = [
      { message_type: long },
      { message_type: 'V0InitialJobRequest', job_uuid: long, volume_type: long },
      {
        ...workOfBytes(randomUUID(), 1_000),
        output_upload: { output_upload_type: long, url: 1, form_fields: manyMistakes },
      },
      { ...workOfBytes(randomUUID(), 1_000), docker_run_cmd: Array(100_000).fill({}), [long]: long },
      Array(1_000_000).fill(0),
    ]
    for (const frame of nonsense) {
      await validator.send(frame as never)
      const answer = await validator.next()
      expect(answer).toMatchObject({ message_type: 'GenericError' })
      expect(JSON.stringify(answer).length).toBeLessThan(10_000)
    }
  },
)
