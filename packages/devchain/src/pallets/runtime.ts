import type { Type } from '../scale/type.ts'
import { type Cases, only, variants } from '../scale/variants.ts'
import { callCases, type Pallet } from '../table/pallet.ts'
import { type RuntimeCall, type RuntimeEvent, runtimeCall, runtimeEvent } from '../table/runtime-call.ts'
import { adminUtils } from './admin-utils.ts'
import { balances } from './balances.ts'
import { commitments } from './commitments.ts'
import { drand } from './drand.ts'
import { subtensor } from './subtensor/pallet.ts'
import { sudo } from './sudo.ts'
import { system } from './system.ts'
import { timestamp } from './timestamp.ts'
import { utility } from './utility.ts'

/** The runtime's table: every pallet, in the order of their indices. */
export function runtimePallets(blockMs: number): Pallet[] {
  return [system, timestamp(blockMs), balances, subtensor, utility, sudo, commitments, adminUtils, drand]
}

const CRATES: Record<string, string> = {
  System: 'frame_system',
  Timestamp: 'pallet_timestamp',
  Balances: 'pallet_balances',
  SubtensorModule: 'pallet_subtensor',
  Utility: 'pallet_utility',
  Sudo: 'pallet_sudo',
  Commitments: 'pallet_commitments',
  AdminUtils: 'pallet_admin_utils',
  Drand: 'pallet_drand',
}

export interface PalletTypes {
  pallet: Pallet
  calls?: Type<unknown>
  events?: Type<unknown>
  errors?: Type<unknown>
}

function palletTypes(pallet: Pallet): PalletTypes {
  const path = `${CRATES[pallet.name] ?? pallet.name}::pallet`
  const errors: Cases = Object.fromEntries((pallet.errors ?? []).map(name => [name, { type: emptyType, fields: [] }]))
  return {
    pallet,
    ...(pallet.calls ? { calls: variants(`${path}::Call`, callCases(pallet.calls)) } : {}),
    ...(pallet.events ? { events: variants(`${path}::Event`, pallet.events) } : {}),
    ...(pallet.errors ? { errors: variants(`${path}::Error`, errors) } : {}),
  }
}

const emptyType: Type<null> = { encode: () => {}, decode: () => null, shape: () => ({ kind: 'tuple', of: [] }) }

// The table's types do not depend on the block time, only one constant's value does.
export const palletTypesOf: PalletTypes[] = runtimePallets(0).map(palletTypes)

function outer(path: string, pick: (types: PalletTypes) => Type<unknown> | undefined): Type<unknown> {
  const cases: Cases = {}
  for (const types of palletTypesOf) {
    const type = pick(types)
    if (type) cases[types.pallet.name] = only(type, types.pallet.index)
  }
  return variants(path, cases)
}

runtimeCall.define(outer('node_subtensor_runtime::RuntimeCall', types => types.calls) as Type<RuntimeCall>)
runtimeEvent.define(outer('node_subtensor_runtime::RuntimeEvent', types => types.events) as Type<RuntimeEvent>)
