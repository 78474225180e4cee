import { type Devchain, type Genesis, startDevchain } from '@horde/devchain/devchain'
import { RAO_PER_TAO } from '../src/metagraph.ts'
import { connectSubtensor, type Subtensor, type SubtensorOptions } from '../src/subtensor.ts'
import { type Hotkey, hotkeyFromUri } from '../src/wallet.ts'

export const NETUID = 12

export const alice = hotkeyFromUri('//Alice')
export const bob = hotkeyFromUri('//Bob')
export const charlie = hotkeyFromUri('//Charlie')
export const unregistered = hotkeyFromUri('//Unregistered')
export const owner = hotkeyFromUri('//Owner')

/** Stakes in TAO: Alice may set weights, Bob is a validator with less, Charlie a miner. */
const NEURONS: NonNullable<Subnet['neurons']> = [
  [alice, 50_000],
  [bob, 2_000],
  [charlie, 0],
]

type Subnet = {
  netuid?: number
  tempo?: number
  hyperparameters?: NonNullable<Genesis['subnets']>[number]['hyperparameters']
  neurons?: ReadonlyArray<readonly [Hotkey, number, { ip: string; port: number }?]>
}

export type NetworkOptions = {
  blockMs?: number | 'per-extrinsic'
  port?: number
  stateFile?: string
  subnets?: readonly Subnet[]
  /** The least stake for setting weights, in TAO. Default: 0. */
  stakeThreshold?: number
  /** How many blocks the final block is behind the best block. Default: 0. */
  finalityLag?: number
}

/** Hyperparameters without rate limits, so that a test can set weights at any time. */
export const EASY = { WeightsSetRateLimit: 0, MinAllowedWeights: 1, ServingRateLimit: 0 }

export function startNetwork(options: NetworkOptions = {}): Promise<Devchain> {
  const {
    blockMs = 'per-extrinsic',
    port = 0,
    stateFile,
    subnets = [{}],
    stakeThreshold = 0,
    finalityLag = 0,
  } = options
  const genesis: Genesis = {
    balances: { [owner.ss58]: String(1_000n * RAO_PER_TAO) },
    sudo: owner.ss58,
    stakeThreshold: String(BigInt(stakeThreshold) * RAO_PER_TAO),
    subnets: subnets.map(({ netuid = NETUID, tempo = 10, hyperparameters = EASY, neurons = NEURONS }) => ({
      netuid,
      tempo,
      hyperparameters,
      neurons: neurons.map(([hotkey, tao, axon]) => ({
        hotkey: hotkey.ss58,
        coldkey: owner.ss58,
        stake: String(BigInt(tao) * RAO_PER_TAO),
        ...(axon ? { axon } : {}),
      })),
    })),
  }
  return startDevchain({ host: '127.0.0.1', port, blockMs, finalityLag, genesis, ...(stateFile ? { stateFile } : {}) })
}

/** Connects a client with timeouts that are short enough for a test. */
export const connectTo = (endpoints: readonly string[], options: Partial<SubtensorOptions> = {}): Promise<Subtensor> =>
  connectSubtensor({
    endpoints,
    firstConnectionMs: 10_000,
    outageWaitMs: 5_000,
    inclusionTimeoutMs: 10_000,
    backoff: { minMs: 20, maxMs: 100 },
    ...options,
  })

/** Makes `size` neurons with 0, 1, 2 … TAO of stake. */
export const crowd = (size: number): Array<readonly [Hotkey, number]> =>
  Array.from({ length: size }, (_, i) => [hotkeyFromUri(`//Crowd//${i}`), i] as const)
