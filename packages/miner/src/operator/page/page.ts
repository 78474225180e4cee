import type { PageContent } from '@horde/operator/page/status-page'
import { watchesSection } from '@horde/operator/page/watches-section'
import type { MinerStatusJson } from '../status-json.ts'
import { jobsNow, lastEnds } from './job-sections.ts'
import { pools, self, validators } from './miner-sections.ts'

export function minerPage(status: MinerStatusJson): PageContent {
  const { miner, health } = status
  return {
    title: `Miner${miner.uid === null ? '' : ` · uid ${miner.uid}`}`,
    health,
    uptimeSeconds: miner.uptimeSeconds,
    sections: [
      ...[self(status), pools(status), jobsNow(status), lastEnds(status), validators(status)],
      watchesSection(status.watches),
    ],
  }
}
