/** Serves one connection of an executor, known by its token: its messages go to the driver of its job. */
import { timingSafeEqual } from 'node:crypto'
import type { Log } from '@horde/kit/log'
import { uuidKey } from '@horde/protocol/primitives'
import type { Authenticated } from '../ports/pre-auth-limits.ts'
import type { ExecutorChannel, ExecutorChannels, ExecutorSocket } from './executor-channel.ts'
import { type ExecutorPeer, type ExecutorSays, parseExecutorFrame } from './executor-dialect.ts'

export type ExecutorEndpoint = { channels: ExecutorChannels; log: Log }

/**
 * Serves an executor's connection until it ends. The executor's close is answered once what it has reported is stored:
 * until then it keeps its result and sends it again after a miner was killed.
 */
export async function serveExecutor(
  socket: ExecutorSocket,
  { token, ...peer }: ExecutorPeer,
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
  channel.attach(socket, peer)
  try {
    for await (const frame of socket) {
      const parsed = parseExecutorFrame(frame)
      const objection = parsed.ok ? objectionTo(parsed.message, channel, log) : parsed.error.message
      if (objection !== undefined) await answerError(socket, objection)
      else if (parsed.ok && parsed.message.kind === 'report' && parsed.message.report !== undefined)
        channel.takeReport(parsed.message.report)
    }
  } finally {
    channel.detach(socket)
    // A miner that stops without having stored the report closes with 1001 instead, and the executor comes back.
    await Promise.race([channel.handled(), socket.closed])
    await socket.close(1000)
  }
}

/** Why a message is refused; undefined when it is for the job's driver, or an error, which is never answered. */
function objectionTo(message: ExecutorSays, channel: ExecutorChannel, log: Log): string | undefined {
  const { jobUuid } = channel
  if (message.kind === 'error') {
    log.warn({ jobUuid }, 'executor answered with an error')
    log.debug({ jobUuid, details: message.details }, "details of an executor's error")
    channel.takeError()
    return undefined
  }
  if (jobUuid === undefined) return 'There is no job for this executor yet'
  if (uuidKey(jobUuid) !== uuidKey(message.jobUuid)) return 'This executor is for another job_uuid'
  return undefined
}

async function answerError(socket: ExecutorSocket, details: string): Promise<void> {
  await socket.send({ message_type: 'GenericError', details }).catch(() => {})
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
