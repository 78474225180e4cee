/** Scripted peers of every kind for one miner: their frames are plain JSON, in either dialect. */
import { silentLog } from '@horde/kit/log'
import { dialSocket } from '@horde/kit/socket'
import { LARGEST_PASSED_ON_BYTES } from '@horde/protocol/frame'
import { asPeer, type Peer } from '@horde/testing/peers/peer'
import { receipt2026 } from '@horde/testing/peers/v2026/validator'
import { validatorKey } from '@horde/testing/peers/validator'
import type { ScriptedManager } from '../harness.ts'

export type Message = { message_type: string } & Record<string, unknown>
export type AnyPeer = Peer<Message, object>

async function dial(url: string, headers: Record<string, string>): Promise<AnyPeer> {
  const parse = (frame: string | Uint8Array) => ({ ok: true, message: JSON.parse(String(frame)) as Message }) as const
  const options = { maxFrameBytes: LARGEST_PASSED_ON_BYTES, log: silentLog, parse, headers }
  return asPeer<Message, object>(await dialSocket(url, options))
}

export function dialAsValidator({ url }: { url: string }, headers: Record<string, string> = {}): Promise<AnyPeer> {
  return dial(`${url}/v0.1/validator_interface/${validatorKey().ss58}`, headers)
}

/**
 * Sends the receipt of a job's end in v2026, and waits until the miner has it: else the miner repeats the end on later
 * connections.
 */
export async function confirmEnd(
  peer: { send(message: object): Promise<void>; next(): Promise<{ message_type: string }> },
  uuid: string,
): Promise<void> {
  await peer.send(receipt2026(uuid, 'finished'))
  const question = { message_type: 'V0MainHotkeyMessage', main_hotkey: null }
  await peer.send(question)
  while ((await peer.next()).message_type !== question.message_type) {}
}

const PRINTED = { docker_process_stdout: 'out', docker_process_stderr: '' }

/** What an executor answers to each message of the miner, by dialect. */
const ANSWERS: Record<'v0' | 'v2026', Record<string, readonly object[]>> = {
  v0: {
    V0PrepareJobRequest: [{ message_type: 'V0ReadyRequest' }],
    V0RunJobRequest: [{ message_type: 'V0FinishedRequest', ...PRINTED }],
  },
  v2026: {
    V0InitialJobRequest: [{ message_type: 'V0ExecutorReadyRequest', executor_token: null }],
    V0JobRequest: [
      ...[{ message_type: 'V0VolumesReadyRequest' }, { message_type: 'V0ExecutionDoneRequest' }],
      { message_type: 'V0JobFinishedRequest', ...PRINTED, artifacts: {}, upload_results: {} },
    ],
  },
}

const LAST = ['V0FinishedRequest', 'V0JobFinishedRequest']
export interface ExecutorKind {
  headers: Record<string, string>
  /** What it understands. It answers anything else with an error. */
  speaks: readonly ('v0' | 'v2026')[]
  /** Says everything in both dialects. */
  saysBoth?: boolean
  /** Says its end in the dialect that it is not spoken to. */
  endsInOther?: boolean
  /** How many errors it sends before it leaves; default: 2. */
  errors?: number
}

/** Our own executor. */
export const OUR_EXECUTOR: ExecutorKind = {
  headers: { 'X-Horde-Capabilities': '2026, large-frames' },
  speaks: ['v0', 'v2026'],
}

/** Plays the next executor that the miner asks for, up to its exit. Returns the types of what the miner sent it. */
export async function playExecutor(manager: ScriptedManager, kind: ExecutorKind): Promise<string[]> {
  const { minerAddress, token } = await manager.order()
  await using peer = await dial(`${minerAddress}/v0.1/executor_interface/${token}`, kind.headers)
  const heard: string[] = []
  let errors = 0
  for await (const received of peer) {
    if (!received.ok) continue
    const { message_type, job_uuid } = received.message
    heard.push(message_type)
    const answers = answersTo(message_type, kind)
    for (const answer of answers) await peer.send({ ...answer, job_uuid })
    if (answers.some(answer => LAST.includes((answer as Message).message_type))) break
    if (answers.length > 0) continue
    await peer.send({ message_type: 'GenericError', details: `I do not know ${message_type}` })
    errors += 1
    if (errors === (kind.errors ?? 2)) break
  }
  await peer.close(1000)
  manager.exit(token, 'exit code 0')
  return heard
}

function answersTo(type: string, { speaks, saysBoth, endsInOther }: ExecutorKind): readonly object[] {
  const dialect = speaks.find(each => Object.hasOwn(ANSWERS[each], type))
  const answers = dialect === undefined ? undefined : ANSWERS[dialect][type]
  if (dialect === undefined || answers === undefined) return []
  const isOffer = type === 'V0PrepareJobRequest' || type === 'V0InitialJobRequest'
  const other = dialect === 'v0' ? ANSWERS.v2026 : ANSWERS.v0
  const inOther = Object.values(other)[isOffer ? 0 : 1] ?? []
  if (endsInOther && !isOffer) return inOther
  return saysBoth ? [...answers.slice(0, -1), ...inOther.slice(-1), ...answers.slice(-1)] : answers
}
