/**
 * What starts executors. The miner knows this interface alone; `process`, `docker` and an operator's own module stand
 * behind it. See "Your own executor manager" in the package's README.
 */

import type { Finding } from '@horde/kit/check/finding'
import type { Reason } from '@horde/protocol/reasons'
import type { Probe, ProbeResult } from './probe.ts'

export interface ExecutorOrder {
  /** The executor's only credential, for its environment as EXECUTOR_TOKEN. Never log it. */
  readonly token: string
  /** Where the executor dials, `ws://host:port`, for its environment as MINER_ADDRESS. */
  readonly minerAddress: string
  /** The hardware class that the executor was reserved for. */
  readonly executorClass: string
  /** Further variables for the executor's environment. */
  readonly environment: Readonly<Record<string, string>>
}

export interface StartedExecutor {
  /** What an operator would look for: a pid, a container's name. */
  readonly id: string
  /**
   * Resolves when the executor is gone, with a few words on how (`exit code 0`). Never rejects. The miner ends the job
   * of an executor that exits before its result came.
   */
  readonly exited: Promise<string>
  /**
   * Ends the executor if it still runs, and resolves when it and everything it made is gone. May be called again, also with less
   * time while an earlier call waits.
   *
   * @param withinMs how long it may take to clean up, in milliseconds, before it is killed. Default: what the settings say.
   */
  stop(withinMs?: number): Promise<void>
}

export interface ExecutorManager {
  /** Starts one executor; resolves when it was started, which is long before it connects. Rejects when it can't. */
  start(order: ExecutorOrder): Promise<StartedExecutor>
  /**
   * Called once at the miner's start, before the first start: executors of an earlier run of this miner that still run and
   * have one of these tokens are given, by token; all others of this miner are ended and removed. Rejects when it can't be told.
   */
  takeOver?(tokens: ReadonlySet<string>): Promise<Map<string, StartedExecutor>>
  /**
   * Starts the executor's command `preload` with these variables in its environment, on the machine where executors run; it
   * exits with 0 when all images are there. Rejects when it can't be started.
   */
  preload?(environment: Readonly<Record<string, string>>): Promise<StartedExecutor>
  /**
   * The same for the executor's command `check`, which prints what it finds out about its host and exits with 0 when jobs can
   * run there.
   */
  check?(environment: Readonly<Record<string, string>>): Promise<StartedExecutor>
  /**
   * Looks whether executors can be started there now, and their jobs run; every so often, and when whyNot gave a reason. While
   * it finds something bad, the pool takes no jobs. Where it rejects, that is a warning, and the pool goes on.
   */
  look?(): Promise<Finding[]>
  /**
   * Asked before an offer is accepted, for a place without a warm executor: why none could be started now. It must answer
   * within a few seconds. Undefined: it could be, or that can't be told.
   */
  whyNot?(): Promise<Reason | undefined>
  /** Runs a program to its end where executors run. Rejects when it can't, or when it takes longer than PROBE_MS. */
  probe?(probe: Probe): Promise<ProbeResult>
  /** Called once, after the last executor was stopped. */
  close?(): Promise<void>
}
