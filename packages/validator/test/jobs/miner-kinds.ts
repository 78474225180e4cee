/** The miners that our validator meets, and their scripts. */
import type { Dialect } from '@horde/protocol/handshake/dialects'
import { MANIFEST } from '@horde/testing/peers/scripted-miner'
import { MANIFEST_2026, type Peer2026, play2026 } from '@horde/testing/peers/v2026/scripted-miner'

export const ERROR = { message_type: 'GenericError', details: 'no' }
export const RESULT = { docker_process_stdout: 'right', docker_process_stderr: '' }

/** A miner of 2024, from its first message on. */
export async function work2024(peer: Peer2026, isAuthenticated = false): Promise<void> {
  let type = isAuthenticated ? 'V0AuthenticateRequest' : await peer.nextType()
  for (; type !== 'V0AuthenticateRequest'; type = await peer.nextType()) {
    if (type === 'gone') return
    peer.send(ERROR)
  }
  if ((await peer.nextType()) !== 'V0InitialJobRequest') return
  peer.sendForJob('V0AcceptJobRequest')
  peer.sendForJob('V0ExecutorReadyRequest')
  if ((await peer.nextType()) === 'V0JobRequest') peer.sendForJob('V0JobFinishedRequest', RESULT)
}

/** The rest of a job of 2026, after the manifest. */
async function work2026(peer: Peer2026): Promise<void> {
  await peer.receive('V0InitialJobRequest')
  peer.sendForJob('V0AcceptJobRequest')
  peer.sendForJob('V0ExecutorReadyRequest')
  await peer.receive('V0JobAcceptedReceiptRequest')
  await peer.receive('V0JobRequest')
  peer.sendForJob('V0JobFinishedRequest', RESULT)
}

/** A release of ours that knows v0 alone: it closes at any other first message. */
async function workOfOurs(peer: Peer2026): Promise<void> {
  const type = await peer.nextType()
  if (type === 'V0AuthenticateRequest') return work2024(peer, true)
  peer.send({ message_type: 'GenericError', details: 'The first message must be a V0AuthenticateRequest' })
  peer.close(1000)
}

export const JOB_2024 = ['V0AuthenticateRequest', 'V0InitialJobRequest', 'V0JobRequest']
export const JOB_2026 = [
  'V0InitialJobRequest',
  'V0JobAcceptedReceiptRequest',
  'V0JobRequest',
  'V0JobFinishedReceiptRequest',
]
export const on = (connection: number, types: readonly string[]) => types.map(type => `${connection} ${type}`)

export interface MinerCase {
  miner: string
  script(peer: Peer2026): Promise<unknown> | unknown
  /** The header for capabilities in the miner's answer. */
  says?: string
  /** Of the last connection; of all connections where it starts with 1. */
  receives: string[]
  remembered: Dialect | undefined
  /** Whether it does not do what its dialect says: it is not measured once it is known. */
  isConfused?: boolean
  ends?: [state: string, reason: string | null]
}

export const FINISHED: MinerCase['ends'] = ['finished', null]

