/** Findings: what was found about a subject, and what to do about it. `check`, /health and /status consist of them. */

/** ok: as it should be. warn: a possible problem, now or later. bad: jobs fail or cannot arrive. */
export type Verdict = 'ok' | 'warn' | 'bad'

export type Finding = {
  verdict: Verdict
  /** One or two words. */
  subject: string
  /** Without a full stop. */
  found: string
  /** What to do about it, without a full stop; empty when nothing needs to be done. */
  advice: string
  /** The number behind the finding, in the unit of its metric. */
  measured?: number
  /** What the number belongs to, for a subject that has several. */
  of?: string
  /** The miner's pools that the finding is about. They take no new jobs while it is bad. */
  pools?: readonly string[]
  /** Set when the state could not be determined. An earlier bad finding then stays in force. */
  isUnknown?: true
}

export function ok(subject: string, found: string): Finding {
  return { verdict: 'ok', subject, found, advice: '' }
}

export function warn(subject: string, found: string, advice = ''): Finding {
  return { verdict: 'warn', subject, found, advice }
}

/** Returns a warning that the state could not be determined. */
export function unknown(subject: string, found: string, advice: string): Finding {
  return { ...warn(subject, found, advice), isUnknown: true }
}

export function bad(subject: string, found: string, advice: string): Finding {
  return { verdict: 'bad', subject, found, advice }
}

/** Returns `bad  clock: what was found. To do: what to do about it`. */
export function findingLine({ verdict, subject, found, advice }: Finding): string {
  return `${verdict.padEnd(4)} ${subject}: ${found}${advice === '' ? '' : `. To do: ${advice}`}`
}

/** Returns `Clock: what was found. To do: what to do about it.` */
export function findingSentence({ subject, found, advice }: Finding): string {
  const todo = advice === '' ? '' : ` To do: ${advice}.`
  return `${subject.charAt(0).toUpperCase()}${subject.slice(1)}: ${found}.${todo}`
}

const ORDER: readonly Verdict[] = ['ok', 'warn', 'bad']

/** Returns the worst verdict; ok when there are no findings. */
export function worst(findings: readonly Finding[]): Verdict {
  return ORDER[Math.max(0, ...findings.map(({ verdict }) => ORDER.indexOf(verdict)))] ?? 'ok'
}
