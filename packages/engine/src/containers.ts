/** The containers of an engine. */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { default as Docker } from 'dockerode'
import type { EngineCalls } from './engine-calls.ts'
import { hasCode } from './engine-error.ts'
import { createProblem, startProblem } from './engine-problem.ts'

/** The body of the Engine API's `/containers/create`. */
export type ContainerOptions = Docker.ContainerCreateOptions & {
  HostConfig?: Docker.HostConfig & { CgroupnsMode?: 'private' | 'host' }
}

export interface FoundContainer {
  id: string
  /** created, running, paused, restarting, removing, exited or dead. */
  state: string
  labels: Readonly<Record<string, string>>
}

/** How a container ended. */
export interface ContainerEnd {
  exitCode: number
  outOfMemory: boolean
  /** By the engine's clock, ISO 8601. */
  finishedAt: string
}

/** Takes containers by their id or their name. */
export class Containers {
  readonly #calls: EngineCalls

  constructor(calls: EngineCalls) {
    this.#calls = calls
  }

  /**
   * Creates a container and returns its id.
   *
   * @param name by which the container can also be found when the engine's answer does not come
   */
  async create(options: ContainerOptions, name?: string): Promise<string> {
    // With these two fields the client puts the options into the body alone. Otherwise it also puts them into the URL,
    // which the engine limits to 1 MiB.
    const query = name === undefined ? {} : { name }
    const request: Docker.ContainerCreateOptions & { _query: object; _body: object } = {
      _query: query,
      _body: options,
    }
    const create = () => this.#calls.docker.createContainer(request)
    return (await this.#calls.call('creating a container', create, { problem: createProblem })).id
  }

  /**
   * Starts a container. Rejects with problem `cannot-run` when its program cannot be run.
   *
   * @param program the program, if known: it distinguishes this problem from a missing hook of the engine's runtime
   */
  async start(id: string, program?: string): Promise<void> {
    await this.#calls.call('starting a container', () => this.#get(id).start(), { problem: startProblem(program) })
  }

  /** Sends SIGTERM, and SIGKILL after so many ms. Does nothing to a container that does not run. */
  async stop(id: string, withinMs: number): Promise<void> {
    const stop = () => this.#get(id).stop({ t: Math.ceil(withinMs / 1_000) })
    const options = { withinMs: withinMs + this.#calls.callMs }
    await this.#calls.call('stopping a container', stop, options).catch(unlessDone)
  }

  /** Sends SIGKILL. Does nothing to a container that does not run. */
  async kill(id: string): Promise<void> {
    await this.#calls.call('killing a container', () => this.#get(id).kill({ signal: 'SIGKILL' })).catch(unlessDone)
  }

  /** Removes a container, also a running one, with its anonymous volumes. Does nothing when it is gone. */
  async remove(id: string): Promise<void> {
    await this.#calls
      .call('removing a container', () => this.#get(id).remove({ force: true, v: true }))
      .catch(unlessDone)
  }

  /** Returns the containers that have a label, `name` or `name=value`, also those that do not run. */
  async withLabel(label: string): Promise<FoundContainer[]> {
    const wanted = { all: true, filters: { label: [label] } }
    const found = await this.#calls.call('listing containers', () => this.#calls.docker.listContainers(wanted))
    return found.map(({ Id, State, Labels }) => ({ id: Id, state: State, labels: Labels }))
  }

  /** Returns whether a container exists and runs. */
  async isRunning(id: string): Promise<boolean> {
    try {
      return (await this.#inspect(id)).State.Running
    } catch (error) {
      if (hasCode(error, 'not-found')) return false
      throw error
    }
  }

  /** Returns the environment that a container was created with. Empty when the container is gone. */
  async environmentOf(id: string): Promise<Record<string, string>> {
    try {
      const { Env } = (await this.#inspect(id)).Config
      return Object.fromEntries(Env.map(each => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)]))
    } catch (error) {
      if (hasCode(error, 'not-found')) return {}
      throw error
    }
  }

  /**
   * Resolves with the exit code when a started container has ended. Rejects with code `unreachable` when the
   * connection to the engine breaks before, and with the signal's reason. The signal is the only deadline.
   */
  async waitForEnd(id: string, signal: AbortSignal): Promise<number> {
    const doing = 'waiting for a container'
    await this.#calls.ready(doing)
    // The answer is read as a stream: the client's own `wait` never settles when the connection is cut in its middle.
    const options = { condition: 'not-running' }
    const request = { path: `/containers/${id}/wait?`, method: 'POST', isStream: true, abortSignal: signal }
    try {
      const answer = await new Promise<Readable>((resolve, reject) => {
        const settle = (error: unknown, stream: unknown) => (error ? reject(error) : resolve(stream as Readable))
        this.#calls.docker.modem.dial({ ...request, options, statusCodes: { 200: true } }, settle)
      })
      return (JSON.parse(await text(answer)) as { StatusCode: number }).StatusCode
    } catch (error) {
      signal.throwIfAborted()
      throw await this.#calls.failure(doing, error)
    }
  }

  /** Returns how a container ended. */
  async endOf(id: string): Promise<ContainerEnd> {
    const { State } = await this.#inspect(id)
    return { exitCode: State.ExitCode, outOfMemory: State.OOMKilled, finishedAt: State.FinishedAt }
  }

  /**
   * Returns whether the engine sent an ended container a signal, for its operator or because the engine itself stops.
   * It remembers the last few dozen of such events.
   *
   * @param finishedAt as `endOf` returned it
   */
  async wasSignalled(id: string, finishedAt: string): Promise<boolean> {
    const until = Math.ceil(Date.parse(finishedAt) / 1_000)
    const filters = { container: [id], event: ['kill'] }
    const ask = async () => text((await this.#calls.docker.getEvents({ since: 1, until, filters })) as Readable)
    return (await this.#calls.call('asking for events', ask)).trim() !== ''
  }

  /**
   * Returns how much a container has written to its own root, in bytes. The engine reads all its files for this.
   */
  async writtenBytes(id: string): Promise<number> {
    const options = { size: true } as Docker.ContainerInspectOptions
    const facts = await this.#calls.call('measuring a container', () => this.#get(id).inspect(options))
    return (facts as { SizeRw?: number }).SizeRw ?? 0
  }

  /**
   * Returns what a container prints from now on, stdout and stderr as the engine interleaves them
   * (`container-output.ts` takes them apart). Attach before the start, and nothing is lost. The signal ends the stream.
   */
  async attach(id: string, signal?: AbortSignal): Promise<Readable> {
    const options = { stream: true, stdout: true, stderr: true, ...(signal ? { abortSignal: signal } : {}) }
    const output = await this.#calls.call('attaching to a container', () => this.#get(id).attach(options))
    return output as unknown as Readable
  }

  /** Unpacks a tar stream in a container, which need not run. The signal is the only deadline. */
  async putArchive(id: string, tar: Readable, path: string, signal: AbortSignal): Promise<void> {
    const doing = 'unpacking into a container'
    await this.#calls.ready(doing)
    await this.#get(id)
      .putArchive(tar, { path, abortSignal: signal })
      .catch(async error => {
        signal.throwIfAborted()
        throw await this.#calls.failure(doing, error)
      })
  }

  /** Returns a file or folder of a container, which need not run, as a tar stream. */
  async getArchive(id: string, path: string): Promise<Readable> {
    const tar = await this.#calls.call('reading from a container', () => this.#get(id).getArchive({ path }))
    return tar as unknown as Readable
  }

  /**
   * Returns the permissions of a file or folder of a container, which need not run: the lower nine bits of its mode.
   */
  async permissionsOf(id: string, path: string): Promise<number> {
    const answer = await this.#calls.call('looking into a container', () => this.#get(id).infoArchive({ path }))
    const { headers } = (answer as unknown as IncomingMessage).resume()
    const stat = Buffer.from(String(headers['x-docker-container-path-stat']), 'base64').toString()
    return JSON.parse(stat).mode & 0o777
  }

  #get(id: string): Docker.Container {
    return this.#calls.docker.getContainer(id)
  }

  #inspect(id: string): Promise<Docker.ContainerInspectInfo> {
    return this.#calls.call('looking at a container', () => this.#get(id).inspect())
  }
}

/** Returns the request for GPUs, all or by their ids, as `docker run --gpus` makes it. */
export function gpuRequest(gpus: 'all' | readonly string[], capabilities: readonly string[] = ['gpu']) {
  const which = gpus === 'all' ? { Count: -1 } : { DeviceIDs: [...gpus] }
  return { Driver: 'nvidia', ...which, Capabilities: [[...capabilities]] }
}

/** A container that does not run, is gone, or is being removed by another client needs nothing more. */
function unlessDone(error: unknown): void {
  if (!hasCode(error, 'unchanged', 'not-found', 'conflict')) throw error
}
