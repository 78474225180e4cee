/** Serves one connection of an executor, known by its token: its messages go to the driver of its job. */
import { timingSafeEqual } from 'node:crypto'
import type { Log } from '@horde/kit/log'
import { uuidKey } from '@horde/protocol/primitives'
import { reportFromV0Executor } from '@horde/protocol/v0/miner-executor-codec'
import type { Authenticated } from '../ports/pre-auth-limits.ts'
import type { ExecutorChannel, ExecutorChannels, ExecutorSocket } from './executor-channel.ts'

/** What an executor sends of itself when it connects. */
export type ExecutorPeer = { token: string; capabilities: readonly string[] }

export type ExecutorEndpoint = { channels: ExecutorChannels; log: Log }

/** Serves an executor's connection until it ends. */
export async function serveExecutor(
  socket: ExecutorSocket,
  { token, capabilities }: ExecutorPeer,
  { channels, log }: ExecutorEndpoint,
  authenticated: Authenticated,
): Promise<void> {
  const channel = channels.find(token)
  if (!channel || !sameText(channel.token, token)) {
    log.info('executor refused: its token is not of a job that waits for one')
    await socket
      .send({ message_type: 'GenericError', details: 'No job waits for an executor with this token' })
      .catch(() => {})
    return socket.close(1000, 'unknown token')
  }
  authenticated()
  channel.attach(socket, capabilities)
  try {
    for await (const frame of socket) {
      const objection = frame.ok ? objectionTo(frame.message, channel, log) : frame.error.message
      if (objection !== undefined) await answerError(socket, objection)
      else if (frame.ok && frame.message.message_type !== 'GenericError')
        channel.events.put({ from: 'executor', report: reportFromV0Executor(frame.message) })
    }
  } finally {
    channel.detach(socket)
  }
}

type Message = { message_type: string; job_uuid?: string; details?: string | null }

/** Why a message is refused; undefined when it is for the job's driver, or an error, which is never answered. */
function objectionTo(message: Message, { jobUuid }: ExecutorChannel, log: Log): string | undefined {
  if (message.message_type === 'GenericError') {
    log.warn({ jobUuid }, 'executor answered with an error')
    log.debug({ jobUuid, details: message.details }, "details of an executor's error")
    return undefined
  }
  if (jobUuid === undefined) return 'There is no job for this executor yet'
  if (uuidKey(jobUuid) !== uuidKey(message.job_uuid ?? '')) return 'This executor is for another job_uuid'
  return undefined
}

async function answerError(socket: ExecutorSocket, details: string): Promise<void> {
  await socket.send({ message_type: 'GenericError', details }).catch(() => {})
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
