/** Everything that one job needs on its host: a folder, volumes, containers. Closing it removes all of them. */
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
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import { acrossRestart, isAnswered } from '../container/engine-restart.ts'
import { memoryVolume } from '../container/sandbox.ts'
import { holderOptions, importHolderImage, outputWithMode } from './holder.ts'
import { type Identity, identityText, JOB_LABEL, NO_JOB_YET } from './identity.ts'
import { folderName } from './orphans.ts'

/** Where the holder mounts the script's volume, and the script's path in an archive for `load`. */
export const SCRIPT_FOLDER = 'script'
const SCRIPT_NAME = 'script.py'
export const SCRIPT_PATH = `${SCRIPT_FOLDER}/${SCRIPT_NAME}`

/** Where a holder mounts the volume of artifacts. */
const ARTIFACTS_PATH = '/artifacts'

/** The mode of an /output into which nothing was loaded, and of one that was prepared before the job's offer. */
const NOT_LOADED = 0o700
const MADE_AHEAD = 0o711

/** How long the engine may take to change that mode, in ms. */
const MARK_MS = 60_000

/** How often a removal is tried, and the pause between tries, in ms: a volume is in use until its container is gone. */
const REMOVAL_ATTEMPTS = 5
const REMOVAL_PAUSE_MS = 200

/** The executor and job of a workspace, and what must be known about the engine's host. */
export interface WorkspaceOwner {
  self: Identity
  /** Undefined when the workspace is prepared before the job's offer. */
  jobUuid: string | undefined
  machine: string
  hasUserNamespaces: boolean
}

/** The sizes of the volumes in memory. */
export interface WorkspaceSizes {
  outputBytes: number
  homeBytes: number
  /** Undefined when the job may not write to its input: then the input lies on the engine's disk. */
  writableVolumeBytes: number | undefined
  /** How many files and folders each volume can hold. */
  filesPerFolder: number
}

export class Workspace implements AsyncDisposable {
  /** A folder of this machine that only this user may read. */
  readonly folder: string
  readonly inputVolume: string
  readonly outputVolume: string
  readonly homeVolume: string
  readonly #scriptVolume: string
  readonly #furtherVolumes: string[] = []
  readonly #engine: Engine
  readonly #owner: WorkspaceOwner
  readonly #sizes: WorkspaceSizes
  readonly #log: Log
  /** The names of all containers that were requested: the engine may have created one whose answer is missing. */
  readonly #containers: string[] = []
  /** The creation of every container and volume, which may not have ended yet. */
  readonly #creations: Promise<unknown>[] = []
  readonly #name = `compute-horde-${randomUUID()}`
  #jobUuid: string | undefined
  #scriptMountpoint = ''
  #holder = ''
  #artifactsHolder = ''
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

  /** Creates the folder and the volumes, and starts the holder. The job's image is not needed for it. */
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

