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
