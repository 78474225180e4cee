import {
  type commitmentsCalls,
  type commitmentsErrors,
  commitmentsStorage,
  MAX_FIELDS,
} from '../pallets/commitments.ts'
import { subtensorStorage } from '../pallets/subtensor/storage.ts'
import { fromHex } from '../scale/bytes.ts'
import { signerOf } from './context.ts'
import { COMMITMENTS } from './events.ts'
import { moduleError } from './failure.ts'
import type { Handlers } from './handlers.ts'
import { uidOf } from './subtensor/neurons.ts'

/** What the shortest commitment counts, in bytes. */
const LEAST_SPACE = 100n

function ensure(condition: boolean, name: (typeof commitmentsErrors)[number]): void {
  if (!condition) throw moduleError('Commitments', name)
}

export const commitmentsHandlers: Handlers<typeof commitmentsCalls> = {
  set_commitment: (context, origin, { netuid, info }) => {
    const { store } = context
    const who = signerOf(origin)
    ensure(uidOf(store, netuid, who) !== undefined, 'AccountNotAllowedCommit')
    ensure(info.fields.length <= MAX_FIELDS, 'TooManyFieldsInCommitmentInfo')
    const epoch = store.get(subtensorStorage.SubnetEpochIndex, netuid)
    const last = store.get(commitmentsStorage.UsedSpaceOf, netuid, who)
    const used = last?.last_epoch === epoch ? last.used_space : 0n
    const bytes = info.fields.reduce((sum, { value }) => sum + (value === null ? 0 : fromHex(value).length), 0)
    const space = BigInt(bytes) > LEAST_SPACE ? BigInt(bytes) : LEAST_SPACE
    ensure(used + space <= BigInt(store.get(commitmentsStorage.MaxSpace)), 'SpaceLimitExceeded')
    const block = Number(context.block)
    store.set(commitmentsStorage.UsedSpaceOf, [netuid, who], { last_epoch: epoch, used_space: used + space })
    store.set(commitmentsStorage.CommitmentOf, [netuid, who], { deposit: 0n, block, info })
    store.set(commitmentsStorage.LastCommitment, [netuid, who], block)
    context.emit(COMMITMENTS, 'Commitment', { netuid, who })
  },
}
