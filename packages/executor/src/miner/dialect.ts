/** How a miner of one dialect speaks. The connection and the job know what is said, not in which words. */
import type { Parsed } from '@horde/protocol/frame'
import type { JobResult } from '@horde/protocol/job/report'
import type { JobOffer, JobWork } from '@horde/protocol/job/request'
import type { JobUuid } from '@horde/protocol/primitives'

export type MinerMessage =
  | { kind: 'offer'; offer: JobOffer }
  | { kind: 'work'; work: JobWork }
  /** `details` is the miner's text: a stranger's. */
  | { kind: 'error'; details: string | null }

/** What the executor reports between the offer and the answer. */
export type Report = 'ready' | 'volumes-ready' | 'execution-done'

export interface Dialect {
  readonly name: 'v0' | 'v2026'
  /** Never throws. */
  parse(frame: string | Uint8Array): Parsed<MinerMessage>
  /** Returns the frame for a report; undefined when the dialect has none. */
  report(report: Report, jobUuid: JobUuid): object | undefined
  /** Returns the frame for the result, with its texts cut to the size that the miner accepts. */
  answer(jobUuid: JobUuid, result: JobResult): object
}
