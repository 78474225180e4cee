/** A scripted executor: a test sends its messages to a miner. */
import { silentLog } from '@horde/kit/log'
import { dialSocket } from '@horde/kit/socket'
import { LARGEST_PASSED_ON_BYTES, type Parsed } from '@horde/protocol/frame'
import { type ExecutorMessage, type MinerToExecutorMessage, parseFromMiner } from '@horde/protocol/v0/miner-executor'
import { asPeer, type Peer } from './peer.ts'

export type ExecutorPeer = Peer<MinerToExecutorMessage, ExecutorMessage>

/** What a miner passes to an executor in its environment. */
interface ExecutorEnvironment {
  /** `ws://host:port` */
  minerAddress: string
  token: string
}

/** Gets the end of the scripted executor, as a manager gets the end of a process. */
interface Manager {
  exit(token: string, description: string): void
}

/** Connects a scripted executor. As a real one does, it closes its connection and exits once it has sent its result. */
export async function connectExecutor(
  { minerAddress, token }: ExecutorEnvironment,
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
  const send = peer.send.bind(peer)
  peer.send = async message => {
    await send(message)
    if (!isResult(message) || !token.toLowerCase().startsWith(message.job_uuid.toLowerCase())) return
    await peer.close(1000)
    manager?.exit(token, 'exit code 0')
  }
  return peer
}

type ResultMessage = Extract<ExecutorMessage, { message_type: `V0F${string}` }>

function isResult(message: ExecutorMessage): message is ResultMessage {
  return message.message_type.startsWith('V0F')
}
