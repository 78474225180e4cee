/** A trial: a job, and how it must end. */
import type { ExecutorMessage } from '@horde/protocol/miner-executor'
import type { JobParts } from '../jobs/executor-job.ts'

export interface Trial {
  /** Unique among the trials of a run. */
  name: string
  parts: JobParts
  /** Settings of its executor. */
  settings?: Record<string, string>
  /** The image of the job, if it is not a usual one. */
  image?: TrialImage
  expected: Expected
  /** If the job uploads /output: the allowed contents of the zip, as texts by name; `no zip` for no upload. */
  uploads?: readonly Record<string, string>[]
}

/** Changes to the Python image, as a stranger could make them. */
export interface TrialImage {
  /** Dockerfile instructions that change no file. */
  changes?: readonly string[]
  /** Fields of the engine's API that no such instruction can set. */
  config?: { StopSignal?: string; Env?: readonly string[]; Labels?: Record<string, string> }
  /** Symbolic links in its root, by their path. */
  links?: Record<string, string>
  /** Copies of the image's programs by their new path, owned by root, with a mode. */
  copies?: Record<string, { from: string; mode: number }>
}

export type Answer = Extract<ExecutorMessage, { message_type: 'V0FinishedRequest' | 'V0FailedRequest' }>

/** What the result must be. A field that is missing may have any value. */
export interface Expected {
  type: Answer['message_type']
  exitStatus?: number | null
  timedOut?: boolean
  stdout?: RegExp | string
  /** The last line of stderr. */
  lastLine?: RegExp | string
}

export const finishes = (stdout: RegExp | string): Expected => ({ type: 'V0FinishedRequest', stdout })

/** The job ended by itself, with its own exit status. */
export const exitsWith = (exitStatus: number, more: Partial<Expected> = {}): Expected => {
  return { type: 'V0FailedRequest', exitStatus, timedOut: false, ...more }
}

export const timesOut: Expected = {
  type: 'V0FailedRequest',
  exitStatus: null,
  timedOut: true,
  lastLine: /^The job was killed after its \d+ seconds\.$/,
}

export const printsTooMuch: Expected = {
  type: 'V0FailedRequest',
  exitStatus: null,
  timedOut: false,
  lastLine: /^The job was killed because it printed more than 200000 bytes\.$/,
}

export const runsOutOfMemory = exitsWith(137, { lastLine: /(ran|running) out of memory\.$/ })

/** The job was never started. Its output says why. */
export const isRefused = (why: RegExp): Expected => {
  return { type: 'V0FailedRequest', exitStatus: null, timedOut: false, stdout: why }
}

/** Returns a sentence for each difference between a result and what is expected. */
export function complaintsAbout(answer: Answer, expected: Expected): string[] {
  const complaints: string[] = []
  const compare = (what: string, value: unknown, wanted: unknown) => {
    const isRight = wanted instanceof RegExp ? wanted.test(String(value)) : wanted === value
    if (wanted !== undefined && !isRight) complaints.push(`${what} is ${shown(value)}, expected ${wanted}`)
  }
  const failed = answer.message_type === 'V0FailedRequest' ? answer : undefined
  compare('the message', answer.message_type, expected.type)
  compare('the exit status', failed?.docker_process_exit_status, expected.exitStatus)
  compare('the timeout', failed?.timeout, expected.timedOut)
  compare('stdout', answer.docker_process_stdout, expected.stdout)
  compare('the last line of stderr', answer.docker_process_stderr.trimEnd().split('\n').at(-1), expected.lastLine)
  if (complaints.length > 0) complaints.push(`stdout: ${shown(answer.docker_process_stdout)}`)
  if (complaints.length > 0) complaints.push(`stderr: ${shown(answer.docker_process_stderr)}`)
  return complaints
}

const SHOWN_CHARACTERS = 2_000

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined'
  return text.length > SHOWN_CHARACTERS ? `…${text.slice(-SHOWN_CHARACTERS)}` : text
}
