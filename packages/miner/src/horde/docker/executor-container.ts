/** The container of an executor. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { ContainerOptions } from '@horde/engine/containers'
import type { ExecutorOrder } from '../manager.ts'

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

/** What a container of the executor image runs. */
export interface ExecutorProgram {
  args: readonly string[]
  environment: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
}

/** Returns the program for one order of the miner. */
export function programOf({ environment, minerAddress, token, executorClass }: ExecutorOrder): ExecutorProgram {
  return {
    args: [],
    environment: { ...environment, MINER_ADDRESS: minerAddress, EXECUTOR_TOKEN: token },
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
 * Returns the options of an executor's container. The executor serves a stranger and holds the engine's socket, so it
 * gets nothing else than that, a volume for its state folder, a /tmp on the engine's disk that is removed with it, and
 * the memory and processes that its work takes. GPUs are given to its jobs, not to it.
 *
 * @param host the image, the owner, the network that the container joins, and the engine's socket on the engine's own
 * host
 */
export function containerOptions(
  { args, environment: ordered, labels }: ExecutorProgram,
  host: { image: string; owner: string; socket: string; network: string | undefined },
): ContainerOptions {
  const environment: Record<string, string> = { ...ordered, DOCKER_HOST: `unix://${SOCKET}` }
  const stateFolder = environment.STATE_FOLDER ?? STATE_FOLDER
  return {
    Image: host.image,
    Cmd: [...args],
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    Labels: { [OWNER_LABEL]: host.owner, [RUN_LABEL]: THIS_RUN, ...labels },
    HostConfig: {
      ...(host.network === undefined ? {} : { NetworkMode: host.network }),
      // Not one of the binds: for those the engine creates a folder where the socket is missing.
      Mounts: [
        { Type: 'bind', Source: host.socket, Target: SOCKET },
        { Type: 'volume', Source: STATE_VOLUME, Target: stateFolder },
        { Type: 'volume', Source: '', Target: '/tmp' },
      ],
      ...confined(MEMORY_BYTES, PIDS),
      Init: true,
      LogConfig: { Type: 'json-file', Config: { 'max-size': KEPT_LOG_BYTES, 'max-file': '1' } },
    },
  }
}

/**
 * Returns limits for every container of a miner: no writes to its root, no privileges, no swap, bounded memory and
 * pids.
 */
export function confined(memoryBytes: number, pids: number) {
  return {
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    Memory: memoryBytes,
    MemorySwap: memoryBytes,
    PidsLimit: pids,
  }
}
