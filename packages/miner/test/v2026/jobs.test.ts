/** Jobs of v2026, from the offer to the receipts. */
import { randomUUID } from 'node:crypto'
import { connectExecutor } from '@horde/testing/peers/executor'
import { connectExecutor2026, OURS, PYTHON_2026 } from '@horde/testing/peers/v2026/executor'
import {
  connectValidator2026,
  offer2026,
  receipt2026,
  signed2026,
  work2026,
} from '@horde/testing/peers/v2026/validator'
import { connectValidator, unknownKey } from '@horde/testing/peers/validator'
import { eq } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { jobs, receipts } from '../../src/db/schema.ts'
import { startChain } from '../harness.ts'
import { offerOf } from '../messages.ts'
import { finishOf, playUntilRunning, type Started, startMiner2026 } from './started.ts'

let network: Awaited<ReturnType<typeof startChain>>
let started: Started
beforeAll(async () => {
  network = await startChain()
})
afterAll(() => network[Symbol.asyncDispose]())
// A validator that connects is told of its open jobs: each test has a miner of its own.
beforeEach(async () => {
  started = await startMiner2026({}, network)
})
afterEach(() => started[Symbol.asyncDispose]())

const VOLUMES = {
  volume_type: 'multi_volume',
  volumes: [
    { volume_type: 'inline', contents: 'UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==', relative_path: 'in' },
    { volume_type: 'single_file', url: 'http://files.example/a', relative_path: 'a' },
  ],
}
const UPLOADS = {
  output_upload_type: 'multi_upload',
  uploads: [
    { output_upload_type: 'single_file_put', url: 'http://files.example/b', relative_path: 'b', signed_headers: null },
  ],
  system_output: null,
}

