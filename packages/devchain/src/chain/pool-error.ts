export type PoolErrorName = 'AlreadyImported' | 'TooLowPriority' | 'ImmediatelyDropped'

/** A transaction that the pool refuses. `detail` names the transaction or the priorities. */
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
