import type { OpenCommit, SealedWeights } from '../../chain.ts'
import { sealHash } from '../../commits/timelock.ts'
import { ChainError } from '../../errors.ts'
import type { Hotkey } from '../../wallet.ts'
import type { Live } from '../connection.ts'
import { type Included, submit } from '../extrinsics/submit.ts'
import { accountOf, countOf, findEntry, listOf, readStorage } from '../storage.ts'

const PALLET = 'subtensorModule'

/** Of an account, the block that took it in (today's form alone has it), the ciphertext, and the round. */
const FORMS = [
  { item: 'timelockedWeightCommits', block: 1, ciphertext: 2 },
  { item: 'crv3WeightCommits', block: undefined, ciphertext: 1 },
] as const

/** A hotkey's sealed commits of some epochs, oldest first. None where the chain has no such commits. */
export async function readSealed(
  live: Live,
  at: string,
  { netuid, hotkey, from, to }: { netuid: number; hotkey: string; from: number; to: number },
): Promise<OpenCommit[]> {
  const form = FORMS.find(({ item }) => findEntry(live.api, PALLET, item))
  const entry = form && findEntry(live.api, PALLET, form.item)
  if (!entry) return []
  const first = Math.max(0, from)
  const epochs = Array.from({ length: to - first + 1 }, (_, i) => first + i)
  const values = await readStorage(
    live,
    at,
    epochs.map(epoch => ({ entry, args: [netuid, epoch] })),
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

export async function sendSealed(
  live: Live,
  { netuid, call, version, ciphertext, round }: SealedWeights,
  hotkey: Hotkey,
  onSent: () => void,
): Promise<Included> {
  const calls = live.api.tx[PALLET]
  const bytes = `0x${Buffer.from(ciphertext).toString('hex')}`
  const extrinsic =
    call === 'commit_timelocked_weights'
      ? calls?.commitTimelockedWeights?.(netuid, bytes, round, version)
      : calls?.commitCrv3Weights?.(netuid, bytes, round)
  if (!extrinsic) throw new ChainError('Unsupported', `the call ${call} is missing`)
  return submit(live, extrinsic, hotkey, onSent)
}
