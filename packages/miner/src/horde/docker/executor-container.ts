/** The container that an executor lives in. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { ContainerOptions } from '@horde/engine/containers'
import type { ExecutorOrder } from '../manager.ts'

/** Its value is the miner's name for itself: only its own containers are ever taken over or removed. */
export const OWNER_LABEL = 'compute-horde.miner'
const CLASS_LABEL = 'compute-horde.class'
/** By it a miner that was restarted finds the executor of a job. Labels are shown to many; the token is a credential. */
export const TOKEN_LABEL = 'compute-horde.token-sha256'

/** Tells the containers of this run of the miner from those of earlier ones. */
export const RUN_LABEL = 'compute-horde.run'
export const THIS_RUN = randomUUID()

/** What the executors of a host remember outlives their containers, in a volume; where the image expects it. */
const STATE_VOLUME = 'compute-horde-executor-state'
const STATE_FOLDER = '/var/lib/compute-horde'
/** Where an executor finds its host's engine. */
const SOCKET = '/var/run/docker.sock'
/**
 * Of an executor itself; its jobs have their own. With the largest input and 64 MiB of output it takes about 300 MiB; the rest is
 * for operators who allow more output.
 */
const MEMORY_BYTES = 1024 * 1024 * 1024
const PIDS = 128
const KEPT_LOG_BYTES = '10m'

/** What a container of the executor image is to run. */
export interface ExecutorProgram {
  args: readonly string[]
  environment: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
}

/** The program for one order of the miner. */
export function programOf({ environment, minerAddress, token, executorClass }: ExecutorOrder): ExecutorProgram {
  return {
    args: [],
    environment: { ...environment, MINER_ADDRESS: minerAddress, EXECUTOR_TOKEN: token },
    labels: { [CLASS_LABEL]: executorClass, [TOKEN_LABEL]: tokenHash(token) },
  }
}

/** The value of a token's label. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

/** Known before the engine's answer, so that also a container whose id never came can be removed. */
export function newContainerName(): string {
  return `compute-horde-executor-${randomBytes(6).toString('hex')}`
}

/**
 * An executor serves a stranger and holds the engine's socket: it gets that, a volume for what executors remember, a /tmp on
 * the engine's disk, which goes with it, and no more memory and processes than its work takes. The GPUs are its jobs'.
 *
 * @param host the image, whose containers these are, the network that they join, and the engine's socket on its own host
 */
export function containerOptions(
  { args, environment: wanted, labels }: ExecutorProgram,
  host: { image: string; owner: string; socket: string; network: string | undefined },
): ContainerOptions {
  const environment: Record<string, string> = { ...wanted, DOCKER_HOST: `unix://${SOCKET}` }
  const stateFolder = environment.STATE_FOLDER ?? STATE_FOLDER
  return {
    Image: host.image,
    Cmd: [...args],
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    Labels: { [OWNER_LABEL]: host.owner, [RUN_LABEL]: THIS_RUN, ...labels },
    HostConfig: {
      ...(host.network === undefined ? {} : { NetworkMode: host.network }),
      // Not among the binds: of those the engine makes a folder where the socket is missing.
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

/** What no container of a miner may do: write to its root, gain privileges, swap, or take more memory and processes. */
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
