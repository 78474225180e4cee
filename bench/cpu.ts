/** Reads the processor time of other processes from the kernel, in ms. */
import { readdirSync, readFileSync } from 'node:fs'

const NS_PER_MS = 1_000_000
/** The kernel's unit in stat files (USER_HZ), in ms. */
const TICK_MS = 10
/** The position of cutime in /proc/self/stat, counted from the state, which is the third field. */
const CHILDREN_USER = 16 - 3

/** Returns what all threads of a running process have used so far. */
export function cpuOf(pid: number | undefined): number {
  const threads = readdirSync(`/proc/${pid}/task`).map(thread => `/proc/${pid}/task/${thread}/schedstat`)
  return threads.reduce((sum, path) => sum + Number(readFileSync(path, 'utf8').split(' ')[0]) / NS_PER_MS, 0)
}

/** Returns what those children of this process that have ended used in their whole life. */
export function cpuOfChildren(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[CHILDREN_USER]) + Number(fields[CHILDREN_USER + 1])) * TICK_MS
}
