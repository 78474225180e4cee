/** A job, and what must become of it. */
import type { ExecutorMessage } from '@horde/protocol/miner-executor'
import type { JobParts } from '../jobs/executor-job.ts'

export interface Trial {
  /** Unique among those of a run. */
  name: string
  parts: JobParts
  /** Settings of its executor. */
  settings?: Record<string, string>
  /** The image that it brings along. */
  image?: TrialImage
  expected: Expected
  /** Where it uploads its /output: the files that must be in the zip, and none but these, with their texts; one of these sets. */
  uploads?: readonly Record<string, string>[]
}

/** The Python image, changed in ways that a stranger's may be. */
export interface TrialImage {
  /** Instructions of a Dockerfile that touch no file. */
  changes?: readonly string[]
  /** What no such instruction can say, as the engine's API names it. */
  config?: { StopSignal?: string; Env?: readonly string[]; Labels?: Record<string, string> }
  /** Symbolic links in its root, by their path. */
  links?: Record<string, string>
  /** Copies of its own programs, by their path; root's, with a mode. */
  copies?: Record<string, { from: string; mode: number }>
}

export type Answer = Extract<ExecutorMessage, { message_type: 'V0FinishedRequest' | 'V0FailedRequest' }>

/** Of the answer; what is not said may be anything. */
export interface Expected {
  type: Answer['message_type']
  exitStatus?: number | null
  timedOut?: boolean
  stdout?: RegExp | string
  /** The last line of stderr. */
  lastLine?: RegExp | string
}

export const finishes = (stdout: RegExp | string): Expected => ({ type: 'V0FinishedRequest', stdout })

/** It ended by itself, with a status of its own. */
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

/** It was never started; stdout says why. */
export const isRefused = (why: RegExp): Expected => {
  return { type: 'V0FailedRequest', exitStatus: null, timedOut: false, stdout: why }
}

/** What is wrong with an answer, a sentence each; none: it is as expected. */
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
