/**
 * The containers that a miner creates: those of executors, and short-lived ones for probes, both without privileges.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { readOutput } from '@horde/engine/container-output'
import { type ContainerOptions, gpuRequest } from '@horde/engine/containers'
import { isRefusal } from '@horde/engine/engine-error'
import { DeadlineError, withDeadline } from '@horde/kit/time'
import { commandOf, environmentFor, type ProgramName } from '../executor-program.ts'
import { type ExecutorOrder, PROBE_MS, type Probe, type ProbeResult, ProbeTimeoutError } from '../manager.ts'
import { type DockerHost, removeFailed } from './docker-host.ts'

/** Its value names the miner: a miner takes over and removes only its own containers. */
export const OWNER_LABEL = 'compute-horde.miner'
const CLASS_LABEL = 'compute-horde.class'
/**
 * By it a restarted miner finds the executor of a job. It holds a hash: many can read labels, and a token is a
 * credential.
 */
export const TOKEN_LABEL = 'compute-horde.token-sha256'

/** Tells the containers of this run of the miner from those of earlier runs. */
export const RUN_LABEL = 'compute-horde.run'
export const THIS_RUN = randomUUID()

/** The volume that keeps the executors' state folder when their containers are removed, and where it is mounted. */
const STATE_VOLUME = 'compute-horde-executor-state'
const STATE_FOLDER = '/var/lib/compute-horde'
/** The path of the engine's socket in an executor's container. */
const SOCKET = '/var/run/docker.sock'
/**
 * The limit of an executor itself; its jobs have their own. With the largest input and 64 MiB of output it takes about
 * 300 MiB; the rest is for operators who allow more output.
 */
const MEMORY_BYTES = 1024 * 1024 * 1024
const PIDS = 128
const KEPT_LOG_BYTES = '10m'
/** The limits of a probe. */
const PROBE_MEMORY_BYTES = 256 * 1024 * 1024
const PROBE_PIDS = 64

/** What a container of the executor image runs. */
export interface ExecutorProgram {
  args: readonly string[]
  environment: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
}

/** Returns the program for one order of the miner. */
export function programOf(
  { environment, minerAddress, token, executorClass }: ExecutorOrder,
  { program, startupSeconds }: { program: ProgramName; startupSeconds: number },
): ExecutorProgram {
  return {
    args: commandOf(program, startupSeconds),
    environment: { ...environmentFor(program, environment), MINER_ADDRESS: minerAddress, EXECUTOR_TOKEN: token },
    labels: { [CLASS_LABEL]: executorClass, [TOKEN_LABEL]: tokenHash(token) },
  }
}

/** Returns the value of a token's label. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

/** Returns a new name. A container whose id never came can be removed by its name. */
export function newContainerName(): string {
  return `compute-horde-executor-${randomBytes(6).toString('hex')}`
}

/**
 * Returns the options of an executor's container. This project's executor serves unknown peers and holds the engine's socket, so
 * it gets nothing else than that, a volume for its state folder, a /tmp on the engine's disk that is removed with it,
 * and the memory and processes that its work takes. GPUs are given to its jobs, not to it.
 *
 * @param host the image, the owner, the network that the container joins, and the engine's socket on the engine's own
 * host
 */
export function containerOptions(
  { args, environment: ordered, labels }: ExecutorProgram,
  host: { image: string; program: ProgramName; owner: string; socket: string; network: string | undefined },
): ContainerOptions {
  const environment: Record<string, string> = { ...ordered, DOCKER_HOST: `unix://${SOCKET}` }
  return {
    Image: host.image,
    Cmd: [...args],
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    Labels: { [OWNER_LABEL]: host.owner, [RUN_LABEL]: THIS_RUN, ...labels },
    HostConfig: {
      ...(host.network === undefined ? {} : { NetworkMode: host.network }),
      ...(host.program === 'compute-horde' ? ownOptions(environment, host.socket) : pythonOptions(host.socket)),
      Init: true,
      LogConfig: { Type: 'json-file', Config: { 'max-size': KEPT_LOG_BYTES, 'max-file': '1' } },
    },
  }
}