describe('a job with an executor that speaks v2026', () => {
  it('passes everything on, in order, and stores the receipts', async () => {
    const { miner, manager } = started
    await using validator = await connectValidator2026(miner)
    const uuid = randomUUID()
    const offer = offer2026(uuid, { changes: { volume: VOLUMES } })
    await validator.send(offer)
    expect(await validator.next()).toEqual({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
    await validator.send(receipt2026(uuid, 'accepted'))
    await using executor = await connectExecutor2026(await manager.order(), PYTHON_2026, manager)
    expect(await executor.next()).toMatchObject(offer)
    await executor.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid, executor_token: null })
    expect(await validator.next()).toEqual({
      message_type: 'V0ExecutorReadyRequest',
      job_uuid: uuid,
      executor_token: null,
    })
    const work = work2026(uuid, { env: { K: 'V' }, output_upload: UPLOADS, artifacts_dir: '/artifacts' })
    await validator.send(work)
    expect(await executor.next()).toMatchObject({
      ...work,
      output_upload: { ...UPLOADS, uploads: [{ relative_path: 'b', signed_headers: {} }] },
    })
    for (const message_type of ['V0VolumesReadyRequest', 'V0ExecutionDoneRequest']) {
      await executor.send({ message_type, job_uuid: uuid })
      expect(await validator.next()).toEqual({ message_type, job_uuid: uuid })
    }
    await executor.send({ message_type: 'V0MachineSpecsRequest', job_uuid: uuid, specs: { specs: {} } })
    const finish = finishOf(uuid, {
      artifacts: { '/artifacts/r.txt': 'aGVsbG8=' },
      upload_results: { b: '{"headers":{"etag":"x"},"body":"ok"}' },
    })
    await executor.send(finish)
    expect(await validator.next()).toEqual(finish)
    await validator.send(receipt2026(uuid, 'finished'))
    const stored = () => miner.db.select().from(receipts).where(eq(receipts.jobUuid, uuid)).orderBy(receipts.id)
    await expect
      .poll(async () => (await stored()).map(({ receiptType }) => receiptType))
      .toEqual(['JobStartedReceipt', 'JobAcceptedReceipt', 'JobFinishedReceipt'])
    for (const { minerSignature } of await stored()) expect(minerSignature).toMatch(/^0x[0-9a-f]{128}$/)
    const [row] = await miner.db.select().from(jobs).where(eq(jobs.uuid, uuid))
    expect(row).toMatchObject({ state: 'finished', offer: null })
    expect(row?.deliveredAt).not.toBeNull()
  })

  it.each([
    [
      'failed',
      {
        message_type: 'V0JobFailedRequest',
        message: 'Job container exited with non-zero exit code: 3',
        reason: 'nonzero_return_code',
        stage: 'execution',
        docker_process_exit_status: 3,
        docker_process_stdout: 'out\n',
        docker_process_stderr: 'err\n',
        context: null,
      },
    ],
    [
      'failed before it ran',
      {
        message_type: 'V0JobFailedRequest',
        message: 'Download failed: Input volume too large',
        reason: 'download_failed',
        stage: 'volume_download',
        docker_process_exit_status: null,
        docker_process_stdout: null,
        docker_process_stderr: null,
        context: null,
      },
    ],
    [
      'broke',
      {
        message_type: 'V0HordeFailedRequest',
        reported_by: 'executor',
        message: 'Unhandled exception',
        reason: 'unhandled_exception',
        context: { exception_type: 'HTTPStatusError', stage: 'volume_download' },
      },
    ],
  ])('that %s reports why and where', async (_, end) => {
    const { miner, manager } = started
    await using validator = await connectValidator2026(miner)
    const { uuid, executor, token } = await playUntilRunning(validator, manager)
    await executor.send({ ...end, job_uuid: uuid })
    expect(await validator.next()).toEqual({ ...end, job_uuid: uuid })
    await executor.close()
    manager.exit(token)
  })

  it.each([
    ['fails when its input cannot be fetched', 'volume_download', 'V0JobFailedRequest'],
    ['breaks when it says that it ran', 'execution', 'V0HordeFailedRequest'],
  ])('that its executor reports as failed before its work %s', async (_, stage, message_type) => {
    const { miner, manager } = started
    await using validator = await connectValidator2026(miner)
    const uuid = randomUUID()
    await validator.send(offer2026(uuid, { changes: { volume: VOLUMES } }))
    await validator.next()
    const order = await manager.order()
    const executor = await connectExecutor2026(order)
    await executor.next()
    await executor.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid, executor_token: null })
    await validator.next()
    const failed = {
      ...{ message_type: 'V0JobFailedRequest', job_uuid: uuid, message: 'Download failed: 404' },
      ...{ reason: 'download_failed', stage, docker_process_exit_status: null },
      ...{ docker_process_stdout: null, docker_process_stderr: null, context: null },
    }
    await executor.send(failed)
    const end = await validator.next()
    expect(end).toMatchObject({ message_type, job_uuid: uuid })
    if (message_type === failed.message_type) expect(end).toEqual(failed)
    await executor.close()
    manager.exit(order.token)
  })

  it('breaks when its executor exits', async () => {
    const { miner, manager } = started
    await using validator = await connectValidator2026(miner)
    const { uuid, token, executor } = await playUntilRunning(validator, manager)
    await executor.close()
    manager.exit(token)
    expect(await validator.next()).toMatchObject({
      message_type: 'V0HordeFailedRequest',
      job_uuid: uuid,
      reported_by: 'miner',
      reason: 'executor_disconnected',
    })
  })
})

