import type { PageContent } from '@horde/operator/page/status-page'
import { watchesSection } from '@horde/operator/page/watches-section'
import type { ValidatorStatusJson } from '../status-json.ts'
import { batches, organicJobs, scores, weights } from './history-sections.ts'
import { nextBatch, recentErrors, self, validators } from './validator-sections.ts'

export function validatorPage(status: ValidatorStatusJson): PageContent {
  const { validator, health } = status
  const uid = validator.standing?.uid ?? null
  return {
    title: `Validator${uid === null ? '' : ` · uid ${uid}`}`,
    health,
    uptimeSeconds: validator.uptimeSeconds,
    sections: [
      ...[self(status), nextBatch(status), batches(status), scores(status), weights(status), organicJobs(status)],
      ...[recentErrors(status), validators(status), watchesSection(status.watches)],
    ],
  }
}
