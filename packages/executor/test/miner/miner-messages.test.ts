/**
 * Every message of a miner, and invalid ones, in every stage: the executor gives the defined answer and the job goes
 * on.
 */
import { randomUUID } from 'node:crypto'
import { LARGEST_PASSED_ON_BYTES } from '@horde/protocol/frame'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { RawMiner } from '@horde/testing/peers/raw-miner'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HeldRegistry } from '../images/held-registry.ts'
import { Conversation } from './conversation.ts'

const OVERSIZED = LARGEST_PASSED_ON_BYTES + 1
const NO_JOB = 'no job was prepared here'
const PREPARED = 'a job was already prepared here'
const ANOTHER = 'another job was prepared here'
const UNKNOWN = 'message_type is missing or not one of this link'
const NOT_JSON = 'the frame is not JSON'
const TOO_MANY = 'the frame holds more than 50000 values'
const NO_OBJECT = 'the frame is not a JSON object'
const ONE_SOURCE = 'exactly one of docker_image_name and raw_script must be non-empty'

let miner: RawMiner
let spawner: TestMiner
let registry: HeldRegistry
beforeAll(async () => {
  miner = await RawMiner.start()
  spawner = await TestMiner.start()
  registry = await HeldRegistry.start()
})
afterAll(async () => {
  await spawner[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
  await registry[Symbol.asyncDispose]()
})

/** Messages that move no job in any stage, each with its answer; null: no answer. */
function invalidMessages({ wanted }: Conversation): [string | Buffer, string | null][] {
  const { offer, work } = wanted
  const text = (message: unknown) => JSON.stringify(message)
  const typed = (message_type: unknown, fields = {}) => text({ message_type, ...fields })
  return [
    [typed('GenericError', { details: 'never answered' }), null],
    [typed('GenericError', { details: null }), null],
    [typed('GenericError'), null],
    [typed('GenericError', { details: {} }), 'details: must be a string'],
    [typed('V0Nonsense'), UNKNOWN],
    [typed('V0ReadyRequest', { job_uuid: randomUUID() }), UNKNOWN],
    [typed('__proto__'), UNKNOWN],
    [typed(7), UNKNOWN],
    [text({}), UNKNOWN],
    [text([offer]), NO_OBJECT],
    ['null', NO_OBJECT],
    ['"V0RunJobRequest"', NO_OBJECT],
    ['', NOT_JSON],
    [text(offer).slice(0, -1), NOT_JSON],
    ['['.repeat(40_000), NOT_JSON],
    ['['.repeat(200_000), TOO_MANY],
    [Buffer.from(text(offer)), 'binary frames are not part of this protocol'],
    [Buffer.alloc(0), 'binary frames are not part of this protocol'],
    [text({ ...offer, job_uuid: 'mine' }), 'job_uuid: must be a uuid'],
    [text({ ...offer, timeout_seconds: 'soon' }), 'timeout_seconds: must be a whole number'],
    [text({ ...offer, timeout_seconds: -1 }), 'timeout_seconds: must not be negative'],
    [text({ ...work, docker_run_cmd: 'ls' }), 'docker_run_cmd: must be a list of strings'],
    [text({ ...work, docker_image_name: 'also' }), ONE_SOURCE],
    [text({ ...work, volume: null }), expect.stringMatching(/^volume: /)],
  ]
}

/** Sends frames one after the other and expects their answers in order. */
async function expectAnswers({ connection }: Conversation, frames: [unknown, string | null][]): Promise<void> {
  for (const [frame] of frames) connection.sendFrame(frame as string)
  for (const [, details] of frames) {
    if (details !== null) expect(await connection.receive()).toEqual({ message_type: 'GenericError', details })
  }
}

/** Sends a frame that is too large. Expects the executor to close the connection and to dial again. */
async function expectTooLarge(conversation: Conversation): Promise<void> {
  conversation.connection.beginFrame(OVERSIZED)
  expect(await conversation.connection.receive()).toEqual({ closed: 1009 })
  conversation.connection.cut()
  await conversation.again()
}

/**
 * Messages out of order: a second offer of this job and of another, this job's work in two spellings, and another's.
 */
function outOfOrder({ wanted }: Conversation, answers: { offer?: string; work?: string; other: string }) {
  const { offer, work } = wanted
  const upper = wanted.job_uuid.toUpperCase()
  const frames: [unknown, string | undefined][] = [
    [offer, answers.offer],
    [{ ...offer, job_uuid: upper }, answers.offer],
    [{ ...offer, job_uuid: randomUUID() }, answers.offer],
    [work, answers.work],
    [{ ...work, job_uuid: upper }, answers.work],
    [{ ...work, job_uuid: randomUUID() }, answers.other],
  ]
  return frames.flatMap(([message, answer]): [string, string][] => {
    return answer === undefined ? [] : [[JSON.stringify(message), answer]]
  })
}

test('answers invalid messages before the offer', async () => {
  const conversation = await Conversation.begin(miner, spawner)
  await expectAnswers(conversation, [
    // A GenericError as the first message would be a refusal and end the executor.
    ['null', NO_OBJECT],
    ...invalidMessages(conversation),
    ...outOfOrder(conversation, { work: NO_JOB, other: NO_JOB }),
  ])
  await expectTooLarge(conversation)
  await conversation.prepare()
  await conversation.finish()
})

test('answers invalid messages while it prepares', async () => {
  const image = registry.image()
  const conversation = await Conversation.begin(miner, spawner, image)
  conversation.offer()
  await registry.asked(image)
  const wrong = outOfOrder(conversation, { offer: PREPARED, work: 'the job is not ready yet', other: ANOTHER })
  await expectAnswers(conversation, [...invalidMessages(conversation), ...wrong])
  await expectTooLarge(conversation)
  await expectAnswers(conversation, [...invalidMessages(conversation), ...wrong])
  registry.release(image)
  await conversation.expectReady()
  await conversation.finish()
})

test('answers invalid messages while ready, also after a reconnect', async () => {
  const conversation = await Conversation.begin(miner, spawner)
  const wrong = outOfOrder(conversation, { offer: PREPARED, other: ANOTHER })
  await conversation.prepare()
  await expectAnswers(conversation, [...invalidMessages(conversation), ...wrong])
  await conversation.reconnect()
  await conversation.expectReady()
  await expectAnswers(conversation, [...invalidMessages(conversation), ...wrong])
  await expectTooLarge(conversation)
  await conversation.expectReady()
  await conversation.finish()
})

test('answers invalid messages while the job runs, also after a reconnect', async () => {
  const conversation = await Conversation.begin(miner, spawner)
  const wrong = outOfOrder(conversation, { offer: PREPARED, work: 'the job was already started', other: ANOTHER })
  await conversation.prepare()
  await conversation.start()
  await expectAnswers(conversation, [...invalidMessages(conversation), ...wrong])
  await conversation.reconnect()
  await expectAnswers(conversation, [...invalidMessages(conversation), ...wrong])
  await expectTooLarge(conversation)
  await conversation.letGo()
  await conversation.expectResult()
  await conversation.acknowledge()
})

test('ignores all messages after its answer, which it sends again until it is acknowledged', async () => {
  const conversation = await Conversation.begin(miner, spawner)
  const wrong = outOfOrder(conversation, { offer: 'none', work: 'none', other: 'none' })
  await conversation.prepare()
  await conversation.start()
  await conversation.letGo()
  for (const frames of [[...invalidMessages(conversation), ...wrong], []]) {
    await conversation.expectResult()
    for (const [frame] of frames) conversation.connection.sendFrame(frame)
    conversation.connection.cut()
    expect(await conversation.connection.receive()).toEqual({ closed: 'cut' })
    await conversation.again()
  }
  await conversation.expectResult()
  await conversation.acknowledge()
})
