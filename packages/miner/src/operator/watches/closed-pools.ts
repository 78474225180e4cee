/** Which pools take no jobs because of what the watches found last. */
import type { Finding } from '@horde/kit/check/finding'
import type { Watched } from '@horde/operator/watch/watches'
import type { Reason } from '@horde/protocol/reasons'

const REASONS: Readonly<Record<string, Reason>> = {
  class: 'class-mismatch',
  database: 'database-away',
  disk: 'disk-full',
  engine: 'engine-away',
  gpus: 'gpus-unwell',
  image: 'executor-image-missing',
}

/** Returns why a pool takes no jobs; undefined when no watch closes it. */
export function closedBy(pool: string, watches: readonly Watched[]): Reason | undefined {
  const [found] = closing(pool, watches)
  return found && reasonOf(found)
}

/** Returns whether a pool certainly does not match its class, whatever else closes it. */
export function isMismatched(pool: string, watches: readonly Watched[]): boolean {
  return closing(pool, watches).some(found => reasonOf(found) === 'class-mismatch')
}

function closing(pool: string, watches: readonly Watched[]): Finding[] {
  const findings = watches.flatMap(each => each.findings)
  return findings.filter(({ verdict, pools }) => verdict === 'bad' && pools?.includes(pool))
}

/** An operator's own manager may report subjects that have no reason code. */
function reasonOf({ subject }: Finding): Reason {
  return REASONS[subject] ?? 'host-unwell'
}
