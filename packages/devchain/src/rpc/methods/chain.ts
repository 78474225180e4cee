import { z } from 'zod'
import { blockJson, headerJson } from '../json.ts'
import {
  blockHash,
  list,
  type Method,
  method,
  type Node,
  nothing,
  optional,
  positional,
  subscription,
} from '../method.ts'

/** The most block hashes that one request may ask for. */
const MAX_NUMBERS = 16_384

/** A block number as a number or in hex. */
const blockNumber = z.union([
  z.int().nonnegative(),
  z
    .string()
    .regex(/^0x[0-9a-fA-F]{1,8}$/)
    .transform(Number),
])

const at = z.union([z.tuple([]), positional(optional(blockHash))])

function blockAt({ chain }: Node, hash: string | null | undefined) {
  return hash ? chain.block(hash as `0x${string}`) : chain.head
}

const getBlockHash = method(
  z.union([z.tuple([]), positional(optional(z.union([blockNumber, list(blockNumber, MAX_NUMBERS)])))]),
  ({ chain }, [wanted]) => {
    if (wanted === undefined || wanted === null) return chain.head.hash
    if (Array.isArray(wanted)) return wanted.map(number => chain.hashOf(number) ?? null)
    return chain.hashOf(wanted) ?? null
  },
)

const getHeader = method(at, (node, [hash]) => {
  const block = blockAt(node, hash)
  return block ? headerJson(block.header) : null
})

const getBlock = method(at, (node, [hash]) => {
  const block = blockAt(node, hash)
  return block ? blockJson(block) : null
})

const finalizedHead = method(nothing, ({ chain }) => chain.finalized.hash)

/** Sends each new best head, or each new final head. */
function heads(notification: string, kind: 'head' | 'finalized' = 'head'): Method {
  return subscription(nothing, ({ chain }, _params, subscriber) =>
    subscriber.subscribe(notification, send => {
      send(headerJson(chain[kind].header))
      return chain.onBlock(({ block }) => send(headerJson((kind === 'head' ? block : chain.finalized).header)))
    }),
  )
}

export const chainMethods: Record<string, Method> = {
  chain_getBlockHash: getBlockHash,
  chain_getHead: getBlockHash,
  chain_getHeader: getHeader,
  chain_getBlock: getBlock,
  chain_getFinalizedHead: finalizedHead,
  chain_getFinalisedHead: finalizedHead,
  chain_subscribeNewHead: heads('chain_newHead'),
  chain_subscribeNewHeads: heads('chain_newHead'),
  chain_subscribeAllHeads: heads('chain_allHead'),
  chain_subscribeFinalizedHeads: heads('chain_finalizedHead', 'finalized'),
  chain_subscribeFinalisedHeads: heads('chain_finalizedHead', 'finalized'),
}
