/** One connection of an executor, known by its token: its words go to whoever drives its job. */
import { timingSafeEqual } from 'node:crypto'
import type { Log } from '@horde/kit/log'
import { uuidKey } from '@horde/protocol/primitives'
import type { Admit } from './doorstep.ts'
import type { ExecutorLine, ExecutorLines, ExecutorSocket } from './jobs/executor-line.ts'

/** What an executor says of itself when it asks for a connection. */
export type ExecutorPeer = { token: string; capabilities: readonly string[] }

export type ExecutorEdge = { lines: ExecutorLines; log: Log }

/** Serves an executor's connection until it ends. */
export async function serveExecutor(
  socket: ExecutorSocket,
  { token, capabilities }: ExecutorPeer,
  { lines, log }: ExecutorEdge,
  admit: Admit,
): Promise<void> {
  const line = lines.find(token)
  if (!line || !sameText(line.token, token)) {
    log.info('executor refused: its token is not of a job that waits for one')
    await socket
      .say({ message_type: 'GenericError', details: 'No job waits for an executor with this token' })
      .catch(() => {})
    return socket.close(1000, 'unknown token')
  }
  admit()
  line.attach(socket, capabilities)
  try {
    for await (const heard of socket) {
      const objection = heard.ok ? objectionTo(heard.message, line, log) : heard.error.message
      if (objection !== undefined) await answerError(socket, objection)
      else if (heard.ok && heard.message.message_type !== 'GenericError')
        line.words.put({ from: 'executor', message: heard.message })
    }
  } finally {
    line.detach(socket)
  }
}

type Heard = { message_type: string; job_uuid?: string; details?: string | null }

/** Why a message is for nobody; undefined when it is for the job's driver, or an error, which is never answered. */
function objectionTo(message: Heard, { jobUuid }: ExecutorLine, log: Log): string | undefined {
  if (message.message_type === 'GenericError') {
    log.warn({ jobUuid }, 'executor answered with an error')
    log.debug({ jobUuid, details: message.details }, 'what the executor said')
    return undefined
  }
  if (jobUuid === undefined) return 'There is no job for this executor yet'
  if (uuidKey(jobUuid) !== uuidKey(message.job_uuid ?? '')) return 'This executor is for another job_uuid'
  return undefined
}

async function answerError(socket: ExecutorSocket, details: string): Promise<void> {
  await socket.say({ message_type: 'GenericError', details }).catch(() => {})
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
