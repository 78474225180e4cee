/**
 * Replays the recorded conversations of a Python miner of January 2026, with this project's miner in its place: it says
 * the same in the same order, except for the differences that are listed here.
 */
import { readFileSync } from 'node:fs'
import { jobUuid } from '@horde/protocol/primitives'
import { requestFromV2026 } from '@horde/protocol/v2026/codec/validator-miner-codec'
import { parseFromMiner } from '@horde/protocol/v2026/miner-executor'
import { receiptTimeAt } from '@horde/protocol/v2026/receipts/times'
import { receiptText } from '@horde/protocol/v2026/signing/signed-texts'
import { connectExecutor2026, type ExecutorPeer2026, PYTHON_2026 } from '@horde/testing/peers/v2026/executor'
import {
  authentication2026,
  dialMiner2026,
  signatureOf,
  signed2026,
  type ValidatorPeer2026,
} from '@horde/testing/peers/v2026/validator'
import { minerKey, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startChain } from '../harness.ts'
import { startMiner2026 } from './started.ts'

type Row = [seconds: number, what: string, frame: string]
const file = new URL('../fixtures/v2026/trace-python-miner-and-executor.json', import.meta.url)
const { traces } = JSON.parse(readFileSync(file, 'utf8')) as { traces: Record<string, Row[]> }

/** The keys of the recording. */
const ALICE = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY'
const BOB = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty'

/** That of the conversations of October. */
const RECORDED_CLASS = 'always_on.gpu-24gb'

interface Difference {
  scenario: string
  type: string
  why: string
  /** The fields that this project's miner says otherwise. */
  ours: object
}

const DIFFERENCES: Difference[] = [
  {
    scenario: 'manifest count 0',
    type: 'V0DeclineJobRequest',
    why: 'says in words why it declines',
    ours: { message: 'No executor of that class was free.', receipts: [] },
  },
  {
    scenario: 'executor cannot be started',
    type: 'V0HordeFailedRequest',
    why: 'has words of its own, and names the stage',
    ours: { message: 'The executor could not be started.', context: { stage: 'executor_startup' } },
  },
  {
    scenario: 'executor disconnects before ready',
    type: 'V0HordeFailedRequest',
    why: 'gives an executor that lost its connection time to come back, so that it speaks of its exit',
    ours: { message: 'The executor exited before its job ended.', context: { stage: 'executor_startup' } },
  },
]

const SCENARIOS = [
  'good job with volumes, uploads, artifacts',
  'exit status 3',
  'download fails (404)',
  'upload file missing',
  'execution too long',
  'manifest count 0',
  'executor cannot be started',
  'executor disconnects before ready',
]

/** Returns a frame of the recording with the keys of this test, signed anew and now. */
function renewed(frame: string): object {
  const ours = frame.replaceAll(ALICE, validatorKey().ss58).replaceAll(BOB, minerKey().ss58)
  const { validator_signature: isSigned, ...message } = JSON.parse(ours.replaceAll(RECORDED_CLASS, 'always_on.test'))
  if (message.message_type === 'ValidatorAuthForMiner') return authentication2026()
  const field = 'job_started_receipt_payload' in message ? 'job_started_receipt_payload' : 'payload'
  if (!(field in message)) return isSigned ? signed2026(message) : message
  message[field].timestamp = receiptTimeAt(Date.now())
  const signature = field === 'payload' ? 'signature' : 'job_started_receipt_signature'
  message[signature] = signatureOf(validatorKey(), receiptText(message[field]))
  return isSigned ? signed2026(message) : message
}

/** Returns what a frame for an executor asks for, in the vocabulary: absent and null mean the same. */
function asked(frame: string): unknown {
  const parsed = parseFromMiner(frame)
  if (!parsed.ok || parsed.message.message_type === 'GenericError') throw new Error(frame)
  const { message } = parsed
  return requestFromV2026({ ...message, validator_signature: null }, jobUuid.parse(message.job_uuid))
}

let network: Awaited<ReturnType<typeof startChain>>
beforeAll(async () => {
  network = await startChain()
})
afterAll(() => network[Symbol.asyncDispose]())

