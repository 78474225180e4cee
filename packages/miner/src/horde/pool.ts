/** How many executors of which class this miner has, and which of them are taken. Reserving takes no time. */

export interface Reservation {
  readonly executorClass: string
  /** Gives the place back. Calling it twice does no harm. */
  release(): void
}

export class ExecutorPool {
  readonly #places: ReadonlyMap<string, number>
  readonly #taken = new Map<string, number>()
  #closed = false

  /** @param places how many executors of each class may run at once */
  constructor(places: Readonly<Record<string, number>>) {
    this.#places = new Map(Object.entries(places))
  }

  /** A place for one executor, or undefined when none of that class is free: the answer is immediate. */
  reserve(executorClass: string): Reservation | undefined {
    const taken = this.#taken.get(executorClass) ?? 0
    if (this.#closed || taken >= (this.#places.get(executorClass) ?? 0)) return undefined
    this.#taken.set(executorClass, taken + 1)
    let held = true
    const release = () => {
      if (held) this.#taken.set(executorClass, (this.#taken.get(executorClass) ?? 1) - 1)
      held = false
    }
    return { executorClass, release }
  }

  /** From now on every reservation is refused. */
  close(): void {
    this.#closed = true
  }

  /** What the manifest says: the executors that there are, taken or not. */
  manifest(): { executor_class: string; count: number }[] {
    return [...this.#places].map(([executor_class, count]) => ({ executor_class, count }))
  }

  usage(): { executorClass: string; taken: number; places: number }[] {
    return [...this.#places].map(([executorClass, places]) => {
      return { executorClass, taken: this.#taken.get(executorClass) ?? 0, places }
    })
  }
}
