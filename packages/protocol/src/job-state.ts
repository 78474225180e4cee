/**
 * The state machine of a job, the only one: every service moves a job by `advance` and compares states nowhere else.
 *
 *   (none) ─offer─▶ offered ─accept─▶ accepted ─ready─▶ ready ─work─▶ running ─▶ finished | failed
 *                      └─decline─▶ rejected      any open state ─▶ broken
 *
 * States only go forward, a final state is final, a retry is a new job.
 */

export const OPEN_STATES = ['offered', 'accepted', 'ready', 'running'] as const
export const FINAL_STATES = ['finished', 'failed', 'rejected', 'broken'] as const
export const JOB_STATES = [...OPEN_STATES, ...FINAL_STATES] as const

export type OpenState = (typeof OPEN_STATES)[number]
export type FinalState = (typeof FINAL_STATES)[number]
export type JobState = OpenState | FinalState

/** The messages that move a job, in the words of the validator's and miner's link. */
export const JOB_MESSAGES = [
  'V0InitialJobRequest',
  'V0AcceptJobRequest',
  'V0DeclineJobRequest',
  'V0ExecutorReadyRequest',
  'V0ExecutorFailedRequest',
  'V0JobRequest',
  'V0JobFinishedRequest',
  'V0JobFailedRequest',
] as const
export type JobMessage = (typeof JOB_MESSAGES)[number]

/** What ends a job without a message: noticed by whoever waits. */
export const MISHAPS = ['executor exited', 'connection lost', 'timed out', 'stopped'] as const
export type Mishap = (typeof MISHAPS)[number]

export type JobEvent = JobMessage | Mishap

const MOVES: Record<OpenState, Partial<Record<JobMessage, JobState>>> = {
  offered: { V0AcceptJobRequest: 'accepted', V0DeclineJobRequest: 'rejected' },
  accepted: { V0ExecutorReadyRequest: 'ready', V0ExecutorFailedRequest: 'broken' },
  ready: { V0JobRequest: 'running' },
  running: { V0JobFinishedRequest: 'finished', V0JobFailedRequest: 'failed' },
}

/** Words that peers may say again for a job that is past them: heard twice they are harmless. */
const REPEATS: Record<OpenState, readonly JobMessage[]> = {
  offered: ['V0InitialJobRequest'],
  accepted: ['V0InitialJobRequest', 'V0AcceptJobRequest'],
  ready: ['V0InitialJobRequest', 'V0AcceptJobRequest', 'V0ExecutorReadyRequest'],
  running: ['V0InitialJobRequest', 'V0AcceptJobRequest', 'V0ExecutorReadyRequest', 'V0JobRequest'],
}

/** The state that every job begins in, once offered. */
export const FIRST_STATE: JobState = 'offered'

/**
 * The state of a job after an event. A final state stays; a repeated word changes nothing; a message that the state
 * does not allow, and every mishap, breaks an open job.
 */
export function advance(state: JobState, event: JobEvent): JobState {
  if (isFinal(state)) return state
  if (isMishap(event)) return 'broken'
  if (REPEATS[state].includes(event)) return state
  return MOVES[state][event] ?? 'broken'
}

/** Whether an event is in its place: it moves the job on, or is a harmless repeat. */
export function isInOrder(state: JobState, event: JobMessage): boolean {
  if (isFinal(state)) return false
  return REPEATS[state].includes(event) || MOVES[state][event] !== undefined
}

export function isFinal(state: JobState): state is FinalState {
  return (FINAL_STATES as readonly string[]).includes(state)
}

/** The open states from which an event leads to `to`: the guard of a stored move. */
export function statesBefore(to: JobState, event: JobEvent): OpenState[] {
  return OPEN_STATES.filter(from => from !== to && advance(from, event) === to)
}

function isMishap(event: JobEvent): event is Mishap {
  return (MISHAPS as readonly string[]).includes(event)
}
