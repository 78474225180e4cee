/** A slot of a pool that one job has: what the job needs of it, and the executor that leaves it in the end. */
import type { Dialect } from '@horde/protocol/handshake/dialects'
import type { Reason } from '@horde/protocol/reasons'
import type { StartedExecutor } from '../manager.ts'
import type { WarmExecutor } from './warm-executor.ts'

export interface Reservation {
  readonly executorClass: string
  /** The pool's name. */
  readonly pool: string
  /** The slot as it is stored with the job: pool and index, `gpus/3`. */
  readonly place: string
  /** The dialect that an executor here speaks. Undefined: it says so when it connects. */
  readonly speaks: Dialect | undefined
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
    speaks: undefined,
    warm: undefined,
    canFindOrphans: false,
    whyNot: async () => undefined,
    vacated: async () => {},
    start: () => Promise.reject(new Error('the slot of this job is in no pool any more')),
    leave: () => new LeavingExecutor(),
    release: () => {},
  }
}

/**
 * An executor that has sent its result and cleans up. Its slot can be reserved again; the next executor there waits
 * until this one is gone.
 */
export class LeavingExecutor {
  readonly #gone = Promise.withResolvers<void>()
  readonly #hurried = Promise.withResolvers<void>()

  /** Resolves when the executor and all that it made is gone, as far as the miner can tell. */
  get gone(): Promise<void> {
    return this.#gone.promise
  }

  /** Resolves when a job waits for the slot. */
  get hurried(): Promise<void> {
    return this.#hurried.promise
  }

  /** Called when a job waits for the slot: from now on the executor has little time. */
  hurry(): void {
    this.#hurried.resolve()
  }

  /** Called when the executor is gone. */
  end(): void {
    this.#gone.resolve()
  }
}

/** Which GPUs of all pools are in use, by engine and device id. */
export class GpuUse {
  readonly #busy = new Set<string>()
  readonly #leaving = new Map<string, LeavingExecutor>()

  /** Whether no job has any of the GPUs. The GPUs of a leaving executor are free. */
  areFree(gpus: readonly string[]): boolean {
    return gpus.every(gpu => !this.#busy.has(gpu))
  }

  take(gpus: readonly string[]): void {
    for (const gpu of gpus) this.#busy.add(gpu)
  }

  /** @param leaving the executor that still has them, if one does */
  release(gpus: readonly string[], leaving?: LeavingExecutor): void {
    for (const gpu of gpus) {
      this.#busy.delete(gpu)
      if (leaving) this.#leaving.set(gpu, leaving)
    }
    void leaving?.gone.then(() => {
      for (const gpu of gpus) if (this.#leaving.get(gpu) === leaving) this.#leaving.delete(gpu)
    })
  }

  /** The executors that are about to leave the GPUs. */
  leavingFrom(gpus: readonly string[]): LeavingExecutor[] {
    return gpus.flatMap(gpu => this.#leaving.get(gpu) ?? [])
  }
}
