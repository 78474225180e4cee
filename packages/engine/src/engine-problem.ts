/**
 * Interprets the engine's error sentences. Engines have one status for many problems, so their text must be read. Only
 * this file reads it; callers branch on the result.
 */

/** Returns what a sentence of the engine means; undefined when the sentence is unknown. */
export type ProblemReader = (text: string) => EngineProblem | undefined

export type EngineProblem = CreateProblem | StartProblem | PullProblem

/**
 * Why a container could not be created: its image was removed, the image's files in a folder do not fit into the volume
 * there, or the image names a volume or working folder where no folder can be.
 */
export type CreateProblem = 'no-image' | 'no-space' | 'no-folder'

/** Why a container could not be started: its runtime cannot run the program. */
export type StartProblem = 'cannot-run'

/** Why an image could not be pulled. */
export type PullProblem =
  | 'disk-full'
  | 'rate-limited'
  /** The image does not exist, or needs credentials. The registry does not say which. */
  | 'missing-or-denied'
  | 'denied'
  | 'other-platform'
  | 'unknown-host'
  | 'wrong-digest'
  | 'bad-certificate'
  | 'broken-off'
  | 'no-answer'
  | 'missing'
  | 'invalid-name'

const CREATE: readonly [RegExp, CreateProblem][] = [
  [/no such image/i, 'no-image'],
  [/no space left on device/i, 'no-space'],
  [
    /\bis not (?:a )?directory|: not a directory|\btoo many links\b|: file name too long|\blstat .*: invalid argument/i,
    'no-folder',
  ],
]

/** As runc and crun say it. */
const START: readonly [RegExp, StartProblem][] = [[/\bexec: "|executable file .*not found/, 'cannot-run']]

/** As engines 20.10 to 29 say it. The first match counts. */
const PULL: readonly [RegExp, PullProblem][] = [
  [/no space left on device|disk quota exceeded/i, 'disk-full'],
  [/toomanyrequests|too many requests|rate limit/i, 'rate-limited'],
  [/repository does not exist or may require/i, 'missing-or-denied'],
  [/unauthorized|no basic auth credentials|authentication required|denied|forbidden|incorrect username/i, 'denied'],
  [/no matching manifest|does not match the specified platform/i, 'other-platform'],
  [/no such host|server misbehaving|name resolution/i, 'unknown-host'],
  [/verification failed|failed precondition|unexpected commit digest|does not match|invalid checksum/i, 'wrong-digest'],
  [/x509|certificate|HTTP response to HTTPS/i, 'bad-certificate'],
  [/unexpected EOF|unknown blob|connection reset|broken pipe|\bEOF\b|aborted/i, 'broken-off'],
  [/connection refused|no route to host|unreachable|time-?out|deadline exceeded|i\/o/i, 'no-answer'],
  [/not found|manifest unknown|name unknown/i, 'missing'],
  [/invalid reference format|repository name must/i, 'invalid-name'],
]

export const createProblem: ProblemReader = text => meaningOf(text, CREATE)

/**
 * Reads the failure of a start.
 *
 * @param program where given, only a sentence about this program is `cannot-run`, not one about a missing hook
 */
export function startProblem(program?: string): (text: string) => StartProblem | undefined {
  if (program === undefined) return text => meaningOf(text, START)
  const quoted = program.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return text => meaningOf(text, [[new RegExp(`(?<![\\w/.-])${quoted}(?![\\w/.-])`), 'cannot-run']])
}

/** Reads the failure of a pull. The image's name and URLs are no part of the sentence: they may hold any word. */
export function pullProblem(imageName: string): (text: string) => PullProblem | undefined {
  return text => meaningOf(text.replaceAll(imageName, '').replace(/"https?:[^"\s]*"/g, ''), PULL)
}

function meaningOf<P extends EngineProblem>(text: string, meanings: readonly [RegExp, P][]): P | undefined {
  return meanings.find(([pattern]) => pattern.test(text))?.[1]
}
