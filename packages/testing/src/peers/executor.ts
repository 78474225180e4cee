/** An executor of a miner, played by a test. */
import { silentLog } from '@horde/kit/log'
import { dialSocket } from '@horde/kit/socket'
import { LARGEST_PASSED_ON_BYTES, type Parsed } from '@horde/protocol/frame'
import { type ExecutorMessage, type MinerToExecutorMessage, parseFromMiner } from '@horde/protocol/miner-executor'
import { asPeer, type Peer } from './peer.ts'

export type ExecutorPeer = Peer<MinerToExecutorMessage, ExecutorMessage>

/** What an executor is told in its environment. */
interface Order {
  /** `ws://host:port` */
  minerAddress: string
  token: string
}

/** Hears how the played executor ends, as a manager hears it of a process. */
interface Manager {
  exit(token: string, how: string): void
}

/** A connection of a played executor, which leaves as a real one does: once it has answered, it closes and exits. */
export async function connectExecutor(
  { minerAddress, token }: Order,
  manager?: Manager,
  headers: Record<string, string> = { 'X-Horde-Capabilities': 'large-frames' },
): Promise<ExecutorPeer> {
  const url = `${minerAddress}/v0.1/executor_interface/${token}`
  const socket = await dialSocket<Parsed<MinerToExecutorMessage>, ExecutorMessage>(url, {
    maxFrameBytes: LARGEST_PASSED_ON_BYTES,
    log: silentLog,
    headers,
    parse: parseFromMiner,
  })
  const peer = asPeer(socket)
  const say = peer.say.bind(peer)
  peer.say = async message => {
    await say(message)
    if (!isAnswer(message) || !token.toLowerCase().startsWith(message.job_uuid.toLowerCase())) return
    await peer.close(1000)
    manager?.exit(token, 'exit code 0')
  }
  return peer
}

type Answer = Extract<ExecutorMessage, { message_type: `V0F${string}` }>

function isAnswer(message: ExecutorMessage): message is Answer {
  return message.message_type.startsWith('V0F')
}
