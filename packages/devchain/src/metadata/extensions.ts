import { checkMetadataHashMode, compactBalance, compactNonce, era, hash } from '../scale/accounts.ts'
import { fixedBytes, option, unit } from '../scale/composites.ts'
import { u32 } from '../scale/primitives.ts'
import type { Type } from '../scale/type.ts'

/** What a signed extension adds to an extrinsic, and what it adds only to the signed bytes. */
export interface Extension {
  identifier: string
  type: Type<unknown>
  additional: Type<unknown>
}

const extension = (identifier: string, type: Type<unknown>, additional: Type<unknown> = unit): Extension => ({
  identifier,
  type,
  additional,
})

/** In the order of the later era's runtime. Subtensor's own extensions encode to no bytes. */
export const EXTENSIONS: Extension[] = [
  extension('CheckNonZeroSender', unit),
  extension('CheckSpecVersion', unit, u32),
  extension('CheckTxVersion', unit, u32),
  extension('CheckGenesis', unit, hash),
  extension('CheckMortality', era, hash),
  extension('CheckNonce', compactNonce),
  extension('CheckWeight', unit),
  extension('ChargeTransactionPayment', compactBalance),
  extension('SudoTransactionExtension', unit),
  extension('SubtensorTransactionExtension', unit),
  extension('DrandPriority', unit),
  extension('CheckMetadataHash', checkMetadataHashMode, option(fixedBytes(32))),
]