it.each(SCENARIOS)('%s', async scenario => {
  const EXECUTOR_COUNT = scenario === 'manifest count 0' ? '0' : '1'
  await using started = await startMiner2026({ env: { EXECUTOR_COUNT } }, network)
  const { miner, manager } = started
  if (scenario === 'executor cannot be started') manager.failNext = true
  await using validator = await dialMiner2026(miner)
  let executor: { peer: ExecutorPeer2026; token: string } | undefined
  for (const [, what, frame] of traces[scenario] ?? []) {
    if (what === 'V>M') await validator.send(renewed(frame))
    else if (what === 'M>E') {
      if (executor === undefined) {
        const order = await manager.order()
        executor = { peer: await connectExecutor2026(order, PYTHON_2026), token: order.token }
      }
      expect(asked(JSON.stringify(await executor.peer.next()))).toEqual(asked(frame))
      if (scenario === 'executor disconnects before ready') {
        await executor.peer.close()
        manager.exit(executor.token)
      }
    } else if (what === 'E>M') await executor?.peer.send(JSON.parse(frame))
    else if (what === 'M>V') {
      const recorded = JSON.parse(frame) as { message_type: string }
      const difference = DIFFERENCES.find(each => each.scenario === scenario && each.type === recorded.message_type)
      const received = await validator.next()
      expect(readable(received)).toEqual(readable({ ...recorded, ...difference?.ours }))
    }
  }
  await executor?.peer.close()
  if (executor) manager.exit(executor.token, 'exit code 0')
})

/** The answers of uploads are JSON in a text, which Python writes with spaces. */
function readable(message: object): object {
  if (!('upload_results' in message)) return message
  const results = Object.entries((message.upload_results ?? {}) as Record<string, string>)
  return { ...message, upload_results: Object.fromEntries(results.map(([path, json]) => [path, JSON.parse(json)])) }
}

type Reconnect = { name: string; rows: [seconds: number, what: string, frame: string | number][] }
const reconnects = JSON.parse(
  readFileSync(new URL('../fixtures/v2026/october-reconnect.json', import.meta.url), 'utf8'),
) as Reconnect[]

/** What the executor has reported by then. */
const REPORTED = ['V0ExecutorReadyRequest', 'V0VolumesReadyRequest', 'V0ExecutionDoneRequest', 'V0JobFinishedRequest']

/**
 * The recorded validator of October spoke with a scripted miner, which said less on new connections than ours does, and
 * once ran a job without its work. So each message counts as said once it has come on the connection that is open then.
 */
it.each(reconnects)('a validator of October: $name', async ({ rows }) => {
  await using started = await startMiner2026({}, network)
  const { miner, manager } = started
  let validator: ValidatorPeer2026 | undefined
  let executor: { peer: ExecutorPeer2026; token: string } | undefined
  let heard: string[] = []
  const reported: string[] = []
  const sent = new Set<number>()

  const send = async (index: number) => {
    if (sent.has(index)) return
    sent.add(index)
    await validator?.send(renewed(String(rows[index]?.[2])))
  }
  const report = async (until: string) => {
    if (executor === undefined) {
      const order = await manager.order()
      executor = { peer: await connectExecutor2026(order, PYTHON_2026), token: order.token }
      await executor.peer.next()
    }
    for (const message_type of REPORTED.slice(0, REPORTED.indexOf(until) + 1)) {
      if (reported.includes(message_type)) continue
      reported.push(message_type)
      const { peer, token } = executor
      if (message_type === 'V0VolumesReadyRequest') {
        await send(rows.findIndex(([, what, frame]) => what === 'V' && String(frame).includes('"V0JobRequest"')))
        await peer.next()
      }
      const job_uuid = token.slice(0, 36)
      const output = { docker_process_stdout: 'o', docker_process_stderr: 'e', artifacts: {}, upload_results: {} }
      const extra = message_type === 'V0JobFinishedRequest' ? output : {}
      await peer.send({ message_type, job_uuid, ...extra })
    }
  }

  for (const [index, [, what, frame]] of rows.entries()) {
    if (/^connection \d+$/.test(what)) {
      validator = await dialMiner2026(miner)
      heard = []
    } else if (what.endsWith(' closed')) await validator?.close()
    else if (what === 'V') await send(index)
    else if (what === 'M') {
      const { message_type } = JSON.parse(String(frame)) as { message_type: string }
      if (REPORTED.includes(message_type)) await report(message_type)
      while (!heard.includes(message_type)) heard.push((await validator?.next())?.message_type ?? '')
    }
  }
  expect(heard).toContain('V0JobFinishedRequest')
  expect(heard).not.toContain('GenericError')
  expect(new Set(heard).size, 'each is said once').toBe(heard.filter(type => type !== MANIFEST).length + 1)
  await executor?.peer.close()
  if (executor) manager.exit(executor.token, 'exit code 0')
})

const MANIFEST = 'V0ExecutorManifestRequest'
