import { statusPage } from '@horde/operator/page/status-page'
import { watchesSection } from '@horde/operator/page/watches-section'
import type { ValidatorStatus } from '../status/status.ts'
import { batches, organicJobs, scores, weights } from './history-sections.ts'
import { nextBatch, self, troubles, validators } from './validator-sections.ts'

/** The status as a page for people. */
export function validatorPage(status: ValidatorStatus): string {
  const { validator, health } = status
  const uid = validator.standing?.uid ?? null
  return statusPage({
    title: `Validator${uid === null ? '' : ` · uid ${uid}`}`,
    health,
    uptimeSeconds: validator.uptimeSeconds,
    sections: [
      ...[self(status), nextBatch(status), batches(status), scores(status), weights(status), organicJobs(status)],
      ...[troubles(status), validators(status), watchesSection(status.watches)],
    ],
  })
}
