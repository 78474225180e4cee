import type { OpenCommit, SealedWeights } from '../../chain.ts'
import { sealHash } from '../../commits/timelock.ts'
import { ChainError } from '../../errors.ts'
import { u8aToHex } from '../../polkadot/crypto.ts'
import type { NodeConnection } from '../connection.ts'
import type { Call } from '../extrinsics/submit.ts'
import { accountOf, countOf, findEntry, listOf, readStorage } from '../storage.ts'

const PALLET = 'subtensorModule'

/**
 * The two storage items that hold sealed commits, the newer first, with the positions of an entry's fields. Only the
 * newer one stores the block that includes the commit.
 */
const FORMS = [
  { item: 'timelockedWeightCommits', block: 1, ciphertext: 2 },
  { item: 'crv3WeightCommits', block: undefined, ciphertext: 1 },
] as const

/** The most epochs whose sealed commits are read. */
const MAX_EPOCHS = 200

/** A hotkey on a subnet. */
type Committer = { readonly netuid: number; readonly hotkey: string }

/**
 * Reads a hotkey's sealed commits, oldest epoch first; none on a chain without them. It lists the epochs under which
 * the chain stores commits instead of computing them, because a change of tempo shifts the epoch that a block counts
 * to.
 */
export async function readSealed(node: NodeConnection, at: string, committer: Committer): Promise<OpenCommit[]> {
  const entry = formOf(node)?.entry
  if (!entry) return []
  const prefix = u8aToHex(entry.keyPrefix(committer.netuid))
  const keys = await node.rpc.send<unknown>('state_getKeysPaged', [prefix, MAX_EPOCHS, null, at])
  if (!Array.isArray(keys)) throw new ChainError('BadAnswer', 'the answer is not a list of storage keys')
  return readSealedOf(node, at, committer, keys.map(epochOfKey).sort(byNumber))
}

const byNumber = (a: number, b: number): number => a - b

/** Returns the epoch at the end of a storage key: a u64, little-endian. */
function epochOfKey(key: unknown): number {
  const digits = typeof key === 'string' ? /^0x(?:[0-9a-f]{2})*([0-9a-f]{16})$/i.exec(key)?.[1] : undefined
  if (digits === undefined) throw new ChainError('BadAnswer', 'the answer holds something that is not a storage key')
  return Number(Buffer.from(digits, 'hex').readBigUInt64LE())
}

/** Reads a hotkey's sealed commits of these epochs, in their order. */
export async function readSealedOf(
  node: NodeConnection,
  at: string,
  { netuid, hotkey }: Committer,
  epochs: readonly number[],
): Promise<OpenCommit[]> {
  const form = formOf(node)
  if (!form || epochs.length === 0) return []
  const values = await readStorage(
    node,
    at,
    epochs.map(epoch => ({ entry: form.entry, args: [netuid, epoch] })),
  )
  return values.flatMap((all, i) =>
    listOf(all).flatMap(commit => {
      const parts = listOf(commit)
      if (accountOf(parts[0]) !== hotkey) return []
      const hash = sealHash(parts[form.ciphertext]?.toU8a(true) ?? new Uint8Array())
      return [{ hash, epoch: epochs[i] ?? 0, block: form.block === undefined ? 0 : countOf(parts[form.block]) }]
    }),
  )
}

/** Returns the form that this chain has, with its storage item; undefined if it has none. */
function formOf({ api }: NodeConnection) {
  for (const form of FORMS) {
    const entry = findEntry(api, PALLET, form.item)
    if (entry) return { ...form, entry }
  }
  return undefined
}

/** Builds the call that commits sealed weights. @throws ChainError Unsupported */
export function sealedCall(node: NodeConnection, { netuid, call, version, ciphertext, round }: SealedWeights): Call {
  const calls = node.api.tx[PALLET]
  const bytes = `0x${Buffer.from(ciphertext).toString('hex')}`
  const extrinsic =
    call === 'commit_timelocked_weights'
      ? calls?.commitTimelockedWeights?.(netuid, bytes, round, version)
      : calls?.commitCrv3Weights?.(netuid, bytes, round)
  if (!extrinsic) throw new ChainError('Unsupported', `the runtime has no call ${call}`)
  return extrinsic
}
