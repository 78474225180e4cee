/**
 * How long tests wait at most. Each limit is at least four times what an idle machine with two cores takes, so that a
 * machine that is three times slower, or busy, still sees the event. A passing test never waits until its limit.
 */

/** For one event, such as a message, a state, a log line, or the start or end of a process; in ms. */
export const WAIT_MS = 90_000

/** For a whole job in a container, from its executor's start to its result, in ms. */
export const JOB_MS = 180_000

/** For a test or a hook, in ms. */
export const TEST_MS = 240_000

/** For a test that starts a horde, or kills processes repeatedly; in ms. */
export const LONG_MS = 600_000