  /** The labels of what is created from now on; what exists keeps the labels that it has. */
  get labels(): Record<string, string> {
    return { [EXECUTOR_LABEL]: identityText(this.#owner.self), [JOB_LABEL]: this.#jobUuid ?? NO_JOB_YET }
  }

  /** Assigns a workspace that was prepared ahead to its job. */
  assignTo(jobUuid: string): void {
    this.#jobUuid = jobUuid
  }

  /**
   * Whether a workspace that was prepared ahead can still be used: all of it exists and runs, and the engine, which may
   * have been restarted, still has its volumes mounted. Rejects when the engine does not answer.
   */
  async isIntact(): Promise<boolean> {
    try {
      await access(this.folder)
      // A volume that was mounted again has the mode with which it was created.
      return (await this.#engine.containers.permissionsOf(this.#holder, '/output')) === MADE_AHEAD
    } catch (error) {
      if (isUnanswered(error)) throw error
      return false
    }
  }

  /**
   * The path of the raw script on the engine's own host. Only the engine uses it, to mount the one file: into a
   * read-only root there is no other way.
   */
  get scriptHostPath(): string {
    return `${this.#scriptMountpoint}/${SCRIPT_NAME}`
  }

  /** Unpacks an archive with `volume/…`, `output/…` and `script/…` into the volumes. */
  async load(tar: Readable, signal: AbortSignal): Promise<void> {
    await this.#engine.containers.putArchive(this.#holder, tar, '/', signal)
  }

  /**
   * Whether /output is still the one that was loaded. An engine that restarts (20.10 at least, with live-restore) may
   * forget that the volume is mounted, and mount an empty one for the next reader.
   */
  async hasOutput(): Promise<boolean> {
    return (await this.#engine.containers.permissionsOf(this.#holder, '/output')) !== NOT_LOADED
  }

  /** Returns /output as a tar, `output/…`, whether the job still runs or not. */
  readOutput(): Promise<Readable> {
    return this.#engine.containers.getArchive(this.#holder, '/output')
  }

  /**
   * Creates volumes in memory for the folders for which the job's image wants some. When the engine creates the job's
   * container it copies the image's files into them, and no limit of the job counts those: so all of them together get
   * the size of one home. Until the job runs they must be held, too.
   */
  async volumesFor(folders: readonly string[]): Promise<{ folder: string; volume: string }[]> {
    if (folders.length === 0) return []
    const volumes = folders.map((folder, index) => ({ folder, volume: `${this.outputVolume}-${index}` }))
    const bytes = Math.floor(this.#sizes.homeBytes / volumes.length)
    this.#furtherVolumes.push(...volumes.map(({ volume }) => volume))
    await Promise.all(volumes.map(({ volume }) => this.#createVolume(volume, bytes)))
    await this.#hold(volumes.map(({ volume }, index) => ({ volume, path: `/volumes/${index}` })))
    return volumes
  }

  /** Creates the volume in memory for the job's artifacts, as large as /output, and returns its name. */
  async addArtifacts(): Promise<string> {
    const volume = `${this.outputVolume}-artifacts`
    this.#furtherVolumes.push(volume)
    await this.#createVolume(volume, this.#sizes.outputBytes)
    this.#artifactsHolder = await this.#hold([{ volume, path: ARTIFACTS_PATH }])
    return volume
  }

  /** Returns the artifacts as a tar, `artifacts/…`. */
  readArtifacts(): Promise<Readable> {
    return this.#engine.containers.getArchive(this.#artifactsHolder, ARTIFACTS_PATH)
  }

  createContainer(options: ContainerOptions): Promise<string> {
    const name = `${this.#name}-${this.#containers.length}`
    const created = this.#engine.containers.create(options, name)
    this.#containers.push(name)
    this.#creations.push(created)
    return created
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#removed ??= this.#removeAll()
    return this.#removed
  }

  /** Creates the volumes that every job has, in memory where the job writes to them. */
  async #createVolumes(): Promise<void> {
    const { outputBytes, homeBytes, writableVolumeBytes } = this.#sizes
    await Promise.all([
      this.#createVolume(this.#scriptVolume),
      this.#createVolume(this.inputVolume, writableVolumeBytes),
      this.#createVolume(this.outputVolume, outputBytes, NOT_LOADED),
      this.#createVolume(this.homeVolume, homeBytes),
    ])
  }

  /** @param bytes the size in memory; undefined for a volume on the engine's disk */
  #createVolume(name: string, bytes?: number, mode?: number): Promise<void> {
    const options = bytes === undefined ? {} : memoryVolume(bytes, this.#sizes.filesPerFolder, mode)
    const created = this.#engine.volumes.create(name, this.labels, options)
    this.#creations.push(created)
    return created
  }

  async #startHolder(): Promise<void> {
    // Waits for both: the holder may have to be requested twice.
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

  /** Starts a container that keeps volumes mounted, and returns its id. */
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
      const message = 'the engine does not answer; the next executor of this host removes what the job has there'
      return this.#log.error(message)
    }
    await Promise.all(
      this.#containers.map(name => this.#remove('container', () => this.#engine.containers.remove(name))),
    )
    const common = [this.inputVolume, this.outputVolume, this.homeVolume, this.#scriptVolume]
    const volumes = [...common, ...this.#furtherVolumes]
    await Promise.all(volumes.map(name => this.#remove('volume', () => this.#engine.volumes.remove(name))))
  }

  /**
   * Waits until the engine has created everything: a container created after the removal would stay, with its volumes.
   */
  async #isAllAnswered(): Promise<boolean> {
    let isLate = false
    const onLate = () => {
      if (!isLate) this.#log.warn('the engine is late; waiting for what it still creates for the job, to remove it')
      isLate = true
    }
    const answers = await Promise.all(this.#creations.map(creation => isAnswered(creation, systemClock, onLate)))
    return !answers.includes(false)
  }

  async #remove(what: string, removal: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        // Wait for an engine that restarts: what is not removed now stays until the next executor comes.
        return await acrossRestart(removal, systemClock)
      } catch (err) {
        // The rest must still be removed; the next executor of this host removes what stays.
        if (isUnanswered(err) || attempt === REMOVAL_ATTEMPTS)
          return this.#log.error({ err }, `a ${what} of the job could not be removed`)
        await systemClock.sleep(REMOVAL_PAUSE_MS)
      }
    }
  }
}
