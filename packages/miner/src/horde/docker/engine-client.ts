/** A container engine, here or elsewhere, in the few words that the miner needs. The only importer of dockerode. */
import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type Log, silentLog } from '@horde/kit/log'
import { type Clock, DeadlineError, systemClock, withDeadline } from '@horde/kit/time'
import type { default as Docker } from 'dockerode'
import { type EngineAddress, engineUrl, type TlsEngine } from './engine-address.ts'
import { EngineError, engineError, isBrokenOff } from './engine-error.ts'
import { SshTunnel } from './ssh/ssh-tunnel.ts'

/** How long the engine may take to answer a call that waits for nothing else, in milliseconds. */
const CALL_MS = 60_000
const NOT_FOUND = 404
/** What the engine answers for a container that is stopped, or gone, already. */
const ALREADY_DONE = [304, NOT_FOUND, 409]

export type ContainerOptions = Docker.ContainerCreateOptions

export interface FoundContainer {
  id: string
  /** created, running, paused, restarting, removing, exited or dead. */
  state: string
  labels: Readonly<Record<string, string>>
}

export interface FoundImage {
  /** `name@sha256:…`, one for each repository that it was pulled from or pushed to. */
  digests: readonly string[]
}

export interface EngineFacts {
  version: string
  /** Where it keeps images and containers, on its own host. */
  dataFolder: string
}

/** One event of a pull. */
export interface PullEvent {
  status?: string
  /** A layer's short id. */
  id?: string
  progressDetail?: { current?: number; total?: number }
  /** Set on the last event of a pull that failed in the middle: it ends like any other. */
  error?: string
}

export interface EngineClient extends AsyncDisposable {
  /** For logs. */
  readonly url: string
  /** The engine's socket on its own host. */
  readonly socket: string
  facts(): Promise<EngineFacts>
  /** Gives the id. */
  createContainer(options: ContainerOptions): Promise<string>
  startContainer(id: string): Promise<void>
  /** SIGTERM, and SIGKILL after so many milliseconds. One that does not run is as good as stopped. */
  stopContainer(id: string, withinMs: number): Promise<void>
  /** By id or name, also a running one, with its anonymous volumes. One that is gone is as good as removed. */
  removeContainer(id: string): Promise<void>
  /** Those that run and those that do not. */
  containersWith(label: string): Promise<FoundContainer[]>
  /** Resolves with the exit code of a started container when it has ended. The signal is the only deadline. */
  waitForEnd(id: string, signal: AbortSignal): Promise<number>
  /** What a container says from now on, stdout and stderr as the engine interleaves them. */
  output(id: string, signal: AbortSignal): Promise<Readable>
  /** Undefined: the engine does not have it. */
  findImage(name: string): Promise<FoundImage | undefined>
  /** The events of a pull, as the engine tells them. The signal is the only deadline; ending the iteration ends the pull. */
  pull(name: string, signal: AbortSignal): AsyncGenerator<PullEvent>
  /** The address of the engine's bridge on its own host; undefined when it tells none. */
  bridgeAddress(): Promise<string | undefined>
}

/**
 * Every call rejects with EngineError, whose message is for the operator. An engine that can not be reached is found out
 * by the first call.
 *
 * @throws Error when what it takes to get there is not to be had on this machine: files that are missing
 */
export async function engineClient(
  address: EngineAddress,
  { clock = systemClock, log = silentLog }: { clock?: Clock; log?: Log } = {},
): Promise<EngineClient> {
  // Loaded here, so that a miner with another manager does without it.
  const { default: Engine } = await import('dockerode')
  const way = await wayTo(address, { clock, log })
  // All that the client would otherwise take from DOCKER_HOST and its like.
  const nothing = { host: undefined, port: undefined, ca: undefined, cert: undefined, key: undefined }
  const docker = new Engine({ ...nothing, ...way.options } as Docker.DockerOptions)
  return clientOf(docker, way, {
    url: engineUrl(address),
    socket: 'socket' in address ? address.socket : address.remoteSocket,
    clock,
  })
}

interface Way {
  options: Docker.DockerOptions
  /** Why calls break off, where the way knows it. */
  trouble?(): Promise<string | undefined>
  /** Resolves when calls can be made. */
  ready(): Promise<void>
  close(): Promise<void>
}

async function wayTo(address: EngineAddress, dependencies: { clock: Clock; log: Log }): Promise<Way> {
  const nothing = async () => {}
  if ('socket' in address) {
    return { options: { socketPath: address.socket, protocol: 'http' }, ready: nothing, close: nothing }
  }
  if ('tls' in address) return { options: await tlsOptions(address), ready: nothing, close: nothing }
  const tunnel = await SshTunnel.open(address, dependencies)
  return {
    options: { socketPath: tunnel.socket, protocol: 'http' },
    trouble: () => tunnel.trouble(),
    ready: () => tunnel.ready(),
    close: () => tunnel[Symbol.asyncDispose](),
  }
}

