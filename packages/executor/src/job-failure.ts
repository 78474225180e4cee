/** A job that could not be run as it was asked for: the sentence goes to whoever asked. */
export class JobFailure extends Error {
  override readonly name = 'JobFailure'
}

/**
 * Runs a stage of a job with a deadline of its own: past it the stage's signal aborts, and the job fails with the
 * sentence `what` and the time that it had.
 */
export async function withinDeadline<T>(
  what: string,
  ms: number,
  signal: AbortSignal,
  stage: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = AbortSignal.timeout(ms)
  try {
    return await stage(AbortSignal.any([signal, deadline]))
  } catch (error) {
    signal.throwIfAborted()
    if (deadline.aborted) throw new JobFailure(`${what} within ${ms / 1_000} seconds`)
    throw error
  }
}
