export type PoolErrorName = 'AlreadyImported' | 'TooLowPriority' | 'ImmediatelyDropped'

/** The pool's own refusals; what they are about stands in `detail`. */
export class PoolError extends Error {
  override readonly name = 'PoolError'
  readonly reason: PoolErrorName
  readonly detail: string

  constructor(reason: PoolErrorName, detail = '') {
    super(reason)
    this.reason = reason
    this.detail = detail
  }
}
