import { vec } from '../scale/composites.ts'
import { u32 } from '../scale/primitives.ts'
import { empty, record } from '../scale/variants.ts'
import { dispatchError } from '../table/dispatch-error.ts'
import { call, constant, type Pallet } from '../table/pallet.ts'
import { runtimeCall } from '../table/runtime-call.ts'

/** The most calls in one batch. */
export const BATCHED_CALLS_LIMIT = 10_922

export const utilityCalls = {
  batch: call(0, { calls: vec(runtimeCall) }),
  batch_all: call(2, { calls: vec(runtimeCall) }),
  force_batch: call(4, { calls: vec(runtimeCall) }),
}

export const utilityEvents = {
  BatchInterrupted: record({ index: u32, error: dispatchError }),
  BatchCompleted: empty,
  BatchCompletedWithErrors: empty,
  ItemCompleted: empty,
  ItemFailed: record({ error: dispatchError }),
}

export const utility: Pallet = {
  name: 'Utility',
  index: 11,
  calls: utilityCalls,
  events: utilityEvents,
  errors: ['TooManyCalls'],
  constants: { batched_calls_limit: constant(u32, BATCHED_CALLS_LIMIT) },
}