/** Returns a bind of the engine's socket. Not one of `Binds`: for those the engine creates a folder where it is missing. */
function socketBind(socket: string) {
  return { Type: 'bind', Source: socket, Target: SOCKET } as const
}

function ownOptions({ STATE_FOLDER: stateFolder = STATE_FOLDER }: Record<string, string>, socket: string) {
  const Mounts = [
    socketBind(socket),
    { Type: 'volume', Source: STATE_VOLUME, Target: stateFolder },
    { Type: 'volume', Source: '', Target: '/tmp' },
  ] as const
  return { Mounts: [...Mounts], ...confined(MEMORY_BYTES, PIDS) }
}

/**
 * A Python executor is started as its own miner starts it, without limits. It binds folders of its /tmp into the job's
 * container, so that it must be the host's.
 */
function pythonOptions(socket: string) {
  return { Mounts: [socketBind(socket), { Type: 'bind' as const, Source: '/tmp', Target: '/tmp' }] }
}

/**
 * Returns limits for every container of a miner: no writes to its root, no privileges, no swap, bounded memory and
 * pids.
 */
function confined(memoryBytes: number, pids: number) {
  return {
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    Memory: memoryBytes,
    MemorySwap: memoryBytes,
    PidsLimit: pids,
  }
}

/**
 * Runs the probe to its end and removes its container.
 *
 * @throws EngineError, ProbeTimeoutError
 */
export async function probeInContainer(probe: Probe, host: DockerHost): Promise<ProbeResult> {
  const { engine, closed, clock } = host
  const name = newContainerName()
  let failure: unknown
  try {
    const id = await engine.containers.create(probeOptions(probe, host), name)
    // Attach before the start: an engine sends only what is printed from then on.
    const printed = readOutput(await engine.containers.attach(id, closed))
    printed.catch(() => {})
    await engine.containers.start(id, probe.command[0])
    const ended = engine.containers.waitForEnd(id, closed)
    ended.catch(() => {})
    const exitCode = await withDeadline(ended, PROBE_MS, `${probe.command[0]} in a container`, clock)
    return { exitCode, output: await withDeadline(printed, PROBE_MS, 'the output of a container', clock) }
  } catch (error) {
    failure = error
    if (error instanceof DeadlineError) throw new ProbeTimeoutError(error.message, { cause: error })
    if (!isRefusal(error) || error.code === 'not-found') throw error
    return error.problem === 'cannot-run' ? { missing: true } : { refused: error.message }
  } finally {
    await removeFailed(name, failure, { ...host, stopWithinMs: 0 }).catch(err =>
      host.log.debug({ err }, 'the container of a probe could not be removed'),
    )
  }
}

function probeOptions({ command, gpus }: Probe, { image, owner }: DockerHost): ContainerOptions {
  const [program = '', ...args] = command
  const hasGpus = gpus.length > 0
  return {
    Image: image,
    Entrypoint: [program],
    Cmd: args,
    // With the capability `utility` NVIDIA's runtime also adds nvidia-smi.
    Env: hasGpus ? ['NVIDIA_DRIVER_CAPABILITIES=utility'] : ['NVIDIA_VISIBLE_DEVICES=void'],
    Labels: { [OWNER_LABEL]: owner, [RUN_LABEL]: THIS_RUN },
    AttachStdout: true,
    AttachStderr: true,
    NetworkDisabled: true,
    HostConfig: {
      NetworkMode: 'none',
      // On the disk of the engine, to which executors and their jobs write.
      Mounts: [{ Type: 'volume', Source: '', Target: '/tmp' }],
      ...confined(PROBE_MEMORY_BYTES, PROBE_PIDS),
      LogConfig: { Type: 'none', Config: {} },
      ...(hasGpus && { DeviceRequests: [gpuRequest(gpus, ['gpu', 'utility'])] }),
    },
  }
}
