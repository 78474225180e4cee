import { z } from 'zod'
import type { Chain } from '../chain/chain.ts'
import { fromHex, type Hex } from '../scale/bytes.ts'
import type { Reader } from '../state/state.ts'
import { unknownBlock } from './rpc-error.ts'

/** The context of a method. */
export interface Node {
  chain: Chain
  metadata: Uint8Array
}

/** The subscriptions of one connection. */
export interface Subscriber {
  /** Opens a subscription. `start` gets a function to send with and returns a function that ends it. @returns the id */
  subscribe(notification: string, start: (send: (result: unknown) => void) => () => void): string
  unsubscribe(id: string): boolean
}

export interface Method {
  params: z.ZodType
  /** `params` have passed the schema. Without a subscriber (plain HTTP) there are no subscriptions. */
  call(node: Node, params: never, subscriber: Subscriber | undefined): unknown
  subscription: boolean
}

export function method<P>(params: z.ZodType<P>, call: (node: Node, params: P) => unknown): Method {
  return { params, call, subscription: false }
}

export function subscription<P>(
  params: z.ZodType<P>,
  call: (node: Node, params: P, subscriber: Subscriber) => unknown,
): Method {
  return { params, call, subscription: true } as Method
}

/** Substrate accepts hex without 0x too. */
const prefixed = (text: string): Hex => `0x${text.toLowerCase().replace(/^0x/, '')}`

export const hex = z
  .string()
  .regex(/^(?:0x)?(?:[0-9a-fA-F]{2})*$/, 'not hex')
  .transform(prefixed)
export const blockHash = z
  .string()
  .regex(/^(?:0x)?[0-9a-fA-F]{64}$/, 'not a block hash')
  .transform(prefixed)
export const binary = hex.transform(fromHex)

/** Positional parameters. The last ones may be missing or null. */
export function positional<T extends [z.ZodType, ...z.ZodType[]]>(...items: T): z.ZodTuple<T> {
  return z.tuple(items)
}

/** A list of at most `most` items. A longer list is refused before its items are checked. */
export const list = <T extends z.ZodType>(item: T, most: number) => z.array(z.unknown()).max(most).pipe(z.array(item))

export const optional = <T extends z.ZodType>(schema: T) => schema.nullish()
export const nothing = z.array(z.unknown()).max(0)

/** Returns the state after a block (default: the newest). @throws RpcError for a block whose state is unknown */
export function readerAt({ chain }: Node, hash: Hex | null | undefined): Reader {
  const reader = chain.reader(hash ?? undefined)
  if (!reader) throw unknownBlock(hash ?? '')
  return reader
}
