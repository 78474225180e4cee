/** A job and its expected answer. */
import type { ExecutorMessage } from '@horde/protocol/v0/miner-executor'
import type { JobParts } from '../jobs/executor-job.ts'

export interface Trial {
  /** Unique within a run. */
  name: string
  parts: JobParts
  /** Further settings of its executor. */
  settings?: Record<string, string>
  /** The image that it runs; without it, the job runs a stock image. */
  image?: TrialImage
  expected: Expected
  /** If set, the job uploads its /output. The zip must have exactly the files (text by name) of one of these sets. */
  uploads?: readonly Record<string, string>[]
}

/** Changes to the Python image that a hostile image may have. */
export interface TrialImage {
  /** Dockerfile instructions that change no file. */
  changes?: readonly string[]
  /** Container settings of the engine's API that no Dockerfile instruction can express. */
  config?: { StopSignal?: string; Env?: readonly string[]; Labels?: Record<string, string> }
  /** Targets of symbolic links in its root, by path. */
  links?: Record<string, string>
  /** Copies of its own programs, owned by root, by path. */
  copies?: Record<string, { from: string; mode: number }>
}

export type Answer = Extract<ExecutorMessage, { message_type: 'V0FinishedRequest' | 'V0FailedRequest' }>

/** The expected answer. A missing field matches anything. */
export interface Expected {
  type: Answer['message_type']
  exitStatus?: number | null
  timedOut?: boolean
  stdout?: RegExp | string
  /** The last line of stderr. */
  lastLine?: RegExp | string
}

export const finishes = (stdout: RegExp | string): Expected => ({ type: 'V0FinishedRequest', stdout })

/** The job exits with this status. */
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

/** The executor refuses the job; stdout has the reason. */
export const isRefused = (why: RegExp): Expected => {
  return { type: 'V0FailedRequest', exitStatus: null, timedOut: false, stdout: why }
}

/** Returns a sentence for each difference between an answer and the expected one. */
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
