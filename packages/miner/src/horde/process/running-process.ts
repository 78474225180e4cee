/** Looks at processes and stops them. A process is known by its pid and its start time, since pids are reused. */
import { readFileSync } from 'node:fs'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'

/** The fields of /proc/<pid>/stat after the name, counted from the third of the whole line. */
const STATE = 3 - 3
const START_TIME = 22 - 3

/** When a process started, in clock ticks since boot; undefined when no process with this pid can be seen. */
export function startTimeOf(pid: number): string | undefined {
  return statOf(pid)?.[START_TIME]
}

/** Whether the process with this pid and start time (`startTimeOf`) still runs: it is neither gone nor a zombie. */
export function stillRuns(pid: number, started: string): boolean {
  const stat = statOf(pid)
  return stat?.[START_TIME] === started && stat[STATE] !== 'Z' && stat[STATE] !== 'X'
}

/** The second field of the line, the name, may itself contain spaces and parentheses. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

export type Stoppable = { isGone(): boolean; kill(signal: NodeJS.Signals): void; exited: Promise<string> }

/** Sends SIGTERM, and SIGKILL when the process takes longer than `stopWithinMs`. Resolves when it is gone. */
export async function stopProcess(
  { isGone, kill, exited }: Stoppable,
  { stopWithinMs, clock }: { stopWithinMs: number; clock: Clock },
): Promise<void> {
  if (isGone()) return
  kill('SIGTERM')
  try {
    await withDeadline(exited, stopWithinMs, 'executor exit', clock)
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error
    kill('SIGKILL')
    await exited
  }
}
