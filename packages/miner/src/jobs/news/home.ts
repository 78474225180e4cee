/** Where a job's messages go: the connections that offered it or sent its work. */
import type { ValidatorSession } from '../../validator-session.ts'

export class Home {
  #sessions: ValidatorSession[]

  /** Without a connection: the job is of an earlier run, and every connection was authenticated since. */
  constructor(session?: ValidatorSession) {
    this.#sessions = session ? [session] : []
  }

  add(session: ValidatorSession): void {
    const others = this.#sessions.filter(each => each !== session && each.isOpen)
    this.#sessions = [...others, session]
  }

  has(session: ValidatorSession): boolean {
    return this.#sessions.includes(session)
  }

  /** The one that is spoken on: the latest of those that are open. */
  get open(): ValidatorSession | undefined {
    return this.#sessions.findLast(({ isOpen }) => isOpen)
  }

  /** Connections with a higher number were authenticated since. */
  get number(): number {
    return this.#sessions.at(-1)?.number ?? 0
  }
}
