import { DeadlineError } from '@horde/kit/time'
import type { DispatchError } from '@polkadot/types/interfaces'
import { ChainError, type ChainErrorCode, chainErrorByName } from '../../errors.ts'
import { RpcError } from '../rpc.ts'

/** Turns what a node answers to an extrinsic into ChainErrors: errors of the pool, and dispatch errors in a block. */

/** Error codes of Substrate's transaction pool. */
const POOL = {
  invalid: 1010,
  unknownValidity: 1011,
  banned: 1012,
  alreadyImported: 1013,
  priorityTooLow: 1014,
  immediatelyDropped: 1016,
} as const

/** With code 1010 a node gives the reason as a sentence. Maps that sentence to the runtime's name for the reason. */
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

/** The custom codes of Subtensor's own checks in the pool; the same from spec 293 to 425. */
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

/** Turns any error of a call to the chain into a ChainError. */
export function chainErrorOf(error: unknown): ChainError {
  if (error instanceof ChainError) return error
  if (error instanceof DeadlineError) return new ChainError('Timeout', error.message, { cause: error })
  if (error instanceof RpcError) return refusalOfPool(error)
  // Nothing else can fail but the decoding of an answer.
  return new ChainError('BadAnswer', error instanceof Error ? error.message : undefined, { cause: error })
}

/** Returns the ChainError for a node's error answer to an extrinsic. */
export function refusalOfPool(error: RpcError): ChainError {
  const cause = error
  switch (error.code) {
    case POOL.invalid:
      return invalidExtrinsic(error)
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

function invalidExtrinsic(error: RpcError): ChainError {
  const reason = rawReason(error)
  const custom = customCode(reason)
  if (custom !== undefined) {
    return new ChainError(CUSTOM[custom] ?? 'ChainRefused', undefined, { chainName: `Custom(${custom})`, cause: error })
  }
  const text = reasonText(reason)
  const name = WORDINGS.find(([wording]) => wording.test(text))?.[1] ?? text
  return chainErrorByName(name || 'Invalid')
}

/** Most nodes put the reason in `data` and `Invalid Transaction` in the message. Some put both in the message. */
function rawReason({ data, nodeMessage }: RpcError): unknown {
  const hasData = data !== undefined && data !== null && data !== ''
  return hasData ? data : nodeMessage.replace(/^invalid transaction:\s*/i, '')
}

/** Returns the custom code in `Custom error: 6` or in the runtime's value `{"invalid":{"custom":6}}`. */
function customCode(data: unknown): number | undefined {
  const text = typeof data === 'string' ? data : (JSON.stringify(data) ?? '')
  const digits = /custom[^0-9]{0,12}([0-9]{1,3})/i.exec(text)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** Returns the runtime's name in `{"invalid":"Stale"}` or `{"invalid":{"stale":null}}`, or else the node's sentence. */
function reasonText(data: unknown): string {
  if (typeof data === 'string') return data.startsWith('{') ? reasonText(jsonOf(data)) : data
  if (typeof data !== 'object' || data === null) return ''
  const [key, value] = Object.entries(data)[0] ?? []
  if (key === undefined) return ''
  if (key.toLowerCase() === 'invalid' && value !== null) return reasonText(value)
  return key.charAt(0).toUpperCase() + key.slice(1)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Returns the ChainError for a dispatch error in a block. Its name comes from the metadata: indices vary by runtime.
 */
export function refusalInBlock(error: DispatchError): ChainError {
  if (error.isModule) {
    const { section, name } = error.registry.findMetaError(error.asModule)
    return chainErrorByName(name, `pallet ${section}`)
  }
  if (error.isToken) return new ChainError('NotEnoughBalance', undefined, { chainName: `Token.${error.asToken.type}` })
  return chainErrorByName(error.type)
}
