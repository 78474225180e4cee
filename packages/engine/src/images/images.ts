/** The images of an engine. */
import type { Readable } from 'node:stream'
import type { EngineCalls } from '../engine-calls.ts'
import { EngineError, hasCode } from '../engine-error.ts'
import { pullProblem } from '../engine-problem.ts'

/** What the engine knows of an image. */
export interface ImageFacts {
  /** `sha256:…`, of its content on this host. */
  id: string
  /** The names that it has on this engine, `repository:tag`. */
  tags: readonly string[]
  /** The names under which a registry has it, `repository@sha256:…`; none when it was made here. */
  digests: readonly string[]
  user: string
  /** Name=value. */
  env: readonly string[]
  /** The folders for which its containers get a volume. */
  volumes: readonly string[]
}

/** One event of a pull. */
export interface PullEvent {
  status?: string
  /** A layer's short id; in the first event, the tag. */
  id?: string
  progressDetail?: { current?: number; total?: number }
}

export class Images {
  readonly #calls: EngineCalls

  constructor(calls: EngineCalls) {
    this.#calls = calls
  }

  /** Returns an image by its name or id; undefined when the engine does not have it. */
  async find(name: string): Promise<ImageFacts | undefined> {
    try {
      const inspect = () => this.#calls.docker.getImage(name).inspect()
      const image = await this.#calls.call('looking for an image', inspect)
      // An image may leave out every field of its configuration.
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
      if (hasCode(error, 'not-found')) return undefined
      throw error
    }
  }

  /**
   * Pulls an image and yields the engine's events; the first may take long. Ending the iteration ends the pull. The
   * signal is the only deadline.
   *
   * @param name with its tag or digest: without them the engine pulls all tags
   * @param credentials for the registry, as the Engine API takes them
   * @throws EngineError whose `problem` is a PullProblem, where the engine says why; the signal's reason
   */
  async *pull(name: string, credentials: object | undefined, signal: AbortSignal): AsyncGenerator<PullEvent> {
    const doing = 'pulling an image'
    const problem = pullProblem(name)
    await this.#calls.ready(doing)
    try {
      for await (const event of this.#pullEvents(name, credentials, signal)) {
        const { error: message } = event
        // A pull that fails in the middle ends like a complete one. Only the event reports the failure.
        if (message !== undefined) {
          throw new EngineError(`${doing}: ${message}`, { code: 'refused', problem: problem(message) })
        }
        yield event
      }
    } catch (error) {
      signal.throwIfAborted()
      throw await this.#calls.failure(doing, error, problem)
    }
  }

  /**
   * Removes a name of an image, and with its last name the image. Rejects with code `conflict` while that is in use.
   */
  async remove(name: string): Promise<void> {
    const remove = () => this.#calls.docker.getImage(name).remove({ force: false })
    await this.#calls.call('removing an image', remove).catch(error => {
      if (!hasCode(error, 'not-found')) throw error
    })
  }

  /** Returns the ids of all images that have a container, also one that does not run. */
  async idsInUse(): Promise<Set<string>> {
    const list = () => this.#calls.docker.listContainers({ all: true })
    return new Set((await this.#calls.call('listing containers', list)).map(({ ImageID }) => ImageID))
  }

  /** Makes an image from a tar of its root. `name` has a tag. */
  async import(tar: Readable, name: string): Promise<void> {
    const [repo, tag] = name.split(':')
    const importTar = async () => {
      const events = (await this.#calls.docker.importImage(tar, { repo, tag })) as Readable
      await events.setEncoding('utf8').toArray()
    }
    await this.#calls.call('importing an image', importTar)
  }

  /** The engine's answer to a pull: one JSON object a line. */
  async *#pullEvents(
    name: string,
    credentials: object | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<PullEvent & { error?: string }> {
    const options = { abortSignal: signal, ...(credentials && { authconfig: credentials }) }
    const stream = (await this.#calls.docker.pull(name, options)) as Readable
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
}
