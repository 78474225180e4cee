/** Finds orphans: executors that an earlier run of this miner started as processes, and left when it was killed. */
import { readdir, readFile } from 'node:fs/promises'
import type { Clock } from '@horde/kit/time'
import type { StartedExecutor } from '../manager.ts'
import { startTimeOf, stillRuns, stopProcess } from './running-process.ts'

/** Names the miner in the environment of its executors. */
export const OWNER_VARIABLE = 'COMPUTE_HORDE_MINER'

export type OrphanOptions = { owner: string; stopWithinMs: number; clock: Clock }

/** How often the miner looks whether a process that is not its child still runs, in milliseconds. */
const LOOK_MS = 250

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

/** The processes whose environment names this miner and a token. Only processes of the same user can be read. */
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
  return 'exited; only the miner that started it could tell how'
}
