import { JobFailure } from '../../job/job-failure.ts'

/** What is too much: the bytes of one download, the bytes of all volumes, or the files of all volumes. */
export type InputLimit = 'download' | 'bytes' | 'files'

/** The stdout of a job whose input is too large. Clients compare it, so it must not change. */
const TOO_LARGE = 'Input volume too large'

/** A volume exceeds a limit of its job's input. */
export class LimitFailure extends JobFailure {
  readonly limit: InputLimit

  constructor(limit: InputLimit, sentence = TOO_LARGE) {
    super(sentence)
    this.limit = limit
  }
}
