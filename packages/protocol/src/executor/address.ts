/** Where an executor dials. Free of schemas, because the executor imports this at start-up. */

/** The path after the miner's address. The executor's token follows, its only credential. */
export const EXECUTOR_PATH = '/v0.1/executor_interface/'

/** The longest executor token, in characters: two uuids and a dash. */
export const MAX_TOKEN_CHARACTERS = 73
