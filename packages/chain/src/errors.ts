/**
 * What can go wrong on the chain, said once. A runtime names its errors, and the names changed between 2024 and today;
 * callers see one code for one meaning, whichever name the chain used.
 */

/** `retryable`: the same call may succeed later without anybody changing anything but time. */
type Meaning = { readonly retryable: boolean; readonly says: string; readonly names: readonly string[] }

const meaning = (says: string, names: readonly string[] = [], retryable = false): Meaning => ({
  retryable,
  says,
  names,
})
const passing = (says: string, names: readonly string[] = []): Meaning => meaning(says, names, true)

/**
 * Code → its sentence and the names the runtimes of both eras use for it (2024's first). A name that stands in no row
 * is reported as `ChainRefused` with the chain's own name in `chainName`.
 */
export const CHAIN_ERRORS = {
  // Weights: the chain's checks in their order.
  CommitRevealEnabled: meaning('the subnet takes weights by commit and reveal only', ['CommitRevealEnabled']),
  CommitRevealDisabled: meaning('commit-reveal is off on this subnet', ['CommitRevealDisabled']),
  UnequalLengths: meaning('uids and weights differ in number', ['WeightVecNotEqualSize', 'InputLengthsUnequal']),
  RootNetwork: meaning('not possible on the root network', [
    'CanNotSetRootNetworkWeights',
    'OperationNotPermittedonRootSubnet',
    'RegistrationNotPermittedOnRootSubnet',
  ]),
  SubnetNotFound: meaning('the subnet does not exist', [
    'NetworkDoesNotExist',
    'SubNetworkDoesNotExist',
    'SubnetNotExists',
    'MechanismDoesNotExist',
  ]),
  TooManyUids: meaning('more weights than the subnet has neurons', ['TooManyUids', 'UidsLengthExceedUidsInSubNet']),
  NotRegistered: meaning('the hotkey is not registered on the subnet', [
    'NotRegistered',
    'HotKeyNotRegisteredInSubNet',
    'HotKeyNotRegisteredInNetwork',
    'UidNotFound',
  ]),
  NotEnoughStake: meaning('the hotkey has too little stake', ['NotEnoughStakeToSetWeights', 'StakeAmountTooLow']),
  WrongVersionKey: meaning('the version key is below the one the subnet asks for', [
    'IncorrectNetworkVersionKey',
    'IncorrectWeightVersionKey',
  ]),
  SettingWeightsTooFast: passing('weights were set too few blocks ago', [
    'SettingWeightsTooFast',
    'CommittingWeightsTooFast',
  ]),
  NoValidatorPermit: meaning('the hotkey has no validator permit', ['NoValidatorPermit', 'NeuronNoValidatorPermit']),
  DuplicateUids: meaning('a uid stands twice in the row', ['DuplicateUids']),
  InvalidUid: meaning('a uid of the row is no neuron of the subnet', ['InvalidUid', 'UidVecContainInvalidOne']),
  TooFewWeights: meaning('fewer weights than MinAllowedWeights', ['NotSettingEnoughWeights', 'WeightVecLengthIsLow']),
  MaxWeightExceeded: meaning('a weight is above MaxWeightsLimit', ['MaxWeightExceeded']),
  InvalidWeights: meaning('uids, weights or the version key are no numbers that the chain can hold'),

  // Commits and their reveals.
  TooManyCommits: passing('too many commits wait for their reveal', ['TooManyUnrevealedCommits']),
  RevealTooEarly: passing('the epoch in which the commit is to be revealed has not begun', ['RevealTooEarly']),
  CommitExpired: meaning('the epoch in which the commit was to be revealed is over', ['ExpiredWeightCommit']),
  /** The pool has one number for both: only the chain's epoch says which. */
  RevealOutOfRange: passing('the commit is to be revealed in another epoch', ['InvalidRevealCommitTempo']),
  CommitNotFound: meaning('the chain holds no such commit', ['NoWeightsCommitFound']),
  CommitMismatch: meaning('the chain holds commits, but none of these weights', ['InvalidRevealCommitHashNotMatch']),
  NoCommits: meaning('the subnet takes weights by commit and reveal, and the chain offers no call for that'),
  WrongCommitVersion: meaning('the chain takes sealed commits of another version', ['IncorrectCommitRevealVersion']),
  InvalidRevealRound: meaning('the round that would open the commit is over', ['InvalidRevealRound']),

  // Axons.
  InvalidIpType: meaning('the ip type is neither 4 nor 6', ['InvalidIpType']),
  InvalidIpAddress: meaning('the chain takes no such ip address', ['InvalidIpAddress']),
  ServingTooFast: passing('the axon was announced too few blocks ago', ['ServingRateLimitExceeded']),
  InvalidPort: meaning('port 0 can not be announced', ['InvalidPort']),

  // Registration and money.
  AlreadyRegistered: meaning('the hotkey is registered already', [
    'AlreadyRegistered',
    'HotKeyAlreadyRegisteredInSubNet',
  ]),
  RegistrationDisabled: meaning('the subnet takes no registrations', [
    'RegistrationDisabled',
    'SubNetRegistrationDisabled',
  ]),
  TooManyRegistrations: passing('too many registrations in this block or interval', [
    'TooManyRegistrationsThisBlock',
    'TooManyRegistrationsThisInterval',
  ]),
  NotEnoughBalance: meaning('the balance is too low', [
    'NotEnoughBalanceToStake',
    'NotEnoughBalance',
    'InsufficientBalance',
    'Payment',
  ]),
  WrongColdkey: meaning('the hotkey belongs to another coldkey', ['NonAssociatedColdKey']),
  NoFreeUid: meaning('no uid can be given away at the moment', ['NoNeuronIdAvailable']),
  HotkeyNotFound: meaning('the chain knows no such hotkey account', ['HotKeyAccountNotExists']),
  AdminFrozen: passing('owner settings are frozen before an epoch', ['AdminActionProhibitedDuringWeightsWindow']),

  // The extrinsic itself, before any pallet looked at it.
  BadSignature: meaning('the signature does not verify', ['BadProof']),
  BadSigner: meaning('the signer is not valid', ['BadSigner']),
  NotAllowed: meaning('this account may not make this call', ['BadOrigin', 'Call', 'CallFiltered', 'RequireSudo']),
  Banned: passing('the pool saw this very extrinsic a moment ago and refuses it for a while'),
  StaleNonce: passing('the nonce was used already', ['Stale']),
  FutureNonce: passing('the nonce is ahead of the account', ['Future']),
  ExpiredEra: passing('the extrinsic came after its era', ['AncientBirthBlock']),
  BlockFull: passing('the block or the pool has no room', ['ExhaustsResources']),
  AlreadyImported: passing('the same extrinsic is in the pool already'),
  PriorityTooLow: passing('another extrinsic with this nonce is in the pool'),
  NotIncluded: passing('the extrinsic left the pool without being included'),
  InclusionUnknown: passing('nobody can say whether the extrinsic was included'),
  ChainRefused: meaning('the chain refused it'),

  // The way to the chain.
  Unavailable: passing('no connection to the chain'),
  Timeout: passing('the chain did not answer in time'),
  RpcFailed: passing('the node answered with an error'),
  BadAnswer: passing('the answer of the node makes no sense'),
  Unsupported: meaning('this chain does not offer what the call needs'),
  Closed: meaning('the client was closed'),
} as const satisfies Record<string, Meaning>

