import type { Clock } from '@horde/kit/time'
import { type Peer, play } from '@horde/testing/peers/scripted-miner'
import type { StageLimits } from '../../src/benchmarks/synthetic-job.ts'

/** How long the work may take, in seconds. */
export const TIMEOUT_SECONDS = 2
/** Limits short enough to wait until a miner exceeds one. */
export const LIMITS: StageLimits = {
  connectMs: 8_000,
  manifestMs: 300,
  acceptMs: 3_000,
  slowAcceptMs: 3_000,
  reservationMs: 3_000,
  readySlackMs: 0,
  resultGraceMs: 3_000,
}
/** Beyond the timeout but within the grace, and beyond the grace too, in ms. */
const LATE_MS = (TIMEOUT_SECONDS + 2) * 1_000
const TOO_LATE_MS = LIMITS.acceptMs + 500

const OFFER = ['1 V0AuthenticateRequest', '1 V0InitialJobRequest']
const WORK = [...OFFER, '1 V0JobRequest']
/** The validator dials six times in all when no attempt succeeds. */
const AGAIN = [2, 3, 4, 5, 6].map(connection => `${connection} V0AuthenticateRequest`)

export interface Misbehaviour {
  at: 'connected' | 'offered' | 'accepted' | 'working'
  does: string
  script(peer: Peer, clock: Clock): Promise<unknown>
  /** State, reason, and whether the score is above 0. */
  ends: [state: string, reason: string | null, scored: boolean]
  /** All messages that the validator sends, each with the number of its connection. */
  receives: string[]
}

type Stage = (peer: Peer) => Promise<unknown>
type Script = Misbehaviour['script']
const { offered, accepted, working } = play
const right = (peer: Peer) =>
  peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
const failed = (peer: Peer, status: number | null) => {
  const texts = { docker_process_stdout: '', docker_process_stderr: '' }
  peer.sendForJob('V0JobFailedRequest', { docker_process_exit_status: status, ...texts })
}
const after =
  (stage: Stage, act: (peer: Peer, clock: Clock) => unknown): Script =>
  async (peer, clock) => {
    if (peer.connection > 1) return peer.cut()
    await stage(peer)
    return act(peer, clock)
  }
const sends = (type: string) => (peer: Peer) => peer.sendForJob(type)
const NONSENSE = ['nonsense', '[]', '{"message_type":"V1Something"}']

