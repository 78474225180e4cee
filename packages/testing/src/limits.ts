/**
 * How long tests wait. Each is at least four times what an idle machine with two cores takes, so that a machine that is
 * three times slower, or has other work beside, still ends the wait by what happens. A test that passes never waits so long.
 */

/** For one thing to happen: a message, a state, a line in a log, a process that starts or ends; in ms. */
export const WAIT_MS = 90_000

/** For a whole job in a container, from its executor's start to its result, in ms. */
export const JOB_MS = 180_000

/** For a test, and for a hook, in ms. */
export const TEST_MS = 240_000

/** For a test that starts a horde, or kills processes again and again; in ms. */
export const LONG_MS = 600_000
