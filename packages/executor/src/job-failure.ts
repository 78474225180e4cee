/** A job that could not be run as it was asked for: the message goes to whoever asked. */
export class JobFailure extends Error {
  override readonly name = 'JobFailure'
  /** The message without what others said, for the log. */
  readonly sentence: string

  /** @param details what others said about it, which may repeat anything that the job's author chose */
  constructor(sentence: string, details?: string) {
    super(details === undefined ? sentence : `${sentence}: ${details}`)
    this.sentence = sentence
  }
}

/** How long a stage that is told to end may take to do so, in ms: it has connections and files to close. */
const PARTING_MS = 5_000

/**
 * Runs a stage of a job with a deadline of its own: past it the stage's signal aborts, and the job fails with the
 * sentence `what` and the time that it had. The stage is told how much of that is left, in ms. A stage that does not heed its signal is left behind after `partingMs`.
 */
export async function withinDeadline<T>(
  what: string,
  ms: number,
  signal: AbortSignal,
  stage: (signal: AbortSignal, msLeft: () => number) => Promise<T>,
  partingMs = PARTING_MS,
): Promise<T> {
  const deadline = AbortSignal.timeout(ms)
  const endsAt = performance.now() + ms
  const either = AbortSignal.any([signal, deadline])
  try {
    return await endingWith(
      stage(either, () => endsAt - performance.now()),
      either,
      partingMs,
    )
  } catch (error) {
    signal.throwIfAborted()
    if (deadline.aborted) throw new JobFailure(`${what} within ${ms / 1_000} seconds`)
    throw error
  }
}

/** The promise's outcome; at the latest, so long after the signal aborted, its reason. */
async function endingWith<T>(promise: Promise<T>, signal: AbortSignal, partingMs: number): Promise<T> {
  const { promise: abandoned, reject } = Promise.withResolvers<never>()
  let timer: NodeJS.Timeout | undefined
  const part = () => {
    timer = setTimeout(() => reject(signal.reason), partingMs)
  }
  if (signal.aborted) part()
  signal.addEventListener('abort', part, { once: true })
  try {
    return await Promise.race([promise, abandoned])
  } finally {
    signal.removeEventListener('abort', part)
    clearTimeout(timer)
  }
}
