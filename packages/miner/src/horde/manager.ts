/**
 * The interface of what starts executors: `process`, `docker`, or an operator's own module. The rest of the miner knows
 * only this. See "Your own executor manager" in the package's README.
 */

import type { Finding } from '@horde/kit/check/finding'
import type { Reason } from '@horde/protocol/reasons'

export interface ExecutorOrder {
  /** The executor's only credential, for its environment as EXECUTOR_TOKEN. Never log it. */
  readonly token: string
  /** The address that the executor dials, `ws://host:port`, for its environment as MINER_ADDRESS. */
  readonly minerAddress: string
  /** The hardware class that the executor was reserved for. */
  readonly executorClass: string
  /** Further variables for the executor's environment. */
  readonly environment: Readonly<Record<string, string>>
}

export interface StartedExecutor {
  /** What an operator can search for: a pid, a container's name. */
  readonly id: string
  /**
   * Resolves when the executor is gone, with a few words on how (`exit code 0`). Never rejects. When an executor exits
   * before it has sent a result, the miner ends its job.
   */
  readonly exited: Promise<string>
  /**
   * Ends the executor if it still runs, and resolves when it and everything it made is gone. May be called again, also
   * with less time while an earlier call waits.
   *
   * @param withinMs how long it may take to clean up, in milliseconds, before it is killed. Default: what the settings
   * say.
   */
  stop(withinMs?: number): Promise<void>
}

/** What the executor's commands `preload` and `check` run in. */
export interface StartedCommand extends StartedExecutor {
  /**
   * Resolves with `exited`: the exit code, or undefined when a signal ended the command. A manager without this
   * property must write the code into `exited`, as `exit code 0`.
   */
  readonly exitCode?: Promise<number | undefined>
}

export interface ExecutorManager {
  /** Starts one executor; resolves when it was started, long before it connects. Rejects when it cannot be started. */
  start(order: ExecutorOrder): Promise<StartedExecutor>
  /**
   * Called once when the miner starts, before the first `start`: returns the executors of an earlier run of this miner
   * that still run and have one of these tokens, by token, and ends and removes all others of this miner. Rejects when
   * it cannot tell.
   */
  takeOver?(tokens: ReadonlySet<string>): Promise<Map<string, StartedExecutor>>
  /**
   * Starts the executor's command `preload` with these variables in its environment, where executors run. It exits with
   * 0 when all images are there. Rejects when it cannot be started.
   */
  preload?(environment: Readonly<Record<string, string>>): Promise<StartedCommand>
  /**
   * The same for the executor's command `check`, which prints its findings about the host, and exits with 0 when jobs
   * can run there.
   */
  check?(environment: Readonly<Record<string, string>>): Promise<StartedCommand>
  /**
   * Looks whether executors can start there now and run jobs. Called periodically, and when `whyNot` returned a reason.
   * While it finds something bad, the pool takes no jobs. When it rejects, the miner warns and goes on.
   */
  look?(): Promise<Finding[]>
  /**
   * Called before an offer is accepted, for a slot without a warm executor: returns why none could be started now. It
   * must answer within a few seconds. Undefined: one could be started, or the manager cannot tell.
   */
  whyNot?(): Promise<Reason | undefined>
  /** Runs a program to its end where executors run. Rejects when it cannot, or when it takes longer than PROBE_MS. */
  probe?(probe: Probe): Promise<ProbeResult>
  /** Called once, after the last executor was stopped. */
  close?(): Promise<void>
}

/** A program that runs to its end where executors run, to look at the host. */
export type Probe = {
  command: readonly string[]
  /** The GPUs that it gets, as a job of the pool would; empty: none. */
  gpus: 'all' | readonly string[]
}

/** `missing`: there is no such program. `refused`: the engine could not give it its GPUs. */
export type ProbeResult = { exitCode: number; output: string } | { missing: true } | { refused: string }

/** How long such a program may run, in milliseconds: nvidia-smi hangs when a GPU is lost. */
export const PROBE_MS = 15_000

export class ProbeTimeoutError extends Error {
  override readonly name = 'ProbeTimeoutError'
}

/** How the module of an operator may write an exit code into `exited`. */
const EXIT_CODE = /^exit code (\d+)$/

/** Resolves when a command has exited: with its exit code, or undefined when it had none or its manager cannot tell. */
export async function exitCodeOf({ exited, exitCode }: StartedCommand): Promise<number | undefined> {
  if (exitCode !== undefined) return exitCode
  const [, code] = EXIT_CODE.exec(await exited) ?? []
  return code === undefined ? undefined : Number(code)
}
