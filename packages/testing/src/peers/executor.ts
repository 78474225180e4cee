/** An executor that a test plays against a real miner. */
import { silentLog } from '@horde/kit/log'
import { dialSocket } from '@horde/kit/socket'
import { LARGEST_PASSED_ON_BYTES, type Parsed } from '@horde/protocol/frame'
import { type ExecutorMessage, type MinerToExecutorMessage, parseFromMiner } from '@horde/protocol/miner-executor'
import { asPeer, type Peer } from './peer.ts'

export type ExecutorPeer = Peer<MinerToExecutorMessage, ExecutorMessage>

/** What an executor reads from its environment. */
interface Order {
  /** `ws://host:port` */
  minerAddress: string
  token: string
}

/** Receives how the played executor ended, as a manager does for a process. */
interface Manager {
  exit(token: string, how: string): void
}

/** Connects a played executor. Like a real one, it closes the connection and exits once it has sent its result. */
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
