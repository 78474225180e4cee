import { shorten } from '@horde/protocol/shorten'
import { MAX_KEPT_CHARACTERS } from '../db/jobs.ts'
import type { JobEnd } from './job-to-drive.ts'

/** A job's end without the miner's message, and with no more of its texts than the database keeps. */
export type BriefEnd = Omit<JobEnd, 'word'>

/** A batch ends long after most of its jobs: what miners said in thousands of them would fill the memory. */
export function briefly({ word: _, ...end }: JobEnd): BriefEnd {
  return { ...end, stdout: brief(end.stdout), stderr: brief(end.stderr) }
}

/** A text of its own: a part of a long one would keep the whole in memory. */
function brief(text: string | null): string | null {
  return text === null ? null : Buffer.from(shorten(text, MAX_KEPT_CHARACTERS)).toString()
}
