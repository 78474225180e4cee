/**
 * Validators of January 2026 that lose a connection dial again and do not authenticate: they only wait for messages.
 * They get those of jobs that were offered, unsigned, from the same address. Validators that sign also authenticate.
 */
import { uuidKey } from '@horde/protocol/primitives'
import type { Delivery } from '../jobs/delivery.ts'
import type { LiveJob, LiveJobs } from '../jobs/live-job.ts'
import type { ValidatorConnection } from './validator-connection.ts'

/** Disposing of it ends it. */
export type Listening = Disposable & {
  /** Whether there is still something to tell. */
  goesOn(): boolean
  /** Whether the connection may send receipts of a job: it is told of that job. */
  isOf(jobUuid: string): boolean
}

/** Undefined when the connection has no job that it may be told of. */
export function listenToJobs(
  connection: ValidatorConnection,
  { live, delivery }: { live: LiveJobs; delivery: Pick<Delivery, 'resend'> },
): Listening | undefined {
  const jobs = live.of(connection.validator).filter(job => mayHearOf(job, connection))
  if (jobs.length === 0) return undefined
  for (const job of jobs) {
    job.listeners.add(connection)
    void delivery.resend(job)
  }
  return {
    goesOn: () => connection.isOpen && jobs.some(job => !job.isDelivered && live.find(job.validator, job.uuid) === job),
    isOf: jobUuid => jobs.some(({ uuid }) => uuidKey(uuid) === uuidKey(jobUuid)),
    [Symbol.dispose]: () => {
      for (const job of jobs) job.listeners.delete(connection)
    },
  }
}

function mayHearOf(job: LiveJob, { address }: ValidatorConnection): boolean {
  const offered = job.start.connection
  return job.row.offer?.isSigned === false && !offered?.isOpen && offered?.address === address
}