/** What a miner can do wrong at each stage of its job. */
export const MISBEHAVIOURS: Misbehaviour[] = [
  {
    ...{
      at: 'connected',
      does: 'refuse',
      ends: ['broken', 'not-authorized', false],
      receives: ['1 V0AuthenticateRequest'],
    },
    script: async peer => {
      peer.send({ message_type: 'GenericError', details: 'no' })
      peer.close()
    },
  },
  {
    ...{ at: 'offered', does: 'say nothing', ends: ['broken', 'no-answer', false], receives: OFFER },
    script: after(offered, () => {}),
  },
  {
    ...{ at: 'offered', does: 'decline', ends: ['rejected', 'declined', false], receives: OFFER },
    script: after(offered, sends('V0DeclineJobRequest')),
  },
  {
    ...{ at: 'offered', does: 'fail to prepare', ends: ['broken', 'prepare-failed', false], receives: OFFER },
    script: after(offered, sends('V0ExecutorFailedRequest')),
  },
  {
    ...{ at: 'offered', does: 'accept too late', ends: ['broken', 'no-answer', false], receives: OFFER },
    script: after(offered, async (peer, clock) => {
      await clock.sleep(TOO_LATE_MS)
      peer.sendForJob('V0AcceptJobRequest')
    }),
  },
  {
    ...{ at: 'offered', does: 'give an answer', ends: ['broken', 'out-of-order', false], receives: OFFER },
    script: after(offered, right),
  },
  {
    ...{ at: 'offered', does: 'send invalid messages, then go on', ends: ['finished', null, true] },
    receives: [...OFFER, ...NONSENSE.map(() => '1 GenericError'), '1 V0JobRequest'],
    script: after(offered, async peer => {
      for (const frame of NONSENSE) peer.send(frame)
      for (const _ of NONSENSE) await peer.receive('GenericError')
      peer.sendForJob('V0AcceptJobRequest')
      peer.sendForJob('V0ExecutorReadyRequest')
      await peer.receive('V0JobRequest')
      right(peer)
    }),
  },
  {
    ...{
      at: 'offered',
      does: 'cut the connection',
      ends: ['broken', 'connection-lost', false],
      receives: [...OFFER, ...AGAIN],
    },
    script: after(offered, peer => peer.cut()),
  },
  {
    ...{ at: 'accepted', does: 'say nothing', ends: ['broken', 'prepare-timed-out', false], receives: OFFER },
    script: after(accepted, () => {}),
  },
  {
    ...{ at: 'accepted', does: 'decline', ends: ['broken', 'out-of-order', false], receives: OFFER },
    script: after(accepted, sends('V0DeclineJobRequest')),
  },
  {
    ...{ at: 'accepted', does: 'fail to prepare', ends: ['broken', 'prepare-failed', false], receives: OFFER },
    script: after(accepted, sends('V0ExecutorFailedRequest')),
  },
  {
    ...{ at: 'accepted', does: 'be ready too late', ends: ['broken', 'prepare-timed-out', false], receives: OFFER },
    script: after(accepted, async (peer, clock) => {
      await clock.sleep(TOO_LATE_MS)
      peer.sendForJob('V0ExecutorReadyRequest')
    }),
  },
  {
    ...{ at: 'accepted', does: 'give an answer', ends: ['broken', 'out-of-order', false], receives: OFFER },
    script: after(accepted, right),
  },
  {
    ...{ at: 'accepted', does: 'say that the job failed', ends: ['broken', 'prepare-failed', false], receives: OFFER },
    script: after(accepted, peer => failed(peer, 1)),
  },
  {
    ...{ at: 'accepted', does: 'accept again, then go on', ends: ['finished', null, true], receives: WORK },
    script: after(accepted, async peer => {
      peer.sendForJob('V0AcceptJobRequest')
      peer.sendForJob('V0ExecutorReadyRequest')
      await peer.receive('V0JobRequest')
      right(peer)
    }),
  },
  {
    ...{
      at: 'accepted',
      does: 'cut the connection',
      ends: ['broken', 'connection-lost', false],
      receives: [...OFFER, ...AGAIN],
    },
    script: after(accepted, peer => peer.cut()),
  },
  {
    ...{ at: 'working', does: 'say nothing', ends: ['broken', 'run-timed-out', false], receives: WORK },
    script: after(working, () => {}),
  },
  {
    ...{ at: 'working', does: 'decline', ends: ['broken', 'out-of-order', false], receives: WORK },
    script: after(working, sends('V0DeclineJobRequest')),
  },
  {
    ...{ at: 'working', does: 'fail with a status', ends: ['failed', 'exit-status', false], receives: WORK },
    script: after(working, peer => failed(peer, 1)),
  },
  {
    ...{ at: 'working', does: 'fail without a status', ends: ['failed', 'not-run', false], receives: WORK },
    script: after(working, peer => failed(peer, null)),
  },
  {
    ...{ at: 'working', does: 'answer late', ends: ['finished', 'time-limit', false], receives: WORK },
    script: after(working, async (peer, clock) => {
      await clock.sleep(LATE_MS)
      right(peer)
    }),
  },
  {
    ...{ at: 'working', does: 'answer wrong', ends: ['finished', 'wrong-answer', false], receives: WORK },
    script: after(working, peer =>
      peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'wrong', docker_process_stderr: '' }),
    ),
  },
  {
    ...{ at: 'working', does: 'send invalid messages, then answer', ends: ['finished', null, true] },
    receives: [...WORK, ...NONSENSE.map(() => '1 GenericError')],
    script: after(working, async peer => {
      for (const frame of NONSENSE) peer.send(frame)
      for (const _ of NONSENSE) await peer.receive('GenericError')
      right(peer)
    }),
  },
  {
    ...{ at: 'working', does: 'be ready again, then answer', ends: ['finished', null, true], receives: WORK },
    script: after(working, async peer => {
      peer.sendForJob('V0ExecutorReadyRequest')
      right(peer)
    }),
  },
  {
    ...{ at: 'working', does: 'answer twice', ends: ['finished', null, true], receives: WORK },
    script: after(working, peer => {
      right(peer)
      failed(peer, 1)
    }),
  },
  {
    ...{
      at: 'working',
      does: 'cut the connection',
      ends: ['broken', 'connection-lost', false],
      receives: [...WORK, ...AGAIN],
    },
    script: after(working, peer => peer.cut()),
  },
]
