import { randomUUID } from 'node:crypto'
import { verifySignature } from '@horde/chain/wallet'
import type { OfferMessage } from '@horde/protocol/job/messages'
import { jobUuid } from '@horde/protocol/primitives'
import { receiptText } from '@horde/protocol/v2026/signing/signed-texts'
import { parseFromValidator } from '@horde/protocol/v2026/validator-miner'
import { isSignedBy, type Peer2026, play2026, startMiner2026, typesOf } from '@horde/testing/peers/v2026/scripted-miner'
import { turnClock } from '@horde/testing/turn-clock'
import { describe, expect, it } from 'vitest'
import { withDatabase } from '../db/databases.ts'
import { type DriveOptions, drive, listeningLog, MINER, VALIDATOR } from './drive.ts'

const database = withDatabase()

const RESULT = { docker_process_stdout: 'right', docker_process_stderr: '' }
const UP_TO_OFFER = ['1 ValidatorAuthForMiner', '1 V0InitialJobRequest']
const UP_TO_ACCEPT = [...UP_TO_OFFER, '1 V0JobAcceptedReceiptRequest']
const UP_TO_WORK = [...UP_TO_ACCEPT, '1 V0JobRequest']
const END = '1 V0JobFinishedReceiptRequest'
const STAGES = { kind: 'stages', leeway: 1, download: 2, execution: 4, upload: 8, streamingStart: 0 } as const

/** Drives one job on a miner with this script. */
async function run(script: (peer: Peer2026) => Promise<unknown> | unknown, options: Partial<DriveOptions> = {}) {
  const { log, lines } = listeningLog()
  await using miner = await startMiner2026(MINER, script)
  const result = await drive(miner, { db: database().db, log, executorClass: 'always_on.test', ...options })
  // The connection closes with the job.
  await expect.poll(() => miner.closed.size, { timeout: 5_000 }).toBe(miner.connections())
  expect(miner.mistakes).toEqual([])
  const messages = miner.received.map(({ message }) => message)
  return { ...result, lines, miner, types: typesOf(miner), messages, scoreText: scoreIn(messages.at(-1)) }
}

function scoreIn(message: Record<string, unknown> | undefined): unknown {
  return (message?.payload as Record<string, unknown> | undefined)?.score_str
}

