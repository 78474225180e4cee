/** Executors as processes of their own, on the miner's own machine. They outlive a miner that is killed, and the next one takes them over. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Clock } from '@horde/kit/time'
import type { ExecutorManager, ExecutorOrder, StartedExecutor } from './manager.ts'
import { OWNER_VARIABLE, takeOverProcesses } from './process/leftovers.ts'
import { probeInProcess } from './process/probe-process.ts'
import { stopProcess } from './process/stop-process.ts'

export type ProcessManagerOptions = {
  /** The program to run; default: the executor of this workspace. */
  main?: string
  /** Whose executors they are: those of an earlier run are found by it. */
  owner: string
  /** The environment that an executor begins with: PATH and the like. */
  environment: Readonly<Record<string, string>>
  /** How long an executor may take to clean up after SIGTERM, in milliseconds, before it is killed. */
  stopWithinMs: number
  clock: Clock
}

const EXECUTOR_MAIN = fileURLToPath(new URL('../../../executor/src/start.js', import.meta.url))

export function processManager(options: ProcessManagerOptions): ExecutorManager {
  return {
    start: order => startProcess([], environmentOf(order, options.owner), options),
    takeOver: tokens => takeOverProcesses(tokens, options),
    preload: environment => startProcess(['preload'], environment, options),
    probe: probe => probeInProcess(probe, options.environment),
    check: environment => startProcess(['check'], environment, options),
  }
}

function environmentOf({ environment, minerAddress, token }: ExecutorOrder, owner: string): Record<string, string> {
  return { ...environment, [OWNER_VARIABLE]: owner, MINER_ADDRESS: minerAddress, EXECUTOR_TOKEN: token }
}

async function startProcess(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  options: ProcessManagerOptions,
): Promise<StartedExecutor> {
  const child = spawn(process.execPath, [options.main ?? EXECUTOR_MAIN, ...args], {
    env: { ...options.environment, ...environment },
    stdio: ['ignore', 'inherit', 'inherit'],
    // A group of its own: Ctrl-C in the miner's terminal reaches the miner alone, which then stops its executors.
    detached: true,
  })
  const exited = new Promise<string>(resolve => {
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`))
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  const isGone = () => child.exitCode !== null || child.signalCode !== null
  const kill = (signal: NodeJS.Signals) => void child.kill(signal)
  const { clock } = options
  const stop = (stopWithinMs = options.stopWithinMs) => stopProcess({ isGone, kill, exited }, { stopWithinMs, clock })
  return { id: `pid ${child.pid}`, exited, stop }
}
