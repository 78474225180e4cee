/** The container engine, in the few words that this package needs. The only importer of dockerode. */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { DeadlineError, withDeadline } from '@horde/kit/time'
import Docker from 'dockerode'
import { type EngineFacts, engineFacts } from '../host/engine-facts.ts'

/** The engine's answers for what does not exist, and for a container that does not run, or is being removed by somebody else. */
const NOT_FOUND = 404
const CONFLICT = 409

/** How long the engine may take to answer a call that waits for nothing else, in ms, where no setting says so. */
const CALL_MS = 60_000

export type ContainerOptions = Docker.ContainerCreateOptions & {
  HostConfig?: Docker.HostConfig & { CgroupnsMode?: 'private' | 'host' }
}

/** The engine refused, or could not be reached. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  /** The status of the engine's answer; undefined when it did not answer. */
  readonly status: number | undefined
  /** Set when the call took too long: settles when the engine answers after all. It may still do what it was asked for. */
  readonly lateAnswer: Promise<unknown> | undefined

  constructor(
    message: string,
    options: { status?: number | undefined; lateAnswer?: Promise<unknown> | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.status = options.status
    this.lateAnswer = options.lateAnswer
  }
}

/** What the engine knows of an image. */
export interface ImageFacts {
  /** `sha256:…`, of its content on this host. */
  id: string
  /** The names that it has here, `repository:tag`. */
  tags: readonly string[]
  /** The names under which a registry has it, `repository@sha256:…`; none of one that was made here. */
  digests: readonly string[]
  user: string
  /** Name=value. */
  env: readonly string[]
  /** The folders that its containers get a volume for. */
  volumes: readonly string[]
}

/** One event of a pull. */
export interface PullEvent {
  status?: string
  /** A layer's short id; of the first event, the tag. */
  id?: string
  progressDetail?: { current?: number; total?: number }
  /** Set on the last event of a pull that failed in the middle: it ends like any other. */
  error?: string
}

/** How a container ended. */
export interface ContainerEnd {
  exitCode: number
  outOfMemory: boolean
  /** By the engine's clock, ISO 8601. */
  finishedAt: string
}

export interface Labelled {
  /** The id of a container, the name of a volume. */
  id: string
  labels: Record<string, string>
}

export class Engine {
  readonly #docker: Docker
  readonly #callMs: number

  /**
   * Uses the engine that DOCKER_HOST names, as every Docker client does, or the local one. Connects at the first call.
   *
   * @param options.callMs how long the engine may take to answer a call that waits for nothing else, in ms
   */
  constructor({ callMs = CALL_MS }: { callMs?: number } = {}) {
    this.#docker = new Docker()
    this.#callMs = callMs
  }

  /** Where it is: the path of its socket, or a URL. */
  async address(): Promise<string> {
    // Where nothing names a socket, the client looks for one.
    const modem = this.#docker.modem as unknown as { getSocketPath(): Promise<string> | undefined }
    const { protocol, host, port } = this.#docker.modem as Docker.DockerOptions
    return (await modem.getSocketPath()) ?? `${protocol}://${host}:${port}`
  }

  /** Rejects when it does not answer. */
  async ping(): Promise<void> {
    await this.#call('asking the engine for an answer', this.#docker.ping())
  }

