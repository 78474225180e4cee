import { dispatchClass, pays, weight } from '../scale/accounts.ts'
import { fixedBytes, struct, unit } from '../scale/composites.ts'
import { u8 } from '../scale/primitives.ts'
import { empty, only, variants } from '../scale/variants.ts'

const moduleError = struct('sp_runtime::ModuleError', { index: u8, error: fixedBytes(4) })

const tokenError = variants('sp_runtime::TokenError', {
  FundsUnavailable: empty,
  OnlyProvider: empty,
  BelowMinimum: empty,
  CannotCreate: empty,
  UnknownAsset: empty,
  Frozen: empty,
  Unsupported: empty,
  CannotCreateHold: empty,
  NotExpendable: empty,
  Blocked: empty,
})

const arithmeticError = variants('sp_arithmetic::ArithmeticError', {
  Underflow: empty,
  Overflow: empty,
  DivisionByZero: empty,
})

const transactionalError = variants('sp_runtime::TransactionalError', { LimitReached: empty, NoLayer: empty })

export const dispatchError = variants('sp_runtime::DispatchError', {
  Other: empty,
  CannotLookup: empty,
  BadOrigin: empty,
  Module: only(moduleError),
  ConsumerRemaining: empty,
  NoProviders: empty,
  TooManyConsumers: empty,
  Token: only(tokenError),
  Arithmetic: only(arithmeticError),
  Transactional: only(transactionalError),
  Exhausted: empty,
  Corruption: empty,
  Unavailable: empty,
  RootNotAllowed: empty,
})

export const dispatchResult = variants('Result', { Ok: only(unit), Err: only(dispatchError) }, [
  { name: 'T', type: unit },
  { name: 'E', type: dispatchError },
])

export const dispatchInfo = struct('frame_system::DispatchEventInfo', { weight, class: dispatchClass, pays_fee: pays })