describe('a job with an executor that speaks v0', () => {
  it('reports volumes ready when the executor has the work, and the end of its run just before the result', async () => {
    const { miner, manager } = started
    await using validator = await connectValidator2026(miner)
    const uuid = randomUUID()
    await validator.send(offer2026(uuid))
    await validator.next()
    const order = await manager.order()
    const executor = await connectExecutor(order, manager)
    expect(await executor.next()).toMatchObject({ message_type: 'V0PrepareJobRequest', timeout_seconds: 45 })
    await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
    await validator.next()
    await validator.send(work2026(uuid))
    expect(await executor.next()).toMatchObject({ message_type: 'V0RunJobRequest', docker_image_name: 'img' })
    expect(await validator.next()).toEqual({ message_type: 'V0VolumesReadyRequest', job_uuid: uuid })
    const again = await connectExecutor(order, manager)
    expect(await again.next()).toMatchObject({ message_type: 'V0RunJobRequest' })
    const printed = { docker_process_stdout: 'o', docker_process_stderr: 'e' }
    await again.send({ message_type: 'V0FinishedRequest', job_uuid: uuid as never, ...printed })
    const types = [await validator.next(), await validator.next()].map(m => m.message_type)
    expect(types).toEqual(['V0ExecutionDoneRequest', 'V0JobFinishedRequest'])
  })

  it('breaks with words that say which part it cannot run', async () => {
    const { miner, manager } = started
    await using validator = await connectValidator2026(miner)
    const uuid = randomUUID()
    await validator.send(offer2026(uuid))
    await validator.next()
    const order = await manager.order()
    const executor = await connectExecutor(order, manager)
    await executor.next()
    await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
    await validator.next()
    await validator.send(work2026(uuid, { env: { A: 'b' } }))
    expect(await validator.next()).toMatchObject({
      message_type: 'V0HordeFailedRequest',
      message: expect.stringContaining('environment variables'),
    })
    await executor.close()
  })

  it('breaks before it is ready when the offer has volumes that v0 lacks', async () => {
    const { miner, manager } = started
    await using validator = await connectValidator2026(miner)
    const uuid = randomUUID()
    await validator.send(offer2026(uuid, { changes: { volume: VOLUMES } }))
    await validator.next()
    const executor = await connectExecutor(await manager.order(), manager)
    expect(await validator.next()).toMatchObject({ reason: 'generic_error', context: { stage: 'executor_startup' } })
    await executor.close()
  })

  it('speaks the other dialect once after an error of an executor that has shown none', async () => {
    const { miner, manager } = started
    await using validator = await connectValidator2026(miner)
    const uuid = randomUUID()
    await validator.send(offer2026(uuid))
    await validator.next()
    const executor = await connectExecutor(await manager.order(), manager, {})
    await expect(executor.next()).rejects.toThrow()
    await executor.send({ message_type: 'GenericError', details: 'I do not know V0InitialJobRequest' })
    expect(await executor.next()).toMatchObject({ message_type: 'V0PrepareJobRequest', job_uuid: uuid })
    await executor.close()
  })
})

it('gives the job of a v0 validator to a Python executor of 2026', async () => {
  const { miner, manager } = started
  await using validator = await connectValidator(miner)
  const uuid = randomUUID()
  await validator.send(offerOf(uuid, { timeout_seconds: 7 }))
  await validator.next()
  await using executor = await connectExecutor2026(await manager.order(), PYTHON_2026, manager)
  expect(await executor.next()).toMatchObject({
    message_type: 'V0InitialJobRequest',
    executor_timing: { execution_time_limit: 7 },
  })
  await executor.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid, executor_token: null })
  expect(await validator.next()).toEqual({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })
})

it('speaks v0 with our own executor about the job of a v0 validator', async () => {
  const { miner, manager } = started
  await using validator = await connectValidator(miner)
  await validator.send(offerOf(randomUUID()))
  await validator.next()
  const order = await manager.order()
  await using executor = await connectExecutor(order, manager, OURS)
  expect(await executor.next()).toMatchObject({ message_type: 'V0PrepareJobRequest' })
})

