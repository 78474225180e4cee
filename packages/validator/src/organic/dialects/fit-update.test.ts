import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import { jobUuid } from '@horde/protocol/primitives'
import { MAX_OUTPUT_CHARACTERS } from '@horde/protocol/shorten'
import { parseFromValidator, type V0JobStatusUpdate } from '@horde/protocol/v2026/facilitator-validator'
import { describe, expect, it } from 'vitest'
import { EMPTY_RESULT } from '../../db/jobs.ts'
import type { JobEnd } from '../user-job.ts'
import { progressTeller } from './v2026.ts'

const UUID = jobUuid.parse('5f3b3c1e-8f0b-4d0a-9f53-0c4dbd4d4a11')
const LONG = 'é'.repeat(20_000_000)
/** Room for a message of 10,000 characters and its fields, in bytes. */
const MESSAGE_BYTES = 25_000

/** Returns the last update about a job that ended so, as its frame. */
function frameAbout(end: Partial<JobEnd> & Pick<JobEnd, 'state'>): string {
  const told: V0JobStatusUpdate[] = []
  progressTeller(UUID, update => told.push(update))({ type: 'ended', end: { ...EMPTY_RESULT, ...end } })
  const frame = JSON.stringify(told.at(-1))
  expect(parseFromValidator(frame)).toMatchObject({ ok: true })
  return frame
}

describe('an update about the end of a job', () => {
  it.each([
    [
      'declined',
      {
        ...{ state: 'rejected', reason: 'declined' },
        report: { type: 'decline', jobUuid: UUID, reason: 'unknown', message: LONG, receipts: [] },
      },
    ],
    [
      'reported as broken',
      {
        ...{ state: 'broken', reason: 'horde-failed' },
        report: {
          ...{ type: 'break', jobUuid: UUID, reporter: 'executor', reason: 'generic-error', stage: 'execution' },
          ...{ message: LONG, cause: LONG },
        },
      },
    ],
    [
      'failed before it ran',
      {
        ...{ state: 'failed', reason: 'not-run' },
        report: {
          ...{ type: 'fail', jobUuid: UUID },
          failure: { reason: 'unknown', stage: 'unknown', message: LONG, exitStatus: null, printed: null },
        },
      },
    ],
  ] as const)('that was %s has a message of bounded length', (_, end) => {
    const frame = frameAbout(end as JobEnd)
    expect(frame).toContain('characters cut')
    expect(Buffer.byteLength(frame)).toBeLessThan(2 * MESSAGE_BYTES)
  })

  it('that failed has as much output as that of one that completed', () => {
    const printed = { stdout: LONG, stderr: '\0'.repeat(20_000_000) }
    const failure = { reason: 'nonzero-exit', stage: 'execution', message: 'why', exitStatus: 1, printed } as const
    const report = { type: 'fail', jobUuid: UUID, failure } as const
    const frame = frameAbout({ state: 'failed', reason: 'exit-status', report })
    const details = JSON.parse(frame).metadata.job_failure_details
    for (const text of [details.docker_process_stdout, details.docker_process_stderr]) {
      expect(text).toContain('characters cut')
      expect(text).toHaveLength(MAX_OUTPUT_CHARACTERS)
    }
  })

  it('that completed says what it leaves out when the files alone are larger than a frame', () => {
    const artifacts = { '/artifacts/a': 'x'.repeat(LARGE_FRAME_BYTES - 100) }
    const output = { stdout: 'out', stderr: 'err', artifacts, uploadAnswers: null }
    const frame = frameAbout({ state: 'finished', report: { type: 'finish', jobUuid: UUID, output } })
    expect(Buffer.byteLength(frame)).toBeLessThan(MESSAGE_BYTES)
    const response = JSON.parse(frame).metadata.miner_response
    expect(response).toMatchObject({ docker_process_stdout: 'out', artifacts: {}, upload_results: {} })
    expect(response.docker_process_stderr).toMatch(/^err\n.*too large/s)
  })
})
