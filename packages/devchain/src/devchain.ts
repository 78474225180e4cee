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
  /** Default: loopback only. */
  host?: string
  /** Default 0: any free port. */
  port?: number
  /** Milliseconds between blocks, or a block for each extrinsic that comes in. */
  blockMs: Pace
  genesis: Genesis
  /** Where the state is kept between runs; without it, in memory only. An existing file wins over the genesis. */
  stateFile?: string
  /** How many blocks the final one is behind the best; default 0: each block is final at once. */
  finalityLag?: number
  log?: Log
}

export interface Devchain extends AsyncDisposable {
  /** ws://host:port; the same port answers plain HTTP POST. */
  url: string
  port: number
  blockNumber(): number
  headHash(): string
  /** Makes a block now, whatever the pace. */
  mineBlock(): Promise<void>
  /**
   * Replaces the newest blocks by one more than they were, as a fork does that wins. Their extrinsics are in the new
   * blocks again, or nowhere.
   * @throws RangeError when one of them is final
   */
  replaceBlocks(count: number, extrinsics: AfterRetraction): Promise<void>
  /** Extrinsics that wait for a block. */
  waiting(): number
  /** Makes a block that begins with other hyperparameters for a subnet, whoever may set them and when. */
  setHyperparameters(netuid: number, values: Hyperparameters): Promise<void>
  /** Makes a block that begins with another tempo for a subnet. */
  setTempo(netuid: number, tempo: number): Promise<void>
  /** Makes a block that knows what the beacon signed a round with (0x and hex): commits sealed for it can be opened. */
  setPulse(round: number, signature: string): Promise<void>
}

const DEFAULT_HOST = '127.0.0.1'
/** What a chain without a rhythm of its own announces as its block time, ms. */
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
  // Listening comes first: who finds the port taken must not touch the file of the chain that holds it.
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
