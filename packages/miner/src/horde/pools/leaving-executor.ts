/** An executor that has answered and cleans up. Its place can be reserved again, and what is next there waits until it is gone. */
export class LeavingExecutor {
  readonly #gone = Promise.withResolvers<void>()
  readonly #hurried = Promise.withResolvers<void>()

  /** Resolves when it and all that it made is gone, as far as that can be told. */
  get gone(): Promise<void> {
    return this.#gone.promise
  }

  /** Resolves when a job waits for its place. */
  get hurried(): Promise<void> {
    return this.#hurried.promise
  }

  /** A job waits for its place: from now on it has little time. */
  hurry(): void {
    this.#hurried.resolve()
  }

  /** Says that it is gone. */
  end(): void {
    this.#gone.resolve()
  }
}

/** Who has the GPUs of all pools, by engine and device id. */
export class GpuUse {
  readonly #busy = new Set<string>()
  readonly #leaving = new Map<string, LeavingExecutor>()

  /** Whether no job has any of them. One whose executor is leaving counts as free. */
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

  /** The executors that are about to leave them. */
  leavingFrom(gpus: readonly string[]): LeavingExecutor[] {
    return gpus.flatMap(gpu => this.#leaving.get(gpu) ?? [])
  }
}
