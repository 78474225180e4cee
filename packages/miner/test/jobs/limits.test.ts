/** How much one validator may ask for, and what a flood of offers leaves behind. */
import { randomUUID } from 'node:crypto'
import { createLog } from '@horde/kit/log'
import { type Clock, systemClock } from '@horde/kit/time'
import type { V0InitialJobRequest } from '@horde/protocol/v0/validator-miner'
import { connectValidator, secondValidatorKey, type ValidatorPeer, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findJob } from '../../src/db/jobs.ts'
import { jobs } from '../../src/db/schema.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf } from '../messages.ts'

let stack: AsyncDisposableStack
let start: (env: Record<string, string>, clock?: Clock) => Promise<TestMiner>
const manager = new ScriptedManager()
const lines: Record<string, unknown>[] = []
/** All offers come in one moment, however slow the machine is. */
const noTimePasses: Clock = { ...systemClock, monotonic: () => 0 }

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  const log = createLog('miner', { destination: { write: line => lines.push(JSON.parse(line)) } })
  start = (env, clock = systemClock) => {
    const base = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '8' }
    return startTestMiner({ chain, chainUrl, manager, log, clock, env: { ...base, ...env } })
  }
})
afterAll(() => stack.disposeAsync())
beforeEach(() => {
  lines.length = 0
})

const offer = (changes: Partial<V0InitialJobRequest> = {}) =>
  offerOf(randomUUID(), { base_docker_image_name: null, ...changes })

async function answerTo(peer: ValidatorPeer, message: V0InitialJobRequest): Promise<string> {
  await peer.send(message)
  const answer = await peer.next()
  expect(answer).toMatchObject({ job_uuid: message.job_uuid })
  return answer.message_type
}

/** Offers until it is accepted: a slot is free only some time after its job has ended. */
async function accepted(peer: ValidatorPeer): Promise<void> {
  await expect.poll(() => answerTo(peer, offer())).toBe('V0AcceptJobRequest')
}

describe('open jobs of one validator', () => {
  it('are limited across its connections; other validators have their own limit', async () => {
    await using miner = await start({ MAX_OPEN_JOBS_PER_VALIDATOR: '2' })
    const peers = await Promise.all(Array.from({ length: 6 }, () => connectValidator(miner)))
    const sent = peers.map(() => offer())
    const answers = await Promise.all(peers.map((peer, index) => answerTo(peer, sent[index] as V0InitialJobRequest)))
    expect(answers.filter(type => type === 'V0AcceptJobRequest')).toHaveLength(2)
    expect(answers.filter(type => type === 'V0DeclineJobRequest')).toHaveLength(4)
    const declined = sent[answers.indexOf('V0DeclineJobRequest')]
    const row = await findJob(miner.db, validatorKey().ss58, declined?.job_uuid ?? '')
    expect(row).toMatchObject({ state: 'rejected', reason: 'too-many-open-jobs' })
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: 'job moved', jobUuid: declined?.job_uuid, reason: 'too-many-open-jobs' }),
    )
    await using other = await connectValidator(miner, secondValidatorKey())
    expect(await answerTo(other, offer())).toBe('V0AcceptJobRequest')

    for (const _ of [1, 2, 3]) manager.exit((await manager.order()).token)
    const [first] = peers
    const origin = peers[answers.indexOf('V0AcceptJobRequest')]
    expect(await origin?.next()).toMatchObject({ message_type: 'V0ExecutorFailedRequest' })
    if (first) await accepted(first)
    manager.exit((await manager.order()).token)
    await Promise.all(peers.map(peer => peer.close()))
  })
})

describe('offers a minute of one validator', () => {
  it('are limited; more leave neither a row nor a log line each, and open jobs go on', async () => {
    await using miner = await start({ MAX_OFFERS_PER_MINUTE: '3' }, noTimePasses)
    await using peer = await connectValidator(miner)
    const open = offer()
    expect(await answerTo(peer, open)).toBe('V0AcceptJobRequest')
    const rest = Array.from({ length: 200 }, () => offer({ executor_class: 'none such' }))
    for (const each of rest) expect(await answerTo(peer, each)).toBe('V0DeclineJobRequest')
    expect(await answerTo(peer, open), 'asking again about an open job is no offer').toBe('V0AcceptJobRequest')
    expect(await miner.db.$count(jobs)).toBe(3)
    const logged = lines.filter(({ reason }) => reason === 'too-many-offers')
    expect(logged).toMatchObject([{ msg: 'offers declined', validator: validatorKey().ss58, offers: 1 }])
    await using other = await connectValidator(miner, secondValidatorKey())
    expect(await answerTo(other, offer())).toBe('V0AcceptJobRequest')
  })
})

describe('offers without a free executor', () => {
  it('stay declined, and a flood of them leaves few rows', async () => {
    await using miner = await start({}, noTimePasses)
    await using peer = await connectValidator(miner)
    const first = offer({ executor_class: 'none such' })
    expect(await answerTo(peer, first)).toBe('V0DeclineJobRequest')
    for (let index = 0; index < 150; index += 1) {
      expect(await answerTo(peer, offer({ executor_class: 'none such' }))).toBe('V0DeclineJobRequest')
    }
    expect(await miner.db.$count(jobs)).toBe(60)
    for (const _ of [1, 2, 3]) {
      expect(await answerTo(peer, { ...first, executor_class: 'always_on.test' })).toBe('V0DeclineJobRequest')
    }
    expect(await findJob(miner.db, validatorKey().ss58, first.job_uuid)).toMatchObject({ reason: 'no-free-executor' })
  })
})

describe('time limits', () => {
  it('beyond the longest allowed are declined', async () => {
    await using miner = await start({ MAX_TIMEOUT_SECONDS: '60' })
    await using peer = await connectValidator(miner)
    const long = offer({ timeout_seconds: 61 })
    expect(await answerTo(peer, long)).toBe('V0DeclineJobRequest')
    const row = await findJob(miner.db, validatorKey().ss58, long.job_uuid)
    expect(row).toMatchObject({ state: 'rejected', reason: 'time-limit-too-long' })
    expect(await answerTo(peer, offer({ timeout_seconds: Number.MAX_SAFE_INTEGER }))).toBe('V0DeclineJobRequest')
    expect(await answerTo(peer, offer({ timeout_seconds: 60 }))).toBe('V0AcceptJobRequest')
  })
})