describe('a good job on a miner of v2026', () => {
  it('is offered with a receipt, and its acceptance and end are told', async () => {
    const { end, stored, types, messages, miner, uuid, receipts } = await run(peer => play2026.finished(peer))
    expect(end).toMatchObject({ state: 'finished', reason: null, rightAnswer: true, stage: null, message: null })
    expect(stored).toMatchObject({ dialect: 'v2026', executorClass: 'always_on.test' })
    expect(types).toEqual([...UP_TO_WORK, END])
    expect(miner.closed.get(1)).toBe(1000)
    const [authentication, offer, accepted, work, finished] = messages
    expect(authentication).toMatchObject({ capabilities: ['2026', 'large-frames'] })
    expect(offer).toMatchObject({
      job_uuid: uuid,
      executor_class: 'always_on.test',
      docker_image: 'word:v0',
      volume: null,
      streaming_details: null,
      executor_timing: { execution_time_limit: 5, allowed_leeway: 5, download_time_limit: 2, upload_time_limit: 2 },
      job_started_receipt_payload: {
        ...{ receipt_type: 'JobStartedReceipt', job_uuid: uuid, executor_class: 'always_on.test' },
        ...{ is_organic: false, ttl: 10, miner_hotkey: MINER.ss58, validator_hotkey: VALIDATOR.ss58 },
      },
    })
    expect(work).toMatchObject({ docker_run_options_preset: 'none', docker_run_cmd: ['say', 'right'], env: {} })
    expect(work?.volume).not.toBe(null)
    expect([offer, work].every(message => isSignedBy(VALIDATOR.ss58, message ?? {}))).toBe(true)
    expect(accepted).toMatchObject({ payload: { job_uuid: uuid, ttl: 13 + 14 } })
    expect(finished).toMatchObject({ payload: { job_uuid: uuid, score_str: '9.000000', block_numbers: [] } })
    for (const message of messages) expect(parseFromValidator(JSON.stringify(message)).ok).toBe(true)
    expect(receipts.map(({ type }) => type)).toEqual([
      ...['JobStartedReceipt', 'JobAcceptedReceipt', 'JobFinishedReceipt'],
    ])
    for (const { payload, signature } of receipts) {
      const text = new TextEncoder().encode(receiptText(payload as Parameters<typeof receiptText>[0]))
      expect(verifySignature(VALIDATOR.ss58, text, signature)).toBe(true)
    }
  })

  it('of a user has its input in the offer, and no second time in the work', async () => {
    const uuid = randomUUID()
    const volume = { kind: 'zip-url', url: 'https://example.com/input.zip', folder: null } as const
    const offer = { ...offerWith(STAGES, uuid), volumes: [volume] }
    const { end, messages } = await run(peer => play2026.finished(peer), { uuid, spec: { offer, isOrganic: true } })
    expect(end?.state).toBe('finished')
    const [, offered, , work] = messages
    expect(JSON.stringify(offered?.volume)).toContain(volume.url)
    expect(offered).toMatchObject({ job_started_receipt_payload: { is_organic: true }, timeout_seconds: 300 })
    expect(work?.volume).toBe(null)
  })

  it('is known to its miner by a uuid in lower case', async () => {
    const uuid = '9A74BE09-D985-4A66-9D28-554F00AD7CFA'
    const { end, messages } = await run(peer => play2026.finished(peer), { uuid })
    expect(end?.state).toBe('finished')
    expect(messages[1]).toMatchObject({ job_uuid: uuid.toLowerCase() })
  })

  it('survives junk, unknown messages, errors, a keep-alive and stages that are left out', async () => {
    const { end, types } = await run(async peer => {
      await play2026.accepted(peer)
      for (const junk of ['hello', '{"message_type":"V9Foo"}', 'PING']) peer.send(junk)
      peer.send({ message_type: 'GenericError', details: 'whatever' })
      peer.sendForJob('V0ExecutorReadyRequest')
      for (let i = 0; i < 2; i += 1) await peer.receive('GenericError')
      await peer.receive('V0JobRequest')
      peer.sendForJob('V0MachineSpecsRequest', { specs: { specs: {} } })
      peer.sendForJob('V0JobFinishedRequest', RESULT)
    })
    expect(end?.state).toBe('finished')
    expect(types).toEqual([...UP_TO_ACCEPT, '1 GenericError', '1 GenericError', '1 V0JobRequest', END])
  })

  it('takes stages that are reported before the work is sent', async () => {
    const { end } = await run(async peer => {
      await play2026.accepted(peer)
      for (const type of ['V0VolumesReadyRequest', 'V0ExecutorReadyRequest', 'V0VolumesReadyRequest'])
        peer.sendForJob(type)
      await peer.receive('V0JobRequest')
      peer.sendForJob('V0JobFinishedRequest', RESULT)
    })
    expect(end?.state).toBe('finished')
  })
})

