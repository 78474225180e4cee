/** What was found where somebody looked, and what to do about it: the words of `check`, of /health and of /status. */

/** ok: as it must be. warn: it may become bad, or only may be. bad: jobs fail, or cannot come. */
export type Verdict = 'ok' | 'warn' | 'bad'

export type Finding = {
  verdict: Verdict
  subject: string
  /** Without a full stop. */
  found: string
  /** What to do about it; empty where nothing is to be done. */
  advice: string
  /** The number behind it, in the unit of its metric. */
  measured?: number
  /** What the number is of, where the subject has several. */
  of?: string
  /** The pools of a miner that it is about: they take no new jobs while it is bad. */
  pools?: readonly string[]
  /** Set where it could not be told how it is: then what was bad before is taken to be so still. */
  isUnknown?: true
}

export function ok(subject: string, found: string): Finding {
  return { verdict: 'ok', subject, found, advice: '' }
}

export function warn(subject: string, found: string, advice: string): Finding {
  return { verdict: 'warn', subject, found, advice }
}

/** A warning that it can't be told how something is. */
export function unknown(subject: string, found: string, advice: string): Finding {
  return { ...warn(subject, found, advice), isUnknown: true }
}

export function bad(subject: string, found: string, advice: string): Finding {
  return { verdict: 'bad', subject, found, advice }
}

/** `bad  clock: what was found. To do: what to do about it` */
export function findingLine({ verdict, subject, found, advice }: Finding): string {
  return `${verdict.padEnd(4)} ${subject}: ${found}${advice === '' ? '' : `. To do: ${advice}`}`
}

/** The same as a sentence. */
export function findingSentence({ subject, found, advice }: Finding): string {
  const todo = advice === '' ? '' : ` To do: ${advice}.`
  return `${subject.charAt(0).toUpperCase()}${subject.slice(1)}: ${found}.${todo}`
}

const ORDER: readonly Verdict[] = ['ok', 'warn', 'bad']

/** ok when there is none. */
export function worst(findings: readonly Finding[]): Verdict {
  return ORDER[Math.max(0, ...findings.map(({ verdict }) => ORDER.indexOf(verdict)))] ?? 'ok'
}
