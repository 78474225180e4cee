/**
 * Why a job ended badly. A rejected job never ran, a failed job is at fault itself, and a broken job is our fault. The
 * codes are stored and counted; the sentences are for people.
 */
export const REASONS = {
  // rejected
  declined: 'The miner had no free executor of that class, or was not willing.',
  'no-free-executor': 'No executor of that class was free.',
  'no-executor': 'The miner lists no executor of a known class.',
  'too-many-open-jobs': 'The validator had reached its limit of open jobs.',
  'too-many-offers': 'The validator had reached its limit of offers.',
  'time-limit-too-long': 'The job asked for more time than this miner allows.',
  'not-a-validator': 'The sender of the offer was no longer a validator.',
  'invalid-signature': "The validator's signature of the offer was wrong.",
  unsigned: 'The offer was not signed, and this miner takes only signed ones of this validator.',
  'invalid-receipt': 'The receipt of the offer was wrong.',
  streaming: 'The job was to be connected to while it runs, which this miner does not do.',
  migrating: 'The miner took no new jobs because it was about to be moved or stopped.',
  'engine-away': 'The container engine that starts executors did not answer.',
  'executor-image-missing': 'The image of executors was missing.',
  'class-mismatch': 'The host of the executors did not match their class.',
  'gpus-unwell': 'The GPUs of the executors did not work.',
  'disk-full': 'The disk that jobs are written to was full.',
  'database-away': 'The database of the miner did not answer.',
  'host-unwell': 'The host of the executors could not run jobs.',
  // failed
  'exit-status': 'The job exited with a status other than 0.',
  'time-limit': 'The job ran into its own time limit.',
  'not-run': 'The job could not be run as it was asked for: its input, image, preset or upload.',
  'work-too-large': 'The work was larger than the executor accepts.',
  'wrong-answer': 'The job finished with a wrong answer.',
  // broken
  'no-connection': 'The miner could not be reached.',
  'not-authorized': 'The miner refused the authentication.',
  'connection-lost': 'The connection to the peer was lost and did not come back in time.',
  'no-answer': 'The offer was not answered in time.',
  'executor-not-started': 'The executor could not be started.',
  'executor-exited': 'The executor exited before its job ended.',
  'executor-lost': 'The connection to the executor was lost and did not come back in time.',
  'prepare-failed': 'The executor could not prepare the job.',
  'horde-failed': 'The miner or its executor could not run the job to its end.',
  'not-in-v0': 'The executor speaks v0, which cannot express a part of the job.',
  'prepare-timed-out': 'The executor was not ready in time.',
  'work-not-sent': 'The work did not come in time.',
  'run-timed-out': 'No result came in time.',
  'out-of-order': 'A message came that the state of the job does not allow.',
  'no-turn': 'The batch closed before the job could start: too many jobs for those that may run at once.',
  'validator-away': 'The result came while the validator was away, so the duration of the job is unknown.',
  stopped: 'The service that drove the job was stopped.',
  abandoned: 'The service that drove the job went away without ending it.',
} as const

export type Reason = keyof typeof REASONS