describe('a job that ends badly on a miner of v2026', () => {
  const failed = { message: 'too slow', docker_process_stdout: 'so far', docker_process_stderr: '' }
  it.each([
    ['V0DeclineJobRequest', { reason: 'busy', message: 'full' }, 'rejected', 'no-free-executor', null, 'full'],
    [
      ...(['V0DeclineJobRequest', { reason: 'invalid_signature', message: 'why' }, 'rejected', 'declined'] as const),
      ...[null, 'invalid-signature: why'],
    ],
    [
      ...(['V0HordeFailedRequest', { reported_by: 'miner', reason: 'executor_spinup_failed', message: 'no' }] as const),
      ...['broken', 'executor-not-started', null, 'executor-not-started: no'],
    ],
  ] as const)('is told by %s %j', async (type, fields, state, reason, stage, message) => {
    const { end, types, scoreText, stored } = await run(async peer => {
      await play2026.authenticated(peer)
      await peer.receive('V0InitialJobRequest')
      peer.sendForJob(type, fields)
      await peer.gone
    })
    expect(end).toMatchObject({ state, reason, stage, message })
    expect(stored).toMatchObject({ state, reason, stage, message })
    expect(types).toEqual([...UP_TO_OFFER, END])
    expect(scoreText).toBe('0.000000')
  })

  it.each([
    [{ ...failed, reason: 'timeout', stage: 'execution' }, 'failed', 'time-limit', 'execution'],
    [{ reason: 'download_failed', stage: 'volume_download', message: 'gone' }, 'failed', 'not-run', 'volume-download'],
    [
      { ...failed, reason: 'nonzero_return_code', stage: 'execution', docker_process_exit_status: 3 },
      ...['failed', 'exit-status', 'execution'],
    ],
  ] as const)('is told by V0JobFailedRequest %j', async (fields, state, reason, stage) => {
    const { end, stored, types, scoreText } = await run(async peer => {
      await play2026.working(peer)
      peer.sendForJob('V0JobFailedRequest', fields)
      await peer.gone
    })
    expect(end).toMatchObject({ state, reason, stage, message: fields.message })
    expect(stored).toMatchObject({ state, reason, stage, message: fields.message })
    expect(types).toEqual([...UP_TO_WORK, END])
    expect(scoreText).toBe('0.000000')
  })

  it("is told by an input that was lost before the work came: a user's job failed, with reason and stage", async () => {
    const fields = { reason: 'download_failed', stage: 'volume_download', message: 'gone' }
    const script = async (peer: Peer2026) => {
      await play2026.accepted(peer)
      for (const type of ['V0ExecutorReadyRequest', 'V0JobFailedRequest']) peer.sendForJob(type, fields)
      await peer.gone
    }
    const uuid = randomUUID()
    const offer = offerWith(STAGES, uuid)
    const { end } = await run(script, { uuid, spec: { offer, isOrganic: true } })
    expect(end).toMatchObject({ state: 'failed', reason: 'not-run', stage: 'volume-download', message: 'gone' })
    expect(end?.seconds).toBe(null)
    // A synthetic job has no input in its offer, and so none to lose.
    expect((await run(script)).end).toMatchObject({ state: 'failed', reason: 'out-of-order', stage: null })
  })

  it.each([
    [[], 3_000, 'volume-download'],
    [['V0VolumesReadyRequest'], 7_000, 'execution'],
    [['V0VolumesReadyRequest', 'V0ExecutionDoneRequest'], 15_000, 'result-upload'],
  ] as const)('by silence after %j, at the running deadline of its stages', async (reported, afterMs, stage) => {
    using clock = turnClock()
    const uuid = randomUUID()
    let workedAt = 0
    let endedAt = 0
    const { end, scoreText } = await run(
      async peer => {
        await play2026.working(peer)
        workedAt = clock.monotonic()
        for (const type of reported) peer.sendForJob(type)
        await peer.receive('V0JobFinishedReceiptRequest')
        endedAt = clock.monotonic()
      },
      { clock, uuid, withinMs: 60_000, spec: { offer: offerWith(STAGES, uuid), isOrganic: true } },
    )
    expect(end).toMatchObject({ state: 'broken', reason: 'run-timed-out', stage })
    expect(scoreText).toBe('0.000000')
    expect(endedAt - workedAt).toBeGreaterThan(afterMs - 1_000)
    expect(endedAt - workedAt).toBeLessThan(afterMs + 3_000)
  })

  it('by silence after the offer of a user, when the reservation of the miner ends', async () => {
    using clock = turnClock()
    let [offeredAt, endedAt] = [0, 0]
    const { end, types } = await run(
      async peer => {
        await play2026.authenticated(peer)
        await peer.receive('V0InitialJobRequest')
        offeredAt = clock.monotonic()
        await peer.receive('V0JobFinishedReceiptRequest')
        endedAt = clock.monotonic()
      },
      { clock, spec: { isOrganic: true, reservationMs: 7_000 } },
    )
    expect(end).toMatchObject({ state: 'broken', reason: 'no-answer' })
    expect(types).toEqual([...UP_TO_OFFER, END])
    expect(endedAt - offeredAt).toBeGreaterThan(6_500)
    expect(endedAt - offeredAt).toBeLessThan(9_000)
  })
})

it('goes on after a restart of the validator without being offered again', async () => {
  const { end, types } = await run(
    async peer => {
      await play2026.authenticated(peer)
      const uuid = '7c1fc7a4-4f6f-4c8d-8d0c-3a4f1c3a9f10'
      const send = (message_type: string, fields = {}) => peer.send({ message_type, job_uuid: uuid, ...fields })
      send('V0AcceptJobRequest')
      send('V0ExecutorReadyRequest')
      await peer.receive('V0JobRequest')
      send('V0JobFinishedRequest', RESULT)
      await peer.receive('V0JobFinishedReceiptRequest')
    },
    {
      uuid: '7c1fc7a4-4f6f-4c8d-8d0c-3a4f1c3a9f10',
      startedIn: 'v2026',
      resumed: { state: 'accepted', repeatOffer: true, isOffered: true },
    },
  )
  expect(end?.state).toBe('finished')
  expect(types).toEqual(['1 ValidatorAuthForMiner', '1 V0JobRequest', END])
})

