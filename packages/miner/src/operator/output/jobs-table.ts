import { textTable } from '@horde/operator/command-line/text-table'
import type { JobEndJson } from '../status-json.ts'

const UUID_SHOWN = 36
const HOTKEY_SHOWN = 10

/** Returns what the command `jobs` prints. */
export function jobsTable(jobs: readonly JobEndJson[]): string {
  const rows = jobs.map(job => [
    job.offeredAt.slice(0, 19).replace('T', ' '),
    job.uuid.slice(0, UUID_SHOWN),
    job.state,
    job.reason ?? '',
    job.seconds === null ? '–' : job.seconds.toFixed(1),
    job.executorClass,
    `${job.validator.slice(0, HOTKEY_SHOWN)}…`,
    job.image ?? '',
  ])
  return textTable([['offered, UTC', 'job', 'state', 'reason', 'seconds', 'class', 'validator', 'image'], ...rows])
}
