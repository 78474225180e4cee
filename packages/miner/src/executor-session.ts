/** One connection of an executor, known by its token: its words go to whoever drives its job. */
import { timingSafeEqual } from 'node:crypto'
import type { Log } from '@horde/kit/log'
import { uuidKey } from '@horde/protocol/primitives'
import type { Admit } from './doorstep.ts'
import type { ExecutorSocket } from './jobs/executor-line.ts'
import type { LiveJob, LiveJobs } from './jobs/live-job.ts'

export type ExecutorEdge = { live: LiveJobs; log: Log }

/** Serves an executor's connection until it ends. */
export async function serveExecutor(
  socket: ExecutorSocket,
  token: string,
  { live, log }: ExecutorEdge,
  admit: Admit,
): Promise<void> {
  const job = live.withToken(token)
  if (!job || !sameText(job.token, token)) {
    log.info('executor refused: its token is not of a job that waits for one')
    await socket
      .say({ message_type: 'GenericError', details: 'No job waits for an executor with this token' })
      .catch(() => {})
    return socket.close(1000, 'unknown token')
  }
  admit()
  job.executor.attach(socket)
  job.words.put({ from: 'executor', connected: true })
  try {
    for await (const heard of socket) {
      if (!heard.ok) await answerError(socket, heard.error.message)
      else if (heard.message.message_type === 'GenericError') {
        log.warn({ jobUuid: job.uuid }, 'executor answered with an error')
        log.debug({ jobUuid: job.uuid, details: heard.message.details }, 'what the executor said')
      } else if (!isAbout(job, heard.message.job_uuid))
        await answerError(socket, 'This executor is for another job_uuid')
      else job.words.put({ from: 'executor', message: heard.message })
    }
  } finally {
    job.executor.detach(socket)
    if (!job.executor.isConnected) job.words.put({ from: 'executor', connected: false })
  }
}

function isAbout(job: LiveJob, uuid: string): boolean {
  return uuidKey(job.uuid) === uuidKey(uuid)
}

async function answerError(socket: ExecutorSocket, details: string): Promise<void> {
  await socket.say({ message_type: 'GenericError', details }).catch(() => {})
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
