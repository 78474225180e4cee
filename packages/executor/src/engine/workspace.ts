/** Everything that one job needs of the host: a folder, volumes, containers. Whoever opens it closes it, and then nothing is left. */
import { randomUUID } from 'node:crypto'
import { access, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { ContainerOptions } from '@horde/engine/containers'
import type { Engine } from '@horde/engine/engine'
import { hasCode, isUnanswered } from '@horde/engine/engine-error'
import type { Log } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { EXECUTOR_LABEL } from '@horde/protocol/executor-labels'
import { acrossRestart, isAnswered } from './engine-restart.ts'
import { holderOptions, importHolderImage, outputWithMode } from './holder.ts'
import { type Identity, identityText, JOB_LABEL, NO_JOB_YET } from './identity.ts'
import { folderName } from './leftovers.ts'
import { memoryVolume } from './sandbox.ts'

/** Where the holder has the script's volume mounted; the script's path in an archive for `load`. */
export const SCRIPT_FOLDER = 'script'
const SCRIPT_NAME = 'script.py'
export const SCRIPT_PATH = `${SCRIPT_FOLDER}/${SCRIPT_NAME}`

/** The mode of an /output that nothing was loaded into, and of one that was made ahead of its job's offer. */
const NOT_LOADED = 0o700
const MADE_AHEAD = 0o711

/** How long the engine may take to change that mode, in ms. */
const MARK_MS = 60_000

/** How often a removal is tried, and how long it waits in between, in ms: a volume is in use until its container is gone. */
const REMOVAL_ATTEMPTS = 5
const REMOVAL_PAUSE_MS = 200

/** For whom a workspace is made, and what must be known of the engine's host. */
export interface WorkspaceOwner {
  self: Identity
  /** Undefined: made ahead of the job's offer, and told later. */
  jobUuid: string | undefined
  machine: string
  hasUserNamespaces: boolean
}

/** How large the volumes in memory are. */
export interface WorkspaceSizes {
  outputBytes: number
  homeBytes: number
  /** Undefined: the job may not write to its input, which lies on the engine's disk. */
  writableVolumeBytes: number | undefined
  /** How many files and folders each of them can hold. */
  filesPerFolder: number
}

export class Workspace implements AsyncDisposable {
  /** Exists on this machine, and nobody else may look into it. */
  readonly folder: string
  readonly inputVolume: string
  readonly outputVolume: string
  readonly homeVolume: string
  readonly #scriptVolume: string
  readonly #imageVolumes: string[] = []
  readonly #engine: Engine
  readonly #owner: WorkspaceOwner
  readonly #sizes: WorkspaceSizes
  readonly #log: Log
  /** The names of all containers that were ever asked for: of one that was made the answer may be missing. */
  readonly #containers: string[] = []
  /** The making of every container and volume, which may not have ended yet. */
  readonly #makings: Promise<unknown>[] = []
  readonly #name = `compute-horde-${randomUUID()}`
  #jobUuid: string | undefined
  #scriptMountpoint = ''
  #holder = ''
  #removed: Promise<void> | undefined

  private constructor(engine: Engine, folder: string, owner: WorkspaceOwner, sizes: WorkspaceSizes, log: Log) {
    const name = this.#name
    this.#engine = engine
    this.#owner = owner
    this.#sizes = sizes
    this.#log = log
    this.folder = folder
    this.#jobUuid = owner.jobUuid
    this.inputVolume = `${name}-input`
    this.outputVolume = `${name}-output`
    this.homeVolume = `${name}-home`
    this.#scriptVolume = `${name}-script`
  }

  /** Makes the folder and the volumes, and starts the holder, which needs no image of the job's. */
  static async open(engine: Engine, owner: WorkspaceOwner, sizes: WorkspaceSizes, log: Log): Promise<Workspace> {
    const folder = await mkdtemp(join(tmpdir(), folderName(owner.self)))
    const workspace = new Workspace(engine, folder, owner, sizes, log)
    try {
      await workspace.#createVolumes()
      await workspace.#startHolder()
      if (owner.jobUuid === undefined) await workspace.#markAsMadeAhead()
      return workspace
    } catch (error) {
      await workspace[Symbol.asyncDispose]()
      throw error
    }
  }

  /** What is made from now on carries; labels do not change once they are given. */
  get labels(): Record<string, string> {
    return { [EXECUTOR_LABEL]: identityText(this.#owner.self), [JOB_LABEL]: this.#jobUuid ?? NO_JOB_YET }
  }

  /** Says for which job this is, after all. */
  assignTo(jobUuid: string): void {
    this.#jobUuid = jobUuid
  }

  /**
   * Whether a workspace that was made ahead can still be used: nobody has removed or stopped anything of it, and the
   * engine, which may have been restarted, still knows that its volumes are mounted. Rejects when the engine is away.
   */
  async isIntact(): Promise<boolean> {
    try {
      await access(this.folder)
      // A volume that was mounted anew, for whatever reason, has the mode that it was made with.
      return (await this.#engine.containers.permissionsOf(this.#holder, '/output')) === MADE_AHEAD
    } catch (error) {
      if (isUnanswered(error)) throw error
      return false
    }
  }

  /**
   * Where the engine keeps the raw script on its own host. Only the engine ever uses this path, to mount the one file:
   * a root that is read-only has no other way to hold it.
   */
  get scriptHostPath(): string {
    return `${this.#scriptMountpoint}/${SCRIPT_NAME}`
  }

  /** Unpacks an archive with `volume/…`, `output/…` and `script/…` into the volumes. */
  async load(tar: Readable, signal: AbortSignal): Promise<void> {
    await this.#engine.containers.putArchive(this.#holder, tar, '/', signal)
  }

  /**
   * Whether /output is still the one that was loaded: an engine that is restarted (20.10 at least, with live-restore) may
   * forget that the volume is mounted, and mount an empty one for whoever reads it.
   */
  async hasOutput(): Promise<boolean> {
    return (await this.#engine.containers.permissionsOf(this.#holder, '/output')) !== NOT_LOADED
  }

  /** /output as a tar, `output/…`, whether the job still runs or not. */
  readOutput(): Promise<Readable> {
    return this.#engine.containers.getArchive(this.#holder, '/output')
  }

  /**
   * Volumes in memory for the folders that the job's image wants some for. The engine puts into them what the image has
   * there when it makes the job's container, which no limit of the job's counts; so they share what one home may have.
   * Until the job runs they must be held, too.
   */
  async volumesFor(folders: readonly string[]): Promise<{ folder: string; volume: string }[]> {
    if (folders.length === 0) return []
    const volumes = folders.map((folder, index) => ({ folder, volume: `${this.outputVolume}-${index}` }))
    const bytes = Math.floor(this.#sizes.homeBytes / volumes.length)
    this.#imageVolumes.push(...volumes.map(({ volume }) => volume))
    await Promise.all(volumes.map(({ volume }) => this.#createVolume(volume, bytes)))
    await this.#hold(volumes.map(({ volume }, index) => ({ volume, path: `/volumes/${index}` })))
    return volumes
  }

  createContainer(options: ContainerOptions): Promise<string> {
    const name = `${this.#name}-${this.#containers.length}`
    const created = this.#engine.containers.create(options, name)
    this.#containers.push(name)
    this.#makings.push(created)
    return created
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#removed ??= this.#removeAll()
    return this.#removed
  }

  /** Makes the volumes that every job has, in memory where the job writes to them. */
  async #createVolumes(): Promise<void> {
    const { outputBytes, homeBytes, writableVolumeBytes } = this.#sizes
    await Promise.all([
      this.#createVolume(this.#scriptVolume),
      this.#createVolume(this.inputVolume, writableVolumeBytes),
      this.#createVolume(this.outputVolume, outputBytes, NOT_LOADED),
      this.#createVolume(this.homeVolume, homeBytes),
    ])
  }

  /** `bytes` undefined: on the engine's disk. */
  #createVolume(name: string, bytes?: number, mode?: number): Promise<void> {
    const options = bytes === undefined ? {} : memoryVolume(bytes, this.#sizes.filesPerFolder, mode)
    const created = this.#engine.volumes.create(name, this.labels, options)
    this.#makings.push(created)
    return created
  }

  async #startHolder(): Promise<void> {
    // Both have ended when this does: the holder may have to be asked for twice.
    const [holder, mountpoint] = await Promise.allSettled([
      this.#hold([
        { volume: this.inputVolume, path: '/volume' },
        { volume: this.outputVolume, path: '/output' },
        { volume: this.homeVolume, path: '/home' },
        { volume: this.#scriptVolume, path: `/${SCRIPT_FOLDER}` },
      ]),
      this.#engine.volumes.folderOf(this.#scriptVolume),
    ])
    if (holder.status === 'rejected') throw holder.reason
    if (mountpoint.status === 'rejected') throw mountpoint.reason
    this.#holder = holder.value
    this.#scriptMountpoint = mountpoint.value
  }

  async #markAsMadeAhead(): Promise<void> {
    await this.load(outputWithMode(MADE_AHEAD), AbortSignal.timeout(MARK_MS))
  }

  /** Starts a container that keeps volumes mounted. */
  async #hold(mounts: readonly { volume: string; path: string }[]): Promise<string> {
    const options = holderOptions(mounts, this.labels, this.#owner.hasUserNamespaces)
    const id = await this.createContainer(options).catch(async error => {
      if (!hasCode(error, 'not-found')) throw error
      await importHolderImage(this.#engine, this.#owner.machine)
      return this.createContainer(options)
    })
    await this.#engine.containers.start(id)
    return id
  }

  async #removeAll(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
    if (!(await this.#isAllAnswered())) {
      const message = 'the engine does not answer; what the job has there is left to the next executor of this host'
      return this.#log.error(message)
    }
    await Promise.all(
      this.#containers.map(name => this.#remove('container', () => this.#engine.containers.remove(name))),
    )
    const common = [this.inputVolume, this.outputVolume, this.homeVolume, this.#scriptVolume]
    const volumes = [...common, ...this.#imageVolumes]
    await Promise.all(volumes.map(name => this.#remove('volume', () => this.#engine.volumes.remove(name))))
  }

  /** Waits for the engine to have made it all: a container that comes after the removal would stay, and bring volumes back. */
  async #isAllAnswered(): Promise<boolean> {
    let isLate = false
    const onLate = () => {
      if (!isLate) this.#log.warn('the engine is late; what it still makes for the job is waited for, to be removed')
      isLate = true
    }
    const answers = await Promise.all(this.#makings.map(making => isAnswered(making, systemClock, onLate)))
    return !answers.includes(false)
  }

  async #remove(what: string, removal: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        // An engine that restarts is waited for: what is not removed now stays until another executor comes.
        return await acrossRestart(removal, systemClock)
      } catch (err) {
        // The rest must still be removed; the next executor of this host sweeps what stays.
        if (isUnanswered(err) || attempt === REMOVAL_ATTEMPTS)
          return this.#log.error({ err }, `a ${what} of the job could not be removed`)
        await systemClock.sleep(REMOVAL_PAUSE_MS)
      }
    }
  }
}
