import { z } from 'zod'
import { type Method, method, nothing, positional, subscription } from '../method.ts'
import { authorMethods } from './author.ts'
import { chainMethods } from './chain.ts'
import { stateMethods } from './state.ts'
import { systemMethods } from './system.ts'

/** A subscription id. Ids are strings, but some clients send numbers. */
const subscriptionId = z.union([z.string(), z.number().transform(String)])

const unsubscribe = subscription(positional(subscriptionId), (_node, [id], subscriber) => subscriber.unsubscribe(id))

const UNSUBSCRIBERS = [
  'chain_unsubscribeNewHead',
  'chain_unsubscribeNewHeads',
  'chain_unsubscribeAllHeads',
  'chain_unsubscribeFinalizedHeads',
  'chain_unsubscribeFinalisedHeads',
  'state_unsubscribeStorage',
  'state_unsubscribeRuntimeVersion',
  'chain_unsubscribeRuntimeVersion',
  'author_unwatchExtrinsic',
]

const named: Record<string, Method> = {
  ...chainMethods,
  ...stateMethods,
  ...authorMethods,
  ...systemMethods,
  ...Object.fromEntries(UNSUBSCRIBERS.map(name => [name, unsubscribe])),
}

/** Every method by its name. */
export const METHODS: ReadonlyMap<string, Method> = new Map([
  ...Object.entries(named),
  ['rpc_methods', method(nothing, () => ({ methods: [...Object.keys(named), 'rpc_methods'].sort() }))],
])
