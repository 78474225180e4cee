/** A process by its pid and its start time: pids are used again. */
import { readFileSync } from 'node:fs'

/** The fields of /proc/<pid>/stat after the name, counted from the third of the whole line. */
const STATE = 3 - 3
const START_TIME = 22 - 3

/** When a process started, in clock ticks since boot; undefined when there is none to be seen with this pid. */
export function startTimeOf(pid: number): string | undefined {
  return statOf(pid)?.[START_TIME]
}

/** Whether the process with this pid that started then (`startTimeOf`) still runs: neither gone, nor waiting to be collected. */
export function stillRuns(pid: number, started: string): boolean {
  const stat = statOf(pid)
  return stat?.[START_TIME] === started && stat[STATE] !== 'Z' && stat[STATE] !== 'X'
}

/** The second field, the name, may itself hold spaces and parentheses. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
