/** A slot of a pool that one job has, with what the job needs of it. */
import type { Reason } from '@horde/protocol/reasons'
import type { StartedExecutor } from '../manager.ts'
import { LeavingExecutor } from './leaving-executor.ts'
import type { WarmExecutor } from './warm-executor.ts'

export interface Reservation {
  readonly executorClass: string
  /** The pool's name. */
  readonly pool: string
  /** The slot as it is stored with the job: pool and index, `gpus/3`. */
  readonly place: string
  /** The executor that waits in this slot; undefined: one must be started. */
  readonly warm: WarmExecutor | undefined
  /** Whether executors of an earlier run of this miner can be found here: then one that was not found is gone. */
  readonly canFindOrphans: boolean
  /** Asks the manager why no executor could be started here now; undefined: it could be, or the manager cannot tell. */
  whyNot(): Promise<Reason | undefined>
  /**
   * Resolves when the previous executor of this slot, or of its GPUs, is gone. Until then nothing may be started or
   * used here. It has little time from now on.
   */
  vacated(): Promise<void>
  /** Starts an executor for one job in this slot. */
  start(token: string): Promise<StartedExecutor>
  /**
   * Gives the slot back although its executor, which has sent its result, still cleans up: the next job may be
   * accepted. The caller calls `end` of what this returns when the executor is gone.
   */
  leave(): LeavingExecutor
  /** Gives the slot back. Calling it twice, or after `leave`, does no harm. */
  release(): void
}

/** The reservation of a slot that is in no pool any more: its job can go on, but no other can begin there. */
export function slotOutsidePools(executorClass: string, place: string | null): Reservation {
  return {
    executorClass,
    pool: '',
    place: place ?? '',
    warm: undefined,
    canFindOrphans: false,
    whyNot: async () => undefined,
    vacated: async () => {},
    start: () => Promise.reject(new Error('the slot of this job is in no pool any more')),
    leave: () => new LeavingExecutor(),
    release: () => {},
  }
}
