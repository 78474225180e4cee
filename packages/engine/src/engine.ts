/** A container engine, in the few operations that executors and miners need. `connect.ts` opens one. */
import { Containers } from './containers.ts'
import type { EngineCalls } from './engine-calls.ts'
import { type EngineFacts, engineFacts } from './engine-facts.ts'
import { Images } from './images/images.ts'
import { Volumes } from './volumes.ts'

/** Every call rejects with EngineError, except where it says otherwise. */
export class Engine implements AsyncDisposable {
  /** Where the engine is: `unix:///var/run/docker.sock`, `tcp://host:port`, `ssh://user@host:port`. */
  readonly url: string
  readonly containers: Containers
  readonly images: Images
  readonly volumes: Volumes
  readonly #calls: EngineCalls

  constructor(calls: EngineCalls) {
    this.url = calls.url
    this.containers = new Containers(calls)
    this.images = new Images(calls)
    this.volumes = new Volumes(calls)
    this.#calls = calls
  }

  /** Resolves when the engine answers. */
  async ping(): Promise<void> {
    await this.#calls.call('pinging the engine', () => this.#calls.docker.ping())
  }

  /** Returns what the engine reports about itself and its host. The engine may start programs to find out. */
  async facts(): Promise<EngineFacts> {
    const { docker } = this.#calls
    const ask = () => Promise.all([docker.info(), docker.version()])
    return engineFacts(...(await this.#calls.call('asking the engine about itself', ask)))
  }

  /** Returns the address of the engine's bridge on its own host; undefined when the engine does not report it. */
  async bridgeAddress(): Promise<string | undefined> {
    const { docker } = this.#calls
    const { IPAM } = await this.#calls.call('asking for the bridge', () => docker.getNetwork('bridge').inspect())
    const { Gateway, Subnet } = (IPAM?.Config?.[0] ?? {}) as { Gateway?: string; Subnet?: string }
    // Older engines leave the gateway of the default bridge out; it is the first address of the subnet.
    return Gateway ?? Subnet?.replace(/\.\d+\/\d+$/, '.1')
  }

  /** Closes the SSH tunnel, where there is one. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#calls.close()
  }
}
