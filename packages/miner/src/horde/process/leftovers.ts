/** Executors that an earlier run of this miner started as processes, and left when it was killed. */
import { readdir, readFile } from 'node:fs/promises'
import type { Clock } from '@horde/kit/time'
import type { StartedExecutor } from '../manager.ts'
import { startTimeOf, stillRuns } from './running-process.ts'
import { stopProcess } from './stop-process.ts'

/** Names the miner in the environment of its executors. */
export const OWNER_VARIABLE = 'COMPUTE_HORDE_MINER'

export type LeftoverOptions = { owner: string; stopWithinMs: number; clock: Clock }

/** How often a process that is nobody's child is looked at, in milliseconds. */
const LOOK_MS = 250

type Leftover = { pid: number; started: string; token: string }

/** Gives those that have one of the tokens, by token; the others are ended. */
export async function takeOverProcesses(
  tokens: ReadonlySet<string>,
  options: LeftoverOptions,
): Promise<Map<string, StartedExecutor>> {
  const found = await leftoversOf(options.owner)
  const executors = found.map(leftover => ({ leftover, executor: follow(leftover, options) }))
  const isWanted = ({ leftover }: { leftover: Leftover }) => tokens.has(leftover.token)
  await Promise.all(executors.filter(each => !isWanted(each)).map(({ executor }) => executor.stop()))
  return new Map(executors.filter(isWanted).map(({ leftover, executor }) => [leftover.token, executor]))
}

/** The processes whose environment names this miner, and a token. Only processes of the same user can be looked into. */
async function leftoversOf(owner: string): Promise<Leftover[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map(pid => leftoverOf(pid, owner)))
  return found.filter(leftover => leftover !== undefined)
}

async function leftoverOf(pid: number, owner: string): Promise<Leftover | undefined> {
  const started = startTimeOf(pid)
  const environment = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0')
  const variable = (name: string) => environment.find(each => each.startsWith(`${name}=`))?.slice(name.length + 1)
  const token = variable('EXECUTOR_TOKEN')
  if (started === undefined || token === undefined || variable(OWNER_VARIABLE) !== owner) return undefined
  return { pid, started, token }
}

function follow({ pid, started }: Leftover, options: LeftoverOptions): StartedExecutor {
  const isGone = () => !stillRuns(pid, started)
  const exited = untilGone(isGone, options.clock)
  const kill = (signal: NodeJS.Signals) => {
    try {
      if (!isGone()) process.kill(pid, signal)
    } catch {
      // It went between the look and the signal.
    }
  }
  const { clock } = options
  const stop = (stopWithinMs = options.stopWithinMs) => stopProcess({ isGone, kill, exited }, { stopWithinMs, clock })
  return { id: `pid ${pid}`, exited, stop }
}

async function untilGone(isGone: () => boolean, clock: Clock): Promise<string> {
  while (!isGone()) await clock.sleep(LOOK_MS)
  return 'it is gone; how it ended only its first miner could tell'
}
