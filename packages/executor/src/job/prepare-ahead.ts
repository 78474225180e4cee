/**
 * Prepares what a job needs before it is offered, for an executor that its miner keeps warm: checks the host and makes
 * a workspace. Hours may pass until the offer, so both are checked every minute, and once more when the offer comes.
 */

import type { Engine } from '@horde/engine/engine'
import type { Log } from '@horde/kit/log'
import { type Loop, startLoop } from '@horde/kit/loop'
import type { Clock } from '@horde/kit/time'
import type { ExecutorSettings } from '../config.ts'
import { type CheckedHost, checkHost, hostMemoryMs } from '../host/check-host.ts'
import type { StateFolder } from '../host/state-folder.ts'
import { HOLDER_IMAGE } from '../workspace/holder.ts'
import type { Identity } from '../workspace/identity.ts'
import { removeOrphans } from '../workspace/orphans.ts'
import { Workspace } from '../workspace/workspace.ts'
import { jobLimits, workspaceSizes } from './job-limits.ts'

/** How often the preparations are checked, and those that failed are tried again, in ms. */
const CHECK_EVERY_MS = 60_000
/** The host is checked again after this share of the check's maximum age, so that the offer seldom finds it too old. */
const RENEWAL_SHARE = 0.5

export interface AheadDeps {
  engine: Engine
  settings: ExecutorSettings
  self: Identity
  state: StateFolder
  clock: Clock
  log: Log
}

/**
 * Begins at once, in the background. A failure is logged and tried again; what is missing at the offer is made then.
 */
export class PreparedAhead implements AsyncDisposable {
  readonly #deps: AheadDeps
  readonly #loop: Loop
  readonly #removals: Promise<void>[] = []
  #host: CheckedHost | undefined
  #workspace: Workspace | undefined
  #sweep: Promise<void> | undefined
  #failures = 0

  constructor(deps: AheadDeps) {
    const { clock, log } = deps
    this.#deps = deps
    this.#loop = startLoop({
      name: 'prepare ahead',
      everyMs: CHECK_EVERY_MS,
      run: signal => this.#keepPrepared(signal),
      log,
      clock,
      // Ended by disposing of this object.
      signal: new AbortController().signal,
    })
  }

  /**
   * Returns the checked host; undefined when the check is too old or the engine was restarted. Stops preparing: the
   * offer is here.
   */
  async host(): Promise<CheckedHost | undefined> {
    await this.#loop[Symbol.asyncDispose]()
    const holds = await this.#host?.isYoungerThan(hostMemoryMs(this.#deps.settings))
    return holds ? this.#host : undefined
  }

  /** Hands the workspace over to the caller, who closes it; undefined when there is none, or a part of it is gone. */
  async takeWorkspace(jobUuid: string): Promise<Workspace | undefined> {
    await this.#loop[Symbol.asyncDispose]()
    const workspace = this.#workspace
    if (workspace === undefined) return undefined
    if (!(await workspace.isIntact().catch(() => false))) {
      this.#lose(workspace)
      return undefined
    }
    this.#workspace = undefined
    workspace.assignTo(jobUuid)
    return workspace
  }

  /** Removes what killed executors left behind, once. Rejects with EngineError; then it may be called again. */
  sweep(): Promise<void> {
    const { engine, self, log } = this.#deps
    this.#sweep ??= removeOrphans(engine, self, log).catch(error => {
      this.#sweep = undefined
      throw error
    })
    return this.#sweep
  }

  /** Removes everything that was not taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]()
    if (this.#workspace) this.#remove(this.#workspace)
    await Promise.all([...this.#removals, this.#sweep?.catch(() => {})])
  }

  async #keepPrepared(signal: AbortSignal): Promise<void> {
    const { log } = this.#deps
    try {
      this.sweep().catch(() => {})
      await this.#keepHostChecked()
      if (!signal.aborted) await this.#keepWorkspace()
      if (!signal.aborted) await this.#host?.checkGpus(HOLDER_IMAGE)
      this.#failures = 0
    } catch (err) {
      this.#failures += 1
      // An engine that is away for hours gets one warning.
      log[this.#failures === 1 ? 'warn' : 'debug']({ err }, 'could not prepare ahead of the offer, trying again')
    }
  }

  async #keepHostChecked(): Promise<void> {
    const renewMs = hostMemoryMs(this.#deps.settings) * RENEWAL_SHARE
    // A maximum age of 0 means that each job checks the host itself.
    if (this.#host && (renewMs === 0 || (await this.#host.isYoungerThan(renewMs)))) return
    this.#host = undefined
    this.#host = await checkHost(this.#deps, renewMs)
  }

  async #keepWorkspace(): Promise<void> {
    const { engine, settings, self, log, clock } = this.#deps
    if (this.#workspace && !(await this.#workspace.isIntact())) this.#lose(this.#workspace)
    if (this.#workspace || !this.#host) return
    const started = clock.monotonic()
    // Ask first: what is begun on an engine that is away must wait for the engine to be removed.
    await engine.ping()
    const { facts } = this.#host
    const sizes = workspaceSizes(jobLimits(settings, facts))
    this.#workspace = await Workspace.open(engine, { self, jobUuid: undefined, ...facts }, sizes, log)
    log.info({ ms: Math.round(clock.monotonic() - started) }, 'prepared ahead of the offer')
  }

  #lose(workspace: Workspace): void {
    this.#deps.log.info('the workspace prepared ahead is incomplete, making it again')
    this.#remove(workspace)
  }

  /** Removes a workspace in the background; only disposing waits for it. */
  #remove(workspace: Workspace): void {
    this.#workspace = undefined
    const removal = workspace[Symbol.asyncDispose]()
    this.#removals.push(
      removal.catch(err => this.#deps.log.error({ err }, 'could not remove a workspace prepared ahead')),
    )
  }
}
