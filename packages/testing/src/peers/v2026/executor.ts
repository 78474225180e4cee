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

export async function connectExecutor2026(
  { minerAddress, token }: { minerAddress: string; token: string },
  headers: Record<string, string> = OURS,
): Promise<ExecutorPeer2026> {
  const url = `${minerAddress}/v0.1/executor_interface/${token}`
  const options = { maxFrameBytes: LARGEST_PASSED_ON_BYTES, log: silentLog, headers, parse: parseFromMiner }
  return asPeer<MinerToExecutorMessage, object>(await dialSocket(url, options))
}
