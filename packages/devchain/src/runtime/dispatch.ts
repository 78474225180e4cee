import { palletTypesOf } from '../pallets/runtime.ts'
import type { RuntimeCall } from '../table/runtime-call.ts'
import { adminHandlers } from './admin.ts'
import { balancesHandlers } from './balances.ts'
import { commitmentsHandlers } from './commitments.ts'
import type { Context, Origin } from './context.ts'
import { badOrigin } from './failure.ts'
import { subtensorHandlers } from './subtensor/handlers.ts'
import { sudoHandlers, systemHandlers, utilityHandlers } from './system.ts'

type AnyHandlers = Record<string, (context: Context, origin: Origin, args: never) => void>

// Timestamp.set is an inherent, which must not be signed.
const timestampHandlers = {
  set: () => {
    throw badOrigin()
  },
}

const HANDLERS: Record<string, AnyHandlers> = {
  System: systemHandlers,
  Timestamp: timestampHandlers,
  Balances: balancesHandlers,
  Utility: utilityHandlers,
  Sudo: sudoHandlers,
  Commitments: commitmentsHandlers,
  SubtensorModule: subtensorHandlers,
  AdminUtils: adminHandlers,
}

/** Executes a call. Throws DispatchFailure when the runtime refuses it; changes made until then stay in the store. */
export function dispatch(context: Context, origin: Origin, call: RuntimeCall): void {
  const handler = HANDLERS[call.type]?.[call.value.type]
  if (!handler) throw new Error(`nothing carries out ${call.type}.${call.value.type}`)
  handler(context, origin, call.value.value as never)
}

/** Returns whether a call is free (Pays::No). A batch is never free. */
export function isFree(call: RuntimeCall): boolean {
  const pallet = palletTypesOf.find(types => types.pallet.name === call.type)?.pallet
  return pallet?.calls?.[call.value.type]?.free === true
}