describe('declines', () => {
  it.each([
    ['a streaming job', { changes: { streaming_details: { public_key: 'pem', executor_ip: null } } }, 'unknown'],
    ['a receipt of another miner', { receipt: { miner_hotkey: unknownKey().ss58 } }, 'invalid_receipt'],
    ['a receipt of another validator', { receipt: { validator_hotkey: unknownKey().ss58 } }, 'invalid_receipt'],
    ['a receipt of another job', { receipt: { job_uuid: randomUUID() } }, 'invalid_receipt'],
    ['a receipt of another class', { receipt: { executor_class: 'always_on.gpu-24gb' } }, 'invalid_receipt'],
    ['an old receipt', { receipt: { timestamp: new Date(Date.now() - 90_000).toISOString() } }, 'invalid_receipt'],
    ['a receipt of tomorrow', { receipt: { timestamp: new Date(Date.now() + 9e7).toISOString() } }, 'invalid_receipt'],
    [
      "another key's receipt",
      { changes: { job_started_receipt_signature: `0x${'1'.repeat(128)}` } },
      'invalid_receipt',
    ],
    ["a trusted miner's receipt", { receipt: { miner_hotkey: '0'.repeat(48) } }, 'invalid_receipt'],
  ])('%s', async (_, options, reason) => {
    await using validator = await connectValidator2026(started.miner)
    const uuid = randomUUID()
    await validator.send(offer2026(uuid, options))
    const declined = await validator.next()
    expect(declined).toMatchObject({ message_type: 'V0DeclineJobRequest', job_uuid: uuid, reason, receipts: [] })
    expect(declined.message_type === 'V0DeclineJobRequest' && declined.message).not.toBe('')
  })

  it('an offer when it is full, with the receipts of the jobs that keep it busy', async () => {
    await using full = await startMiner2026({ env: { EXECUTOR_COUNT: '1' } }, network)
    await using validator = await connectValidator2026(full.miner)
    const first = randomUUID()
    await validator.send(offer2026(first))
    await validator.next()
    await validator.send(offer2026(randomUUID()))
    expect(await validator.next()).toMatchObject({
      reason: 'busy',
      receipts: [{ payload: { job_uuid: first }, miner_signature: expect.stringMatching(/^0x/) }],
    })
  })
})

it('answers work of an unknown job, and a volume in both messages, with an error alone', async () => {
  const { miner, manager } = started
  await using validator = await connectValidator2026(miner)
  await validator.send(work2026(randomUUID()))
  expect(await validator.next()).toMatchObject({ message_type: 'GenericError' })
  const uuid = randomUUID()
  const volume = VOLUMES.volumes[1]
  await validator.send(offer2026(uuid, { changes: { volume } }))
  await validator.next()
  const order = await manager.order()
  const executor = await connectExecutor2026(order)
  await executor.next()
  await executor.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid, executor_token: null })
  await validator.next()
  await validator.send(work2026(uuid, { volume }))
  expect(await validator.next()).toMatchObject({ message_type: 'GenericError' })
  await validator.send(work2026(uuid))
  expect(await executor.next()).toMatchObject({ message_type: 'V0JobRequest', volume: null })
  await executor.close()
  manager.exit(order.token)
})

it('drops receipts that are not of a job here, or badly signed', async () => {
  const { miner, manager } = started
  await using validator = await connectValidator2026(miner)
  const { uuid, executor, token } = await playUntilRunning(validator, manager)
  await validator.send(receipt2026(randomUUID(), 'accepted'))
  await validator.send({ ...receipt2026(uuid, 'accepted'), signature: '0x' })
  await validator.send(receipt2026(uuid, 'accepted', { miner_hotkey: unknownKey().ss58 }))
  await executor.send({ message_type: 'V0VolumesReadyRequest', job_uuid: uuid })
  await validator.next()
  const stored = await miner.db.select().from(receipts).where(eq(receipts.jobUuid, uuid))
  expect(stored.map(({ receiptType }) => receiptType)).toEqual(['JobStartedReceipt'])
  await executor.close()
  manager.exit(token)
})

describe('signatures', () => {
  it('a badly signed offer is declined, and one of a known job changes nothing', async () => {
    const { miner, manager } = started
    await using validator = await connectValidator2026(miner)
    const uuid = randomUUID()
    await validator.send(signed2026(offer2026(uuid), unknownKey()))
    expect(await validator.next()).toMatchObject({ message_type: 'V0DeclineJobRequest', reason: 'invalid_signature' })
    const { uuid: running, executor, token } = await playUntilRunning(validator, manager)
    await validator.send(signed2026(offer2026(running), unknownKey()))
    expect(await validator.next()).toMatchObject({ message_type: 'GenericError' })
    await validator.send(signed2026(work2026(running), unknownKey()))
    expect(await validator.next()).toMatchObject({ message_type: 'GenericError' })
    await executor.send(finishOf(running))
    await validator.next()
    await validator.next()
    expect(await validator.next()).toMatchObject({ message_type: 'V0JobFinishedRequest', job_uuid: running })
    await executor.close()
    manager.exit(token)
  })
})
