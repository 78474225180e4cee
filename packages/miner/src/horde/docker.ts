/** Executors as containers of the executor image, on an engine of this machine or another. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { type EngineAddress, socketOf } from '@horde/engine/engine-address'
import { EngineError, hasCode } from '@horde/engine/engine-error'
import type { Log } from '@horde/kit/log'
import { type Clock, withDeadline } from '@horde/kit/time'
import type { Reason } from '@horde/protocol/reasons'
import { lookThrough } from '../operator/watches/engine.ts'
import { type DockerHost, removeFailed, removeOrphans } from './docker/docker-host.ts'
import {
  containerOptions,
  type ExecutorProgram,
  newContainerName,
  probeInContainer,
  programOf,
} from './docker/executor-container.ts'
import { ExecutorImage, type LocalImages } from './docker/executor-image.ts'
import { finishTakeOver, removeEnded, runningContainer, takeOver } from './docker/running-container.ts'
import type { ProgramName } from './executor-program.ts'
import type { ExecutorManager, StartedCommand } from './manager.ts'

export type DockerManagerOptions = {
  image: string
  /** What the image is. Unset: this project's executor. */
  program?: ProgramName
  /** How long a Python executor may take from its connection until it is ready, in seconds. */
  startupSeconds?: number
  /** Whether an image that the engine lacks is pulled. */
  pullImage: boolean
  engine: EngineAddress
  /** The network that containers join. Unset: the engine's bridge. */
  network?: string | undefined
  /** The images that came from no registry, as the managers of one miner have seen them. Unset: only this manager's. */
  localImages?: LocalImages
  /** The value of a label on the containers: only this miner's are taken over or removed. */
  owner: string
  /** How long an executor may take to clean up after SIGTERM, in ms, before it is killed. */
  stopWithinMs: number
  clock: Clock
  log: Log
}

/** The default of the limit of a Python executor's start, in seconds. */
const STARTUP_SECONDS = 300
/** How long the engine may take to find the image while an offer waits for the answer, in ms. */
const ANSWER_MS = 2_000

/** Opens a manager. It leaves the containers of an earlier run alone until `takeOver`. */
export async function dockerManager(options: DockerManagerOptions): Promise<ExecutorManager> {
  // Loaded here: a miner with another manager does not need it.
  const { connectEngine } = await import('@horde/engine/connect')
  const { clock, log } = options
  const engine = await connectEngine(options.engine, { clock, log })
  const closing = new AbortController()
  const { localImages = new Set(), program = 'compute-horde', startupSeconds = STARTUP_SECONDS } = options
  const executorImage = new ExecutorImage({ ...options, localImages, engine, closed: closing.signal })
  const host: DockerHost = {
    ...options,
    network: options.network,
    program,
    startupSeconds,
    engine,
    socket: socketOf(options.engine),
    executorImage,
    orphans: new Set<string>(),
    unfinishedTakeOver: undefined,
    closed: closing.signal,
  }
  executorImage.fetchInBackground()
  const command = (name: string) => (environment: Readonly<Record<string, string>>) =>
    startContainer({ args: [name], environment, labels: {} }, host)
  return {
    takeOver: tokens => takeOver(tokens, host),
    start: order => startContainer(programOf(order, host), host),
    ...(program === 'compute-horde' && {
      preload: command('preload'),
      check: async environment => {
        await removeEnded(host)
        return command('check')(environment)
      },
    }),
    look: () => lookThrough(engine, async () => [await executorImage.look()]),
    whyNot: () => whyNot(host),
    probe: what => probeInContainer(what, host),
    close: async () => {
      closing.abort()
      await engine[Symbol.asyncDispose]()
    },
  }
}

/** Returns why no executor could be started now. A slow answer is no reason: the engine's watch waits longer. */
async function whyNot({ executorImage, clock }: DockerHost): Promise<Reason | undefined> {
  try {
    const isPresent = await withDeadline(executorImage.isPresent(), ANSWER_MS, 'looking for an image', clock)
    return isPresent ? undefined : 'executor-image-missing'
  } catch (error) {
    return error instanceof EngineError ? 'engine-away' : undefined
  }
}

async function startContainer(program: ExecutorProgram, host: DockerHost): Promise<StartedCommand> {
  const { engine } = host
  await host.executorImage.settled()
  await finishTakeOver(host)
  await removeOrphans(host)
  const name = newContainerName()
  try {
    const id = await createContainer(name, program, host)
    const output = await engine.containers.attach(id, host.closed)
    await engine.containers.start(id)
    const executor = runningContainer(id, host, output)
    void executor.exited
    return executor
  } catch (error) {
    await removeFailed(name, error, host).catch(() => {})
    throw error
  }
}

/** Creates a container. Only when the engine lacks something it looks for the image, and pulls it. */
async function createContainer(name: string, program: ExecutorProgram, host: DockerHost): Promise<string> {
  const { engine, executorImage } = host
  const options = containerOptions(program, host)
  try {
    return await engine.containers.create(options, name)
  } catch (error) {
    if (!hasCode(error, 'not-found')) throw error
    await executorImage.ensure()
    return engine.containers.create(options, name)
  }
}

/**
 * Returns the address at which containers on the engine's bridge reach this machine.
 *
 * @throws Error when the engine has no bridge on this machine, as a rootless or remote engine
 */
export async function bridgeAddress(socket: string): Promise<string> {
  const { connectEngine } = await import('@horde/engine/connect')
  await using engine = await connectEngine({ socket })
  const address = await engine.bridgeAddress()
  if (!address || !(await isOwnAddress(address))) {
    throw new Error("Docker's bridge has no address on this machine; set ADDRESS_FOR_EXECUTORS")
  }
  return address
}

/**
 * Whether an address is this machine's, by listening there: Node does not list a bridge to which no container is
 * attached.
 */
async function isOwnAddress(address: string): Promise<boolean> {
  const server = createServer().listen(0, address)
  const ours = await once(server, 'listening').then(
    () => true,
    () => false,
  )
  server.close()
  return ours
}
