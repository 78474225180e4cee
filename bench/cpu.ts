/** Processor time of other processes, in ms, as the kernel counts it. */
import { readdirSync, readFileSync } from 'node:fs'

const NS_PER_MS = 1_000_000
/** The kernel's unit in stat files (USER_HZ), in ms. */
const TICK_MS = 10
/** Where the time of children that were waited for stands in stat, counted from the state, which is the third field. */
const CHILDREN_USER = 16 - 3

/** What a process that still runs has used so far, in all its threads. */
export function cpuOf(pid: number | undefined): number {
  const threads = readdirSync(`/proc/${pid}/task`).map(thread => `/proc/${pid}/task/${thread}/schedstat`)
  return threads.reduce((sum, path) => sum + Number(readFileSync(path, 'utf8').split(' ')[0]) / NS_PER_MS, 0)
}

/** What this process's children that have ended have used, from their start to their end. */
export function cpuOfChildren(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[CHILDREN_USER]) + Number(fields[CHILDREN_USER + 1])) * TICK_MS
}
