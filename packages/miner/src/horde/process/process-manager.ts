/**
 * Runs executors as processes on the miner's own machine. They outlive a miner that is killed, and the next one takes
 * them over.
 */
import { execFile, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Clock } from '@horde/kit/time'
import { commandOf, environmentFor, type ProgramName } from '../executor-program.ts'
import {
  type ExecutorManager,
  type ExecutorOrder,
  PROBE_MS,
  type Probe,
  type ProbeResult,
  ProbeTimeoutError,
  type StartedCommand,
} from '../manager.ts'
import { OWNER_VARIABLE, stopProcess, takeOverProcesses } from './running-process.ts'

export type ProcessManagerOptions = {
  /** The program to run. Default: the executor of this workspace. */
  main?: string
  /** What the executors are. Unset: this project's. */
  program?: ProgramName
  /** The folder of a Python executor, with its manage.py. */
  folder?: string | undefined
  /** How long a Python executor may take from its connection until it is ready, in seconds. */
  startupSeconds?: number
  /** The miner that owns the executors: those of an earlier run are found by it. */
  owner: string
  /** The base environment of an executor: PATH and the like. */
  environment: Readonly<Record<string, string>>
  /** How long an executor may take to clean up after SIGTERM, in milliseconds, before it is killed. */
  stopWithinMs: number
  clock: Clock
}

/** The default of the limit of a Python executor's start, in seconds. */
const STARTUP_SECONDS = 300
const EXECUTOR_MAIN = fileURLToPath(new URL('../../../../executor/src/start.js', import.meta.url))

export function processManager(options: ProcessManagerOptions): ExecutorManager {
  const { program = 'compute-horde', startupSeconds = STARTUP_SECONDS } = options
  const own = (...args: string[]) => [process.execPath, options.main ?? EXECUTOR_MAIN, ...args]
  const command = program === 'compute-horde' ? own() : commandOf(program, startupSeconds)
  return {
    start: order => startProcess(command, environmentOf(order, options), options),
    takeOver: tokens => takeOverProcesses(tokens, options),
    probe: probe => probeInProcess(probe, options.environment),
    ...(program === 'compute-horde' && {
      preload: environment => startProcess(own('preload'), environment, options),
      check: environment => startProcess(own('check'), environment, options),
    }),
  }
}

function environmentOf(
  { environment: ordered, minerAddress, token }: ExecutorOrder,
  { owner, program = 'compute-horde' }: ProcessManagerOptions,
): Record<string, string> {
  const environment = environmentFor(program, ordered)
  return { ...environment, [OWNER_VARIABLE]: owner, MINER_ADDRESS: minerAddress, EXECUTOR_TOKEN: token }
}

async function startProcess(
  [program = '', ...args]: readonly string[],
  environment: Readonly<Record<string, string>>,
  options: ProcessManagerOptions,
): Promise<StartedCommand> {
  const child = spawn(program, args, {
    cwd: options.folder,
    env: { ...options.environment, ...environment },
    stdio: ['ignore', 'inherit', 'inherit'],
    // A group of its own: Ctrl-C in the miner's terminal reaches the miner alone, which then stops its executors.
    detached: true,
  })
  const exit = new Promise<{ code: number | null; signal: string | null }>(resolve => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  const exited = exit.then(({ code, signal }) => (signal === null ? `exit code ${code}` : `signal ${signal}`))
  const exitCode = exit.then(({ code }) => code ?? undefined)
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  const isGone = () => child.exitCode !== null || child.signalCode !== null
  const kill = (signal: NodeJS.Signals) => void child.kill(signal)
  const { clock } = options
  const stop = (stopWithinMs = options.stopWithinMs) => stopProcess({ isGone, kill, exited }, { stopWithinMs, clock })
  return { id: `pid ${child.pid}`, exited, exitCode, stop }
}

/** Runs a probe as a process of this machine, and kills it after `withinMs`. It sees all GPUs. */
export function probeInProcess(
  { command }: Probe,
  environment: Readonly<Record<string, string>>,
  withinMs = PROBE_MS,
): Promise<ProbeResult> {
  const [program = '', ...args] = command
  const options = { env: { ...environment }, timeout: withinMs, killSignal: 'SIGKILL' } as const
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      const output = `${stdout}\n${stderr}`
      if (error === null) resolve({ exitCode: 0, output: stdout })
      else if (error.code === 'ENOENT') resolve({ missing: true })
      else if (typeof error.code === 'number') resolve({ exitCode: error.code, output })
      else if (error.killed) reject(new ProbeTimeoutError(`${program}: not done within ${withinMs} ms`))
      else reject(error)
    })
  })
}
