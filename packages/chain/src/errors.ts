/** The errors of the chain. Runtimes have renamed their errors since 2024; here each meaning has one code. */

/** `retryable`: the same call may succeed later without any change by the caller. */
type ErrorKind = { readonly retryable: boolean; readonly text: string; readonly names: readonly string[] }

const permanent = (text: string, names: readonly string[] = []): ErrorKind => ({ retryable: false, text, names })
const temporary = (text: string, names: readonly string[] = []): ErrorKind => ({ retryable: true, text, names })

/**
 * Maps each code to its text and to the names that runtimes use for it, those of 2024 first. A name that is not listed
 * here becomes `ChainRefused`, with the chain's name in `chainName`.
 */
export const CHAIN_ERRORS = {
  // Weights, in the order of the chain's checks.
  CommitRevealEnabled: permanent('the subnet accepts weights only by commit-reveal', ['CommitRevealEnabled']),
  CommitRevealDisabled: permanent('commit-reveal is off on this subnet', ['CommitRevealDisabled']),
  UnequalLengths: permanent('uids and weights differ in number', ['WeightVecNotEqualSize', 'InputLengthsUnequal']),
  RootNetwork: permanent('not possible on the root network', [
    'CanNotSetRootNetworkWeights',
    'OperationNotPermittedonRootSubnet',
    'RegistrationNotPermittedOnRootSubnet',
  ]),
  SubnetNotFound: permanent('the subnet does not exist', [
    'NetworkDoesNotExist',
    'SubNetworkDoesNotExist',
    'SubnetNotExists',
    'MechanismDoesNotExist',
  ]),
  TooManyUids: permanent('the row has more weights than the subnet has neurons', [
    'TooManyUids',
    'UidsLengthExceedUidsInSubNet',
  ]),
  NotRegistered: permanent('the hotkey is not registered on the subnet', [
    'NotRegistered',
    'HotKeyNotRegisteredInSubNet',
    'HotKeyNotRegisteredInNetwork',
    'UidNotFound',
    'AccountNotAllowedCommit',
    'CannotCommit',
  ]),
  NotEnoughStake: permanent('the hotkey has too little stake', ['NotEnoughStakeToSetWeights', 'StakeAmountTooLow']),
  WrongVersionKey: permanent('the version key is lower than the subnet requires', [
    'IncorrectNetworkVersionKey',
    'IncorrectWeightVersionKey',
  ]),
  SettingWeightsTooFast: temporary('weights were set too few blocks ago', [
    'SettingWeightsTooFast',
    'CommittingWeightsTooFast',
  ]),
  NoValidatorPermit: permanent('the hotkey has no validator permit', ['NoValidatorPermit', 'NeuronNoValidatorPermit']),
  DuplicateUids: permanent('the row lists a uid twice', ['DuplicateUids']),
  InvalidUid: permanent('the row lists a uid that is not on the subnet', ['InvalidUid', 'UidVecContainInvalidOne']),
  TooFewWeights: permanent('the row has fewer weights than MinAllowedWeights', [
    'NotSettingEnoughWeights',
    'WeightVecLengthIsLow',
  ]),
  MaxWeightExceeded: permanent('a weight is above MaxWeightsLimit', ['MaxWeightExceeded']),
  InvalidWeights: permanent('uids, weights or the version key are out of range'),

  // Commits and their reveals.
  TooManyCommits: temporary('too many commits wait for their reveal', ['TooManyUnrevealedCommits']),
  RevealTooEarly: temporary('the epoch for revealing the commit has not begun', ['RevealTooEarly']),
  CommitExpired: permanent('the epoch for revealing the commit is over', ['ExpiredWeightCommit']),
  /** The pool has one code for too early and too late. Only the current epoch shows which it is. */
  RevealOutOfRange: temporary('the commit can only be revealed in another epoch', ['InvalidRevealCommitTempo']),
  CommitNotFound: permanent('the chain holds no such commit', ['NoWeightsCommitFound']),
  CommitMismatch: permanent('the chain holds commits, but none for these weights', ['InvalidRevealCommitHashNotMatch']),
  NoCommits: permanent('the subnet requires commit-reveal, but the chain has no call for it'),
  WrongCommitVersion: permanent('the chain expects another version of sealed commits', [
    'IncorrectCommitRevealVersion',
  ]),
  InvalidRevealRound: permanent('the drand round of the commit is already over', ['InvalidRevealRound']),

  // Axons.
  InvalidIpType: permanent('the ip type is neither 4 nor 6', ['InvalidIpType']),
  InvalidIpAddress: permanent('the chain does not accept this ip address', ['InvalidIpAddress']),
  ServingTooFast: temporary('the axon was announced too few blocks ago', ['ServingRateLimitExceeded']),
  InvalidPort: permanent('port 0 cannot be announced', ['InvalidPort']),

  // Commitments of texts.
  TooLong: permanent('the text is too long for a commitment', ['TooManyFieldsInCommitmentInfo', 'TooManyFields']),
  CommittingTooFast: temporary('the hotkey has committed too much within this epoch, or too few blocks ago', [
    'RateLimitExceeded',
    'CommitmentSetRateLimitExceeded',
    'SpaceLimitExceeded',
  ]),

  // Registration and money.
  AlreadyRegistered: permanent('the hotkey is already registered', [
    'AlreadyRegistered',
    'HotKeyAlreadyRegisteredInSubNet',
  ]),
  RegistrationDisabled: permanent('the subnet does not accept registrations', [
    'RegistrationDisabled',
    'SubNetRegistrationDisabled',
  ]),
  TooManyRegistrations: temporary('too many registrations in this block or interval', [
    'TooManyRegistrationsThisBlock',
    'TooManyRegistrationsThisInterval',
  ]),
  NotEnoughBalance: permanent('the balance is too low', [
    'NotEnoughBalanceToStake',
    'NotEnoughBalance',
    'InsufficientBalance',
    'Payment',
  ]),
  WrongColdkey: permanent('the hotkey belongs to another coldkey', ['NonAssociatedColdKey']),
  NoFreeUid: permanent('the subnet has no free uid at the moment', ['NoNeuronIdAvailable']),
  HotkeyNotFound: permanent('the chain has no account for this hotkey', ['HotKeyAccountNotExists']),
  AdminFrozen: temporary('owner settings are frozen before an epoch', ['AdminActionProhibitedDuringWeightsWindow']),

  // The extrinsic itself, before a pallet handles it.
  BadSignature: permanent('the signature does not verify', ['BadProof']),
  BadSigner: permanent('the signer is not valid', ['BadSigner']),
  NotAllowed: permanent('this account may not make this call', ['BadOrigin', 'Call', 'CallFiltered', 'RequireSudo']),
  Banned: temporary('the pool has just seen this extrinsic and refuses it for a while'),
  StaleNonce: temporary('the nonce is already used', ['Stale']),
  FutureNonce: temporary("the nonce is higher than the account's next nonce", ['Future']),
  ExpiredEra: temporary('the era of the extrinsic is over', ['AncientBirthBlock']),
  BlockFull: temporary('the block or the pool has no room', ['ExhaustsResources']),
  AlreadyImported: temporary('the same extrinsic is already in the pool'),
  PriorityTooLow: temporary('another extrinsic with this nonce is in the pool'),
  NotIncluded: temporary('the extrinsic left the pool without being included in a block'),
  InclusionUnknown: temporary('it is unknown whether a block includes the extrinsic'),
  ChainRefused: permanent('the chain refused it'),

  // The connection to the chain.
  Unavailable: temporary('no connection to the chain'),
  Timeout: temporary('the chain did not answer in time'),
  RpcFailed: temporary('the node answered with an error'),
  BadAnswer: temporary('the node sent an invalid answer'),
  Unsupported: permanent('this chain does not support the call'),
  Closed: permanent('the client was closed'),
} as const satisfies Record<string, ErrorKind>

