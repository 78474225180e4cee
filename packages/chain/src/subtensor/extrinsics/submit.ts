import type { SubmittableExtrinsic } from '@polkadot/api/types'
import type { DispatchError, EventRecord } from '@polkadot/types/interfaces'
import { ChainError } from '../../errors.ts'
import type { Hotkey } from '../../wallet.ts'
import { hashOf, heightOf } from '../answers.ts'
import type { Live } from '../connection.ts'
import { RpcError } from '../rpc.ts'
import { entryOf, readStorage } from '../storage.ts'
import { ensureSignable } from '../unknown-extensions.ts'
import { refusalInBlock, refusalOfPool } from './refusals.ts'

/** An extrinsic that was not included within so many blocks is void; a power of 2, at least 4. */
export const ERA_BLOCKS = 16

/** The era begins at the finalized block, unless finality is further behind than this. */
const MAX_FINALITY_LAG_BLOCKS = 6

/** A call to a pallet, as @polkadot/api builds it. */
export type Call = SubmittableExtrinsic<'promise'>

export type Included = { readonly block: number; readonly blockHash: string }

/** A signed extrinsic, and what tells later whether it is in a block. */
export type Signed = {
  readonly hex: string
  readonly hotkey: string
  readonly nonce: number
  /** The block that its era begins with; it can be in the `ERA_BLOCKS` that follow. */
  readonly birthBlock: number
  /** What it was signed for: no other runtime takes it. */
  readonly runtime: Runtime
}

/** A version of the runtime of a chain. */
export type Runtime = { readonly genesisHash: string; readonly specVersion: number }

/**
 * Signs a call and gives it to the pool, in turn with the others of its account. `onSigned` is called right before it
 * leaves: what fails earlier has had no effect.
 * @throws ChainError with the pool's reason; Unavailable when the connection was lost
 */
export function sendOnce(
  live: Live,
  call: Call,
  hotkey: Hotkey,
  onSigned: (signed: Signed) => void,
): Promise<Watched & { readonly hex: string }> {
  return inTurn(live, hotkey.ss58, async () => {
    const signed = await sign(live, call, hotkey)
    onSigned(signed)
    return { hex: signed.hex, ...(await watch(live, signed.hex)) }
  })
}

/** Which runtime of which chain a connection speaks to. */
export const runtimeOf = ({ api }: Live): Runtime => ({
  genesisHash: api.genesisHash.toHex(),
  specVersion: api.runtimeVersion.specVersion.toNumber(),
})

/** One extrinsic of an account after the other into the pool, or two would get the same nonce. */
async function inTurn<T>({ sending }: Live, account: string, send: () => Promise<T>): Promise<T> {
  const turn = (sending.get(account) ?? Promise.resolve()).then(send, send)
  sending.set(account, turn)
  return turn
}

async function sign(live: Live, call: Call, hotkey: Hotkey): Promise<Signed> {
  const { api, rpc, unknownExtensions } = live
  ensureSignable(unknownExtensions)
  const [nonce, birth] = await Promise.all([rpc.send<number>('system_accountNextIndex', [hotkey.ss58]), eraBirth(live)])
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
  return { hex: signed.toHex(), hotkey: hotkey.ss58, nonce, birthBlock: birth.number, runtime: runtimeOf(live) }
}

/** The block that the era is counted from: the finalized one, which no fork can take back. */
async function eraBirth({ rpc }: Live): Promise<{ hash: string; number: number }> {
  const answers = await Promise.all([rpc.send('chain_getFinalizedHead', []), rpc.send('chain_getBlockHash', [])])
  const [finalized = '', best = ''] = answers.map(hashOf)
  const headers = await Promise.all([finalized, best].map(hash => rpc.send('chain_getHeader', [hash])))
  const [finalizedHeight = 0, bestHeight = 0] = headers.map(heightOf)
  if (bestHeight - finalizedHeight > MAX_FINALITY_LAG_BLOCKS) return { hash: best, number: bestHeight }
  return { hash: finalized, number: finalizedHeight }
}

type Status =
  | string
  | Partial<Record<'inBlock' | 'finalized' | 'usurped' | 'broadcast' | 'retracted' | 'finalityTimeout', string>>

type Watched = { readonly inBlock: Promise<string>; unwatch(): void }

/** Gives an extrinsic to the pool. `inBlock` becomes the hash of the block that takes it in. */
async function watch({ rpc }: Live, extrinsicHex: string): Promise<Watched> {
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

/** A block's hash, an error, or undefined for a status that decides nothing. */
function statusOf(status: Status): string | ChainError | undefined {
  if (typeof status === 'string') {
    const isEnd = status === 'invalid' || status === 'dropped'
    return isEnd ? new ChainError('NotIncluded', `the pool says ${status}`) : undefined
  }
  if (status.usurped) return new ChainError('NotIncluded', 'another extrinsic with the same nonce took its place')
  // The pool may tell only of the final block; both mean that it is in.
  return status.inBlock ?? status.finalized
}

/** What a block says about an extrinsic in it: where it is, or the error that it ended with. */
export async function outcomeIn(live: Live, extrinsicHex: string, blockHash: string): Promise<Included | ChainError> {
  const events = { entry: entryOf(live.api, 'system', 'events'), args: [] }
  const number = { entry: entryOf(live.api, 'system', 'number'), args: [] }
  const [block, [records, height]] = await Promise.all([
    live.rpc.send<{ block: { extrinsics: string[] } }>('chain_getBlock', [blockHash]),
    readStorage(live, blockHash, [events, number]),
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
