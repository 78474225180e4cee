/**
 * Stops executors that run as processes, and finds orphans: those that an earlier run of this miner left when it was
 * killed. A process is known by its pid and its start time, since pids are reused.
 */

import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import type { StartedExecutor } from '../manager.ts'

/** Names the miner in the environment of its executors. */
export const OWNER_VARIABLE = 'COMPUTE_HORDE_MINER'

export type OrphanOptions = { owner: string; stopWithinMs: number; clock: Clock }

/** How often the miner looks whether a process that is not its child still runs, in milliseconds. */
const LOOK_MS = 250
/** The fields of /proc/<pid>/stat after the name, counted from the third of the whole line. */
const STATE = 3 - 3
const START_TIME = 22 - 3

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

type Orphan = { pid: number; started: string; token: string }

/** Returns the orphans that have one of the tokens, by token, and ends the others. */
export async function takeOverProcesses(
  tokens: ReadonlySet<string>,
  options: OrphanOptions,
): Promise<Map<string, StartedExecutor>> {
  const found = await orphansOf(options.owner)
  const executors = found.map(orphan => ({ orphan, executor: follow(orphan, options) }))
  const isWanted = ({ orphan }: { orphan: Orphan }) => tokens.has(orphan.token)
  await Promise.all(executors.filter(each => !isWanted(each)).map(({ executor }) => executor.stop()))
  return new Map(executors.filter(isWanted).map(({ orphan, executor }) => [orphan.token, executor]))
}

/** Returns the processes whose environment names this miner and a token, of those of the same user. */
async function orphansOf(owner: string): Promise<Orphan[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map(pid => orphanOf(pid, owner)))
  return found.filter(orphan => orphan !== undefined)
}

async function orphanOf(pid: number, owner: string): Promise<Orphan | undefined> {
  const started = startTimeOf(pid)
  const environment = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0')
  const variable = (name: string) => environment.find(each => each.startsWith(`${name}=`))?.slice(name.length + 1)
  const token = variable('EXECUTOR_TOKEN')
  if (started === undefined || token === undefined || variable(OWNER_VARIABLE) !== owner) return undefined
  return { pid, started, token }
}

function follow({ pid, started }: Orphan, options: OrphanOptions): StartedExecutor {
  const isGone = () => !stillRuns(pid, started)
  const exited = untilGone(isGone, options.clock)
  const kill = (signal: NodeJS.Signals) => {
    try {
      if (!isGone()) process.kill(pid, signal)
    } catch {
      // It exited between the look and the signal.
    }
  }
  const { clock } = options
  const stop = (stopWithinMs = options.stopWithinMs) => stopProcess({ isGone, kill, exited }, { stopWithinMs, clock })
  return { id: `pid ${pid}`, exited, stop }
}

async function untilGone(isGone: () => boolean, clock: Clock): Promise<string> {
  while (!isGone()) await clock.sleep(LOOK_MS)
  return 'exited; only the miner that started it knows how'
}

/** Returns when a process started, in clock ticks since boot; undefined when no process with this pid can be seen. */
function startTimeOf(pid: number): string | undefined {
  return statOf(pid)?.[START_TIME]
}

/** Returns whether the process with this pid and start time still runs: it is neither gone nor a zombie. */
function stillRuns(pid: number, started: string): boolean {
  const stat = statOf(pid)
  return stat?.[START_TIME] === started && stat[STATE] !== 'Z' && stat[STATE] !== 'X'
}

/** Returns the fields after the name, which may itself contain spaces and parentheses. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
