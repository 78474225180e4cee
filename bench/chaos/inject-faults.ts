/** Kills the miner and its executors and cuts connections while jobs run. */
import { systemClock } from '@horde/kit/time'
import type { Relay } from '@horde/testing/peers/relay'
import { executorPids } from '../network/executor-processes.ts'
import type { MinerProcess } from '../network/miner-process.ts'
import type { Random } from '../soak/random.ts'

/** The mean time between two killed executors, in seconds. */
const KILL_EXECUTOR_SECONDS = 7
/** The mean time between two cut connections, in seconds. */
const CUT_SECONDS = 2
/** The share of kills that may come before the miner serves. With more, a miner on a busy machine would never serve. */
const EARLY_KILLS = 0.2

export interface FaultCounts {
  minerKills: number
  executorKills: number
  cuts: number
}

export interface FaultTargets {
  miner: MinerProcess
  relay: Relay
  /** The miner whose executors are killed. */
  minerHotkey: string
}

/** Injects faults until the signal aborts, and returns their counts. The miner runs when this resolves. */
export async function injectFaults(
  { miner, relay, minerHotkey }: FaultTargets,
  killSeconds: number,
  random: Random,
  signal: AbortSignal,
): Promise<FaultCounts> {
  const counts: FaultCounts = { minerKills: 0, executorKills: 0, cuts: 0 }
  const repeat = async (meanSeconds: number, act: () => Promise<void>) => {
    while (!signal.aborted) {
      const ms = meanSeconds * 2_000 * random()
      await systemClock.sleep(ms, signal).catch(() => {})
      if (!signal.aborted) await act()
    }
  }
  const killMiner = async () => {
    if (random() >= EARLY_KILLS) await resolvedOrAborted(miner.serving, signal)
    await systemClock.sleep(killSeconds * 1_000 * random(), signal).catch(() => {})
    if (signal.aborted) return
    await miner.kill()
    counts.minerKills += 1
    miner.start()
  }
  const killExecutor = async () => {
    const pids = await executorPids(minerHotkey)
    const pid = pids[Math.floor(random() * pids.length)]
    if (pid === undefined) return
    try {
      process.kill(pid, 'SIGKILL')
      counts.executorKills += 1
    } catch {
      // It exited by itself after the pids were read.
    }
  }
  const cutConnection = async () => {
    if (relay.cutOne(random())) counts.cuts += 1
  }
  await Promise.all([
    repeat(killSeconds, killMiner),
    repeat(KILL_EXECUTOR_SECONDS, killExecutor),
    repeat(CUT_SECONDS, cutConnection),
  ])
  return counts
}

async function resolvedOrAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => aborted.resolve(), { once: true })
  if (!signal.aborted) await Promise.race([promise, aborted.promise])
}
