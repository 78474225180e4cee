import { palletTypesOf } from '../pallets/runtime.ts'
import type { SubtensorError } from '../pallets/subtensor/errors.ts'
import type { Hex } from '../scale/bytes.ts'
import type { ValueOf } from '../scale/type.ts'
import type { dispatchError } from '../table/dispatch-error.ts'

export type DispatchErrorValue = ValueOf<typeof dispatchError>

/** The runtime refuses a call. Its changes are undone, and the error is recorded in the block. */
export class DispatchFailure extends Error {
  override readonly name = 'DispatchFailure'
  readonly error: DispatchErrorValue

  constructor(error: DispatchErrorValue, message: string) {
    super(message)
    this.error = error
  }
}

/** Returns an error of a pallet by the name in the metadata. */
export function moduleError(pallet: string, name: string): DispatchFailure {
  const found = palletTypesOf.find(types => types.pallet.name === pallet)?.pallet
  const position = found?.errors?.indexOf(name) ?? -1
  if (!found || position < 0) throw new Error(`${pallet} has no error ${name}`)
  const error = `0x${position.toString(16).padStart(2, '0')}000000` as Hex
  return new DispatchFailure({ type: 'Module', value: { index: found.index, error } }, `${pallet}.${name}`)
}

/** Throws `name` unless `condition` holds. Each check of the specification is one line. */
export function ensure(condition: boolean, name: SubtensorError): asserts condition {
  if (!condition) throw moduleError('SubtensorModule', name)
}

export function ensureAdmin(condition: boolean, name: AdminError): asserts condition {
  if (!condition) throw moduleError('AdminUtils', name)
}

export type AdminError = 'SubnetDoesNotExist' | 'MaxAllowedUIdsLessThanCurrentUIds' | 'ValueNotInBounds'

export function overflow(): DispatchFailure {
  const value = { type: 'Overflow', value: null } as const
  return new DispatchFailure({ type: 'Arithmetic', value }, 'Arithmetic.Overflow')
}

export function badOrigin(): DispatchFailure {
  return new DispatchFailure({ type: 'BadOrigin', value: null }, 'BadOrigin')
}

export function tokenError(name: TokenErrorName): DispatchFailure {
  return new DispatchFailure({ type: 'Token', value: { type: name, value: null } }, `Token.${name}`)
}

export type TokenErrorName = 'FundsUnavailable' | 'OnlyProvider' | 'BelowMinimum' | 'CannotCreate' | 'NotExpendable'

/** Returns the name of a module error; empty for other dispatch errors. */
export function palletErrorName(failure: DispatchFailure): string {
  if (failure.error.type !== 'Module') return ''
  return failure.message.split('.')[1] ?? ''
}
