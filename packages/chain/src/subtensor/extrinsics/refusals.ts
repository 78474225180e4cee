import { DeadlineError } from '@horde/kit/time'
import type { DispatchError } from '@polkadot/types/interfaces'
import { ChainError, type ChainErrorCode, chainErrorByName } from '../../errors.ts'
import { RpcError } from '../rpc.ts'

/**
 * A refusal comes at one of three places: as an error of the pool, as a status without a reason, or as a dispatch error
 * in the block. Here the first and the last become ChainErrors.
 */

/** Codes of the JSON-RPC server of Substrate's transaction pool. */
const POOL = {
  invalid: 1010,
  unknownValidity: 1011,
  banned: 1012,
  alreadyImported: 1013,
  priorityTooLow: 1014,
  immediatelyDropped: 1016,
} as const

/** Code 1010: how a node words what is wrong with an extrinsic, and the runtime's name for it. */
const WORDINGS: ReadonlyArray<readonly [RegExp, string]> = [
  [/bad signature/i, 'BadProof'],
  [/outdated/i, 'Stale'],
  [/valid in the future/i, 'Future'],
  [/ancient birth block/i, 'AncientBirthBlock'],
  [/pay some fees/i, 'Payment'],
  [/exhaust/i, 'ExhaustsResources'],
  [/call is not expected/i, 'Call'],
  [/signing address/i, 'BadSigner'],
]

/** The custom codes of Subtensor's own checks in the pool (the same from spec 293 to 425). */
const CUSTOM: Readonly<Record<number, ChainErrorCode>> = {
  1: 'NotEnoughStake',
  2: 'NotEnoughBalance',
  3: 'SubnetNotFound',
  4: 'HotkeyNotFound',
  6: 'SettingWeightsTooFast',
  10: 'NotRegistered',
  11: 'InvalidIpAddress',
  12: 'ServingTooFast',
  13: 'InvalidPort',
  15: 'InvalidRevealRound',
  16: 'CommitNotFound',
  17: 'RevealOutOfRange',
  18: 'UnequalLengths',
  19: 'NotRegistered',
}

/** Whatever went wrong on the way to the chain, as a ChainError. */
export function chainErrorOf(error: unknown): ChainError {
  if (error instanceof ChainError) return error
  if (error instanceof DeadlineError) return new ChainError('Timeout', error.message, { cause: error })
  if (error instanceof RpcError) return refusalOfPool(error)
  // Decoding what a node said is all that is left to fail.
  return new ChainError('BadAnswer', error instanceof Error ? error.message : undefined, { cause: error })
}

/** The ChainError for what a node answered to an extrinsic. */
export function refusalOfPool(error: RpcError): ChainError {
  const cause = error
  switch (error.code) {
    case POOL.invalid:
      return invalid(error)
    case POOL.unknownValidity:
      return new ChainError('InclusionUnknown', error.message, { cause })
    case POOL.banned:
      return new ChainError('Banned', undefined, { cause })
    case POOL.alreadyImported:
      return new ChainError('AlreadyImported', undefined, { cause })
    case POOL.priorityTooLow:
      return new ChainError('PriorityTooLow', undefined, { cause })
    case POOL.immediatelyDropped:
      return new ChainError('BlockFull', undefined, { cause })
    default:
      return new ChainError('RpcFailed', error.message, { cause })
  }
}

function invalid(error: RpcError): ChainError {
  const told = reasonToldBy(error)
  const custom = customCode(told)
  if (custom !== undefined) {
    return new ChainError(CUSTOM[custom] ?? 'ChainRefused', undefined, { chainName: `Custom(${custom})`, cause: error })
  }
  const named = reasonOf(told)
  const name = WORDINGS.find(([wording]) => wording.test(named))?.[1] ?? named
  return chainErrorByName(name || 'Invalid')
}

/** Most nodes say the reason as data, and `Invalid Transaction` as the message; some say all of it in the message. */
function reasonToldBy({ data, said }: RpcError): unknown {
  const isSaid = data !== undefined && data !== null && data !== ''
  return isSaid ? data : said.replace(/^invalid transaction:\s*/i, '')
}

/** Said as `Custom error: 6` by nodes, or as the runtime's value `{"invalid":{"custom":6}}`. */
function customCode(data: unknown): number | undefined {
  const text = typeof data === 'string' ? data : (JSON.stringify(data) ?? '')
  const digits = /custom[^0-9]{0,12}([0-9]{1,3})/i.exec(text)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** The runtime's name, from `{"invalid":"Stale"}` or `{"invalid":{"stale":null}}`, or the node's sentence. */
function reasonOf(data: unknown): string {
  if (typeof data === 'string') return data.startsWith('{') ? reasonOf(jsonOf(data)) : data
  if (typeof data !== 'object' || data === null) return ''
  const [key, value] = Object.entries(data)[0] ?? []
  if (key === undefined) return ''
  if (key.toLowerCase() === 'invalid' && value !== null) return reasonOf(value)
  return key.charAt(0).toUpperCase() + key.slice(1)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The ChainError for a dispatch error in a block. Indices move between versions, so the metadata gives the name. */
export function refusalInBlock(error: DispatchError): ChainError {
  if (error.isModule) {
    const { section, name } = error.registry.findMetaError(error.asModule)
    return chainErrorByName(name, `pallet ${section}`)
  }
  if (error.isToken) return new ChainError('NotEnoughBalance', undefined, { chainName: `Token.${error.asToken.type}` })
  return chainErrorByName(error.type)
}
