/**
 * What can be done for a job before it is offered, for an executor that its miner keeps warm: the host is looked at, and a
 * workspace made. Hours may pass until the offer, so both are looked after, and looked at once more when it comes.
 */

import type { Engine } from '@horde/engine/engine'
import type { Log } from '@horde/kit/log'
import { type Loop, startLoop } from '@horde/kit/loop'
import type { Clock } from '@horde/kit/time'
import type { ExecutorSettings } from './config.ts'
import { type CheckedHost, checkHost, hostMemoryMs } from './host/check-host.ts'
import type { StateFolder } from './host/state-folder.ts'
import { jobLimits, workspaceSizes } from './job-limits.ts'
import { HOLDER_IMAGE } from './workspace/holder.ts'
import type { Identity } from './workspace/identity.ts'
import { removeOrphans } from './workspace/orphans.ts'
import { Workspace } from './workspace/workspace.ts'

/** How often what was made is looked after, and what could not be made is tried again, in ms. */
const LOOK_AFTER_MS = 60_000
/** The share of its time after which a memory of the host is renewed, so that the offer seldom finds it too old. */
const RENEWAL_SHARE = 0.5

export interface AheadDeps {
  engine: Engine
  settings: ExecutorSettings
  self: Identity
  state: StateFolder
  clock: Clock
  log: Log
}

/** Begins at once, in the background. Trouble is a warning: it is tried again, and whatever is missing is made at the offer. */
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
      everyMs: LOOK_AFTER_MS,
      run: signal => this.#lookAfter(signal),
      log,
      clock,
      // Whoever opened this closes it.
      signal: new AbortController().signal,
    })
  }

  /** The host as it was found; undefined when that is too old, or there is another engine. From here on nothing more is made ahead. */
  async host(): Promise<CheckedHost | undefined> {
    await this.#loop[Symbol.asyncDispose]()
    const holds = await this.#host?.isYoungerThan(hostMemoryMs(this.#deps.settings))
    return holds ? this.#host : undefined
  }

  /** The workspace, which is the caller's to close from here on; undefined when there is none, or something of it is gone. */
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

  /** Removes what killed executors left behind, unless that was done. Rejects with EngineError; then it may be tried again. */
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
    if (this.#workspace) this.#giveUp(this.#workspace)
    await Promise.all([...this.#removals, this.#sweep?.catch(() => {})])
  }

  async #lookAfter(signal: AbortSignal): Promise<void> {
    const { log } = this.#deps
    try {
      this.sweep().catch(() => {})
      await this.#inspectHost()
      if (!signal.aborted) await this.#keepWorkspace()
      if (!signal.aborted) await this.#host?.checkGpus(HOLDER_IMAGE)
      this.#failures = 0
    } catch (err) {
      this.#failures += 1
      // An engine that is away for the night is one line.
      log[this.#failures === 1 ? 'warn' : 'debug']({ err }, 'could not prepare ahead of the offer; it is tried again')
    }
  }

  async #inspectHost(): Promise<void> {
    const renewMs = hostMemoryMs(this.#deps.settings) * RENEWAL_SHARE
    // Where nothing is to be remembered each job looks for itself.
    if (this.#host && (renewMs === 0 || (await this.#host.isYoungerThan(renewMs)))) return
    this.#host = undefined
    this.#host = await checkHost(this.#deps, renewMs)
  }

  async #keepWorkspace(): Promise<void> {
    const { engine, settings, self, log, clock } = this.#deps
    if (this.#workspace && !(await this.#workspace.isIntact())) this.#lose(this.#workspace)
    if (this.#workspace || !this.#host) return
    const started = clock.monotonic()
    // What is begun on an engine that is away waits for it, to be removed.
    await engine.ping()
    const { facts } = this.#host
    const sizes = workspaceSizes(jobLimits(settings, facts))
    this.#workspace = await Workspace.open(engine, { self, jobUuid: undefined, ...facts }, sizes, log)
    log.info({ ms: Math.round(clock.monotonic() - started) }, 'prepared ahead of the offer')
  }

  #lose(workspace: Workspace): void {
    this.#deps.log.info('what was prepared ahead is gone, or its engine was restarted; it is made anew')
    this.#giveUp(workspace)
  }

  /** Nobody waits for its removal but the end of this. */
  #giveUp(workspace: Workspace): void {
    this.#workspace = undefined
    const removal = workspace[Symbol.asyncDispose]()
    this.#removals.push(
      removal.catch(err => this.#deps.log.error({ err }, 'something that was prepared ahead could not be removed')),
    )
  }
}
