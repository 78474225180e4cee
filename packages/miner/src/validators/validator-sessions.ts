/** The verified connections that are open, by validator: so many each at most. */
import type { ValidatorSession } from '../validator-session.ts'

export class ValidatorSessions {
  readonly #byValidator = new Map<string, Set<ValidatorSession>>()
  readonly #maxEach: number

  constructor(maxEach: number) {
    this.#maxEach = maxEach
  }

  /** Takes a connection until it is disposed of; undefined when its validator holds as many as it may. */
  take(session: ValidatorSession): Disposable | undefined {
    const { validator } = session
    const held = this.#byValidator.get(validator) ?? new Set()
    if (held.size >= this.#maxEach) return undefined
    this.#byValidator.set(validator, held.add(session))
    return {
      [Symbol.dispose]: () => {
        held.delete(session)
        if (held.size === 0 && this.#byValidator.get(validator) === held) this.#byValidator.delete(validator)
      },
    }
  }

  /** A validator's connections, in the order in which they were authenticated. */
  of(validator: string): ValidatorSession[] {
    return [...(this.#byValidator.get(validator) ?? [])]
  }

  /** How many each holds now. */
  counts(): ReadonlyMap<string, number> {
    return new Map([...this.#byValidator].map(([validator, held]) => [validator, held.size]))
  }

  all(): ValidatorSession[] {
    return [...this.#byValidator.values()].flatMap(held => [...held])
  }
}
