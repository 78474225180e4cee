/** A message was sent on a closed connection, or the connection closed before the kernel had all of it. */
export class SocketClosedError extends Error {
  override readonly name = 'SocketClosedError'
}

/** A connection could not be opened. */
export class DialError extends Error {
  override readonly name = 'DialError'
  /** The HTTP status with which the peer refused the upgrade; undefined when it did not get that far. */
  readonly status: number | undefined

  constructor(message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.status = options.status
  }
}
