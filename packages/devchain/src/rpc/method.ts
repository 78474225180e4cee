import { z } from 'zod'
import type { Chain } from '../chain/chain.ts'
import { fromHex, type Hex } from '../scale/bytes.ts'
import type { Reader } from '../state/state.ts'
import { unknownBlock } from './rpc-error.ts'

/** What methods work with. */
export interface Node {
  chain: Chain
  metadata: Uint8Array
}

/** The caller's side of a subscription; one connection may have many. */
export interface Subscriber {
  /** Opens a subscription: `start` gets a way to send and returns what ends it. @returns its id */
  subscribe(notification: string, start: (send: (result: unknown) => void) => () => void): string
  unsubscribe(id: string): boolean
}

export interface Method {
  params: z.ZodType
  /** `params` have passed the schema. Without a subscriber (plain HTTP) subscriptions are not offered. */
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

/** Substrate takes hex without its 0x as well. */
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

/** Positional parameters, of which the last ones may be missing or null. */
export function positional<T extends [z.ZodType, ...z.ZodType[]]>(...items: T): z.ZodTuple<T> {
  return z.tuple(items)
}

/** At most `most` items; their number is looked at before any of them is. */
export const list = <T extends z.ZodType>(item: T, most: number) => z.array(z.unknown()).max(most).pipe(z.array(item))

export const optional = <T extends z.ZodType>(schema: T) => schema.nullish()
export const nothing = z.array(z.unknown()).max(0)

/** The state after a block, the newest by default. @throws RpcError for a block whose state is not known */
export function readerAt({ chain }: Node, hash: Hex | null | undefined): Reader {
  const reader = chain.reader(hash ?? undefined)
  if (!reader) throw unknownBlock(hash ?? '')
  return reader
}
