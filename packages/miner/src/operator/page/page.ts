import { statusPage } from '@horde/operator/page/status-page'
import { watchesSection } from '@horde/operator/page/watches-section'
import type { MinerStatus } from '../status.ts'
import { jobsNow, lastEnds } from './job-sections.ts'
import { horde, self, validators } from './miner-sections.ts'

/** The status as a page for people. */
export function minerPage(status: MinerStatus): string {
  const { miner, health } = status
  return statusPage({
    title: `Miner${miner.uid === null ? '' : ` · uid ${miner.uid}`}`,
    health,
    uptimeSeconds: miner.uptimeSeconds,
    sections: [
      ...[self(status), horde(status), jobsNow(status), lastEnds(status), validators(status)],
      watchesSection(status.watches),
    ],
  })
}