async function tlsOptions({ tls: { host, port, ca, cert, key } }: TlsEngine): Promise<Docker.DockerOptions> {
  const read = (path: string) =>
    readFile(path, 'utf8').catch(cause => {
      throw new Error(`${path}, for tls, can not be read`, { cause })
    })
  return { protocol: 'https', host, port, ca: await read(ca), cert: await read(cert), key: await read(key) }
}

type ClientOptions = { url: string; socket: string; clock: Clock }

function clientOf(docker: Docker, way: Way, { url, socket, clock }: ClientOptions): EngineClient {
  const failed = (what: string) => async (error: unknown) => {
    throw engineError(what, url, error, isBrokenOff(error) ? await way.trouble?.() : undefined)
  }
  const call = async <T>(what: string, ask: () => Promise<T>, withinMs = CALL_MS): Promise<T> => {
    await way.ready().catch(failed(what))
    const answer = ask()
    try {
      return await withDeadline(answer, withinMs, what, clock)
    } catch (error) {
      if (!(error instanceof DeadlineError)) return failed(what)(error)
      const message = `${what}: the engine at ${url} could not be asked: ${error.message}`
      throw new EngineError(message, { cause: error, lateAnswer: answer })
    }
  }
  const container = (id: string) => docker.getContainer(id)
  return {
    url,
    socket,
    facts: async () => {
      const { ServerVersion, DockerRootDir } = (await call('asking about itself', () => docker.info())) as Info
      return { version: ServerVersion ?? 'of an unknown version', dataFolder: DockerRootDir ?? '/' }
    },
    createContainer: async options => (await call('creating a container', () => docker.createContainer(options))).id,
    startContainer: async id => void (await call('starting a container', () => container(id).start())),
    stopContainer: (id, withinMs) => {
      const stop = () => container(id).stop({ t: Math.ceil(withinMs / 1000) })
      return call('stopping a container', stop, withinMs + CALL_MS).catch(unlessDone)
    },
    removeContainer: id =>
      call('removing a container', () => container(id).remove({ force: true, v: true })).catch(unlessDone),
    containersWith: async label => {
      const wanted = { all: true, filters: { label: [label] } }
      const found = await call('listing containers', () => docker.listContainers(wanted))
      return found.map(({ Id, State, Labels }) => ({ id: Id, state: State, labels: Labels }))
    },
    waitForEnd: (id, signal) =>
      way
        .ready()
        .then(() => waitForEnd(docker, id, signal))
        .catch(failed('waiting for a container')),
    output: (id, signal) => {
      const options = { stream: true, stdout: true, stderr: true, abortSignal: signal }
      return call('attaching to a container', async () => (await container(id).attach(options)) as unknown as Readable)
    },
    findImage: name =>
      call('looking for an image', () => docker.getImage(name).inspect()).then(
        ({ RepoDigests }) => ({ digests: RepoDigests ?? [] }),
        undefinedIfMissing,
      ),
    pull: async function* (name, signal) {
      try {
        await way.ready()
        yield* pull(docker, name, signal)
      } catch (error) {
        await failed('pulling an image')(error)
      }
    },
    bridgeAddress: async () => {
      const { IPAM } = await call('asking for the bridge', () => docker.getNetwork('bridge').inspect())
      const { Gateway, Subnet } = (IPAM?.Config?.[0] ?? {}) as { Gateway?: string; Subnet?: string }
      // Older engines leave the gateway of the default bridge out; it is the first address of the subnet.
      return Gateway ?? Subnet?.replace(/\.\d+\/\d+$/, '.1')
    },
    [Symbol.asyncDispose]: () => way.close(),
  }
}

type Info = { ServerVersion?: string; DockerRootDir?: string }

function undefinedIfMissing(error: unknown): undefined {
  if (error instanceof EngineError && error.status === NOT_FOUND) return undefined
  throw error
}

function unlessDone(error: unknown): void {
  const status = error instanceof EngineError ? error.status : undefined
  if (status === undefined || !ALREADY_DONE.includes(status)) throw error
}

/** The answer is read as a stream: the client's own `wait` never settles when the connection is cut in its middle. */
async function waitForEnd(docker: Docker, id: string, signal: AbortSignal): Promise<number> {
  const request = { path: `/containers/${id}/wait?`, method: 'POST', isStream: true, abortSignal: signal }
  const options = { condition: 'not-running' }
  const answer = await new Promise<Readable>((resolve, reject) => {
    const heard = (error: unknown, told: unknown) => (error ? reject(error) : resolve(told as Readable))
    docker.modem.dial({ ...request, options, statusCodes: { 200: true } }, heard)
  })
  return (JSON.parse(await text(answer)) as { StatusCode: number }).StatusCode
}

async function* pull(docker: Docker, name: string, signal: AbortSignal): AsyncGenerator<PullEvent> {
  const stream = (await docker.pull(name, { abortSignal: signal })) as Readable
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
  } finally {
    signal.removeEventListener('abort', stop)
    stream.destroy()
  }
}
