import type { Codec } from '@polkadot/types/types'
import type { BlockRef, Commitment } from '../chain.ts'
import { ChainError } from '../errors.ts'
import { bestBlockHash, blockHashOf } from './blocks.ts'
import type { NodeConnection } from './connection.ts'
import type { Call } from './extrinsics/submit.ts'
import { countOf, entryOf, fieldOf, listOf, readStorage } from './storage.ts'

/** The longest text that a commitment takes, in bytes. */
const MAX_BYTES = 128

/** A raw field in the JSON of a commitment: `raw6` and its bytes. An empty one is `raw0` and null or 0x. */
const RAW = /^raw\d+$/i

/**
 * Returns what a hotkey has committed on a subnet; null if it has committed nothing.
 * @throws ChainError Unsupported when the runtime has no commitments
 */
export async function readCommitment(node: NodeConnection, netuid: number, hotkey: string): Promise<Commitment | null> {
  const read = { entry: entryOf(node.api, 'commitments', 'commitmentOf'), args: [netuid, hotkey] }
  const [found] = await readStorage(node, await bestBlockHash(node), [read])
  return found ? { text: textOf(found), block: countOf(fieldOf(found, 'block')) } : null
}

/** Returns the text of a commitment whose only field is raw UTF-8; null for any other. */
function textOf(registration: Codec): string | null {
  const info = fieldOf(registration, 'info')
  const fields = listOf(info && fieldOf(info, 'fields'))
  const [[name, hex] = ['']] = Object.entries((fields[0]?.toJSON() ?? {}) as Record<string, unknown>)
  if (fields.length !== 1 || !RAW.test(name)) return null
  const bytes = Buffer.from(String(hex ?? '').replace(/^0x/, ''), 'hex')
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
}

/** Builds the call that commits a text. @throws ChainError TooLong; Unsupported */
export function commitmentCall({ api }: NodeConnection, netuid: number, text: string): Call {
  const setCommitment = api.tx.commitments?.setCommitment
  if (!setCommitment) throw new ChainError('Unsupported', 'the runtime has no call set_commitment')
  const bytes = Buffer.from(text)
  if (bytes.length > MAX_BYTES) throw new ChainError('TooLong', `${bytes.length} bytes of at most ${MAX_BYTES}`)
  return setCommitment(netuid, { fields: [{ [`Raw${bytes.length}`]: `0x${bytes.toString('hex')}` }] })
}

/** Returns the block that made a text the commitment of a hotkey; undefined if the chain holds another one. */
export async function findCommitment(
  node: NodeConnection,
  netuid: number,
  text: string,
  hotkey: string,
): Promise<BlockRef | undefined> {
  const stored = await readCommitment(node, netuid, hotkey)
  if (stored?.text !== text) return undefined
  return { block: stored.block, blockHash: await blockHashOf(node, stored.block) }
}
