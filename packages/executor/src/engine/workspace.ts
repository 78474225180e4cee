/** Everything that one job needs of the host: a folder, volumes, containers. Whoever opens it closes it, and then nothing is left. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Log } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { type ContainerOptions, type Engine, EngineError } from './container.ts'
import { holderOptions, importHolderImage } from './holder.ts'
import { EXECUTOR_LABEL, type Identity, identityText, JOB_LABEL } from './identity.ts'
import { folderName } from './leftovers.ts'
import { memoryVolume } from './sandbox.ts'

/** Where the holder has the script's volume mounted; the script's path in an archive for `load`. */
export const SCRIPT_FOLDER = 'script'
const SCRIPT_NAME = 'script.py'
export const SCRIPT_PATH = `${SCRIPT_FOLDER}/${SCRIPT_NAME}`

/** How often a removal is tried, and how long it waits in between, in ms: a volume is in use until its container is gone. */
const REMOVAL_ATTEMPTS = 5
const REMOVAL_PAUSE_MS = 200

/** For whom a workspace is made, and what must be known of the engine's host. */
export interface WorkspaceOwner {
  self: Identity
  jobUuid: string
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
  readonly labels: Record<string, string>
  readonly #scriptVolume: string
  readonly #engine: Engine
  readonly #log: Log
  /** All that were ever asked for, also those that the engine is still making. */
  readonly #containers: Promise<string>[] = []
  #scriptMountpoint = ''
  #holder = ''
  #removed: Promise<void> | undefined

  private constructor(engine: Engine, folder: string, labels: Record<string, string>, log: Log) {
    const name = `compute-horde-${randomUUID()}`
    this.#engine = engine
    this.#log = log
    this.folder = folder
    this.labels = labels
    this.inputVolume = `${name}-input`
    this.outputVolume = `${name}-output`
    this.homeVolume = `${name}-home`
    this.#scriptVolume = `${name}-script`
  }

  /** Makes the folder and the volumes, and starts the holder, which needs no image of the job's. */
  static async open(engine: Engine, owner: WorkspaceOwner, sizes: WorkspaceSizes, log: Log): Promise<Workspace> {
    const folder = await mkdtemp(join(tmpdir(), folderName(owner.self)))
    const labels = { [EXECUTOR_LABEL]: identityText(owner.self), [JOB_LABEL]: owner.jobUuid }
    const workspace = new Workspace(engine, folder, labels, log)
    try {
      await workspace.#createVolumes(sizes)
      await workspace.#startHolder(owner)
      return workspace
    } catch (error) {
      await workspace[Symbol.asyncDispose]()
      throw error
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
    await this.#engine.putArchive(this.#holder, tar, '/', signal)
  }

  /** /output as a tar, `output/…`, whether the job still runs or not. */
  readOutput(): Promise<Readable> {
    return this.#engine.getArchive(this.#holder, '/output')
  }

  createContainer(options: ContainerOptions): Promise<string> {
    const created = this.#engine.createContainer(options)
    this.#containers.push(created)
    return created
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#removed ??= this.#removeAll()
    return this.#removed
  }

  async #createVolumes(sizes: WorkspaceSizes): Promise<void> {
    const { outputBytes, homeBytes, writableVolumeBytes, filesPerFolder } = sizes
    const inMemory = (bytes: number | undefined) => (bytes === undefined ? {} : memoryVolume(bytes, filesPerFolder))
    const create = (name: string, options = {}) => this.#engine.createVolume(name, this.labels, options)
    await Promise.all([
      create(this.#scriptVolume),
      create(this.inputVolume, inMemory(writableVolumeBytes)),
      create(this.outputVolume, inMemory(outputBytes)),
      create(this.homeVolume, inMemory(homeBytes)),
    ])
  }

  async #startHolder({ machine, hasUserNamespaces }: WorkspaceOwner): Promise<void> {
    const mounts = [
      { volume: this.inputVolume, path: '/volume' },
      { volume: this.outputVolume, path: '/output' },
      { volume: this.homeVolume, path: '/home' },
      { volume: this.#scriptVolume, path: `/${SCRIPT_FOLDER}` },
    ]
    const options = holderOptions(mounts, this.labels, hasUserNamespaces)
    const [holder, mountpoint] = await Promise.all([
      this.createContainer(options).catch(async error => {
        if (!(error instanceof EngineError && error.status === 404)) throw error
        await importHolderImage(this.#engine, machine)
        return this.createContainer(options)
      }),
      this.#engine.folderOfVolume(this.#scriptVolume),
    ])
    this.#holder = holder
    this.#scriptMountpoint = mountpoint
    await this.#engine.start(holder)
  }

  async #removeAll(): Promise<void> {
    await Promise.all([
      rm(this.folder, { recursive: true, force: true }),
      ...this.#containers.map(created => this.#removeContainer(created)),
    ])
    const volumes = [this.inputVolume, this.outputVolume, this.homeVolume, this.#scriptVolume]
    await Promise.all(volumes.map(name => this.#remove('volume', () => this.#engine.removeVolume(name))))
  }

  /** Waits for the engine to have made it: a container that comes after the removal would stay, and bring volumes back. */
  async #removeContainer(created: Promise<string>): Promise<void> {
    const id = await created.catch(() => undefined)
    if (id !== undefined) await this.#remove('container', () => this.#engine.removeContainer(id))
  }

  async #remove(what: string, removal: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await removal()
      } catch (err) {
        // The rest must still be removed; the next executor of this host sweeps what stays.
        if (attempt === REMOVAL_ATTEMPTS) return this.#log.error({ err }, `a ${what} of the job could not be removed`)
        await systemClock.sleep(REMOVAL_PAUSE_MS)
      }
    }
  }
}
