/** What goes wrong while jobs run: the miner is killed, executors are killed, connections are cut. */
import { systemClock } from '@horde/kit/time'
import type { Relay } from '@horde/testing/peers/relay'
import type { MinerProcess } from '../network/miner-process.ts'
import { executorsOf } from '../network/owned-processes.ts'
import type { Random } from '../soak/random.ts'

/** How often an executor is killed, and a connection cut, in seconds, on average. */
const KILL_EXECUTOR_SECONDS = 7
const CUT_SECONDS = 2
/** How many of the miner's runs may be killed before they serve: a busy machine would come to nothing else. */
const EARLY_KILLS = 0.2

export interface Troubles {
  minerKills: number
  executorKills: number
  cuts: number
}

export interface Victims {
  miner: MinerProcess
  relay: Relay
  /** Whose executors they are. */
  owner: string
}

/** Makes trouble until the signal; gives how much. The miner runs at its end. */
export async function makeTrouble(
  { miner, relay, owner }: Victims,
  killSeconds: number,
  random: Random,
  signal: AbortSignal,
): Promise<Troubles> {
  const done: Troubles = { minerKills: 0, executorKills: 0, cuts: 0 }
  const again = async (seconds: number, act: () => Promise<void>) => {
    while (!signal.aborted) {
      const ms = seconds * 2_000 * random()
      await systemClock.sleep(ms, signal).catch(() => {})
      if (!signal.aborted) await act()
    }
  }
  const killMiner = async () => {
    if (random() >= EARLY_KILLS) await orAborted(miner.serving, signal)
    await systemClock.sleep(killSeconds * 1_000 * random(), signal).catch(() => {})
    if (signal.aborted) return
    await miner.kill()
    done.minerKills += 1
    miner.start()
  }
  const killExecutor = async () => {
    const pids = await executorsOf(owner)
    const pid = pids[Math.floor(random() * pids.length)]
    if (pid === undefined) return
    try {
      process.kill(pid, 'SIGKILL')
      done.executorKills += 1
    } catch {
      // It went by itself between the look and the signal.
    }
  }
  const cut = async () => {
    if (relay.cutOne(random())) done.cuts += 1
  }
  await Promise.all([
    again(killSeconds, killMiner),
    again(KILL_EXECUTOR_SECONDS, killExecutor),
    again(CUT_SECONDS, cut),
  ])
  return done
}

async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => aborted.resolve(), { once: true })
  if (!signal.aborted) await Promise.race([promise, aborted.promise])
}