export type ChainErrorCode = keyof typeof CHAIN_ERRORS

/** An error of a call to the chain. Programs act on `code`; people read `message`. */
export class ChainError extends Error {
  override readonly name = 'ChainError'
  readonly code: ChainErrorCode
  /** The runtime's own name for the error; null if it named none. */
  readonly chainName: string | null
  /** True if the same call may succeed later without any change by the caller. */
  readonly retryable: boolean
  /** True if an extrinsic was sent that a block may still include. */
  mayTakeEffect = false

  constructor(code: ChainErrorCode, detail?: string, options: { chainName?: string; cause?: unknown } = {}) {
    const { text, retryable } = CHAIN_ERRORS[code]
    const named =
      options.chainName === undefined || options.chainName === code ? code : `${code} (${options.chainName})`
    super(
      `${named}: ${text}${detail ? `: ${detail}` : ''}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    )
    this.code = code
    this.retryable = retryable
    this.chainName = options.chainName ?? null
  }
}

const CODE_BY_NAME = new Map<string, ChainErrorCode>(
  Object.entries(CHAIN_ERRORS).flatMap(([code, { names }]) =>
    names.map(name => [name, code as ChainErrorCode] as const),
  ),
)

/** Returns the error for a runtime's error name, old or new. An unlisted name becomes `ChainRefused`. */
export const chainErrorByName = (name: string, detail?: string): ChainError =>
  new ChainError(CODE_BY_NAME.get(name) ?? 'ChainRefused', detail, { chainName: name })

/** A wallet file cannot be used. The message gives the file and what to do, never the content. */
export class WalletError extends Error {
  override readonly name = 'WalletError'
  readonly file: string
  /** What is wrong with the file, without the remedy. */
  readonly problem: string
  /** What its owner can do; a command where possible. */
  readonly advice: string

  constructor(file: string, whatIsWrong: string, advice: string, options?: ErrorOptions) {
    const problem = `${file}: ${whatIsWrong}`
    super(`${problem}. ${advice.charAt(0).toUpperCase()}${advice.slice(1)}`, options)
    this.file = file
    this.problem = problem
    this.advice = advice
  }
}
