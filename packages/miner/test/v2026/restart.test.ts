/** A miner that starts after a kill with open jobs of v2026 in its database. */
import { randomUUID } from 'node:crypto'
import type { Database } from '@horde/kit/database'
import type { Volume } from '@horde/protocol/job/volumes'
import type { JobStartedPayload } from '@horde/protocol/v2026/receipts/payloads'
import { connectExecutor } from '@horde/testing/peers/executor'
import { connectExecutor2026 } from '@horde/testing/peers/v2026/executor'
import { connectValidator2026, offer2026, signed2026, work2026 } from '@horde/testing/peers/v2026/validator'
import { validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { findJob, insertJob, markDelivered } from '../../src/db/jobs.ts'
import { insertReceipt } from '../../src/db/receipts.ts'
import { ScriptedManager, startChain } from '../harness.ts'
import { moveStored } from '../stored-jobs.ts'
import { finishOf, startMiner2026 } from './started.ts'

let network: Awaited<ReturnType<typeof startChain>>
beforeAll(async () => {
  network = await startChain()
})
afterAll(() => network[Symbol.asyncDispose]())

const VOLUMES: Volume[] = [
  { kind: 'file-url', url: 'http://files.example/a', path: 'a' },
  { kind: 'zip-url', url: 'http://files.example/b', folder: 'b' },
]

/** Leaves an accepted job, as a miner does that is killed then. */
async function leaveJob(db: Database, uuid: string, volumes: Volume[]): Promise<number> {
  const { job_started_receipt_payload: payload } = offer2026(uuid) as { job_started_receipt_payload: JobStartedPayload }
  const limits = { kind: 'stages', leeway: 1, download: 2, execution: 3, upload: 4, streamingStart: 0 } as const
  const receipt = { payload, validatorSignature: '0x1', minerSignature: '0x2' }
  const job = {
    ...{ validator: validatorKey().ss58, uuid, executorClass: 'always_on.test', imageName: 'img', timeoutSeconds: 10 },
    ...{ volumeType: 'inline', executorToken: `${uuid}-${randomUUID()}`, place: 'always_on.test/0' },
    offer: { limits, volumes, isSigned: true, receipt },
  }
  const row = await insertJob(db, { ...job, state: 'offered' }, new Date())
  await moveStored(db, row?.id ?? 0, { to: 'accepted' }, new Date())
  return row?.id ?? 0
}

it('gives an accepted job to a new executor, with its limits and volumes, and takes only signed work', async () => {
  const uuid = randomUUID()
  const before = async (db: Database) => void (await leaveJob(db, uuid, VOLUMES))
  await using started = await startMiner2026({ before }, network)
  await using validator = await connectValidator2026(started.miner)
  expect(await validator.next()).toMatchObject({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
  await using executor = await connectExecutor2026(await started.manager.order())
  expect(await executor.next()).toMatchObject({
    job_uuid: uuid,
    executor_timing: { download_time_limit: 2, execution_time_limit: 3 },
    volume: { volumes: [{ volume_type: 'single_file' }, { volume_type: 'zip_url', relative_path: 'b' }] },
  })
  await executor.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid, executor_token: null })
  await validator.next()
  await validator.send(work2026(uuid))
  expect(await validator.next()).toMatchObject({ message_type: 'GenericError' })
  await validator.send(signed2026(work2026(uuid)))
  expect(await executor.next()).toMatchObject({ message_type: 'V0JobRequest', volume: null })
})

it('passes on the result of a job that ran when the miner was killed', async () => {
  const uuid = randomUUID()
  const manager = new ScriptedManager()
  let token = ''
  const before = async (db: Database) => {
    const id = await leaveJob(db, uuid, [])
    for (const to of ['ready', 'running'] as const) await moveStored(db, id, { to }, new Date())
    token = (await findJob(db, validatorKey().ss58, uuid))?.executorToken ?? ''
    manager.orphans.add(token)
  }
  await using started = await startMiner2026({ before, manager }, network)
  await using validator = await connectValidator2026(started.miner)
  const types = [await validator.next(), await validator.next()].map(({ message_type }) => message_type)
  expect(types).toEqual(['V0AcceptJobRequest', 'V0ExecutorReadyRequest'])
  await using executor = await connectExecutor2026({ minerAddress: started.miner.url, token })
  for (const message_type of ['V0VolumesReadyRequest', 'V0ExecutionDoneRequest']) {
    await executor.send({ message_type, job_uuid: uuid })
    expect(await validator.next()).toEqual({ message_type, job_uuid: uuid })
  }
  await executor.send(finishOf(uuid))
  expect(await validator.next()).toEqual(finishOf(uuid))
  manager.exit(token, 'exit code 0')
})

it('repeats an end whose receipt did not come before the miner was killed', async () => {
  const uuid = randomUUID()
  const before = async (db: Database) => {
    const id = await leaveJob(db, uuid, [])
    const { job_started_receipt_payload: payload } = offer2026(uuid) as {
      job_started_receipt_payload: JobStartedPayload
    }
    await insertReceipt(db, { payload, validatorSignature: '0x1', minerSignature: '0x2' }, new Date())
    for (const to of ['ready', 'running', 'finished'] as const) await moveStored(db, id, { to }, new Date())
    await markDelivered(db, id, new Date())
  }
  await using started = await startMiner2026({ before }, network)
  for (const _ of ['once', 'and again']) {
    await using validator = await connectValidator2026(started.miner)
    const types: string[] = []
    while (!types.includes('V0JobFinishedRequest')) types.push((await validator.next()).message_type)
    expect(types).toHaveLength(5)
  }
})

/** The base64 of an input that is no longer stored. */
const TOO_LARGE = 'A'.repeat(5_000_000)
const inline = (base64: string): Volume[] => [{ kind: 'inline-zip', base64, folder: null }]

it('ends a job whose volumes were too large to be stored', async () => {
  const uuid = randomUUID()
  const before = async (db: Database) => void (await leaveJob(db, uuid, inline(TOO_LARGE)))
  await using started = await startMiner2026({ before }, network)
  await using validator = await connectValidator2026(started.miner)
  await validator.next()
  await using _ = await connectExecutor2026(await started.manager.order())
  expect(await validator.next()).toMatchObject({
    message_type: 'V0HordeFailedRequest',
    reason: 'generic_error',
    message: expect.stringContaining('input'),
  })
})

/** Starts a miner with a job that was ready when it was killed, and connects its executor of v0 again. */
async function resumeReadyOfV0(uuid: string, base64: string) {
  const manager = new ScriptedManager()
  let token = ''
  const before = async (db: Database) => {
    await moveStored(db, await leaveJob(db, uuid, inline(base64)), { to: 'ready' }, new Date())
    token = (await findJob(db, validatorKey().ss58, uuid))?.executorToken ?? ''
    manager.orphans.add(token)
  }
  const started = await startMiner2026({ before, manager }, network)
  const executor = await connectExecutor({ minerAddress: started.miner.url, token }, manager)
  return { started, executor }
}

it('gives an executor of v0 the input of a job that was ready, which only the offer had', async () => {
  const uuid = randomUUID()
  const base64 = 'A'.repeat(300_000)
  const { started, executor } = await resumeReadyOfV0(uuid, base64)
  await using _ = started
  await using validator = await connectValidator2026(started.miner)
  await validator.next()
  await validator.next()
  await validator.send(signed2026(work2026(uuid)))
  const run = await executor.next()
  if (run.message_type !== 'V0RunJobRequest') throw new Error(`a ${run.message_type} came`)
  expect(run.volume.contents === base64, 'the same input').toBe(true)
  await executor.close()
})

it('ends a job that was ready rather than have an executor of v0 run it without its input', async () => {
  const uuid = randomUUID()
  const { started, executor } = await resumeReadyOfV0(uuid, TOO_LARGE)
  await using _ = started
  await using validator = await connectValidator2026(started.miner)
  await validator.next()
  await validator.next()
  await validator.send(signed2026(work2026(uuid)))
  expect(await validator.next()).toMatchObject({
    message_type: 'V0HordeFailedRequest',
    message: expect.stringContaining('input'),
  })
  await expect(executor.next()).rejects.toThrow('closed')
})
