import { type Log, silentLog } from '@horde/kit/log'
import { genesisStore, writeHyperparameters } from './apply-genesis.ts'
import { type AfterRetraction, Chain } from './chain/chain.ts'
import { type Pace, startProducer } from './chain/producer.ts'
import { cryptoWaitReady } from './crypto.ts'
import { type Genesis, type Hyperparameters, hyperparametersSchema, parseGenesis } from './genesis.ts'
import { encodeMetadata } from './metadata/encode.ts'
import { drandStorage } from './pallets/drand.ts'
import { subtensorStorage } from './pallets/subtensor/storage.ts'
import { startServer } from './rpc/server.ts'
import { fromHex, type Hex } from './scale/bytes.ts'
import { autosave } from './state/autosave.ts'
import { loadState } from './state/state-file.ts'

export type { Genesis } from './genesis.ts'

export interface DevchainOptions {
  /** The address to listen on. Default: loopback only. */
  host?: string
  /** The TCP port. Default: 0, any free port. */
  port?: number
  /** The milliseconds between blocks, or a block for each extrinsic. */
  blockMs: Pace
  genesis: Genesis
  /**
   * The file that keeps the state between runs. Default: in memory. An existing file is used in place of the genesis.
   */
  stateFile?: string
  /** The distance from the best block to the final one, in blocks. Default: 0, each block is final at once. */
  finalityLag?: number
  log?: Log
}

export interface Devchain extends AsyncDisposable {
  /** ws://host:port. The same port answers plain HTTP POST. */
  url: string
  port: number
  blockNumber(): number
  headHash(): string
  /** Makes a block now, at any pace. */
  mineBlock(): Promise<void>
  /**
   * Replaces the newest blocks by one more than they were, as a fork does that wins. Their extrinsics are in the new
   * blocks again, or nowhere.
   * @throws RangeError when one of them is final
   */
  replaceBlocks(count: number, extrinsics: AfterRetraction): Promise<void>
  /** The number of extrinsics that wait for a block. */
  waiting(): number
  /** Makes a block that first sets hyperparameters of a subnet, without the chain's rules for setting them. */
  setHyperparameters(netuid: number, values: Hyperparameters): Promise<void>
  /** Makes a block that first sets the tempo of a subnet. */
  setTempo(netuid: number, tempo: number): Promise<void>
  /**
   * Makes a block that first stores the beacon's signature of a round (0x and hex), which opens commits sealed for it.
   */
  setPulse(round: number, signature: string): Promise<void>
}

const DEFAULT_HOST = '127.0.0.1'
/** The block time, in ms, that a chain with a block per extrinsic announces. */
const NOMINAL_BLOCK_MS = 1000

const EMPTY = { get: () => undefined, keys: () => [] }

/** Starts a local chain and its RPC server. @throws GenesisError, StateFileError, or what listening throws */
export async function startDevchain(options: DevchainOptions): Promise<Devchain> {
  const { host = DEFAULT_HOST, port = 0, blockMs, stateFile, finalityLag = 0, log = silentLog } = options
  const genesis = parseGenesis(options.genesis)
  await cryptoWaitReady()
  const saved = stateFile === undefined ? undefined : await loadState(stateFile)
  const chain = new Chain(saved ?? { genesisStore: genesisStore(genesis, EMPTY) }, log, finalityLag)
  const metadata = encodeMetadata(typeof blockMs === 'number' ? blockMs : NOMINAL_BLOCK_MS)

  await using opening = new AsyncDisposableStack()
  // Listens first: when the port is taken, the state file may belong to the chain that holds the port.
  const server = await startServer({ node: { chain, metadata }, log }, { host, port })
  if (stateFile !== undefined) opening.use(autosave(chain, stateFile, log))
  opening.use(server)
  opening.use(startProducer(chain, blockMs, log))
  const running = opening.move()
  return {
    url: `ws://${host.includes(':') ? `[${host}]` : host}:${server.port}`,
    port: server.port,
    blockNumber: () => chain.head.header.number,
    headHash: () => chain.head.hash,
    mineBlock: async () => {
      chain.produce(Date.now())
    },
    replaceBlocks: async (count, extrinsics) => chain.replace(count, Date.now(), extrinsics),
    waiting: () => chain.pool.size,
    setHyperparameters: async (netuid, values) => {
      const parsed = hyperparametersSchema.parse(values)
      chain.produce(Date.now(), store => writeHyperparameters(store, netuid, parsed))
    },
    setTempo: async (netuid, tempo) => {
      chain.produce(Date.now(), store => store.set(subtensorStorage.Tempo, [netuid], tempo))
    },
    setPulse: async (round, signature) => {
      const pulse = { round: BigInt(round), randomness: new Uint8Array(), signature: fromHex(signature as Hex) }
      chain.produce(Date.now(), store => {
        store.set(drandStorage.Pulses, [pulse.round], pulse)
        store.set(drandStorage.LastStoredRound, [], pulse.round)
      })
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
