import type { OpenCommit, SealedWeights } from '../../chain.ts'
import { sealHash } from '../../commits/timelock.ts'
import { ChainError } from '../../errors.ts'
import { u8aToHex } from '../../polkadot/crypto.ts'
import type { Live } from '../connection.ts'
import type { Call } from '../extrinsics/submit.ts'
import { accountOf, countOf, findEntry, listOf, readStorage } from '../storage.ts'

const PALLET = 'subtensorModule'

/** Of an account, the block that took it in (today's form alone has it), the ciphertext, and the round. */
const FORMS = [
  { item: 'timelockedWeightCommits', block: 1, ciphertext: 2 },
  { item: 'crv3WeightCommits', block: undefined, ciphertext: 1 },
] as const

/** Epochs of which a chain may hold sealed commits at once; more are not looked for. */
const MAX_EPOCHS = 200

/** Whose commits are meant. */
type Whose = { readonly netuid: number; readonly hotkey: string }

/**
 * A hotkey's sealed commits, by the epochs that the chain keeps them under: an owner who changes the tempo also changes
 * which of these a block of today belongs to. None where the chain has no such commits.
 */
export async function readSealed(live: Live, at: string, whose: Whose): Promise<OpenCommit[]> {
  const entry = formOf(live)?.entry
  if (!entry) return []
  const prefix = u8aToHex(entry.keyPrefix(whose.netuid))
  const keys = await live.rpc.send<unknown>('state_getKeysPaged', [prefix, MAX_EPOCHS, null, at])
  if (!Array.isArray(keys)) throw new ChainError('BadAnswer', 'no keys of storage')
  return sealedIn(live, at, whose, keys.map(epochOfKey).sort(byNumber))
}

const byNumber = (a: number, b: number): number => a - b

/** A key ends with its epoch as a u64, little-endian. */
function epochOfKey(key: unknown): number {
  const digits = typeof key === 'string' ? /^0x(?:[0-9a-f]{2})*([0-9a-f]{16})$/i.exec(key)?.[1] : undefined
  if (digits === undefined) throw new ChainError('BadAnswer', 'no key of storage')
  return Number(Buffer.from(digits, 'hex').readBigUInt64LE())
}

/** A hotkey's sealed commits of some epochs, in their order. */
export async function sealedIn(
  live: Live,
  at: string,
  { netuid, hotkey }: Whose,
  epochs: readonly number[],
): Promise<OpenCommit[]> {
  const form = formOf(live)
  if (!form || epochs.length === 0) return []
  const values = await readStorage(
    live,
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

/** The form that the chain's metadata has, with its storage item. */
function formOf({ api }: Live) {
  for (const form of FORMS) {
    const entry = findEntry(api, PALLET, form.item)
    if (entry) return { ...form, entry }
  }
  return undefined
}

export function sealedCall(live: Live, { netuid, call, version, ciphertext, round }: SealedWeights): Call {
  const calls = live.api.tx[PALLET]
  const bytes = `0x${Buffer.from(ciphertext).toString('hex')}`
  const extrinsic =
    call === 'commit_timelocked_weights'
      ? calls?.commitTimelockedWeights?.(netuid, bytes, round, version)
      : calls?.commitCrv3Weights?.(netuid, bytes, round)
  if (!extrinsic) throw new ChainError('Unsupported', `the call ${call} is missing`)
  return extrinsic
}