  async facts(): Promise<EngineFacts> {
    const questions = Promise.all([this.#docker.info(), this.#docker.version()])
    return engineFacts(...(await this.#call('asking the engine about itself', questions)))
  }

  /** An image by its name or id; undefined when the engine does not have it. */
  async image(name: string): Promise<ImageFacts | undefined> {
    try {
      const image = await this.#call('looking for an image', this.#docker.getImage(name).inspect())
      // What an image says of itself is optional, all of it.
      const { User, Env, Volumes } = image.Config ?? {}
      return {
        id: image.Id,
        tags: image.RepoTags ?? [],
        digests: image.RepoDigests ?? [],
        user: User ?? '',
        env: Env ?? [],
        volumes: Object.keys(Volumes ?? {}),
      }
    } catch (error) {
      if (error instanceof EngineError && error.status === 404) return undefined
      throw error
    }
  }

  /**
   * The events of a pull, as the engine tells them; it may be long until the first. Ending the iteration ends the pull,
   * and so does the signal, the only deadline that there is.
   */
  async *pull(name: string, credentials: object | undefined, signal: AbortSignal): AsyncGenerator<PullEvent> {
    const options = { abortSignal: signal, ...(credentials && { authconfig: credentials }) }
    const stream = (await this.#docker.pull(name, options).catch(error => {
      throw engineError('starting a pull', error)
    })) as Readable
    const stop = () => stream.destroy(signal.reason as Error)
    signal.addEventListener('abort', stop, { once: true })
    try {
      signal.throwIfAborted()
      let rest = ''
      for await (const chunk of stream.setEncoding('utf8')) {
        const lines = `${rest}${chunk}`.split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line.trim() !== '') yield JSON.parse(line)
      }
      if (rest.trim() !== '') yield JSON.parse(rest)
    } finally {
      signal.removeEventListener('abort', stop)
      stream.destroy()
    }
  }

  /** Removes a name of an image, and with its last name the image. Rejects with status 409 while that is in use. */
  async removeImage(name: string): Promise<void> {
    await unlessGone(this.#call('removing an image', this.#docker.getImage(name).remove({ force: false })), [NOT_FOUND])
  }

  /** The ids of all images that there is a container of, be it one that does not run. */
  async imagesInUse(): Promise<Set<string>> {
    const list = await this.#call('listing containers', this.#docker.listContainers({ all: true }))
    return new Set(list.map(({ ImageID }) => ImageID))
  }

  /** Makes a local volume, by what its driver takes as options; without any it is a folder on the engine's disk. */
  async createVolume(
    name: string,
    labels: Record<string, string>,
    driverOptions: Record<string, string> = {},
  ): Promise<void> {
    const options = { Name: name, Driver: 'local', Labels: labels, DriverOpts: driverOptions }
    await this.#call('creating a volume', this.#docker.createVolume(options))
  }

  /** The folder in which the engine keeps a volume on its host. */
  async folderOfVolume(name: string): Promise<string> {
    return (await this.#call('looking at a volume', this.#docker.getVolume(name).inspect())).Mountpoint
  }

  /** Makes an image of a tar of its root. */
  async importImage(tar: Readable, name: string): Promise<void> {
    const [repo, tag] = name.split(':')
    const told = (await this.#call('importing an image', this.#docker.importImage(tar, { repo, tag }))) as Readable
    await this.#call('importing an image', told.setEncoding('utf8').toArray())
  }

  /**
   * Gives the new container's id.
   *
   * @param name by which the container can also be found when the engine's answer does not come
   */
  async createContainer(options: ContainerOptions, name?: string): Promise<string> {
    // Said so, the client puts the options into the body alone; else into the URL as well, which the engine takes up to 1 MiB.
    const query = name === undefined ? {} : { name }
    const bodyOnly: Docker.ContainerCreateOptions & { _query: object; _body: object } = {
      _query: query,
      _body: options,
    }
    return (await this.#call('creating a container', this.#docker.createContainer(bodyOnly))).id
  }

  /** Unpacks a tar stream in a container that need not run. `signal` ends it. */
  async putArchive(id: string, tar: Readable, path: string, signal: AbortSignal): Promise<void> {
    const put = this.#docker.getContainer(id).putArchive(tar, { path, abortSignal: signal })
    await put.catch(error => {
      signal.throwIfAborted()
      throw engineError('unpacking into a container', error)
    })
  }

  /** A file or folder of a container, which need not run, as a tar stream. */
  async getArchive(id: string, path: string): Promise<Readable> {
    const tar = await this.#call('reading from a container', this.#docker.getContainer(id).getArchive({ path }))
    return tar as unknown as Readable
  }

  /** The permissions of a file or folder of a container, which need not run: the lower nine bits of its mode. */
  async permissionsOf(id: string, path: string): Promise<number> {
    const answer = await this.#call('looking into a container', this.#docker.getContainer(id).infoArchive({ path }))
    const { headers } = (answer as unknown as IncomingMessage).resume()
    const stat = Buffer.from(String(headers['x-docker-container-path-stat']), 'base64').toString()
    return JSON.parse(stat).mode & 0o777
  }

  /** A container's stdout and stderr as the engine interleaves them. Attach before the start, and nothing is lost. */
  async attach(id: string, signal?: AbortSignal): Promise<Readable> {
    const options = { stream: true, stdout: true, stderr: true, ...(signal ? { abortSignal: signal } : {}) }
    const output = await this.#call('attaching to a container', this.#docker.getContainer(id).attach(options))
    return output as unknown as Readable
  }

  async start(id: string): Promise<void> {
    await this.#call('starting a container', this.#docker.getContainer(id).start())
  }

  /** Resolves when a started container has ended. Rejects without a status when the engine goes away before. */
  async waitForEnd(id: string, signal: AbortSignal): Promise<void> {
    // The answer is read as a stream: the client's own `wait` never settles when the connection is cut in its middle.
    const options = { condition: 'not-running' }
    const request = { path: `/containers/${id}/wait?`, method: 'POST', isStream: true, abortSignal: signal }
    try {
      const answer = await new Promise<Readable>((resolve, reject) => {
        const heard = (error: unknown, told: unknown) => (error ? reject(error) : resolve(told as Readable))
        this.#docker.modem.dial({ ...request, options, statusCodes: { 200: true } }, heard)
      })
      JSON.parse(await text(answer))
    } catch (error) {
      signal.throwIfAborted()
      throw engineError('waiting for a container', error)
    }
  }

  async endOf(id: string): Promise<ContainerEnd> {
    const { State } = await this.#call('looking at a container', this.#docker.getContainer(id).inspect())
    return { exitCode: State.ExitCode, outOfMemory: State.OOMKilled, finishedAt: State.FinishedAt }
  }

  /**
   * Whether the engine sent an ended container a signal, for its operator or because it stops itself. It remembers the
   * last few dozen of such events.
   *
   * @param finishedAt as endOf told it
   */
  async wasSignalled(id: string, finishedAt: string): Promise<boolean> {
    const until = Math.ceil(Date.parse(finishedAt) / 1_000)
    const filters = { container: [id], event: ['kill'] }
    const told = await this.#call('asking for events', this.#docker.getEvents({ since: 1, until, filters }))
    return (await this.#call('asking for events', text(told as Readable))).trim() !== ''
  }

  /** What a container has written to its own root so far, in bytes; the engine goes through all its files for it. */
  async writtenBytes(id: string): Promise<number> {
    const options = { size: true } as Docker.ContainerInspectOptions
    const told = await this.#call('measuring a container', this.#docker.getContainer(id).inspect(options))
    return (told as { SizeRw?: number }).SizeRw ?? 0
  }

  async isRunning(id: string): Promise<boolean> {
    try {
      return (await this.#call('looking at a container', this.#docker.getContainer(id).inspect())).State.Running
    } catch (error) {
      if (error instanceof EngineError && error.status === 404) return false
      throw error
    }
  }

  /** SIGKILL. A container that does not run any more is as good as killed. */
  async kill(id: string): Promise<void> {
    await unlessGone(this.#call('killing a container', this.#docker.getContainer(id).kill({ signal: 'SIGKILL' })))
  }

  /** Removes a container, also a running one, with its anonymous volumes. */
  async removeContainer(id: string): Promise<void> {
    await unlessGone(this.#call('removing a container', this.#docker.getContainer(id).remove({ force: true, v: true })))
  }

  /** Removes a volume. Rejects with status 409 while a container uses it. */
  async removeVolume(name: string): Promise<void> {
    await unlessGone(this.#call('removing a volume', this.#docker.getVolume(name).remove({ force: true })), [NOT_FOUND])
  }

  async containersWith(label: string): Promise<Labelled[]> {
    const list = await this.#call(
      'listing containers',
      this.#docker.listContainers({ all: true, filters: { label: [label] } }),
    )
    return list.map(({ Id, Labels }) => ({ id: Id, labels: Labels }))
  }

  async volumesWith(label: string): Promise<Labelled[]> {
    const { Volumes } = await this.#call('listing volumes', this.#docker.listVolumes({ filters: { label: [label] } }))
    return (Volumes ?? []).map(({ Name, Labels }) => ({ id: Name, labels: Labels ?? {} }))
  }

  async #call<T>(what: string, answer: Promise<T>): Promise<T> {
    try {
      return await withDeadline(answer, this.#callMs, what)
    } catch (error) {
      throw engineError(what, error, error instanceof DeadlineError ? answer : undefined)
    }
  }
}

function engineError(what: string, cause: unknown, lateAnswer?: Promise<unknown>): EngineError {
  const { statusCode: status, json, message } = cause as { statusCode?: number; json?: unknown; message?: string }
  const told = (json as { message?: unknown } | undefined)?.message
  return new EngineError(`${what}: ${typeof told === 'string' ? told : message}`, { status, lateAnswer, cause })
}

/** `gone`: the answers that say that nothing is left to do. */
async function unlessGone(removal: Promise<unknown>, gone = [NOT_FOUND, CONFLICT]): Promise<void> {
  await removal.catch(error => {
    if (!(error instanceof EngineError && error.status !== undefined && gone.includes(error.status))) throw error
  })
}
