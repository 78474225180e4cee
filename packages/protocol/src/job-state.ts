/**
 * The state machine of a job. Every service decides with `advance` where a job moves.
 *
 *   (none) ─offer─▶ offered ─accept─▶ accepted ─ready─▶ ready ─work─▶ running ─▶ finished | failed
 *                      └─decline─▶ rejected      any open state ─▶ broken
 *
 * States only go forward, and a final state never changes. A retry is a new job.
 */

export const OPEN_STATES = ['offered', 'accepted', 'ready', 'running'] as const
export const FINAL_STATES = ['finished', 'failed', 'rejected', 'broken'] as const
export const JOB_STATES = [...OPEN_STATES, ...FINAL_STATES] as const

export type OpenState = (typeof OPEN_STATES)[number]
export type FinalState = (typeof FINAL_STATES)[number]
export type JobState = OpenState | FinalState

/**
 * The messages that move a job, in no peer's dialect: docs/protocol.md says how each dialect names them.
 * `not-prepared`: the executor could not prepare the job. `break`: it or its miner cannot run it to its end.
 * `input-failed`: it says of a job that is ready, and whose work it lacks, that the input could not be fetched.
 */
export const JOB_MESSAGES = [
  'offer',
  'accept',
  'decline',
  'ready',
  'not-prepared',
  'work',
  'volumes-ready',
  'execution-done',
  'finish',
  'fail',
  'input-failed',
  'break',
] as const
export type JobMessage = (typeof JOB_MESSAGES)[number]

/** Events that end a job without a message. */
export const MISHAPS = ['executor exited', 'connection lost', 'timed out', 'stopped'] as const
export type Mishap = (typeof MISHAPS)[number]

export type JobEvent = JobMessage | Mishap

const MOVES: Record<OpenState, Partial<Record<JobMessage, JobState>>> = {
  offered: { accept: 'accepted', decline: 'rejected', break: 'broken' },
  accepted: { ready: 'ready', 'not-prepared': 'broken', break: 'broken' },
  ready: { work: 'running', 'input-failed': 'failed', break: 'broken' },
  running: { finish: 'finished', fail: 'failed', break: 'broken' },
}

/**
 * Messages that leave the state as it is: a peer may repeat those of earlier states, and a job that runs reports which
 * of its steps are done.
 */
const REPEATS: Record<OpenState, readonly JobMessage[]> = {
  offered: ['offer'],
  accepted: ['offer', 'accept'],
  ready: ['offer', 'accept', 'ready'],
  running: ['offer', 'accept', 'ready', 'work', 'volumes-ready', 'execution-done'],
}

/** The state of a job that was just offered. */
export const FIRST_STATE: JobState = 'offered'

/**
 * Returns the state of a job after an event. A final state stays, and a repeated message changes nothing. A mishap, or
 * a message that the state does not allow, breaks an open job.
 */
export function advance(state: JobState, event: JobEvent): JobState {
  if (isFinal(state)) return state
  if (isMishap(event)) return 'broken'
  if (REPEATS[state].includes(event)) return state
  return MOVES[state][event] ?? 'broken'
}

/** Returns whether a message is in order: it moves the job on, or is a harmless repeat. */
export function isInOrder(state: JobState, event: JobMessage): boolean {
  if (isFinal(state)) return false
  return REPEATS[state].includes(event) || MOVES[state][event] !== undefined
}

export function isFinal(state: JobState): state is FinalState {
  return (FINAL_STATES as readonly string[]).includes(state)
}

/** Returns the open states from which an event leads to `to`: the guard of the update that stores the move. */
export function statesBefore(to: JobState, event: JobEvent): OpenState[] {
  return OPEN_STATES.filter(from => from !== to && advance(from, event) === to)
}

function isMishap(event: JobEvent): event is Mishap {
  return (MISHAPS as readonly string[]).includes(event)
}