export const MINERS: MinerCase[] = [
  {
    miner: 'of 2026',
    script: peer => play2026.finished(peer),
    receives: on(1, ['ValidatorAuthForMiner', ...JOB_2026]),
    remembered: 'v2026',
  },
  {
    miner: 'of ours, which names 2026 in its answer to the upgrade',
    script: peer => play2026.finished(peer),
    says: '2026, large-frames',
    receives: on(1, ['ValidatorAuthForMiner', ...JOB_2026]),
    remembered: 'v2026',
  },
  {
    miner: 'of 2024',
    script: peer => work2024(peer),
    receives: on(1, ['ValidatorAuthForMiner', ...JOB_2024]),
    remembered: 'v0',
  },
  {
    miner: 'of ours before this dialect, which closes at what it does not know',
    script: workOfOurs,
    receives: on(2, JOB_2024),
    remembered: 'v0',
  },
  {
    miner: 'that closes with 1000 at what it does not know, without a word',
    script: async peer => ((await peer.nextType()) === 'V0AuthenticateRequest' ? work2024(peer, true) : peer.close()),
    receives: ['1 ValidatorAuthForMiner', ...on(2, JOB_2024)],
    remembered: 'v0',
  },
  {
    miner: 'that cuts the connection at what it does not know',
    script: async peer => ((await peer.nextType()) === 'V0AuthenticateRequest' ? work2024(peer, true) : peer.cut()),
    receives: ['1 ValidatorAuthForMiner', ...on(2, JOB_2024)],
    remembered: 'v0',
  },
  {
    miner: 'that says nothing to what it does not know',
    script: async peer => {
      await peer.nextType()
      await work2024(peer)
    },
    receives: on(1, ['ValidatorAuthForMiner', ...JOB_2024]),
    remembered: undefined,
  },
  {
    miner: 'that sends both manifests',
    isConfused: true,
    script: async peer => {
      await peer.receive('ValidatorAuthForMiner')
      peer.send(MANIFEST)
      peer.send(MANIFEST_2026)
      await peer.receive('GenericError')
      await work2026(peer)
    },
    receives: on(1, ['ValidatorAuthForMiner', 'GenericError', ...JOB_2026]),
    remembered: 'v2026',
  },
  {
    miner: 'of 2026 that sends messages about other jobs before its manifest',
    script: async peer => {
      const job_uuid = '11111111-d985-4a66-9d28-554f00ad7cfa'
      for (const message_type of ['V0AcceptJobRequest', 'V0ExecutorReadyRequest', 'V0JobFinishedRequest'])
        peer.send({ message_type, job_uuid, ...RESULT })
      await play2026.finished(peer)
    },
    receives: on(1, ['ValidatorAuthForMiner', ...JOB_2026]),
    remembered: 'v2026',
  },
  {
    miner: 'that says an error first, and sends the manifest of 2026 late',
    isConfused: true,
    script: async peer => {
      await peer.nextType()
      peer.send(ERROR)
      while ((await peer.nextType()) !== 'V0InitialJobRequest');
      peer.send(MANIFEST_2026)
      await work2026(peer)
    },
    receives: on(1, ['ValidatorAuthForMiner', ...JOB_2024.slice(0, 2), ...JOB_2026]),
    remembered: 'v2026',
  },
  {
    miner: 'that says nothing, and sends the manifest of 2026 after the offer in v0',
    isConfused: true,
    script: async peer => {
      while ((await peer.nextType()) !== 'V0InitialJobRequest');
      peer.send(MANIFEST_2026)
      await work2026(peer)
    },
    receives: on(1, ['ValidatorAuthForMiner', ...JOB_2024.slice(0, 2), ...JOB_2026]),
    remembered: 'v2026',
  },
  {
    miner: 'that sends the manifest of v0 late, after that of 2026',
    isConfused: true,
    script: async peer => {
      await play2026.accepted(peer)
      peer.send(MANIFEST)
      peer.sendForJob('V0ExecutorReadyRequest')
      while ((await peer.nextType()) !== 'V0JobRequest');
      peer.sendForJob('V0JobFinishedRequest', RESULT)
    },
    receives: on(1, [
      ...['ValidatorAuthForMiner', 'V0InitialJobRequest', 'V0JobAcceptedReceiptRequest'],
      ...['GenericError', 'V0JobRequest', 'V0JobFinishedReceiptRequest'],
    ]),
    remembered: 'v2026',
  },
  {
    miner: 'that never says a word',
    script: peer => peer.gone,
    receives: on(1, ['ValidatorAuthForMiner', ...JOB_2024.slice(0, 2)]),
    remembered: undefined,
    ends: ['broken', 'no-answer'],
  },
  {
    miner: 'that refuses both authentications',
    script: async peer => {
      for (let answers = 0; answers < 2; answers += 1) {
        await peer.nextType()
        peer.send(ERROR)
      }
      peer.close()
    },
    receives: on(1, ['ValidatorAuthForMiner', ...JOB_2024.slice(0, 2)]),
    remembered: undefined,
    ends: ['broken', 'not-authorized'],
  },
  {
    miner: 'that refuses every connection at once',
    script: peer => {
      peer.send(ERROR)
      peer.close()
    },
    // What the validator says on a connection that is closing may arrive or not.
    receives: [],
    remembered: undefined,
    ends: ['broken', 'not-authorized'],
  },
  {
    miner: 'of ours that refuses the validator',
    script: async peer => {
      await peer.nextType()
      peer.send(ERROR)
      peer.close()
    },
    says: '2026',
    receives: on(1, ['ValidatorAuthForMiner']),
    remembered: undefined,
    ends: ['broken', 'not-authorized'],
  },
]
