/** Why a transaction cannot be in a block, with Substrate's sentences. */
export const INVALID_TEXTS = {
  Call: 'Transaction call is not expected',
  Payment: 'Inability to pay some fees (e.g. account balance too low)',
  Future: 'Transaction will be valid in the future',
  Stale: 'Transaction is outdated',
  BadProof: 'Transaction has a bad signature',
  AncientBirthBlock: 'Transaction has an ancient birth block',
  BadSigner: 'Invalid signing address',
  ExhaustsResources: 'Transaction would exhaust the block limits',
} as const

export type InvalidName = keyof typeof INVALID_TEXTS

/** A refusal before the block, by Substrate or with a code of Subtensor's extension. */
export type Invalidity = InvalidName | { custom: number } | 'CannotLookup'

export class InvalidTransaction extends Error {
  override readonly name = 'InvalidTransaction'
  readonly invalidity: Invalidity

  constructor(invalidity: Invalidity) {
    super(typeof invalidity === 'string' ? invalidity : `custom ${invalidity.custom}`)
    this.invalidity = invalidity
  }
}

/** The codes of Subtensor's extension, by the error of the pallet. Any other error has code 255. */
const CUSTOM_CODES: Record<string, number> = {
  NotEnoughStakeToSetWeights: 1,
  AmountTooLow: 1,
  NotEnoughBalanceToStake: 2,
  SubnetNotExists: 3,
  HotKeyAccountNotExists: 4,
  SettingWeightsTooFast: 6,
  CommittingWeightsTooFast: 6,
  NetworkTxRateLimitExceeded: 6,
  HotKeyNotRegisteredInNetwork: 10,
  InvalidIpAddress: 11,
  ServingRateLimitExceeded: 12,
  InvalidPort: 13,
  InvalidRevealRound: 15,
  NoWeightsCommitFound: 16,
  RevealTooEarly: 17,
  InputLengthsUnequal: 18,
  HotKeyNotRegisteredInSubNet: 19,
}

const OTHER = 255

export function customCode(error: string): number {
  return CUSTOM_CODES[error] ?? OTHER
}
