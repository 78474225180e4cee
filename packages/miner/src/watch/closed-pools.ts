/** The pools that take no job, by what the watches found last. */
import type { Finding } from '@horde/kit/watch/finding'
import type { Watched } from '@horde/kit/watch/watches'
import type { Reason } from '@horde/protocol/reasons'

const REASONS: Readonly<Record<string, Reason>> = {
  class: 'class-mismatch',
  database: 'database-away',
  disk: 'disk-full',
  engine: 'engine-away',
  gpus: 'gpus-unwell',
  image: 'executor-image-missing',
}

/** Why a pool takes no job, or undefined when no watch closes it. */
export function closedBy(pool: string, watches: readonly Watched[]): Reason | undefined {
  const found = watches
    .flatMap(({ findings }) => findings)
    .find(({ verdict, pools }) => verdict === 'bad' && pools?.includes(pool))
  return found && reasonOf(found)
}

/** A manager of the operator's own may find what there is no word for here. */
function reasonOf({ subject }: Finding): Reason {
  return REASONS[subject] ?? 'host-unwell'
}
