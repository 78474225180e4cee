import type { RetryDeps } from '../../src/http/retry.ts'
import type { VolumeDeps } from '../../src/inputs/fetched-volume.ts'
import { InputBudget, type InputLimits } from '../../src/inputs/limits/input-budget.ts'

export interface TestLimits extends InputLimits {
  allowPrivate: boolean
}

/** What it takes to fetch the only volume of a job into a folder, without a cache. */
export function volumeDeps(folder: string, { allowPrivate, ...limits }: TestLimits, retries: RetryDeps): VolumeDeps {
  return {
    // The members of a class are not enumerable.
    msLeft: () => retries.msLeft(),
    clock: retries.clock,
    log: retries.log,
    folder,
    budget: new InputBudget(limits),
    cache: undefined,
    allowPrivate,
    hub: { endpoint: 'https://huggingface.co', token: undefined },
    index: 0,
    isOnly: true,
  }
}
