/** The volumes of an engine. */
import type { EngineCalls } from './engine-calls.ts'
import { hasCode } from './engine-error.ts'

export interface FoundVolume {
  name: string
  labels: Readonly<Record<string, string>>
}

export class Volumes {
  readonly #calls: EngineCalls

  constructor(calls: EngineCalls) {
    this.#calls = calls
  }

  /**
   * Creates a volume of the engine's local driver.
   *
   * @param driverOptions the driver's own options; without any the volume is a folder on the engine's disk
   */
  async create(
    name: string,
    labels: Record<string, string>,
    driverOptions: Record<string, string> = {},
  ): Promise<void> {
    const options = { Name: name, Driver: 'local', Labels: labels, DriverOpts: driverOptions }
    await this.#calls.call('creating a volume', () => this.#calls.docker.createVolume(options))
  }

  /** Returns the folder in which the engine keeps a volume on its host. */
  async folderOf(name: string): Promise<string> {
    return (await this.#calls.call('looking at a volume', () => this.#calls.docker.getVolume(name).inspect()))
      .Mountpoint
  }

  /** Returns the volumes that have a label, `name` or `name=value`. */
  async withLabel(label: string): Promise<FoundVolume[]> {
    const filters = { label: [label] }
    const { Volumes } = await this.#calls.call('listing volumes', () => this.#calls.docker.listVolumes({ filters }))
    return (Volumes ?? []).map(({ Name, Labels }) => ({ name: Name, labels: Labels ?? {} }))
  }

  /** Removes a volume, or does nothing when it is gone. Rejects with code `conflict` while a container uses it. */
  async remove(name: string): Promise<void> {
    const remove = () => this.#calls.docker.getVolume(name).remove({ force: true })
    await this.#calls.call('removing a volume', remove).catch(error => {
      if (!hasCode(error, 'not-found')) throw error
    })
  }
}
