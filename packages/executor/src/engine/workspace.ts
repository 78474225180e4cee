/** Everything that one job needs of the host: a folder, two volumes, containers. Whoever opens it closes it, and then nothing is left. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Log } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import type { ContainerOptions, Engine } from './container.ts'
import { EXECUTOR_LABEL, type Identity, identityText, JOB_LABEL } from './identity.ts'
import { folderName } from './leftovers.ts'
import { NO_COPY } from './sandbox.ts'

/** Where the loader has the script's volume mounted; the script's path in an archive for `load`. */
export const SCRIPT_FOLDER = 'script'
const SCRIPT_NAME = 'script.py'
export const SCRIPT_PATH = `${SCRIPT_FOLDER}/${SCRIPT_NAME}`

/** How often a removal is tried, and how long it waits in between, in ms: a volume is in use until its container is gone. */
const REMOVAL_ATTEMPTS = 5
const REMOVAL_PAUSE_MS = 200

export class Workspace implements AsyncDisposable {
  /** Exists on this machine, and nobody else may look into it. */
  readonly folder: string
  readonly inputVolume: string
  readonly outputVolume: string
  readonly labels: Record<string, string>
  readonly #scriptVolume: string
  readonly #engine: Engine
  readonly #log: Log
  /** All that were ever asked for, also those that the engine is still making. */
  readonly #containers: Promise<string>[] = []
  #scriptMountpoint = ''
  #loader: string | undefined
  #removed: Promise<void> | undefined

  private constructor(engine: Engine, folder: string, labels: Record<string, string>, log: Log) {
    const name = `compute-horde-${randomUUID()}`
    this.#engine = engine
    this.#log = log
    this.folder = folder
    this.labels = labels
    this.inputVolume = `${name}-input`
    this.outputVolume = `${name}-output`
    this.#scriptVolume = `${name}-script`
  }

  static async open(engine: Engine, self: Identity, jobUuid: string, log: Log): Promise<Workspace> {
    const folder = await mkdtemp(join(tmpdir(), folderName(self)))
    const labels = { [EXECUTOR_LABEL]: identityText(self), [JOB_LABEL]: jobUuid }
    const workspace = new Workspace(engine, folder, labels, log)
    try {
      const volumes = [workspace.#scriptVolume, workspace.inputVolume, workspace.outputVolume]
      const [mountpoint = ''] = await Promise.all(volumes.map(volume => engine.createVolume(volume, labels)))
      workspace.#scriptMountpoint = mountpoint
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

  /** Makes the container that is never started, through which archives get into the volumes. Any image will do. */
  async prepareLoader(image: string): Promise<string> {
    const volume = (Source: string, Target: string) => {
      return { Type: 'volume' as const, Source, Target, ReadOnly: false, VolumeOptions: { ...NO_COPY } }
    }
    this.#loader ??= await this.createContainer({
      Image: image,
      Entrypoint: ['/never-started'],
      Labels: this.labels,
      NetworkDisabled: true,
      HostConfig: {
        NetworkMode: 'none',
        Mounts: [
          volume(this.inputVolume, '/volume'),
          volume(this.outputVolume, '/output'),
          volume(this.#scriptVolume, `/${SCRIPT_FOLDER}`),
        ],
      },
    })
    return this.#loader
  }

  /** Unpacks an archive with `volume/…`, `output/…` and `script/…` into the volumes. */
  async load(tar: Readable, image: string, signal: AbortSignal): Promise<void> {
    await this.#engine.putArchive(await this.prepareLoader(image), tar, '/', signal)
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

  async #removeAll(): Promise<void> {
    await Promise.all([
      rm(this.folder, { recursive: true, force: true }),
      ...this.#containers.map(created => this.#removeContainer(created)),
    ])
    const volumes = [this.inputVolume, this.outputVolume, this.#scriptVolume]
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
