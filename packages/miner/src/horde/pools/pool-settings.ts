/**
 * The settings of a pool: slots for executors of one hardware class, how its executors are started, and the executor's
 * settings that a miner passes on.
 */
import type { EngineAddress } from '@horde/engine/engine-address'
import type { ExecutorClass } from '@horde/protocol/classes'
import type { ProgramName } from '../executor-program.ts'

export type PoolSettings = {
  /** Unique among a miner's pools. */
  name: string
  executorClass: ExecutorClass
  /** How many executors may run at once. */
  count: number
  /** How many executors are kept started and connected, so that a job need not wait for a start. */
  warm: number
  /** docker, process, or the path of a module of the operator's own. */
  manager: string
  /** The image of an executor, for docker. */
  image: string
  /** What the executors run. It decides their start and their dialect. */
  program: ProgramName
  /** The folder of a Python executor, for process. */
  folder: string | undefined
  /** Where the container engine is, for docker. */
  engine: EngineAddress
  /** The GPUs of each slot, by device id. Empty: slots have no GPUs of their own. */
  gpus: readonly (readonly string[])[]
  /** Variables for the environment of its executors. */
  environment: Readonly<Record<string, string>>
  /** The host that its executors dial to reach this miner. Undefined: the one of the miner's settings. */
  address: string | undefined
}

/** The executor's settings that a miner passes on: all but the two that it sets itself. */
export const EXECUTOR_SETTINGS = [
  'EXECUTOR_GPU_DEVICE_IDS',
  'DEBUG_NO_GPU_MODE',
  'PYTHON_IMAGE',
  'PYTHON_NVIDIA_IMAGE',
  'IMAGE_ALIASES',
  'IMAGE_PULL_POLICY',
  'PULL_TIMEOUT_SECONDS',
  'REFRESH_TIMEOUT_SECONDS',
  'DOCKER_AUTH_CONFIG',
  'REQUIRE_IMAGE_DIGEST',
  'PRELOAD_IMAGES',
  'PINNED_IMAGES',
  'IMAGE_DISK_THRESHOLD_PERCENT',
  'OFFER_TIMEOUT_SECONDS',
  'WORK_TIMEOUT_SECONDS',
  'DEFAULT_TIMEOUT_SECONDS',
  'INPUT_TIMEOUT_SECONDS',
  'UPLOAD_TIMEOUT_SECONDS',
  'VOLUME_MAX_SIZE_BYTES',
  'VOLUME_MAX_FILES',
  'INPUT_CACHE_FOLDER',
  'INPUT_CACHE_MAX_BYTES',
  'INPUT_CACHE_MAX_AGE_SECONDS',
  'HF_ENDPOINT',
  'HF_ACCESS_TOKEN',
  'OUTPUT_ZIP_UPLOAD_MAX_SIZE_BYTES',
  'OUTPUT_MAX_SIZE_BYTES',
  'OUTPUT_MAX_FILES',
  'MAX_OUTPUT_BYTES',
  'ALLOW_PRIVATE_TARGETS',
  'MEMORY_LIMIT_BYTES',
  'CPU_LIMIT',
  'PIDS_LIMIT',
  'OPEN_FILES_LIMIT',
  'TMP_SIZE_BYTES',
  'SHM_SIZE_BYTES',
  'FOLDER_MAX_FILES',
  'WRITABLE_ROOT',
  'ROOT_MAX_SIZE_BYTES',
  'ROOT_WATCH_SECONDS',
  'WRITABLE_VOLUME',
  'RUNTIME',
  'KNOWN_ESCAPES',
  'HOST_CHECK_MAX_AGE_SECONDS',
  'ENGINE_CALL_SECONDS',
  'STATE_FOLDER',
  'HEALTH_ADDRESS',
  'RECONNECT_ATTEMPTS',
  'RECONNECT_DELAY_SECONDS',
  'LOG_LEVEL',
]

/** The executor's setting for its own GPUs. */
const GPU_VARIABLE = 'EXECUTOR_GPU_DEVICE_IDS'
/** The executor's setting for a warm one, which starts before its job is known. */
const AHEAD_VARIABLE = 'PREPARE_AHEAD'

/** The environment of an executor in a slot of a pool. */
export function environmentOf(
  { environment, gpus }: Pick<PoolSettings, 'environment' | 'gpus'>,
  slot: number,
  ahead: boolean,
): Record<string, string> {
  const own = gpus[slot]
  return {
    ...environment,
    ...(own && { [GPU_VARIABLE]: own.join(',') }),
    ...(ahead && { [AHEAD_VARIABLE]: 'true' }),
  }
}

/** Whether a pool may change from one settings to the other while it runs: they start the same kind of executors. */
export function areAlike(a: PoolSettings, b: PoolSettings): boolean {
  const kind = ({ executorClass, manager, image, program, folder, engine, address }: PoolSettings) =>
    JSON.stringify([executorClass, manager, image, program, folder, engine, address])
  return kind(a) === kind(b)
}
