/** Where an executor dials: apart from the messages of its link, which it needs only once it is connected. */

/** The path behind the miner's address; a token follows, the only credential. */
export const EXECUTOR_PATH = '/v0.1/executor_interface/'

/** The longest executor token, in characters: two uuids and a dash. */
export const MAX_TOKEN_CHARACTERS = 73
