/** The job cannot be run as requested. Its author gets the message as the job's stdout. */
export class JobFailure extends Error {
  override readonly name = 'JobFailure'
  /** The message without `details`, for the log. */
  readonly sentence: string
  readonly details: string | undefined

  /** @param details another program's error, which may repeat anything that the job's author chose */
  constructor(sentence: string, details?: string) {
    super(details === undefined ? sentence : `${sentence}: ${details}`)
    this.sentence = sentence
    this.details = details
  }
}

/** The job asks for what its class has and this host has not: not the job's fault, although its author is told so. */
export class HostLackFailure extends JobFailure {}

/** The job ran into a time limit. */
export class TimeLimitFailure extends JobFailure {}

/** The longest delay that Node's timers accept, in ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** How long an aborted stage may take to close its connections and files, in ms. */
const CLOSE_MS = 5_000

/**
 * Runs a stage of a job with its own deadline of `ms`. Past it the stage's signal aborts, and the job fails with
 * `<what> within <seconds> seconds`. The stage can ask how much time is left, in ms. A stage that ignores its signal is
 * abandoned `closeMs` after the abort.
 */
export async function withinDeadline<T>(
  what: string,
  ms: number,
  signal: AbortSignal,
  stage: (signal: AbortSignal, msLeft: () => number) => Promise<T>,
  closeMs = CLOSE_MS,
): Promise<T> {
  const deadline = AbortSignal.timeout(Math.min(Math.ceil(ms), LONGEST_TIMER_MS))
  const endsAt = performance.now() + ms
  const either = AbortSignal.any([signal, deadline])
  try {
    return await settledOrAbandoned(
      stage(either, () => endsAt - performance.now()),
      either,
      closeMs,
    )
  } catch (error) {
    signal.throwIfAborted()
    if (deadline.aborted) throw new TimeLimitFailure(`${what} within ${Math.round(ms) / 1_000} seconds`)
    throw error
  }
}

/** Returns the promise's outcome; rejects with the signal's reason once the signal has been aborted for `closeMs`. */
async function settledOrAbandoned<T>(promise: Promise<T>, signal: AbortSignal, closeMs: number): Promise<T> {
  const { promise: abandoned, reject } = Promise.withResolvers<never>()
  let timer: NodeJS.Timeout | undefined
  const onAbort = () => {
    timer = setTimeout(() => reject(signal.reason), closeMs)
  }
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, abandoned])
  } finally {
    signal.removeEventListener('abort', onAbort)
    clearTimeout(timer)
  }
}
