import type { Log } from '@horde/kit/log'
import { advance, FIRST_STATE, type JobEvent, type JobState } from '@horde/protocol/job-state'
import { type JobUuid, uuidKey } from '@horde/protocol/primitives'
import { changeOf, type JobChange, type JobFields, type JobResult, noteOf } from '../db/jobs.ts'
import type { Journal } from '../db/journal.ts'
import type { HostMoment } from '../db/schema.ts'

export interface RecordDeps {
  journal: Journal
  log: Log
}

export interface Move {
  at: Date
  /** Given with a final state. */
  result?: JobResult
  /** Given when the work was sent. */
  workSent?: HostMoment | undefined
  /** Called once it is saved. */
  onSaved?(): void
}

/** A job's state, which is saved behind the back of whoever moves it: nothing waits for the database but `allSaved`. */
export class JobRecord {
  readonly #uuid: JobUuid
  readonly #deps: RecordDeps
  readonly #saves: Promise<boolean>[] = []
  #state: JobState
  readonly #endedElsewhere = new AbortController()

  /** @param left the state in which an earlier process left it */
  constructor(uuid: JobUuid, deps: RecordDeps, left: JobState = FIRST_STATE) {
    this.#uuid = uuid
    this.#deps = deps
    this.#state = left
  }

  get state(): JobState {
    return this.#state
  }

  /** Aborts once it turns out that somebody else has ended the job's row. */
  get endedElsewhere(): AbortSignal {
    return this.#endedElsewhere.signal
  }

  move(event: JobEvent, { at, result, workSent, onSaved }: Move): void {
    const from = this.#state
    const to = advance(from, event)
    this.#state = to
    const { reason, seconds, score } = result ?? {}
    this.#deps.log.info({ jobUuid: this.#uuid, from, to, reason, seconds, score }, 'job moved')
    this.#save(changeOf(uuidKey(this.#uuid), { event, to, at, workSent, ...(result ? { result } : {}) }), onSaved)
  }

  note(fields: Omit<JobFields, 'state'>): void {
    this.#save(noteOf(uuidKey(this.#uuid), fields))
  }

  /** Resolves once all is saved; with false when somebody else has ended the row. Rejects when the database is away for long. */
  async allSaved(): Promise<boolean> {
    return !(await Promise.all(this.#saves)).includes(false)
  }

  #save(change: JobChange, onSaved?: () => void): void {
    const saved = this.#deps.journal.note(change)
    this.#saves.push(saved)
    saved.then(
      isSaved => {
        if (isSaved) onSaved?.()
        else this.#endedElsewhere.abort()
      },
      // Whoever waits for all of it hears of it.
      () => {},
    )
  }
}
