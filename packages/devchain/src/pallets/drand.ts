import { bytes, struct } from '../scale/composites.ts'
import { u64 } from '../scale/primitives.ts'
import type { Pallet } from '../table/pallet.ts'
import { blake2, optionalMap, place, value } from '../table/storage-entry.ts'

/** A round as the randomness beacon publishes it. */
const pulse = struct('pallet_drand::types::Pulse', { round: u64, randomness: bytes, signature: bytes })

export const drandStorage = place('Drand', {
  Pulses: optionalMap([blake2(u64)], pulse),
  LastStoredRound: value(u64, 0n),
})

/** The beacon's rounds that the chain knows. The devchain does not fetch them; `setPulse` adds them. */
export const drand: Pallet = { name: 'Drand', index: 26, storage: drandStorage }
