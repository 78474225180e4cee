import type { ApiPromise } from '@polkadot/api'
import type { Codec, Registry } from '@polkadot/types/types'
import { ChainError } from '../errors.ts'
import { ipFromNumber } from '../ip.ts'
import type { Axon, Metagraph, Neuron, RuleInForce, ValidatorRule } from '../metagraph.ts'
import { hexToU8a } from '../polkadot/crypto.ts'
import { bestBlockHash } from './blocks.ts'
import type { NodeConnection } from './connection.ts'
import {
  accountOf,
  bigintOf,
  boolOf,
  countOf,
  entryOf,
  fieldOf,
  findEntry,
  listOf,
  type Read,
  readStorage,
} from './storage.ts'

const PALLET = 'subtensorModule'

/**
 * Reads a subnet at the best block: the block's hash, the columns, the hotkeys, then the values stored per hotkey. For
 * 256 neurons this takes four requests, and one more if the chain has the metagraph runtime API.
 * @param fallback the rule for who counts as a validator, as far as the chain has none
 * @throws ChainError SubnetNotFound
 */
export async function readMetagraph(node: NodeConnection, netuid: number, fallback: ValidatorRule): Promise<Metagraph> {
  const at = await bestBlockHash(node)
  const columns = await readColumns(node, at, netuid)
  const uids = Array.from({ length: columns.size }, (_, uid) => uid)
  const keys = entryOf(node.api, PALLET, 'keys')
  const hotkeys = (
    await readStorage(
      node,
      at,
      uids.map(uid => ({ entry: keys, args: [netuid, uid] })),
    )
  ).map(accountOf)
  const perHotkey = await readPerHotkey(node, at, netuid, hotkeys)
  const neurons = hotkeys.map((hotkey, uid): Neuron => {
    const [coldkey, axon, stake] = perHotkey[uid] ?? []
    return {
      uid,
      hotkey,
      coldkey: accountOf(coldkey),
      stakeRao: bigintOf(stake),
      validatorPermit: boolOf(columns.permits[uid]),
      lastUpdate: countOf(columns.lastUpdates[uid]),
      axon: axon ? axonOf(axon) : null,
    }
  })
  return { netuid, block: columns.block, neurons, validatorRule: ruleInForce(columns.rule, fallback) }
}

type Columns = {
  block: number
  size: number
  permits: Codec[]
  lastUpdates: Codec[]
  rule: StoredRule
}

async function readColumns(node: NodeConnection, at: string, netuid: number): Promise<Columns> {
  const column = (item: string): Read => ({ entry: entryOf(node.api, PALLET, item), args: [netuid] })
  const number: Read = { entry: entryOf(node.api, 'system', 'number'), args: [] }
  const columns = ['networksAdded', 'subnetworkN', 'validatorPermit', 'lastUpdate'].map(column)
  const { max, minStake } = ruleReads(node.api, netuid)
  const ofRule = [max, minStake].filter(read => read !== undefined)
  const [block, added, size, permits, lastUpdates, ...rule] = await readStorage(node, at, [
    number,
    ...columns,
    ...ofRule,
  ])
  if (!boolOf(added)) throw new ChainError('SubnetNotFound', `netuid ${netuid}`)
  return {
    block: countOf(block),
    size: countOf(size),
    permits: listOf(permits),
    lastUpdates: listOf(lastUpdates),
    rule: { max: max && rule.shift(), minStake: minStake && rule.shift() },
  }
}

type StoredRule = { readonly max: Codec | null | undefined; readonly minStake: Codec | null | undefined }

/** Returns which storage items hold the validator rule; undefined for each that this chain lacks. */
function ruleReads(api: ApiPromise, netuid: number): { max: Read | undefined; minStake: Read | undefined } {
  const max = findEntry(api, PALLET, 'maxAllowedValidators')
  // `weightsMinStake` is the name that chains used in 2024.
  const minStake = findEntry(api, PALLET, 'stakeThreshold') ?? findEntry(api, PALLET, 'weightsMinStake')
  return { max: max && { entry: max, args: [netuid] }, minStake: minStake && { entry: minStake, args: [] } }
}

