/** Executors as child processes of the miner, on the miner's own machine. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import type { ExecutorManager, ExecutorOrder, StartedExecutor } from './manager.ts'

export type ProcessManagerOptions = {
  /** The program to run; default: the executor of this workspace. */
  main?: string
  /** The environment that an executor begins with: PATH and the like. */
  environment: Readonly<Record<string, string>>
  /** How long an executor may take to clean up after SIGTERM, in milliseconds, before it is killed. */
  stopWithinMs: number
  clock: Clock
}

const EXECUTOR_MAIN = fileURLToPath(new URL('../../../executor/src/start.js', import.meta.url))

export function processManager(options: ProcessManagerOptions): ExecutorManager {
  return {
    start: order => startProcess([], environmentOf(order), options),
    preload: environment => startProcess(['preload'], environment, options),
    check: environment => startProcess(['check'], environment, options),
  }
}

function environmentOf({ environment, minerAddress, token }: ExecutorOrder): Record<string, string> {
  return { ...environment, MINER_ADDRESS: minerAddress, EXECUTOR_TOKEN: token }
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
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    try {
      await withDeadline(exited, options.stopWithinMs, 'executor exit', options.clock)
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error
      child.kill('SIGKILL')
      await exited
    }
  }
  return { id: `pid ${child.pid}`, exited, stop }
}
