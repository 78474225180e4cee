/** Executors as containers of the executor image, on the engine of the miner's own machine. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Log } from '@horde/kit/log'
import { type Clock, withDeadline } from '@horde/kit/time'
import type { default as Docker } from 'dockerode'
import type { ExecutorManager, StartedExecutor } from './manager.ts'

export type DockerManagerOptions = {
  image: string
  /** The engine's socket, mounted into the executor's container at the same path. */
  socketPath: string
  /** Containers carry it as a label, so that only this miner's are ever removed. */
  owner: string
  /** How long an executor may take to clean up after SIGTERM, in milliseconds, before it is killed. */
  stopWithinMs: number
  clock: Clock
  log: Log
}

const OWNER_LABEL = 'compute-horde.miner'
const CLASS_LABEL = 'compute-horde.class'
/** What the executors of a host remember outlives their containers, in a volume; where the image expects it. */
const STATE_VOLUME = 'compute-horde-executor-state'
const STATE_FOLDER = '/var/lib/compute-horde'
const KEPT_LOG_BYTES = '10m'
/** What the engine answers for a container that is stopped, or gone, already. */
const ALREADY_DONE = [304, 404, 409]

/** Connects to the engine; dockerode is loaded here, so that a miner with another manager does without it. */
export async function dockerManager(options: DockerManagerOptions): Promise<ExecutorManager> {
  const { default: Engine } = await import('dockerode')
  const docker = new Engine({ socketPath: options.socketPath })
  await removeLeftovers(docker, options)
  return {
    start: ({ environment, minerAddress, token, executorClass }) => {
      const own = { ...environment, MINER_ADDRESS: minerAddress, EXECUTOR_TOKEN: token }
      return startContainer(docker, { args: [], environment: own, labels: { [CLASS_LABEL]: executorClass } }, options)
    },
    preload: environment => startContainer(docker, { args: ['preload'], environment, labels: {} }, options),
    check: environment => startContainer(docker, { args: ['check'], environment, labels: {} }, options),
  }
}

/**
 * The address at which containers on the engine's bridge reach this machine.
 * @throws Error when the engine has no bridge of its own here, as rootless and remote ones have not
 */
export async function bridgeAddress(socketPath: string): Promise<string> {
  const { default: Engine } = await import('dockerode')
  const { IPAM } = await new Engine({ socketPath }).getNetwork('bridge').inspect()
  const { Gateway, Subnet } = (IPAM?.Config?.[0] ?? {}) as { Gateway?: string; Subnet?: string }
  // Older engines leave the gateway of the default bridge out; it is the first address of the subnet.
  const address = Gateway ?? Subnet?.replace(/\.\d+\/\d+$/, '.1')
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

type Program = {
  args: string[]
  environment: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
}

async function startContainer(
  docker: Docker,
  { args, environment: wanted, labels }: Program,
  options: DockerManagerOptions,
): Promise<StartedExecutor> {
  const { socketPath } = options
  const environment: Record<string, string> = { ...wanted, DOCKER_HOST: `unix://${socketPath}` }
  const container = await docker.createContainer({
    name: `compute-horde-executor-${randomBytes(6).toString('hex')}`,
    Image: options.image,
    Cmd: args,
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    Labels: { [OWNER_LABEL]: options.owner, ...labels },
    HostConfig: {
      Binds: [`${socketPath}:${socketPath}`, `${STATE_VOLUME}:${environment.STATE_FOLDER ?? STATE_FOLDER}`],
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Init: true,
      LogConfig: { Type: 'json-file', Config: { 'max-size': KEPT_LOG_BYTES, 'max-file': '1' } },
    },
  })
  try {
    await forwardLog(docker, container)
    const ended = container.wait({ condition: 'next-exit' }) as Promise<{ StatusCode: number }>
    await container.start()
    return started(container, ended, options)
  } catch (error) {
    await container.remove({ force: true, v: true }).catch(() => {})
    throw error
  }
}

function started(
  container: Docker.Container,
  exit: Promise<{ StatusCode: number }>,
  { stopWithinMs, clock, log }: DockerManagerOptions,
): StartedExecutor {
  const exited = waitForExit(container, exit, log)
  const end = async () => {
    const seconds = Math.ceil(stopWithinMs / 1000)
    await container.stop({ t: seconds }).catch(toleratingDone)
    await withDeadline(exited, stopWithinMs, 'executor container exit', clock).catch(() => {})
    await container.remove({ force: true, v: true }).catch(toleratingDone)
  }
  // Whoever stops it a second time waits for the first: an engine refuses to remove what is being removed.
  let ended: Promise<void> | undefined
  const stop = () => {
    ended ??= end()
    return ended
  }
  return { id: `container ${container.id.slice(0, 12)}`, exited, stop }
}

/** An engine that restarts breaks the wait, not the container: it is asked again. */
async function waitForExit(
  container: Docker.Container,
  ended: Promise<{ StatusCode: number }>,
  log: Log,
): Promise<string> {
  try {
    return `exit code ${(await ended).StatusCode}`
  } catch (err) {
    log.warn({ err, container: container.id }, 'waiting for an executor container broke off; asking again')
  }
  try {
    return `exit code ${((await container.wait()) as { StatusCode: number }).StatusCode}`
  } catch {
    return 'its container is gone'
  }
}

/** The executor's own log lines come out where the miner's do. */
async function forwardLog(docker: Docker, container: Docker.Container): Promise<void> {
  const stream = await container.attach({ stream: true, stdout: true, stderr: true })
  docker.modem.demuxStream(stream, process.stdout, process.stdout)
  // The log of an executor is not worth its job: its end is told by the container's exit.
  stream.on('error', () => {})
}

/** Executors that an earlier run of this miner left behind: nobody waits for them any more. */
async function removeLeftovers(docker: Docker, { owner, log }: DockerManagerOptions): Promise<void> {
  const filters = { label: [`${OWNER_LABEL}=${owner}`] }
  for (const { Id } of await docker.listContainers({ all: true, filters })) {
    const container = docker.getContainer(Id)
    await container.stop().catch(toleratingDone)
    await container.remove({ force: true, v: true }).catch(toleratingDone)
    log.info({ container: Id.slice(0, 12) }, 'removed an executor container of an earlier run')
  }
}

function toleratingDone(error: unknown): void {
  const status = (error as { statusCode?: number }).statusCode
  if (status === undefined || !ALREADY_DONE.includes(status)) throw error
}
