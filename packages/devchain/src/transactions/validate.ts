import { systemStorage } from '../pallets/system.ts'
import { lookUp, spendable } from '../runtime/accounts.ts'
import { ZERO_ACCOUNT } from '../scale/accounts.ts'
import type { Hex } from '../scale/bytes.ts'
import type { View } from '../state/store.ts'
import type { SignedExtrinsic } from './extrinsic.ts'
import { feeOf } from './fees.ts'
import { guard, guardSudo } from './guards.ts'
import { InvalidTransaction } from './invalid.ts'
import { eraHash, isProven } from './signature.ts'

/** The space for signed extrinsics in a block of 5 MiB. */
const MAX_EXTRINSIC_BYTES = 3.75 * 1024 * 1024

/** A transaction and what is known about it. */
export interface Transaction extends SignedExtrinsic {
  account: Hex
  /** The era's hash for which its signature was last verified. */
  provenAgainst?: Hex
}

/** @throws InvalidTransaction CannotLookup for an address without an account */
export function toTransaction(extrinsic: SignedExtrinsic): Transaction {
  try {
    return { ...extrinsic, account: lookUp(extrinsic.signer) }
  } catch {
    throw new InvalidTransaction('CannotLookup')
  }
}

export interface ChainPoint {
  view: View
  /** The block in which the transaction would be. */
  block: number
  genesis: Hex
}

/**
 * Checks the size, and then in the order of the signed extensions: era, signature, sender, nonce, fee, sudo, Subtensor.
 * @returns 'future' when only the nonce is ahead
 * @throws InvalidTransaction
 */
export function validate(transaction: Transaction, { view, block, genesis }: ChainPoint): 'ready' | 'future' {
  const { account, extra } = transaction
  if (transaction.bytes.length > MAX_EXTRINSIC_BYTES) throw new InvalidTransaction('ExhaustsResources')
  if (extra.metadataHash) throw new InvalidTransaction('CannotLookup')
  prove(transaction, eraHash(view, extra.era, block), genesis)
  if (account === ZERO_ACCOUNT) throw new InvalidTransaction('BadSigner')
  const { nonce } = view.get(systemStorage.Account, account)
  if (extra.nonce < nonce) throw new InvalidTransaction('Stale')
  const due = feeOf(transaction.call, transaction.bytes.length) + extra.tip
  if (due > 0n && spendable(view, account) < due) throw new InvalidTransaction('Payment')
  guardSudo(view, account, transaction.call)
  guard(view, account, transaction.call, BigInt(block))
  return extra.nonce > nonce ? 'future' : 'ready'
}

/** Verifying takes milliseconds, so a signature is not verified twice for the same hash. */
function prove(transaction: Transaction, birth: Hex, genesis: Hex): void {
  if (transaction.provenAgainst === birth) return
  if (!isProven(transaction, transaction.account, genesis, birth)) throw new InvalidTransaction('BadProof')
  transaction.provenAgainst = birth
}
