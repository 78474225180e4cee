import type { SubmittableExtrinsic } from '@polkadot/api/types'
import type { DispatchError, EventRecord } from '@polkadot/types/interfaces'
import type { BlockRef } from '../../chain.ts'
import { ChainError } from '../../errors.ts'
import type { Hotkey } from '../../wallet.ts'
import type { NodeConnection } from '../connection.ts'
import { hashIn, heightIn, RpcError } from '../rpc.ts'
import { entryOf, readStorage } from '../storage.ts'
import { refusalInBlock, refusalOfPool } from './refusals.ts'

/** Blocks within which an extrinsic must be included; afterwards it is void. A power of 2, at least 4. */
export const ERA_BLOCKS = 16

/** The era starts at the finalized block, or at the best block if finality lags further behind than this. */
const MAX_FINALITY_LAG_BLOCKS = 6

/** A call to a pallet, as @polkadot/api builds it. */
export type Call = SubmittableExtrinsic<'promise'>

/** A signed extrinsic, with what is needed to find it on the chain. */
export type SignedExtrinsic = {
  readonly hex: string
  readonly hotkey: string
  readonly nonce: number
  /** The first block of its era. One of the next `ERA_BLOCKS` blocks can include it. */
  readonly birthBlock: number
  /** The only runtime that accepts it. */
  readonly runtime: Runtime
}

/** A version of the runtime of a chain. */
export type Runtime = { readonly genesisHash: string; readonly specVersion: number }

/**
 * Signs a call and gives it to the pool, after the account's earlier submissions. Calls `onSigned` right before it
 * sends: an error before that call means that nothing was sent.
 * @throws ChainError with the pool's reason; Unavailable when the connection was lost
 */
export function signAndSubmit(
  node: NodeConnection,
  call: Call,
  hotkey: Hotkey,
  onSigned: (signed: SignedExtrinsic) => void,
): Promise<Watched & { readonly hex: string }> {
  return afterPrevious(node, hotkey.ss58, async () => {
    const signed = await sign(node, call, hotkey)
    onSigned(signed)
    return { hex: signed.hex, ...(await watch(node, signed.hex)) }
  })
}

/** Returns the chain and runtime version of a connection. */
export const runtimeOf = ({ api }: NodeConnection): Runtime => ({
  genesisHash: api.genesisHash.toHex(),
  specVersion: api.runtimeVersion.specVersion.toNumber(),
})

/** Submits an account's extrinsics one after the other, since two at once would get the same nonce. */
async function afterPrevious<T>({ submissions }: NodeConnection, account: string, send: () => Promise<T>): Promise<T> {
  const submission = (submissions.get(account) ?? Promise.resolve()).then(send, send)
  submissions.set(account, submission)
  return submission
}

/** Signs a call. @throws ChainError Unsupported when the runtime has signed extensions that make signing impossible */
async function sign(node: NodeConnection, call: Call, hotkey: Hotkey): Promise<SignedExtrinsic> {
  const { api, rpc, unsupportedExtensions } = node
  if (unsupportedExtensions.length > 0) {
    const names = unsupportedExtensions.join(', ')
    throw new ChainError('Unsupported', `the runtime has signed extensions unknown to this version: ${names}`)
  }
  const [nonce, birth] = await Promise.all([rpc.send<number>('system_accountNextIndex', [hotkey.ss58]), eraBirth(node)])
  const era = api.registry.createType('ExtrinsicEra', { current: birth.number, period: ERA_BLOCKS })
  const extrinsic = api.registry.createType('Extrinsic', call.method, { version: api.extrinsicVersion })
  const signed = extrinsic.sign(hotkey.pair, {
    blockHash: birth.hash,
    era,
    genesisHash: api.genesisHash,
    nonce,
    runtimeVersion: api.runtimeVersion,
    tip: 0,
  })
  return { hex: signed.toHex(), hotkey: hotkey.ss58, nonce, birthBlock: birth.number, runtime: runtimeOf(node) }
}