describe('the time of a job that ran at a restart of the validator', () => {
  /** Resumes a running job whose miner repeats its acceptance, and sends the result after some ms. */
  async function resumeRunning(resultMs: number) {
    using clock = turnClock()
    const uuid = '7c1fc7a4-4f6f-4c8d-8d0c-3a4f1c3a9f10'
    const script = async (peer: Peer2026) => {
      await play2026.authenticated(peer)
      const send = (message_type: string, fields = {}) => peer.send({ message_type, job_uuid: uuid, ...fields })
      for (const type of ['V0AcceptJobRequest', 'V0ExecutorReadyRequest']) send(type)
      if (resultMs > 0) await clock.sleep(resultMs, new AbortController().signal)
      send('V0JobFinishedRequest', RESULT)
      await peer.receive('V0JobFinishedReceiptRequest')
    }
    const workSentAt = clock.monotonic() - 100
    const resumed = { state: 'running', repeatOffer: true, isOffered: true, workSentAt } as const
    return (await run(script, { clock, uuid, startedIn: 'v2026', resumed })).end
  }

  it('is not known when the result comes with the repeated acceptance: it may have been sent meanwhile', async () => {
    expect(await resumeRunning(0)).toMatchObject({ state: 'finished', rightAnswer: true, seconds: null, score: null })
  })

  it('is measured from the saved moment when the result comes later than what a miner repeats', async () => {
    const end = await resumeRunning(3_000)
    expect(end).toMatchObject({ state: 'finished', rightAnswer: true, seconds: expect.any(Number) })
    expect(end?.seconds).toBeGreaterThan(3)
  })
})

describe('a lost connection', () => {
  it.each([['accepted'], ['working']] as const)('of a job that is %s costs no repeated message', async stage => {
    const { end, types } = await run(async peer => {
      if (peer.connection === 1) {
        await play2026[stage](peer)
        return peer.cut()
      }
      await play2026.authenticated(peer)
      // A miner repeats the stages that the validator may have missed.
      for (const type of ['V0AcceptJobRequest', 'V0ExecutorReadyRequest']) peer.sendForJob(type)
      if (stage === 'accepted') await peer.receive('V0JobRequest')
      peer.sendForJob('V0VolumesReadyRequest')
      peer.sendForJob('V0JobFinishedRequest', RESULT)
      await peer.gone
    })
    expect(end?.state).toBe('finished')
    const work = stage === 'accepted' ? ['2 V0JobRequest'] : []
    expect(types.filter(type => type.startsWith('2'))).toEqual([
      ...['2 ValidatorAuthForMiner', ...work, '2 V0JobFinishedReceiptRequest'],
    ])
  })

  it('before the offer costs nothing, and an offer that was written is not repeated', async () => {
    const { end, types } = await run(
      async peer => {
        if (peer.connection < 3) {
          await peer.receive('ValidatorAuthForMiner')
          if (peer.connection === 2) peer.send({ message_type: 'V0ExecutorManifestRequest', manifest: {} })
          if (peer.connection === 2) await peer.receive('V0InitialJobRequest')
          return peer.cut()
        }
        await play2026.authenticated(peer)
        await peer.gone
      },
      { startedIn: 'v2026', limits: { acceptMs: 1_000 } },
    )
    expect(end).toMatchObject({ state: 'broken', reason: 'no-answer' })
    expect(types).toEqual([
      ...['1 ValidatorAuthForMiner', '2 ValidatorAuthForMiner', '2 V0InitialJobRequest'],
      ...['3 ValidatorAuthForMiner', '3 V0JobFinishedReceiptRequest'],
    ])
  })
})

function offerWith(limits: typeof STAGES, uuid: string): OfferMessage {
  return {
    ...({ type: 'offer', executorClass: 'always_on.test', image: 'word:v0', isStreaming: false } as const),
    ...{ jobUuid: jobUuid.parse(uuid), limits, volumeKind: null, volumes: [] },
  }
}