/** Returns the validator rule: the chain's values, and those of `fallback` where the chain has none. */
function ruleInForce(stored: StoredRule, fallback: ValidatorRule): RuleInForce {
  return {
    max: stored.max ? countOf(stored.max) : fallback.max,
    minStakeRao: stored.minStake ? bigintOf(stored.minStake) : fallback.minStakeRao,
    fromChain: { max: Boolean(stored.max), minStake: Boolean(stored.minStake) },
  }
}

/** Reads each hotkey's coldkey, axon and stake. */
async function readPerHotkey(
  node: NodeConnection,
  at: string,
  netuid: number,
  hotkeys: readonly string[],
): Promise<Array<Array<Codec | null>>> {
  const { api } = node
  const owner = entryOf(api, PALLET, 'owner')
  const axons = entryOf(api, PALLET, 'axons')
  const stakeOf = stakeRead(api, netuid)
  const reads = hotkeys.flatMap(hotkey => [
    { entry: owner, args: [hotkey] },
    { entry: axons, args: [netuid, hotkey] },
    stakeOf(hotkey),
  ])
  const values = await readStorage(node, at, reads)
  const totals = await totalStakes(node, at, netuid)
  return hotkeys.map((hotkey, i) => {
    const [coldkey = null, axon = null, stored = null] = values.slice(3 * i, 3 * i + 3)
    return [coldkey, axon, totals?.get(hotkey) ?? stored]
  })
}

/** Returns how to read a hotkey's stake: in the subnet's alpha, or in TAO on chains without alpha. */
function stakeRead(api: ApiPromise, netuid: number): (hotkey: string) => Read {
  const alpha = findEntry(api, PALLET, 'totalHotkeyAlpha')
  if (alpha) return hotkey => ({ entry: alpha, args: [hotkey, netuid] })
  const tao = entryOf(api, PALLET, 'totalHotkeyStake')
  return hotkey => ({ entry: tao, args: [hotkey] })
}

/** Reads the total stakes, alpha and TAO combined, by hotkey. Undefined on chains without that runtime API. */
async function totalStakes(node: NodeConnection, at: string, netuid: number): Promise<Map<string, Codec> | undefined> {
  const call = node.api.call.subnetInfoRuntimeApi?.getMetagraph
  const type = (call as { meta?: { type?: string } } | undefined)?.meta?.type
  if (!type) return undefined
  const params = node.api.registry.createType('u16', netuid).toHex(true)
  const bytes = await node.rpc.send<string>('state_call', ['SubnetInfoRuntimeApi_get_metagraph', params, at])
  return stakesIn(node.api.registry, type, bytes)
}

/** Decodes the stakes by hotkey in an answer of the metagraph runtime API; undefined if its form is unknown. */
export function stakesIn(registry: Registry, type: string, bytes: string): Map<string, Codec> | undefined {
  const metagraph = decoded(registry, type, bytes)
  if (!metagraph) return undefined
  const hotkeys = listOf(fieldOf(metagraph, 'hotkeys'))
  const stakes = listOf(fieldOf(metagraph, 'totalStake'))
  if (hotkeys.length === 0 || hotkeys.length !== stakes.length) return undefined
  return new Map(hotkeys.flatMap((hotkey, i) => (stakes[i] ? [[accountOf(hotkey), stakes[i]] as const] : [])))
}

function decoded(registry: Registry, type: string, bytes: string): Codec | null {
  try {
    const answer = registry.createTypeUnsafe<Codec>(type, [hexToU8a(bytes)])
    const option = answer as unknown as { unwrapOr?(none: null): Codec | null }
    return option.unwrapOr ? option.unwrapOr(null) : answer
  } catch {
    return null
  }
}

/** Decodes an entry of `axons`; null if its ip type is neither 4 nor 6, since then it cannot be dialled. */
export function axonOf(entry: Codec): Axon | null {
  const count = (name: string): number => countOf(fieldOf(entry, name))
  const ipType = count('ipType')
  if (ipType !== 4 && ipType !== 6) return null
  return {
    ip: ipFromNumber({ ip: bigintOf(fieldOf(entry, 'ip')), ipType }),
    port: count('port'),
    ipType,
    protocol: count('protocol'),
    version: count('version'),
    block: count('block'),
  }
}