/** Returns the block at which the era starts: the finalized one, which no fork can replace, unless finality lags. */
async function eraBirth({ rpc }: NodeConnection): Promise<{ hash: string; number: number }> {
  const answers = await Promise.all([rpc.send('chain_getFinalizedHead', []), rpc.send('chain_getBlockHash', [])])
  const [finalized = '', best = ''] = answers.map(hashIn)
  const headers = await Promise.all([finalized, best].map(hash => rpc.send('chain_getHeader', [hash])))
  const [finalizedHeight = 0, bestHeight = 0] = headers.map(heightIn)
  if (bestHeight - finalizedHeight > MAX_FINALITY_LAG_BLOCKS) return { hash: best, number: bestHeight }
  return { hash: finalized, number: finalizedHeight }
}

type Status =
  | string
  | Partial<Record<'inBlock' | 'finalized' | 'usurped' | 'broadcast' | 'retracted' | 'finalityTimeout', string>>

type Watched = { readonly inBlock: Promise<string>; unwatch(): void }

/** Gives an extrinsic to the pool. `inBlock` resolves with the hash of the block that includes it. */
async function watch({ rpc }: NodeConnection, extrinsicHex: string): Promise<Watched> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const lost = rpc.closed.then(() => Promise.reject(new ChainError('Unavailable', 'the connection was lost')))
  const inBlock = Promise.race([promise, lost])
  inBlock.catch(() => {})
  try {
    const [start, stop] = ['author_submitAndWatchExtrinsic', 'author_unwatchExtrinsic']
    const unwatch = await rpc.follow(start, stop, [extrinsicHex], status => {
      const seen = statusOf(status as Status)
      if (typeof seen === 'string') resolve(seen)
      else if (seen) reject(seen)
    })
    return { inBlock, unwatch }
  } catch (error) {
    throw error instanceof RpcError ? refusalOfPool(error) : error
  }
}

/** Returns the hash of the including block, an error, or undefined for a status that decides nothing. */
function statusOf(status: Status): string | ChainError | undefined {
  if (typeof status === 'string') {
    const isEnd = status === 'invalid' || status === 'dropped'
    return isEnd ? new ChainError('NotIncluded', `the pool reports it as ${status}`) : undefined
  }
  if (status.usurped) return new ChainError('NotIncluded', 'another extrinsic with the same nonce took its place')
  // Some pools report only finality. Either status means that a block includes it.
  return status.inBlock ?? status.finalized
}

/**
 * Reads the outcome of an extrinsic from the events of its block: the block, or the error with which the extrinsic
 * failed.
 * @throws ChainError InclusionUnknown when the block does not show the extrinsic
 */
export async function readOutcome(
  node: NodeConnection,
  extrinsicHex: string,
  blockHash: string,
): Promise<BlockRef | ChainError> {
  const events = { entry: entryOf(node.api, 'system', 'events'), args: [] }
  const number = { entry: entryOf(node.api, 'system', 'number'), args: [] }
  const [block, [records, height]] = await Promise.all([
    node.rpc.send<{ block: { extrinsics: string[] } }>('chain_getBlock', [blockHash]),
    readStorage(node, blockHash, [events, number]),
  ])
  const index = block.block.extrinsics.indexOf(extrinsicHex)
  const ends = [...((records ?? []) as Iterable<EventRecord>)].filter(
    ({ phase, event }) =>
      phase.isApplyExtrinsic &&
      phase.asApplyExtrinsic.eq(index) &&
      event.section === 'system' &&
      /^Extrinsic(Success|Failed)$/.test(event.method),
  )
  const end = ends.at(-1)
  if (index < 0 || !end) throw new ChainError('InclusionUnknown', `block ${blockHash} does not show the extrinsic`)
  if (end.event.method === 'ExtrinsicFailed') return refusalInBlock(end.event.data[0] as DispatchError)
  return { block: Number(height?.toString()), blockHash }
}
