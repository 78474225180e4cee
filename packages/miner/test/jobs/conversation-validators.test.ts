/**
 * Every message of a validator, in every state of a job, from every connection it may come on: what is answered, what
 * becomes of the job, and that no other connection receives a message about it.
 *
 * In the tables: what the sender receives, `-` for nothing, and `>state` where the job moves. A column is the state
 * that the job is in; `unprepared` and `lost` are broken before and after it was ready. A row is the message that is
 * sent: `nonsense` is a handful of frames that are no messages of a validator.
 */
import { randomUUID } from 'node:crypto'
import type { MinerMessage } from '@horde/protocol/v0/validator-miner'
import { connectExecutor, type ExecutorPeer } from '@horde/testing/peers/executor'
import {
  authentication,
  connectWire,
  secondValidatorKey,
  validatorKey,
  type Wire,
} from '@horde/testing/peers/validator'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { findJob } from '../../src/db/jobs.ts'
import type { JobRow } from '../../src/db/schema.ts'
import type { ExecutorOrder } from '../../src/horde/manager.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'

const TABLES = {
  /** The connection that offered the job, and got every message about it. */
  origin: `
  sends     never           accepted               ready     running finished failed unprepared lost   declined
  auth      error           error                  error     error   error    error  error      error  error
  offer     accept>accepted accept                 accept    accept  -        -      -          -      decline
  work      error           executor-failed>broken ->running -       -        -      -          -      decline
  complaint -               -                      -         -       -        -      -          -      -
  nonsense  errors          errors                 errors    errors  errors   errors errors     errors errors`,
  /** Another connection of the same validator, authenticated later. */
  second: `
  sends     never           accepted               ready        running finished failed unprepared      lost   declined
  auth      error           error                  error        error   error    error  error           error  error
  offer     accept>accepted accept                 accept,ready accept  finished failed executor-failed failed decline
  work      error           executor-failed>broken ->running    -       finished failed executor-failed failed decline
  complaint -               -                      -            -       -        -      -               -      -
  nonsense  errors          errors                 errors       errors  errors   errors errors          errors errors`,
  /** Another validator: a job of the same uuid is another job. */
  other: `
  sends     never  accepted ready  running finished failed unprepared lost   declined
  auth      error  error    error  error   error    error  error      error  error
  offer     accept accept   accept accept  accept   accept accept     accept accept
  work      error  error    error  error   error    error  error      error  error
  complaint -      -        -      -       -        -      -          -      -
  nonsense  errors errors   errors errors  errors   errors errors     errors errors`,
  /** An unauthenticated connection with the validator's hotkey. \`refused\`: an error, and it is closed. */
  unauthenticated: `
  sends     never   accepted ready   running finished failed  unprepared lost    declined
  auth      -       -        -       -       -        -       -          -       -
  offer     refused refused  refused refused refused  refused refused    refused refused
  work      refused refused  refused refused refused  refused refused    refused refused
  complaint refused refused  refused refused refused  refused refused    refused refused
  nonsense  refused refused  refused refused refused  refused refused    refused refused`,
} as const

/** How long what happens by itself may take, and how often it is looked for, in milliseconds. */
const SOON = { interval: 10 }

type Sender = keyof typeof TABLES
type Cell = { sent: string; state: string; cell: string }

function cellsOf(sender: Sender): Cell[] {
  const [[, ...states] = [], ...rows] = TABLES[sender]
    .trim()
    .split('\n')
    .map(line => line.trim().split(/\s+/))
  return rows.flatMap(([sent = '', ...cells]) => cells.map((cell, at) => ({ sent, state: states[at] ?? '', cell })))
}

const ANSWERS: Record<string, MinerMessage['message_type']> = {
  accept: 'V0AcceptJobRequest',
  decline: 'V0DeclineJobRequest',
  ready: 'V0ExecutorReadyRequest',
  'executor-failed': 'V0ExecutorFailedRequest',
  finished: 'V0JobFinishedRequest',
  failed: 'V0JobFailedRequest',
  error: 'GenericError',
  refused: 'GenericError',
}

