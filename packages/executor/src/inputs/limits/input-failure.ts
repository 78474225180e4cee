/** The failure of a job whose input could not be loaded. */
import type { Volume } from '@horde/protocol/job/volumes'
import { JobFailure } from '../../job/job-failure.ts'
import type { InputBudget } from './input-budget.ts'
import { LimitFailure } from './limit-failure.ts'

/** Where and why such a job failed, in the words of a report. */
export class InputFailure extends JobFailure {
  readonly stage = 'volume-download'
  readonly reason = 'download-failed'
}

/**
 * Returns the failure of a job for the failure of one of its volumes. It names the volume by position and kind, since
 * its URL may hold a secret, and the limit where one was exceeded. The only volume of a job that is a zip for /volume
 * itself is not named: clients of v0 compare the sentences.
 */
export function inputFailure(
  failure: JobFailure,
  volumes: readonly Volume[],
  index: number,
  budget: InputBudget,
): InputFailure {
  const volume = volumes[index]
  if (volume === undefined || (volumes.length === 1 && isPlainZip(volume))) {
    return new InputFailure(failure.sentence, failure.details)
  }
  const place = volumes.length === 1 ? 'Volume' : `Volume ${index + 1} of ${volumes.length}`
  const limit = failure instanceof LimitFailure ? ` (${budget.describe(failure.limit)})` : ''
  return new InputFailure(`${place} (${volume.kind}): ${failure.sentence}${limit}`, failure.details)
}

function isPlainZip(volume: Volume): boolean {
  return (volume.kind === 'inline-zip' || volume.kind === 'zip-url') && !volume.folder
}