export type ChainErrorCode = keyof typeof CHAIN_ERRORS

/** A chain error that callers can act on. `message` is a sentence for people; `code` is for programs. */
export class ChainError extends Error {
  override readonly name = 'ChainError'
  readonly code: ChainErrorCode
  /** The error's name as the chain said it, when it said one. */
  readonly chainName: string | null
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean
  /** True when an extrinsic went out and may yet get into a block, whatever this error says of it. */
  mayTakeEffect = false

  constructor(code: ChainErrorCode, detail?: string, options: { chainName?: string; cause?: unknown } = {}) {
    const { says, retryable } = CHAIN_ERRORS[code]
    const named =
      options.chainName === undefined || options.chainName === code ? code : `${code} (${options.chainName})`
    super(
      `${named}: ${says}${detail ? `: ${detail}` : ''}`,
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

/** The error for a runtime's error name, of either era; a name nobody listed becomes `ChainRefused` and keeps its name. */
export const chainErrorByName = (name: string, detail?: string): ChainError =>
  new ChainError(CODE_BY_NAME.get(name) ?? 'ChainRefused', detail, { chainName: name })

/** A wallet file that can not be used. The message names the file and the remedy, never the content. */
export class WalletError extends Error {
  override readonly name = 'WalletError'
  readonly file: string
  /** What is wrong with the file, without the remedy. */
  readonly problem: string
  /** What its owner can do, a command wherever one helps. */
  readonly advice: string

  constructor(file: string, says: string, advice: string, options?: ErrorOptions) {
    const problem = `${file}: ${says}`
    super(`${problem}. ${advice.charAt(0).toUpperCase()}${advice.slice(1)}`, options)
    this.file = file
    this.problem = problem
    this.advice = advice
  }
}