/** Records the orders of executors by job. */
class RecordingManager extends ScriptedManager {
  readonly #orders: ExecutorOrder[] = []

  override async start(order: ExecutorOrder) {
    this.#orders.push(order)
    return super.start(order)
  }

  async orderFor(uuid: string): Promise<ExecutorOrder> {
    await expect.poll(() => this.#for(uuid), SOON).toHaveLength(1)
    return this.#for(uuid)[0] as ExecutorOrder
  }

  dismiss(uuid: string): void {
    for (const { token } of this.#for(uuid)) this.exit(token)
  }

  #for(uuid: string): ExecutorOrder[] {
    return this.#orders.filter(({ token }) => token.startsWith(uuid))
  }
}

let stack: AsyncDisposableStack
let miner: TestMiner
const manager = new RecordingManager()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '8' }
  miner = stack.use(await startTestMiner({ chain, chainUrl, manager, env }))
})
afterAll(() => stack.disposeAsync())

const offer = (job_uuid: string, executor_class = 'always_on.test') => ({
  ...{ message_type: 'V0InitialJobRequest', job_uuid, executor_class },
  ...{ base_docker_image_name: 'img', timeout_seconds: 5, volume_type: 'inline' },
})
const work = (job_uuid: string) => ({
  ...{ message_type: 'V0JobRequest', job_uuid, docker_image_name: 'img', raw_script: null, output_upload: null },
  ...{ docker_run_options_preset: 'none', docker_run_cmd: [], volume: { volume_type: 'inline', contents: '' } },
})
const OUTPUT = { docker_process_stdout: 'out', docker_process_stderr: 'err' }

/** Returns the frames of a row. An authentication is a valid one, signed anew. */
function framesOf(sent: string, uuid: string): (string | Uint8Array)[] {
  const frames: Record<string, unknown[]> = {
    auth: [authentication(validatorKey())],
    offer: [offer(uuid)],
    work: [work(uuid)],
    complaint: [{ message_type: 'GenericError', details: 'nothing that a miner answers' }],
    nonsense: [
      { message_type: 'V0JobFinishedRequest', job_uuid: uuid, ...OUTPUT },
      { message_type: 'V9Anything', job_uuid: uuid },
      { ...work(uuid), docker_run_cmd: 'a string' },
      { ...offer(uuid), job_uuid: 'no uuid' },
      [offer(uuid)],
      null,
    ],
  }
  const encoded = (frames[sent] ?? []).map(message => JSON.stringify(message))
  return sent === 'nonsense' ? [...encoded, '{"message_type": "V0JobRe', new TextEncoder().encode(encoded[0])] : encoded
}

const stored = (uuid: string, key = validatorKey()) => findJob(miner.db, key.ss58, uuid)

/** Brings a job into a state, step by step, on its origin's connection. Returns its executor, if it has one. */
async function bringTo(state: string, uuid: string, origin: Wire): Promise<ExecutorPeer | undefined> {
  if (state === 'never') return undefined
  origin.send(offer(uuid, state === 'declined' ? 'none such' : undefined))
  await expectNext(origin, [state === 'declined' ? 'decline' : 'accept'])
  if (state === 'declined' || state === 'accepted') return undefined
  const executor = await connectExecutor(await manager.orderFor(uuid), manager)
  await executor.next()
  const job_uuid = uuid as never
  if (state === 'unprepared') {
    await executor.send({ message_type: 'V0FailedToPrepare', job_uuid })
    await expectNext(origin, ['executor-failed'])
    return executor
  }
  await executor.send({ message_type: 'V0ReadyRequest', job_uuid })
  await expectNext(origin, ['ready'])
  if (state === 'ready') return executor
  origin.send(work(uuid))
  expect(await executor.next()).toMatchObject({ message_type: 'V0RunJobRequest' })
  const failure = { docker_process_exit_status: 1, timeout: false }
  if (state === 'finished') await executor.send({ message_type: 'V0FinishedRequest', job_uuid, ...OUTPUT })
  if (state === 'failed') await executor.send({ message_type: 'V0FailedRequest', job_uuid, ...failure, ...OUTPUT })
  if (state === 'lost') await leave(uuid, executor)
  if (state !== 'running') await expectNext(origin, [state === 'finished' ? 'finished' : 'failed'])
  return executor
}

