/** The executors that our miner meets, and jobs for them. */
import { randomUUID } from 'node:crypto'
import { connectValidator2026, offer2026, signed2026, work2026 } from '@horde/testing/peers/v2026/validator'
import { connectValidator } from '@horde/testing/peers/validator'
import { offerOf, workOf } from '../messages.ts'
import type { Started } from '../v2026/started.ts'
import { confirmEnd, type ExecutorKind, OUR_EXECUTOR, playExecutor } from './peers.ts'

export const V0 = ['V0PrepareJobRequest', 'V0RunJobRequest']
export const V2026 = ['V0InitialJobRequest', 'V0JobRequest']
const FIRST_OF_V2026 = V2026.slice(0, 1)
const FIRST_OF_V0 = V0.slice(0, 1)
const of = (headers: Record<string, string>, ...speaks: ExecutorKind['speaks']): ExecutorKind => ({ headers, speaks })
const OURS = OUR_EXECUTOR.headers
const OURS_BEFORE = { 'X-Horde-Capabilities': 'large-frames' }

export interface ExecutorCase {
  executor: string
  kind: ExecutorKind
  /** What the miner sends it about a job that was offered in v0. */
  ofV0: string[]
  ofV2026: string[]
  /** Whether the miner knows what it speaks before the first frame. */
  isKnown?: boolean
}

export const GOOD_EXECUTORS: ExecutorCase[] = [
  { executor: 'of 2024', kind: of({ 'User-Agent': 'Python/3.11 websockets/12.0' }, 'v0'), ofV0: V0, ofV2026: V0 },
  {
    executor: 'of 2026',
    kind: of({ 'User-Agent': 'Python/3.11 websockets/14.2' }, 'v2026'),
    ...{ ofV0: V2026, ofV2026: V2026 },
  },
  { executor: 'of ours', kind: OUR_EXECUTOR, ofV0: V0, ofV2026: V2026 },
  { executor: 'of ours before v2026', kind: of(OURS_BEFORE, 'v0'), ofV0: V0, ofV2026: V0 },
  {
    executor: 'that shows nothing and speaks v0',
    kind: of({}, 'v0'),
    ...{ ofV0: V0, ofV2026: [...FIRST_OF_V2026, ...V0], isKnown: false },
  },
  {
    executor: 'that shows nothing and speaks v2026',
    kind: of({}, 'v2026'),
    ...{ ofV0: [...FIRST_OF_V0, ...V2026], ofV2026: V2026, isKnown: false },
  },
  {
    executor: 'that shows nothing and speaks both',
    kind: of({}, 'v0', 'v2026'),
    ...{ ofV0: V0, ofV2026: V2026, isKnown: false },
  },
  {
    executor: 'with another library, which speaks v2026',
    kind: of({ 'User-Agent': 'Go-http-client/1.1' }, 'v2026'),
    ...{ ofV0: [...FIRST_OF_V0, ...V2026], ofV2026: V2026, isKnown: false },
  },
  { executor: 'that says everything in both', kind: { ...OUR_EXECUTOR, saysBoth: true }, ofV0: V0, ofV2026: V2026 },
  {
    executor: 'that says its end in the other one',
    kind: { ...OUR_EXECUTOR, endsInOther: true },
    ...{ ofV0: V0, ofV2026: V2026 },
  },
]

export const BAD_EXECUTORS: ExecutorCase[] = [
  {
    executor: 'that understands neither',
    kind: of({}),
    ofV0: [...FIRST_OF_V0, ...FIRST_OF_V2026],
    ofV2026: [...FIRST_OF_V2026, ...FIRST_OF_V0],
  },
  {
    executor: 'that names 2026 and speaks v0 alone',
    kind: { ...of(OURS, 'v0'), errors: 1 },
    ...{ ofV0: V0, ofV2026: FIRST_OF_V2026 },
  },
  {
    executor: 'that looks like 2024 and speaks v2026 alone',
    kind: { ...of({ 'User-Agent': 'websockets/12.0' }, 'v2026'), errors: 1 },
    ...{ ofV0: FIRST_OF_V0, ofV2026: FIRST_OF_V0 },
  },
]

/** Reads up to the end of a job. Returns its type. */
async function endOn(peer: { next(): Promise<{ message_type: string }> }, send: () => Promise<void>): Promise<string> {
  for (;;) {
    const { message_type } = await peer.next()
    if (message_type === 'V0ExecutorReadyRequest') await send()
    if (/Finished|Failed/.test(message_type)) return message_type
  }
}

/** Runs a job that a validator of this dialect offers. Returns how it ended, and what the executor was sent. */
export async function runWith(
  kind: ExecutorKind,
  dialect: 'v0' | 'v2026',
  { miner, manager }: Started,
): Promise<{ end: string; heard: string[] }> {
  const uuid = randomUUID()
  const heard = playExecutor(manager, kind)
  if (dialect === 'v0') {
    await using peer = await connectValidator(miner)
    await peer.send(offerOf(uuid))
    return { end: await endOn(peer, () => peer.send(workOf(uuid))), heard: await heard }
  }
  await using peer = await connectValidator2026(miner)
  await peer.send(signed2026(offer2026(uuid)))
  const end = await endOn(peer, () => peer.send(signed2026(work2026(uuid))))
  await confirmEnd(peer, uuid)
  return { end, heard: await heard }
}
