/** What a simulated miner says and understands in each dialect of link 1. */
import type { Dialect } from '@horde/protocol/handshake/dialects'

/** A validator's message, as far as a simulated miner looks at it. */
export interface Message {
  message_type: string
  job_uuid: string
  docker_run_cmd?: string[]
  volume?: { contents: string }
  /** Of an authentication in v0, and of a receipt in v2026. */
  payload?: { miner_hotkey: string; job_uuid: string }
  /** Of an authentication in v2026. */
  miner_hotkey?: string
}

export interface SimulatedDialect {
  /** What the answer that opens a connection says of the miner. */
  headers: string[]
  /** The validator's first message; any other one before it is answered with an error. */
  authentication: string
  /** Returns the miner's hotkey in it. */
  minerIn(message: Message): string
  manifest(executors: number): object
  /** Messages between the work and the result. */
  stages: readonly string[]
  /** Further fields of a result. */
  extras: object
  /**
   * Whether a validator that comes back hears all about its job again. In v0 it hears just that the job is ready or has
   * ended.
   */
  repeatsAll: boolean
  /** Whether the validator's pong behind a result shows that it has the result. In v2026 its receipt does. */
  endsByPong: boolean
}

const CLASS = 'always_on.test'

export const SIMULATED: Record<Dialect, SimulatedDialect> = {
  v0: {
    headers: [],
    authentication: 'V0AuthenticateRequest',
    minerIn: ({ payload }) => payload?.miner_hotkey ?? '',
    manifest: count => manifestOf({ executor_classes: [{ executor_class: CLASS, count }] }),
    stages: [],
    extras: {},
    repeatsAll: false,
    endsByPong: true,
  },
  v2026: {
    headers: ['X-Horde-Capabilities: 2026, large-frames'],
    authentication: 'ValidatorAuthForMiner',
    minerIn: ({ miner_hotkey }) => miner_hotkey ?? '',
    manifest: count => manifestOf({ [CLASS]: count }),
    stages: ['V0VolumesReadyRequest', 'V0ExecutionDoneRequest'],
    extras: { artifacts: {}, upload_results: {} },
    repeatsAll: true,
    endsByPong: false,
  },
}

const manifestOf = (manifest: object) => ({ message_type: 'V0ExecutorManifestRequest', manifest })