/** Makes the executor of a job exit, after its messages were read. */
async function leave(uuid: string, executor: ExecutorPeer | undefined): Promise<void> {
  await executor?.close()
  manager.dismiss(uuid)
}

async function expectNext(wire: Wire, answers: readonly string[]): Promise<void> {
  for (const answer of answers) expect((await wire.next()).message_type).toBe(ANSWERS[answer])
}

/** Proves that nothing else was sent: the answer to a new message comes next. */
async function expectSilence(wire: Wire): Promise<void> {
  wire.send({ message_type: 'V9Unknown' })
  expect(await wire.next()).toMatchObject({ details: 'message_type is missing or not one of this link' })
}

/** A job at rest: with its delivery, which is stored a moment after its end was received. */
async function storedAtRest(uuid: string, state: string): Promise<JobRow | undefined> {
  const isOpen = ['never', 'declined', 'accepted', 'ready', 'running'].includes(state)
  if (!isOpen) await expect.poll(async () => (await stored(uuid))?.deliveredAt, SOON).toBeInstanceOf(Date)
  else if (state === 'running') await expect.poll(async () => (await stored(uuid))?.state, SOON).toBe('running')
  return stored(uuid)
}

/** Ends open jobs while their validators are connected, so that the next test gets no results of this one. */
async function cleanUp(uuid: string, executor: ExecutorPeer | undefined, wires: readonly Wire[]): Promise<void> {
  await leave(uuid, executor)
  const isOver = async (key: ReturnType<typeof validatorKey>) => {
    const row = await stored(uuid, key)
    return row === undefined || row.state === 'rejected' || row.deliveredAt !== null
  }
  for (const key of [validatorKey(), secondValidatorKey()]) await expect.poll(() => isOver(key), SOON).toBe(true)
  for (const wire of wires) wire.close()
  await Promise.all(wires.map(({ closed }) => closed))
}

describe.each(Object.keys(TABLES) as Sender[])('messages on the %s connection', sender => {
  let cleaning: () => Promise<void> = async () => {}
  afterEach(() => cleaning())

  it.each(cellsOf(sender))('answers $sent in state $state with $cell', async ({ sent, state, cell }) => {
    const uuid = randomUUID()
    const [answers = '', movesTo] = cell.split('>')
    const origin = await connectWire(miner, validatorKey())
    const executor = await bringTo(state, uuid, origin)
    const before = await storedAtRest(uuid, state)
    const wires = {
      origin,
      second: await connectWire(miner, validatorKey()),
      other: await connectWire(miner, secondValidatorKey()),
      unauthenticated: await connectWire(miner, validatorKey(), 'unauthenticated'),
    }
    cleaning = () => cleanUp(uuid, executor, Object.values(wires))

    const frames = framesOf(sent, uuid)
    for (const frame of frames) wires[sender].sendFrame(frame)
    const expected = answers === 'errors' ? frames.map(() => 'error') : answers.split(',').filter(each => each !== '-')
    await expectNext(wires[sender], expected)
    if (answers === 'refused') expect(await wires[sender].closed).toBe(1000)
    else await expectSilence(wires[sender])
    for (const name of ['origin', 'second', 'other'] as const) if (name !== sender) await expectSilence(wires[name])

    if (movesTo) await expect.poll(async () => (await stored(uuid))?.state, SOON).toBe(movesTo)
    else expect(await stored(uuid)).toEqual(before)
  })
})
