/** Saves one job's moves in the background: a slow database must not cost a miner time. */
import type { Clock } from '@horde/kit/time'
import type { JobEvent, JobState } from '@horde/protocol/job-state'
import { type JobFields, noteOf } from '../db/jobs.ts'
import { type Move, type MovingJob, type TransitionDeps, transition } from './transition.ts'

export interface SavedMovesDeps {
  /** Saves changes in the background. */
  journal: Pick<TransitionDeps, 'save'>
  clock: Clock
  log: TransitionDeps['log']
  /** Called with each state that the job reaches, once it is saved. */
  onMoved?: ((state: JobState) => void) | undefined
}

export class SavedMoves {
  readonly #job: MovingJob
  readonly #deps: SavedMovesDeps
  readonly #saves: Promise<boolean>[] = []
  readonly #dropped = new AbortController()

  constructor(job: MovingJob, deps: SavedMovesDeps) {
    this.#job = job
    this.#deps = deps
  }

  get state(): JobState {
    return this.#job.state
  }

  /** Aborts once another process has finalised the job. */
  get dropped(): AbortSignal {
    return this.#dropped.signal
  }

  /** Moves the job at once. */
  move(event: JobEvent, { at = this.#now(), ...more }: Partial<Omit<Move, 'event'>> = {}): void {
    const { journal, log, onMoved } = this.#deps
    const isSaved = transition(this.#job, { event, at, ...more }, { save: change => journal.save(change), log })
    const { state } = this.#job
    this.#track(isSaved, () => onMoved?.(state))
  }

  /** Saves what does not move the job. */
  note(fields: Omit<JobFields, 'state'>): void {
    this.#track(this.#deps.journal.save(noteOf(this.#job.uuid, fields)))
  }

  /** Resolves once all is saved, with false when another process has finalised the job. */
  async allSaved(): Promise<boolean> {
    return !(await Promise.all(this.#saves)).includes(false)
  }

  /** Calls `act` once everything before it is saved, unless the job belongs to another process. */
  afterSaves(act: () => void): void {
    this.allSaved().then(
      areSaved => {
        if (areSaved) act()
      },
      // The end of the job awaits all saves and rejects.
      () => {},
    )
  }

  /** Stops driving the job once another process has finalised it. */
  #track(isSaved: Promise<boolean>, onSaved?: () => void): void {
    this.#saves.push(isSaved)
    isSaved.then(
      saved => {
        if (saved) return onSaved?.()
        if (this.#dropped.signal.aborted) return
        this.#deps.log.warn({ jobUuid: this.#job.uuid }, 'job dropped: another process has finalised it')
        this.#dropped.abort()
      },
      // The end of the job awaits all saves and rejects.
      () => {},
    )
  }

  #now(): Date {
    return new Date(this.#deps.clock.now())
  }
}
