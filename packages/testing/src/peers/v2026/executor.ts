/** A scripted executor of v2026: a test sends its messages to a miner. */
import { silentLog } from '@horde/kit/log'
import { dialSocket } from '@horde/kit/socket'
import { LARGEST_PASSED_ON_BYTES } from '@horde/protocol/frame'
import { type MinerToExecutorMessage, parseFromMiner } from '@horde/protocol/v2026/miner-executor'
import { asPeer, type Peer } from '../peer.ts'

export type ExecutorPeer2026 = Peer<MinerToExecutorMessage, object>

/** As our own executors do, it names its capabilities. */
export const OURS = { 'X-Horde-Capabilities': '2026, large-frames' }
/** The library of Python executors of 2026. */
export const PYTHON_2026 = { 'User-Agent': 'Python/3.11 websockets/14.2' }

/** Gets the end of the scripted executor, as a manager gets the end of a process. */
interface Manager {
  exit(token: string, description: string): void
}

/** @param manager if given, the executor closes its connection and exits once it has sent its result, as a real one */
export async function connectExecutor2026(
  { minerAddress, token }: { minerAddress: string; token: string },
  headers: Record<string, string> = OURS,
  manager?: Manager,
): Promise<ExecutorPeer2026> {
  const url = `${minerAddress}/v0.1/executor_interface/${token}`
  const options = { maxFrameBytes: LARGEST_PASSED_ON_BYTES, log: silentLog, headers, parse: parseFromMiner }
  const peer = asPeer<MinerToExecutorMessage, object>(await dialSocket(url, options))
  const send = peer.send.bind(peer)
  peer.send = async message => {
    await send(message)
    if (manager === undefined || !isResult(message)) return
    await peer.close(1000)
    manager.exit(token, 'exit code 0')
  }
  return peer
}

const RESULTS: readonly unknown[] = ['V0JobFinishedRequest', 'V0JobFailedRequest', 'V0HordeFailedRequest']

function isResult(message: object): boolean {
  return 'message_type' in message && RESULTS.includes(message.message_type)
}
