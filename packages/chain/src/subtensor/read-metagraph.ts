import type { ApiPromise } from '@polkadot/api'
import type { Codec, Registry } from '@polkadot/types/types'
import { ChainError } from '../errors.ts'
import { ipFromNumber } from '../ip.ts'
import type { Axon, Metagraph, Neuron, ValidatorRule } from '../metagraph.ts'
import { hexToU8a } from '../polkadot/crypto.ts'
import type { Live } from './connection.ts'
import {
  accountOf,
  bestBlockHash,
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
import { ruleInForce, ruleReads } from './validator-rule.ts'

const PALLET = 'subtensorModule'

/**
 * A subnet as of the best block: the block's hash, the columns, the hotkeys, then what hangs on a hotkey. For 256
 * neurons these are four requests, and one more where a runtime API tells the stakes.
 * @param fallback who counts as a validator, where the chain does not say it
 * @throws ChainError SubnetNotFound
 */
export async function readMetagraph(live: Live, netuid: number, fallback: ValidatorRule): Promise<Metagraph> {
  const at = await bestBlockHash(live)
  const columns = await readColumns(live, at, netuid)
  const uids = Array.from({ length: columns.size }, (_, uid) => uid)
  const keys = entryOf(live.api, PALLET, 'keys')
  const hotkeys = (
    await readStorage(
      live,
      at,
      uids.map(uid => ({ entry: keys, args: [netuid, uid] })),
    )
  ).map(accountOf)
  const perHotkey = await readPerHotkey(live, at, netuid, hotkeys)
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
  rule: Parameters<typeof ruleInForce>[0]
}

async function readColumns(live: Live, at: string, netuid: number): Promise<Columns> {
  const column = (item: string): Read => ({ entry: entryOf(live.api, PALLET, item), args: [netuid] })
  const number: Read = { entry: entryOf(live.api, 'system', 'number'), args: [] }
  const columns = ['networksAdded', 'subnetworkN', 'validatorPermit', 'lastUpdate'].map(column)
  const { max, minStake } = ruleReads(live.api, netuid)
  const ofRule = [max, minStake].filter(read => read !== undefined)
  const [block, added, size, permits, lastUpdates, ...rule] = await readStorage(live, at, [
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

/** For each hotkey its coldkey, its axon and its stake. */
async function readPerHotkey(
  live: Live,
  at: string,
  netuid: number,
  hotkeys: readonly string[],
): Promise<Array<Array<Codec | null>>> {
  const { api } = live
  const owner = entryOf(api, PALLET, 'owner')
  const axons = entryOf(api, PALLET, 'axons')
  const stakeOf = stakeRead(api, netuid)
  const reads = hotkeys.flatMap(hotkey => [
    { entry: owner, args: [hotkey] },
    { entry: axons, args: [netuid, hotkey] },
    stakeOf(hotkey),
  ])
  const values = await readStorage(live, at, reads)
  const totals = await totalStakes(live, at, netuid)
  return hotkeys.map((hotkey, i) => {
    const [coldkey = null, axon = null, stored = null] = values.slice(3 * i, 3 * i + 3)
    return [coldkey, axon, totals?.get(hotkey) ?? stored]
  })
}

/** Where a hotkey's stake is stored: as the subnet's alpha today, in TAO before there was any. */
function stakeRead(api: ApiPromise, netuid: number): (hotkey: string) => Read {
  const alpha = findEntry(api, PALLET, 'totalHotkeyAlpha')
  if (alpha) return hotkey => ({ entry: alpha, args: [hotkey, netuid] })
  const tao = entryOf(api, PALLET, 'totalHotkeyStake')
  return hotkey => ({ entry: tao, args: [hotkey] })
}

/** The total stakes, alpha and TAO weighed together, from chains that say them; undefined from the others. */
async function totalStakes(live: Live, at: string, netuid: number): Promise<Map<string, Codec> | undefined> {
  const call = live.api.call.subnetInfoRuntimeApi?.getMetagraph
  const type = (call as { meta?: { type?: string } } | undefined)?.meta?.type
  if (!type) return undefined
  const params = live.api.registry.createType('u16', netuid).toHex(true)
  const bytes = await live.rpc.send<string>('state_call', ['SubnetInfoRuntimeApi_get_metagraph', params, at])
  return stakesIn(live.api.registry, type, bytes)
}

/** The stakes by hotkey in an answer of that runtime API; undefined when it is not of a form that we know. */
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

/** An Axons entry. One with an unknown ip type is one that nobody can dial. */
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
