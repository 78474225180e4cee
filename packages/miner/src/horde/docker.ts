/** Executors as containers of the executor image, on an engine of this machine or another. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Log } from '@horde/kit/log'
import { type Clock, withDeadline } from '@horde/kit/time'
import type { Reason } from '@horde/protocol/reasons'
import { lookThrough } from '../operator/watches/engine.ts'
import { type DockerHost, endFailed, endLeftovers } from './docker/docker-host.ts'
import type { EngineAddress } from './docker/engine-address.ts'
import { engineClient } from './docker/engine-client.ts'
import { EngineError } from './docker/engine-error.ts'
import { containerOptions, type ExecutorProgram, newContainerName, programOf } from './docker/executor-container.ts'
import { ExecutorImage, type LocalImages } from './docker/executor-image.ts'
import { probeInContainer } from './docker/probe-container.ts'
import { runningContainer } from './docker/running-container.ts'
import { endOverdue, removeEnded, takeOver } from './docker/take-over.ts'
import type { ExecutorManager, StartedExecutor } from './manager.ts'

export type DockerManagerOptions = {
  image: string
  /** Whether an image that the engine lacks is pulled. */
  pullImage: boolean
  engine: EngineAddress
  /** The engine's network that containers join. Unset: the engine's bridge. */
  network?: string | undefined
  /** What the managers of one miner know of images that came from no registry. Unset: what this manager sees itself. */
  localImages?: LocalImages
  /** Containers carry it as a label, so that only this miner's are ever taken over or removed. */
  owner: string
  /** How long an executor may take to clean up after SIGTERM, in milliseconds, before it is killed. */
  stopWithinMs: number
  clock: Clock
  log: Log
}

const NOT_FOUND = 404
/** How long the engine may take to say whether it has the image when an offer waits for its answer, in milliseconds. */
const ANSWER_MS = 2_000

/** Containers that a miner asked for before are left alone until takeOver. */
export async function dockerManager(options: DockerManagerOptions): Promise<ExecutorManager> {
  const engine = await engineClient(options.engine, options)
  const closing = new AbortController()
  const { localImages = new Set() } = options
  const executorImage = new ExecutorImage({ ...options, localImages, engine, closed: closing.signal })
  const host: DockerHost = {
    ...options,
    network: options.network,
    engine,
    executorImage,
    leftovers: new Set<string>(),
    overdue: undefined,
    closed: closing.signal,
  }
  executorImage.begin()
  const command = (name: string) => (environment: Readonly<Record<string, string>>) =>
    startContainer({ args: [name], environment, labels: {} }, host)
  return {
    takeOver: tokens => takeOver(tokens, host),
    start: order => startContainer(programOf(order), host),
    preload: command('preload'),
    check: async environment => {
      await removeEnded(host)
      return command('check')(environment)
    },
    look: () => lookThrough(engine, async () => [await executorImage.look()]),
    whyNot: () => whyNot(host),
    probe: what => probeInContainer(what, host),
    close: async () => {
      closing.abort()
      await engine[Symbol.asyncDispose]()
    },
  }
}

/** An engine that is slow to answer is no reason: its watch gives it longer. */
async function whyNot({ executorImage, clock }: DockerHost): Promise<Reason | undefined> {
  try {
    const isThere = await withDeadline(executorImage.isThere(), ANSWER_MS, 'looking for an image', clock)
    return isThere ? undefined : 'executor-image-missing'
  } catch (error) {
    return error instanceof EngineError ? 'engine-away' : undefined
  }
}

async function startContainer(program: ExecutorProgram, host: DockerHost): Promise<StartedExecutor> {
  const { engine } = host
  await host.executorImage.arrived()
  await endOverdue(host)
  await endLeftovers(host)
  const name = newContainerName()
  try {
    const id = await createContainer(name, program, host)
    const output = await engine.output(id, host.closed)
    await engine.startContainer(id)
    const executor = runningContainer(id, host, output)
    void executor.exited
    return executor
  } catch (error) {
    await endFailed(name, error, host).catch(() => {})
    throw error
  }
}

/** The image is looked for where the engine says that it lacks something: what is there is not asked for each time. */
async function createContainer(name: string, program: ExecutorProgram, host: DockerHost): Promise<string> {
  const { engine, executorImage } = host
  const options = { name, ...containerOptions(program, { ...host, socket: engine.socket }) }
  try {
    return await engine.createContainer(options)
  } catch (error) {
    if (!(error instanceof EngineError && error.status === NOT_FOUND)) throw error
    await executorImage.get()
    return engine.createContainer(options)
  }
}

/**
 * The address at which containers on the engine's bridge reach this machine.
 * @throws Error when the engine has no bridge of its own here, as rootless and remote ones have not
 */
export async function bridgeAddress(socket: string): Promise<string> {
  await using engine = await engineClient({ socket })
  const address = await engine.bridgeAddress()
  if (!address || !(await isOurs(address))) {
    throw new Error("Docker's bridge has no address on this machine; set ADDRESS_FOR_EXECUTORS")
  }
  return address
}

/** Node does not list the bridge's address while no container is attached; whether one can listen there tells it always. */
async function isOurs(address: string): Promise<boolean> {
  const server = createServer().listen(0, address)
  const ours = await once(server, 'listening').then(
    () => true,
    () => false,
  )
  server.close()
  return ours
}
