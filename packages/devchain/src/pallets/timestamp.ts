import { bool, compactU64, u64 } from '../scale/primitives.ts'
import { call, constant, type Pallet } from '../table/pallet.ts'
import { place, value } from '../table/storage-entry.ts'

export const timestampStorage = place('Timestamp', { Now: value(u64, 0n), DidUpdate: value(bool, false) })

export const timestampCalls = { set: call(0, { now: compactU64 }) }

/** `blockMs` is the time that clients may expect between blocks; they double MinimumPeriod to learn it. */
export function timestamp(blockMs: number): Pallet {
  return {
    name: 'Timestamp',
    index: 2,
    storage: timestampStorage,
    calls: timestampCalls,
    constants: { MinimumPeriod: constant(u64, BigInt(Math.max(1, Math.floor(blockMs / 2)))) },
  }
}
